#!/usr/bin/env python3
"""Checks the documents: links, commands, and the output that they show. Also checks the commands that the laptop prints.

Usage: run.py [DOCUMENT]...        (default: every Markdown file of the repository, and the laptop's output)

1. Every link to a file or a heading of the repository has a target.
2. Every command in an `sh` block has an entry in `commands.toml`: the suite that runs it, or why none does.
3. Every command in a `console` block runs here, and its output is compared with the output in the document.
4. The commands that the laptop (the local server started by `cargo run`) prints at its start run here.

All `console` blocks of a document are one session. A line that begins with `$ ` is a command, and the lines below it are
its output. `...` stands for any omitted text. Ids, times, tokens and ports may differ.

Each session runs as if a reader pasted it: in an interactive bash and in an interactive zsh, and twice on the same laptop.
Without zsh, the script reports that a part did NOT RUN.

Needs `cargo build --workspace --bin roster`.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from repository import TOP, files  # noqa: E402

ROSTER = TOP / "target" / "debug" / "roster"
# The laptop's address in documents.
DOCUMENTED_URL = "http://127.0.0.1:4000"
# The shells that run each session, as interactive shells without a user's own settings.
SHELLS = {"bash": ["bash", "--norc", "--noprofile", "--noediting", "-i"], "zsh": ["zsh", "-f", "-i"]}
# Ends the output of each command.
END = "--- end of the output ---"

# Values that differ in every run, and their replacements in a comparison.
VARYING = [
    (r"v1\.dev\.[\w.-]*(\.\.\.)?", "<token>"),
    (r"(org|inv)_[0-9a-z]{26}", r"<\1>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\w+day, \d+ \w+ \d{4}, \d\d:\d\d UTC", "<date>"),
    (r"http://127\.0\.0\.1:\d+", "<laptop>"),
    (r"\b(58|59|60)\b", "<a minute>"),
]


def comparable(text):
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return re.sub(r"\s+", "", text)


def matches(shown, output):
    """Whether the output matches the shown output. JSON may be wrapped. Of other text, the document may omit lines."""
    def pattern(text):
        return ".*".join(re.escape(part) for part in comparable(text).split("..."))

    if output.lstrip().startswith("{"):
        return re.fullmatch(pattern(shown), comparable(output)) is not None
    lines = [pattern(line) for line in shown.splitlines() if line.strip()]
    return re.search(".*".join(lines), comparable(output)) is not None


def commands(document):
    """Yields each command of the `console` blocks, with the output that the document shows."""
    for block in re.findall(r"^```console\n(.*?)^```", document, re.M | re.S):
        for text in re.split(r"^\$ ", block, flags=re.M)[1:]:
            # A backslash at the end of a line continues the command on the next line.
            command = re.match(r"(?:.*\\\n)*.*", text)[0]
            yield command, text[len(command):].strip()


class Laptop:
    """A laptop on a free port. `output` is what it prints until it is ready."""

    def __init__(self, *flags):
        command = [ROSTER, "--port", "0", "--no-console", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if line.startswith("Stop with"):
                break
        else:
            sys.exit("the laptop does not start")
        self.url = re.search(r"^ *API +(http://\S+)/v1", self.output, re.M)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Shell:
    """An interactive shell that gets commands as a user pastes them."""

    def __init__(self, name):
        # A prompt would be part of the output.
        environment = {**os.environ, "PS1": "", "PS2": "", "PROMPT_EOL_MARK": "", "HISTFILE": "", "TERM": "dumb"}
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            SHELLS[name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment, text=True,
            # A new session: without it, an interactive bash takes over the terminal of this script.
            start_new_session=True,
        )
        # Without the progress of each transfer, which curl shows since the output is no terminal.
        self.run('PS1=; PS2=; curl() { command curl -sS "$@"; }')
        self.take_errors()

    def run(self, command):
        """Runs a command, and returns its output."""
        self.process.stdin.write(f"{command}\nprintf '\\n{END}\\n'\n")
        self.process.stdin.flush()
        output = ""
        for line in self.process.stdout:
            if line == f"{END}\n":
                return output.removesuffix("\n")
            output += line
        raise RuntimeError(f"the shell has ended after: {command}\n{output}{self.take_errors()}")

    def take_errors(self):
        """Returns what the shell and its commands have written to stderr since the last call."""
        self.errors.seek(0)
        errors = self.errors.read()
        self.errors.seek(0)
        self.errors.truncate()
        return errors.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.errors.close()


def shells():
    """Returns the shells that are installed, and reports the others."""
    for name in SHELLS:
        if shutil.which(name):
            yield name
        else:
            print(f"NOT RUN: the sessions in {name}, which is not installed")


def documents():
    """Returns the Markdown files of the repository."""
    return sorted(name for name in files() if name.endswith(".md"))


def anchors(text):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    plain = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken_links(name):
    """The links of a document to files or headings of the repository that do not exist."""
    text = (TOP / name).read_text()
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (TOP / name).parent / path if path else TOP / name
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            yield link


def shell_blocks(name):
    """The lines of the `sh` blocks of a document."""
    for block in re.findall(r"^```sh\n(.*?)^```", (TOP / name).read_text(), re.M | re.S):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()


def comments(name):
    """The lines with a comment in the `sh` and `console` blocks of a document.

    An interactive zsh passes the words of a comment to the command, and curl then sends its headers to them.
    """
    commands_of_sessions = [command for command, _ in commands((TOP / name).read_text())]
    return [line for line in [*shell_blocks(name), *commands_of_sessions] if re.search(r"(^|\s)#", line)]


def shell_commands(name):
    """The commands of the `sh` blocks of a document."""
    for line in shell_blocks(name):
        if line.strip():
            # Variables that are set for one command only say how it runs, not what runs.
            yield re.sub(r"^(\w+=\S* )+", "", line.strip())


def check_commands(names, whole):
    """Compares the commands of the documents with `commands.toml`; yields what is wrong."""
    listed = tomllib.loads((HERE / "commands.toml").read_text())
    used = set()
    for name in names:
        for command in shell_commands(name):
            matching = [it for it in listed["command"] if re.match(re.escape(it["text"]) + r"(\s|$|[=@])", command)]
            if not matching:
                if name not in listed["needs_aws"]:
                    yield f"{name}: commands.toml has no entry for: {command}"
                continue
            used.add(max(matching, key=lambda it: len(it["text"]))["text"])
    for entry in listed["command"]:
        if whole and entry["text"] not in used:
            yield f"commands.toml: no document has the command: {entry['text']}"
        if "run_by" in entry and entry.get("as", entry["text"]) not in (TOP / entry["run_by"]).read_text():
            yield f"commands.toml: {entry['run_by']} does not contain: {entry.get('as', entry['text'])}"


def run_session(shell, session):
    """Runs commands, each with its expected output; yields the differences."""
    for command, shown in session:
        output = shell.run(command)
        errors = shell.take_errors()
        if errors:
            yield f"$ {command}\n--- error output:\n{errors}\n"
        if shown and not matches(shown, output):
            yield f"$ {command}\n--- in the document:\n{shown}\n--- real output:\n{output}\n"


def check_outputs(name, installed):
    """Runs the `console` blocks of a document; yields the differences, and prints how many commands ran."""
    session = list(commands((TOP / name).read_text()))
    for program in installed if session else []:
        with Laptop("--no-demo") as laptop:
            here = [(command.replace(DOCUMENTED_URL, laptop.url), shown) for command, shown in session]
            for attempt in (1, 2):
                with Shell(program) as shell:
                    for wrong in run_session(shell, here):
                        yield f"{name}: {program}, attempt {attempt}: {wrong}"
        print(f"{name}: ran {len(session)} commands in {program}, twice")


def printed_commands(output):
    """Returns the commands that the laptop prints: the indented lines of its last paragraphs."""
    session = output.split("Commands to paste into a shell:\n")[1]
    return [line.strip() for line in session.splitlines() if line.startswith("  ")]


def check_printed(installed):
    """Runs the commands that the laptop prints; yields what is wrong."""
    for program in installed:
        with Laptop() as laptop:
            session = printed_commands(laptop.output)
            for attempt in (1, 2):
                with Shell(program) as shell:
                    outputs = {command: shell.run(command) for command in session}
                    errors = shell.take_errors()
                where = f"the printed session: {program}, attempt {attempt}"
                if errors:
                    yield f"{where}: error output:\n{errors}"
                problems = re.findall(r'"code":"(\w+)"', "".join(outputs.values()))
                # Ivy's invitation expires when the clock moves. It is the only call that fails.
                if problems != ["invitation_expired"]:
                    yield f"{where}: problems: {problems}\n{outputs}"
                for command in [it for it in session if it.startswith("c ") and "DELETE" not in it]:
                    if not outputs[command].startswith("{"):
                        yield f"{where}: $ {command}\n{outputs[command]}"
        print(f"the printed session: ran {len(session)} commands in {program}, twice")


def main():
    names = sys.argv[1:] or documents()
    installed = list(shells())
    wrong = [f"{name}: the link has no target: {link}" for name in names for link in broken_links(name)]
    wrong += [f"{name}: a command with a comment: {line}" for name in names for line in comments(name)]
    wrong += check_commands(names, whole=not sys.argv[1:])
    for name in names:
        wrong += check_outputs(name, installed)
    if not sys.argv[1:]:
        wrong += check_printed(installed)
    for line in wrong:
        print(line)
    print(f"{len(names)} documents, {len(wrong)} errors")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Checks the documents: links, commands, and the output that they show.

Usage: run.py [DOCUMENT]...        (default: every Markdown file of the repository)

1. Every link to a file or a heading of the repository has a target.
2. Every command in an `sh` block has an entry in `commands.toml`: the suite that runs it, or why none does.
3. Every command in a `console` block runs here, and its output is compared with the output in the document.

All `console` blocks of a document are one session on one laptop (the local server started by `cargo run`). A line that
begins with `$ ` is a command, and the lines below it are its output. `...` stands for any omitted text. Ids, times,
tokens and ports may differ.

The script sets these variables:
- `$R`: URL of the laptop
- `$ORG`: URL of the newest organization
- `$OLGA`, `$BOB`, ...: the header that signs in this user
- `$BOBS`, `$EVES`, ...: id of this user's invitation
- `$TOKEN`: the token in bob's newest mail
- `$OLD`: the token in eve's first mail

Needs `cargo build --workspace --bin roster`.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from repository import TOP, files  # noqa: E402

ROSTER = TOP / "target" / "debug" / "roster"
PEOPLE = ["olga", "bob", "eve", "kim", "max"]

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


class Session:
    """A laptop, and a shell that sends requests to it."""

    def __init__(self):
        flags = ["--port", "0", "--no-demo", "--no-console"]
        self.laptop = subprocess.Popen([ROSTER, *flags], stdout=subprocess.PIPE, text=True)
        for line in self.laptop.stdout:
            found = re.match(r" *API +(http://\S+)/v1", line)
            if found:
                self.url = found[1]
                break
        else:
            sys.exit("the laptop does not start")
        self.variables = {"R": self.url}

    def end(self):
        self.laptop.terminate()
        self.laptop.wait()

    def call(self, path, body=None, headers=()):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, dict(headers))
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())

    def authorization(self, name):
        email = f"{name}@acme.example"
        token = self.call("/_dev/token", {"sub": name, "email": email, "email_verified": True})["access_token"]
        return f"Authorization: Bearer {token}"

    def mails(self, name):
        self.call("/_dev/idle")
        query = urllib.parse.urlencode({"to": f"{name}@acme.example"})
        return self.call(f"/_dev/mail?{query}", headers=[("accept", "application/json")])["items"]

    def invitation(self, name):
        authorization = tuple(self.authorization("olga").split(": "))
        listed = self.call(self.path + "/invitations", headers=[authorization])["items"]
        return next(it["id"] for it in listed if it["email"] == f"{name}@acme.example")

    def value(self, name):
        """Returns the value of a variable. Tokens are valid for an hour and commands move the clock, so each is new."""
        lower = name.lower()
        if lower in PEOPLE:
            return self.authorization(lower)
        if name == "TOKEN":
            return self.mails("bob")[0]["token"]
        if name == "OLD":
            return self.mails("eve")[-1]["token"]
        if lower.removesuffix("s") in PEOPLE:
            return self.invitation(lower.removesuffix("s"))
        return self.variables[name]

    def run(self, command):
        # An assignment sets a variable for the next commands.
        assigned = re.fullmatch(r'(\w+)="(.*)"\s*', command)
        if assigned:
            self.variables[assigned[1]] = assigned[2]
            return ""
        names = set(re.findall(r"\$(\w+)", command))
        environment = {**os.environ, **{name: self.value(name) for name in names}}
        done = subprocess.run(
            ["bash", "-c", re.sub(r"^curl", "curl -s", command)], env=environment, capture_output=True, text=True
        )
        # Wait for the effects of the request, such as a mail, before the next command.
        self.call("/_dev/idle")
        created = re.match(r'\{"id":"(org_\w+)"', done.stdout)
        if created:
            self.path = f"/v1/organizations/{created[1]}"
            self.variables["ORG"] = self.url + self.path
        return done.stdout


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


def shell_commands(name):
    """The commands of the `sh` blocks of a document, without comments."""
    for block in re.findall(r"^```sh\n(.*?)^```", (TOP / name).read_text(), re.M | re.S):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            command = re.sub(r"(^|\s)#.*", "", line).strip()
            if command:
                # Variables that are set for one command only say how it runs, not what runs.
                yield re.sub(r"^(\w+=\S* )+", "", command)


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


def check_outputs(name):
    """Runs the `console` blocks of a document; yields the differences, and prints how many commands ran."""
    shown_commands = list(commands((TOP / name).read_text()))
    if not shown_commands:
        return
    session = Session()
    try:
        for command, shown in shown_commands:
            output = session.run(command)
            if shown and not matches(shown, output):
                yield f"{name}: $ {command}\n--- in the document:\n{shown}\n--- real output:\n{output}\n"
    finally:
        session.end()
    print(f"{name}: ran {len(shown_commands)} commands")


def main():
    names = sys.argv[1:] or documents()
    wrong = [f"{name}: the link has no target: {link}" for name in names for link in broken_links(name)]
    wrong += check_commands(names, whole=not sys.argv[1:])
    for name in names:
        wrong += check_outputs(name)
    for line in wrong:
        print(line)
    print(f"{len(names)} documents, {len(wrong)} errors")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

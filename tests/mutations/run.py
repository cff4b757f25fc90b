#!/usr/bin/env python3
"""Breaks Roster on purpose, once for each entry of mutations.toml, in a copy of the tree, and says who notices.

Usage: run.py [options] [PART OF A NAME]...
       run.py --check            only says whether what each entry changes is there to be changed

Judges, the cheapest first: `unit` (the tests beside the code), `scenarios`, `model`, `simulator`, `histories`. Without
an option only the one is asked that the entry names as `noticed_by`; where it names none, or with `--all`, they are asked
in turn until one has noticed. With `--each` each of them judges alone, and the last lines say what none but one of them
has caught. `--at-most` chooses among those that take seconds: noticed by `unit` or `scenarios`.

A mutation that goes unnoticed is a failure, and so is one that does not compile.
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
COPY = TOP / "target" / "mutations"
# The packages whose own tests are the judge `unit`.
UNIT = ["actions", "aws-client", "domain", "lambda-api", "links", "mail", "reference", "schedule", "store"]
# No judge needs longer, unless it hangs, and then it has noticed.
PATIENCE = 600


# What git ignores, and a tree without git holds all the same.
IGNORED = {".git", "target", "node_modules", "dist", ".aws-sam"}


def files():
    """The files of the tree, as git knows them; of a tree that is no checkout, all that are not made by a build."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=TOP, capture_output=True, text=True
    )
    if listed.returncode == 0:
        return {name for name in listed.stdout.split("\0") if name and (TOP / name).is_file()}
    names = set()
    for folder, below, here in os.walk(TOP):
        below[:] = [name for name in below if name not in IGNORED]
        names |= {str((pathlib.Path(folder) / name).relative_to(TOP)) for name in here}
    return names


def copied():
    """The tree as it is, without what git ignores; equal files keep their times, so that little is built again."""
    names = files()
    for name in names:
        source, copy = TOP / name, COPY / name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    for copy in [path for path in COPY.rglob("*") if path.is_file()]:
        if str(copy.relative_to(COPY)) not in names:
            copy.unlink()


def changes(mutation):
    return [mutation] + ([mutation["and"]] if "and" in mutation else [])


def found(top, change):
    """What `change` changes, and where."""
    path = top / change["file"]
    text = path.read_text()
    if text.count(change["from"]) != 1:
        sys.exit(f"{change['file']} does not hold exactly once: {change['from']}")
    return path, text


def mutated(mutation):
    for change in changes(mutation):
        path, text = found(COPY, change)
        path.write_text(text.replace(change["from"], change["to"]))


def environment(**more):
    # Snapshots are compared, and never written; a scenario's world is the embedded one.
    # Dependencies are built once for the tree and its copy. What a developer or .ci/run has set is about the tree.
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROSTER_")}
    return {**own, "CARGO_TARGET_DIR": str(TOP / "target"), "RUST_BACKTRACE": "0", "INSTA_UPDATE": "no", **more}


def cargo(*arguments):
    """Builds, and gives the executables by target, or what the compiler said if it is not pleased."""
    command = ["cargo", *arguments, "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=COPY, text=True, capture_output=True, env=environment())
    if done.returncode != 0:
        return None, done.stderr
    built = {}
    for message in map(json.loads, done.stdout.splitlines()):
        if message.get("executable"):
            name = message["target"]["name"].replace("_", "-")
            built[name] = (message["executable"], pathlib.Path(message["manifest_path"]).parent)
    return built, None


def built(judges):
    """What each judge runs, as pairs of a command and a folder."""
    # The package `tests` asks for the features of all, so that its dependencies are those of a whole build.
    tests = ["test", "--no-run", "--package", "tests"]
    targets = [argument for judge in judges if judge in ("scenarios", "histories") for argument in ("--test", judge)]
    if "unit" in judges:
        tests += [argument for package in UNIT for argument in ("--package", package)]
        targets += ["--lib"]
    runs = {}
    if targets:
        executables, error = cargo(*tests, *targets)
        if error:
            return None, error
        runs["unit"] = [([path], folder) for name, (path, folder) in executables.items() if name in UNIT]
        runs |= {judge: [([path], folder)] for judge, (path, folder) in executables.items() if judge in judges}
    # One selection of packages for each, as people run them: together they would have other features.
    for judge, arguments in {"model": ["--fail-fast"], "simulator": ["--runs", "100", "--fail-fast"]}.items():
        if judge in judges:
            executables, error = cargo("build", "--profile", "simulation", "--package", judge)
            if error:
                return None, error
            runs[judge] = [([executables[judge][0], *arguments], COPY)]
    return runs, None


# What is told of a failure, by who tells it.
TOLD = [
    re.compile(r"^BROKEN (.*)", re.M),
    re.compile(r"^WRONG: (.*)", re.M),
    re.compile(r"^TOO SELDOM: (.*)", re.M),
    re.compile(r"^test (\S+) \.\.\. FAILED", re.M),
    re.compile(r"panicked at .*\n(.*)"),
]


def judged(runs):
    """What one of the commands says that is wrong, as soon as it does; none if all is well."""
    for command, folder in runs:
        process = subprocess.Popen(
            command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(),
        )
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        output = ""
        for line in process.stdout:
            output += line
            if line.rstrip().endswith("... FAILED"):
                process.kill()
        timer.cancel()
        if process.wait() != 0:
            told = [match[1] for pattern in TOLD for match in pattern.finditer(output)]
            return told[0] if told else f"it ends with {process.returncode}"
    return None


JUDGES = ["unit", "scenarios", "model", "simulator", "histories"]


def asked(mutation, arguments):
    """Those of the judges that are asked about a mutation: the model knows nothing but the domain."""
    if "noticed_by" in mutation and not (arguments.all or arguments.each):
        return [mutation["noticed_by"]]
    in_domain = any(change["file"].startswith("shared/domain/") for change in changes(mutation))
    return [judge for judge in arguments.judges.split(",") if judge != "model" or in_domain]


def hold_the_tree(judges):
    """Fails, if one of the judges finds something wrong where nothing is broken on purpose."""
    copied()
    runs, error = built(judges)
    wrong = error or next(filter(None, (judged(runs[judge]) for judge in judges)), None)
    if wrong:
        sys.exit(f"what is not broken on purpose is broken, and there is nothing to compare with: {wrong}")


def chosen(mutations, arguments):
    if arguments.names:
        mutations = [it for it in mutations if any(name in it["name"] for name in arguments.names)]
    if arguments.at_most is None:
        return mutations
    count = len(mutations)
    mutations = [it for it in mutations if it.get("noticed_by") in ("unit", "scenarios")]
    random.Random(arguments.seed).shuffle(mutations)
    if arguments.first_since:
        listed = subprocess.run(
            ["git", "diff", "--name-only", arguments.first_since], cwd=TOP, check=True, capture_output=True, text=True
        ).stdout.splitlines()
        mutations.sort(key=lambda it: not any(change["file"] in listed for change in changes(it)))
    mutations = mutations[: arguments.at_most]
    if count > len(mutations):
        print(f"NOT RUN: {count - len(mutations)} of {count} mutations; the seed {arguments.seed} has chosen", flush=True)
    return mutations


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="breaks nothing")
    parser.add_argument("--all", action="store_true", help="one judge after the other until one has noticed")
    parser.add_argument("--each", action="store_true", help="each judge alone, also once one has noticed")
    parser.add_argument("--judges", default=",".join(JUDGES), help="those that are asked, separated by commas")
    parser.add_argument("--first-since", help="first mutations of files that have changed since this commit")
    parser.add_argument("--at-most", type=int, help="no more mutations than that, chosen by --seed")
    parser.add_argument("--seed", default="1")
    parser.add_argument("names", nargs="*", help="only mutations whose names hold one of these")
    arguments = parser.parse_args()
    mutations = tomllib.loads((HERE / "mutations.toml").read_text())["mutation"]
    if arguments.check:
        for mutation in mutations:
            for change in changes(mutation):
                found(TOP, change)
        return
    mutations = chosen(mutations, arguments)
    if not mutations:
        print("no mutation is of what was chosen")
        return

    judges = [judge for judge in JUDGES if any(judge in asked(mutation, arguments) for mutation in mutations)]
    hold_the_tree(judges)
    print(f"| mutation | {' | '.join(judges)} |\n| --- |{' --- |' * len(judges)}", flush=True)
    missed, only = [], {judge: [] for judge in judges}
    for mutation in mutations:
        copied()
        mutated(mutation)
        of_it = asked(mutation, arguments)
        noticed = {}
        # Without `--each` no more is built than the next judge needs.
        for group in [of_it] if arguments.each else [[judge] for judge in of_it]:
            runs, error = built(group)
            if error:
                sys.exit(f"{mutation['name']}: this does not compile\n{error}")
            noticed |= {judge: told for judge in group if (told := judged(runs[judge]))}
            if noticed and not arguments.each:
                break
        cells = [noticed.get(judge, "" if judge in of_it else "-").replace("|", "\\|") for judge in judges]
        print(f"| {mutation['name']} | {' | '.join(cells)} |", flush=True)
        if not noticed:
            missed.append(mutation["name"])
        if len(noticed) == 1:
            only[next(iter(noticed))].append(mutation["name"])
    copied()
    if arguments.each:
        for judge, names in only.items():
            print(f"caught by {judge} alone: {', '.join(names) or 'nothing'}")
    for name in missed:
        print(f"nobody noticed: {name}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    began = time.monotonic()
    try:
        main()
    finally:
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)

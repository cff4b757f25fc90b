#!/usr/bin/env python3
"""Runs the mutations in mutations.toml: each breaks Roster on purpose, and a test suite must fail.

Usage: run.py [options] [PART OF A NAME]...
       run.py --check            only checks that the code that each entry changes exists

The script works on a copy of the repository. The suites, fastest first, are `unit` (the tests beside the code),
`scenarios`, `model`, `simulator` and `histories`. By default only the suite runs that the entry names as `noticed_by`.
For an entry without `noticed_by`, or with `--all`, the suites run in turn until one fails. With `--each` every suite
runs, and the last lines list the mutations that only one suite notices. `--at-most` selects among the mutations that
take seconds: those that `unit` or `scenarios` notice.

The script fails if no suite notices a mutation, or if a mutation does not compile.
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
sys.path.insert(0, str(HERE.parent))

from repository import TOP, files  # noqa: E402

COPY = TOP / "target" / "mutations"
# The packages with the tests of the suite `unit`.
UNIT = ["actions", "aws-client", "domain", "lambda-api", "links", "mail", "reference", "schedule", "store"]
# Seconds. No suite takes longer unless it hangs, and a suite that hangs has noticed the mutation.
TIMEOUT = 600


def copy_tree():
    """Updates the copy of the repository. Unchanged files keep their times, so that cargo compiles little again."""
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


def locate(top, change):
    """Returns path and text of the file that `change` changes. Exits unless the text contains `from` exactly once."""
    path = top / change["file"]
    text = path.read_text()
    if text.count(change["from"]) != 1:
        sys.exit(f"{change['file']} does not contain exactly once: {change['from']}")
    return path, text


def mutate(mutation):
    for change in changes(mutation):
        path, text = locate(COPY, change)
        path.write_text(text.replace(change["from"], change["to"]))


def environment(**more):
    # Tests compare snapshots but do not update them. The repository and its copy share one target folder, so that
    # dependencies compile once. Variables with the prefix ROSTER_ apply to the repository and not to its copy. Without
    # them the scenarios use the embedded DynamoDB.
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROSTER_")}
    return {**own, "CARGO_TARGET_DIR": str(TOP / "target"), "RUST_BACKTRACE": "0", "INSTA_UPDATE": "no", **more}


def cargo(*arguments):
    """Builds and returns the executables by target. Returns the compiler's output as second value if that fails."""
    command = ["cargo", *arguments, "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=COPY, text=True, capture_output=True, env=environment())
    if done.returncode != 0:
        return None, done.stderr
    executables = {}
    for message in map(json.loads, done.stdout.splitlines()):
        if message.get("executable"):
            name = message["target"]["name"].replace("_", "-")
            executables[name] = (message["executable"], pathlib.Path(message["manifest_path"]).parent)
    return executables, None


def build(suites):
    """Builds the suites. Returns the pairs of command and folder to run, by suite, or the compiler's output."""
    # The package `tests` requires the features of all tests, so this selection builds dependencies like a full build.
    tests = ["test", "--no-run", "--package", "tests"]
    targets = [argument for suite in suites if suite in ("scenarios", "histories") for argument in ("--test", suite)]
    if "unit" in suites:
        tests += [argument for package in UNIT for argument in ("--package", package)]
        targets += ["--lib"]
    runs = {}
    if targets:
        executables, error = cargo(*tests, *targets)
        if error:
            return None, error
        runs["unit"] = [([path], folder) for name, (path, folder) in executables.items() if name in UNIT]
        runs |= {suite: [([path], folder)] for suite, (path, folder) in executables.items() if suite in suites}
    # Build each package alone, as developers do: a build of several packages would have other features.
    for suite, arguments in {"model": ["--fail-fast"], "simulator": ["--runs", "100", "--fail-fast"]}.items():
        if suite in suites:
            executables, error = cargo("build", "--profile", "simulation", "--package", suite)
            if error:
                return None, error
            runs[suite] = [([executables[suite][0], *arguments], COPY)]
    return runs, None


# How the suites report a failure.
FAILURES = [
    re.compile(r"^BROKEN (.*)", re.M),
    re.compile(r"^WRONG: (.*)", re.M),
    re.compile(r"^TOO SELDOM: (.*)", re.M),
    re.compile(r"^test (\S+) \.\.\. FAILED", re.M),
    re.compile(r"panicked at .*\n(.*)"),
]


def first_failure(runs):
    """Runs the commands and returns the first failure that one of them reports, or None if all succeed."""
    for command, folder in runs:
        process = subprocess.Popen(
            command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(),
        )
        timer = threading.Timer(TIMEOUT, process.kill)
        timer.start()
        output = ""
        for line in process.stdout:
            output += line
            if line.rstrip().endswith("... FAILED"):
                process.kill()
        timer.cancel()
        if process.wait() != 0:
            failures = [match[1] for pattern in FAILURES for match in pattern.finditer(output)]
            return failures[0] if failures else f"exit status {process.returncode}"
    return None


SUITES = ["unit", "scenarios", "model", "simulator", "histories"]


def suites_for(mutation, arguments):
    """Returns the suites to run for a mutation. The model contains only the domain."""
    if "noticed_by" in mutation and not (arguments.all or arguments.each):
        return [mutation["noticed_by"]]
    in_domain = any(change["file"].startswith("shared/domain/") for change in changes(mutation))
    return [suite for suite in arguments.suites.split(",") if suite != "model" or in_domain]


def check_unmutated(suites):
    """Exits if a suite fails without a mutation."""
    copy_tree()
    runs, error = build(suites)
    failure = error or next(filter(None, (first_failure(runs[suite]) for suite in suites)), None)
    if failure:
        sys.exit(f"a suite fails without a mutation: {failure}")


def select(mutations, arguments):
    """Returns the mutations that the arguments select."""
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
        print(f"NOT RUN: {count - len(mutations)} of {count} mutations; the seed is {arguments.seed}", flush=True)
    return mutations


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only check that the code to change exists")
    parser.add_argument("--all", action="store_true", help="run the suites in turn until one fails")
    parser.add_argument("--each", action="store_true", help="run every suite, even after one has failed")
    parser.add_argument("--suites", default=",".join(SUITES), help="the suites to run, separated by commas")
    parser.add_argument("--first-since", help="begin with mutations of files that have changed since this commit")
    parser.add_argument("--at-most", type=int, help="maximum number of mutations, selected with --seed")
    parser.add_argument("--seed", default="1", help="seed of the selection")
    parser.add_argument("names", nargs="*", help="run only mutations with one of these texts in their name")
    arguments = parser.parse_args()
    mutations = tomllib.loads((HERE / "mutations.toml").read_text())["mutation"]
    if arguments.check:
        for mutation in mutations:
            for change in changes(mutation):
                locate(TOP, change)
        return
    mutations = select(mutations, arguments)
    if not mutations:
        print("the arguments select no mutation")
        return

    suites = [suite for suite in SUITES if any(suite in suites_for(mutation, arguments) for mutation in mutations)]
    check_unmutated(suites)
    print(f"| mutation | {' | '.join(suites)} |\n| --- |{' --- |' * len(suites)}", flush=True)
    missed, only = [], {suite: [] for suite in suites}
    for mutation in mutations:
        copy_tree()
        mutate(mutation)
        to_run = suites_for(mutation, arguments)
        noticed = {}
        # Without `--each`, build one suite at a time, since the first failure ends the loop.
        for group in [to_run] if arguments.each else [[suite] for suite in to_run]:
            runs, error = build(group)
            if error:
                sys.exit(f"{mutation['name']}: the mutation does not compile\n{error}")
            noticed |= {suite: failure for suite in group if (failure := first_failure(runs[suite]))}
            if noticed and not arguments.each:
                break
        cells = [noticed.get(suite, "" if suite in to_run else "-").replace("|", "\\|") for suite in suites]
        print(f"| {mutation['name']} | {' | '.join(cells)} |", flush=True)
        if not noticed:
            missed.append(mutation["name"])
        if len(noticed) == 1:
            only[next(iter(noticed))].append(mutation["name"])
    copy_tree()
    if arguments.each:
        for suite, names in only.items():
            print(f"noticed only by {suite}: {', '.join(names) or 'none'}")
    for name in missed:
        print(f"no suite noticed: {name}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    began = time.monotonic()
    try:
        main()
    finally:
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)

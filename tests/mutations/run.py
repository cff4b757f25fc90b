#!/usr/bin/env python3
"""Breaks Roster on purpose, once for each entry of mutations.toml, in a copy of the tree, and says who notices: the
model, the simulator, or nobody, which is a failure.

Usage: run.py [--runs N] [PART OF A NAME]...
       run.py --check    only says whether what each entry changes is there to be changed
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
COPY = TOP / "target" / "mutations"


def copied():
    """The tree as it is, without what git ignores; equal files keep their times, so that little is built again."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=TOP, check=True, capture_output=True, text=True,
    ).stdout
    names = {name for name in listed.split("\0") if name and (TOP / name).is_file()}
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


def built():
    """Builds both judges, and gives what the compiler said if it is not pleased. Each is built by itself, as the README
    runs it: together they would need other features of what both depend on, and all of that once more."""
    for judge in ["model", "simulator"]:
        command = ["cargo", "build", "--profile", "simulation", "--quiet", "-p", judge]
        done = subprocess.run(
            command, cwd=COPY, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "CARGO_TARGET_DIR": str(TOP / "target")},
        )
        if done.returncode != 0:
            return done.stdout
    return None


def judged(judge, *arguments):
    """What the judge prints; none if nothing is wrong."""
    command = [TOP / "target" / "simulation" / judge, "--fail-fast", *arguments]
    done = subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "RUST_BACKTRACE": "0"},
    )
    return None if done.returncode == 0 else done.stdout


def model():
    output = judged("model")
    if output is None:
        return None
    broken = re.search(r"BROKEN (.*)", output)
    if broken:
        steps = len(re.findall(r"^ *\d+\. ", output[broken.end():].split("BROKEN")[0], re.M))
        return f"{broken[1]} (after {steps} steps)"
    return panic(output)


def simulator(runs):
    output = judged("simulator", "--runs", str(runs))
    if output is None:
        return None
    seed = re.search(r"^seed (\d+)", output, re.M)
    wrong = re.findall(r"^WRONG: (.*)", output, re.M)
    return f"seed {seed[1]}: {wrong[0]}" if seed and wrong else panic(output)


def panic(output):
    panicked = re.search(r"panicked at .*\n(.*)", output)
    return f"panic: {panicked[1]}" if panicked else sys.exit(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="worlds of the simulator for each mutation")
    parser.add_argument("--check", action="store_true", help="breaks nothing")
    parser.add_argument("names", nargs="*", help="only mutations whose names hold one of these")
    arguments = parser.parse_args()
    mutations = tomllib.loads((HERE / "mutations.toml").read_text())["mutation"]
    if arguments.names:
        mutations = [it for it in mutations if any(name in it["name"] for name in arguments.names)]
    if arguments.check:
        for mutation in mutations:
            for change in changes(mutation):
                found(TOP, change)
        return

    copied()
    wrong = built() or (not arguments.names and model()) or simulator(20)
    if wrong:
        sys.exit(f"what is not broken on purpose is broken, and there is nothing to compare with: {wrong}")
    print("| mutation | model | simulator |\n| --- | --- | --- |", flush=True)
    missed = []
    for mutation in mutations:
        copied()
        mutated(mutation)
        refused = built()
        if refused:
            sys.exit(f"{mutation['name']}: this does not compile\n{refused}")
        # The model knows nothing but the domain.
        in_domain = any(change["file"].startswith("shared/domain/") for change in changes(mutation))
        by_model = model() if in_domain else None
        by_simulator = simulator(arguments.runs)
        print(f"| {mutation['name']} | {by_model or '-'} | {by_simulator or '-'} |", flush=True)
        if not by_model and not by_simulator:
            missed.append(mutation["name"])
    copied()
    for name in missed:
        print(f"nobody noticed: {name}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    began = time.monotonic()
    try:
        main()
    finally:
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)

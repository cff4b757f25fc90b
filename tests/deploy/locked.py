"""Checks that `sam build` rejects an outdated Cargo.lock: it must fail, and must not change the file.

The script removes a package from Cargo.lock, which has the same effect as a change of Cargo.toml without an update of
Cargo.lock.

    python tests/deploy/locked.py

Needs the SAM CLI, cargo and cargo-lambda on the PATH. Works on a copy of the sources.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "samconfig.toml", "functions", "infra", "shared", "tests"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        top = pathlib.Path(folder)
        for source in SOURCES:
            if (TOP / source).is_dir():
                shutil.copytree(TOP / source, top / source, ignore=shutil.ignore_patterns("node_modules"))
            else:
                shutil.copy(TOP / source, top / source)
        lock = top / "Cargo.lock"
        package = r'\[\[package\]\]\nname = "thiserror"\n.*?\n\n'
        stale, removed = re.subn(package, "", lock.read_text(), count=1, flags=re.S)
        if not removed:
            sys.exit("Cargo.lock does not contain thiserror")
        lock.write_text(stale)
        build = subprocess.run(
            ["sam", "build", "CreateFunction"], cwd=top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if build.returncode == 0 or "--locked" not in build.stdout:
            sys.exit(f"sam build does not reject the outdated Cargo.lock (status {build.returncode}):\n{build.stdout}")
        if lock.read_text() != stale:
            sys.exit("sam build has changed Cargo.lock")
    print("sam build rejects an outdated Cargo.lock")


if __name__ == "__main__":
    main()

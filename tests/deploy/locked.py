"""Whether `sam build` keeps to Cargo.lock: from one that lacks a package, as after a change of Cargo.toml that forgot it, it
must build nothing and leave it as it is.

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
            copy = shutil.copytree if (TOP / source).is_dir() else shutil.copy
            copy(TOP / source, top / source)
        lock = top / "Cargo.lock"
        stale, cut = re.subn(r'\[\[package\]\]\nname = "thiserror"\n.*?\n\n', "", lock.read_text(), count=1, flags=re.S)
        if not cut:
            sys.exit("Cargo.lock has no thiserror to leave out")
        lock.write_text(stale)
        build = subprocess.run(
            ["sam", "build", "CreateFunction"], cwd=top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if build.returncode == 0 or "--locked" not in build.stdout:
            sys.exit(f"sam build does not keep to Cargo.lock ({build.returncode}):\n{build.stdout}")
        if lock.read_text() != stale:
            sys.exit("sam build has changed Cargo.lock")
    print("sam build refuses a Cargo.lock that does not fit")


if __name__ == "__main__":
    main()

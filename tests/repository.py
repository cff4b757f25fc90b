"""The files of the repository, for the scripts in the folders beside this file."""

import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent

# Folders that git ignores. They are also skipped in a copy of the repository that has no `.git`.
IGNORED = {".git", "__pycache__", "target", "node_modules", "dist", ".aws-sam"}


def files():
    """Returns the paths of the files that git does not ignore or, without git, of those outside IGNORED."""
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

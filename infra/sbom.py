#!/usr/bin/env python3
"""Writes what the functions are made of: a CycloneDX bill of materials for each of their packages.

    python infra/sbom.py DIR [--check]

makes DIR/<package>.cdx.json of every package in functions/: the crates that its binaries link on Linux on Arm (those of the
actions share one bill, and each links some of its crates), each with its version, licence, source and the checksum that Cargo.lock holds it to; neither macros nor what builds and tests. The console's
has the npm packages in its pages, too, as the last build of them left their names (`node functions/console/web/build.mjs`). Every file
is held against CycloneDX's own schema. Equal sources make equal files; --check makes all of them twice and compares.

Needs cargo, cyclonedx-python-lib, and jsonschema: without the extras that its own extra asks for, which check the form of
every address in it, at half a minute a file.
"""

import argparse
import base64
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tomllib
import uuid

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

TOP = pathlib.Path(__file__).resolve().parent.parent
TARGET = "aarch64-unknown-linux-gnu"
PAGES = TOP / "functions/console/web/dist/site/.packages.json"


def out(*command):
    return subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout


def tree(function):
    """Yields depth, name, version, licence and repository of what the function links, as deep first search finds it."""
    lines = out(
        "cargo", "tree", "--locked", "--package", function, "--target", TARGET,
        "--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", "|{p}|{l}|{r}|",
    )
    for line in lines.splitlines():
        depth, package, licence, repository, _ = line.split("|")
        name, version = package.split()[:2]
        yield int(depth), name, version.removeprefix("v"), licence, repository


def checksums():
    lock = tomllib.loads((TOP / "Cargo.lock").read_text())
    return {(it["name"], it["version"]): it.get("checksum") for it in lock["package"]}


def component(name, version, licence, repository, checksum, kind=ComponentType.LIBRARY):
    # What Cargo.lock has no checksum of is our own.
    purl = PackageURL("cargo", None, name, version) if checksum else None
    made = Component(
        type=kind,
        name=name,
        version=version,
        purl=purl,
        bom_ref=f"{name}@{version}",
        # Some crates still write a slash for OR.
        licenses=[LicenseExpression(licence.replace("/", " OR "))] if licence else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else None,
    )
    if repository:
        made.external_references.add(ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(repository)))
    return made


def in_pages():
    """Yields what the console's pages hold of others, with its SHA-512 in hexadecimal."""
    if not PAGES.is_file():
        sys.exit("console: its pages are not built: node functions/console/web/build.mjs")
    for it in json.loads(PAGES.read_text()):
        algorithm, digest = it["integrity"].split("-", 1)
        assert algorithm == "sha512", it
        yield it["name"], it["version"], it["license"], base64.b64decode(digest).hex()


def package(name, version, licence, checksum):
    group, _, bare = name.rpartition("/")
    return Component(
        type=ComponentType.LIBRARY,
        group=group or None,
        name=bare,
        version=version,
        purl=PackageURL("npm", group or None, bare, version),
        bom_ref=f"npm {name}@{version}",
        licenses=[LicenseExpression(licence)],
        hashes=[HashType(alg=HashAlgorithm.SHA_512, content=checksum)],
    )


def moment():
    """Of the last commit, unless SOURCE_DATE_EPOCH says otherwise."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if seconds is None:
        log = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=TOP, capture_output=True, text=True)
        seconds = log.stdout.strip() or "0"
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


def bill(function, sums):
    bom = Bom()
    components, above = {}, []
    for depth, name, version, licence, repository in tree(function):
        key = (name, version)
        if key not in components:
            kind = ComponentType.APPLICATION if depth == 0 else ComponentType.LIBRARY
            components[key] = component(name, version, licence, repository, sums[key], kind)
            if depth == 0:
                bom.metadata.component = components[key]
            else:
                bom.components.add(components[key])
        del above[depth:]
        if above:
            bom.register_dependency(components[above[-1]], [components[key]])
        above.append(key)
    materials = [f"{name} {version} {sums[name, version]}" for name, version in components]
    for name, version, licence, checksum in in_pages() if function == "console" else ():
        components[f"npm {name}", version] = made = package(name, version, licence, checksum)
        bom.components.add(made)
        bom.register_dependency(bom.metadata.component, [made])
        materials.append(f"npm {name} {version} {checksum}")
    bom.metadata.timestamp = moment()
    # Of the same materials the same number.
    materials = "\n".join(sorted(materials))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{function}\n{materials}")
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n", len(components)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="make all of them twice and compare")
    arguments = parser.parse_args()
    arguments.dir.mkdir(parents=True, exist_ok=True)
    validator, sums = JsonStrictValidator(SchemaVersion.V1_6), checksums()
    functions = sorted(path.parent.name for path in (TOP / "functions").glob("*/Cargo.toml"))
    for function in functions:
        text, count = bill(function, sums)
        if problem := validator.validate_str(text):
            sys.exit(f"{function}: this is no CycloneDX: {problem}")
        if arguments.check and bill(function, sums)[0] != text:
            sys.exit(f"{function}: the same sources make another bill")
        (arguments.dir / f"{function}.cdx.json").write_text(text)
        print(f"{function}: {count} components")
    if not functions:
        sys.exit("there are no functions")


if __name__ == "__main__":
    main()

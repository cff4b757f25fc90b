#!/usr/bin/env python3
"""Writes a CycloneDX bill of materials (SBOM) for each package of functions.

    python infra/sbom.py DIR [--check]

For every package in functions/, the script writes DIR/<package>.cdx.json. The file lists the crates that the package's
binaries link on Linux on Arm, each with its version, licence, source and checksum from Cargo.lock. It does not list
macros, build dependencies and test dependencies. The binaries of `actions` share one file, and each of them links only
some of its crates. The file of the console also lists the npm packages in the console's pages, each with
its checksum from package-lock.json. The build of the pages (`npm --prefix functions/console/web run build`) records these
packages.

The script validates every file against CycloneDX's schema. The same sources result in the same files: --check generates
each file twice and compares both.

Needs cargo, cyclonedx-python-lib, and jsonschema. Install jsonschema without the extra packages that
cyclonedx-python-lib[json-validation] requires: they validate the format of every URL, which takes 30 s for each file.
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
WEB = TOP / "functions/console/web"
NPM_PACKAGES = WEB / "dist/site/.packages.json"


def run(*command):
    """Runs a command in the root of the repository and returns its output."""
    return subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked_crates(function):
    """Yields depth, name, version, licence and repository of each linked crate, in depth-first order."""
    lines = run(
        "cargo", "tree", "--locked", "--package", function, "--target", TARGET,
        "--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", "|{p}|{l}|{r}|",
    )
    for line in lines.splitlines():
        depth, package, licence, repository, _ = line.split("|")
        name, version = package.split()[:2]
        yield int(depth), name, version.removeprefix("v"), licence, repository


def checksums():
    """Returns the checksums in Cargo.lock, by name and version. A package of the workspace has none."""
    lock = tomllib.loads((TOP / "Cargo.lock").read_text())
    return {(it["name"], it["version"]): it.get("checksum") for it in lock["package"]}


def crate_component(name, version, licence, repository, checksum, kind=ComponentType.LIBRARY):
    # A crate without a checksum belongs to the workspace and is not on crates.io.
    purl = PackageURL("cargo", None, name, version) if checksum else None
    component = Component(
        type=kind,
        name=name,
        version=version,
        purl=purl,
        bom_ref=f"{name}@{version}",
        # Some crates write a slash instead of OR.
        licenses=[LicenseExpression(licence.replace("/", " OR "))] if licence else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else None,
    )
    if repository:
        component.external_references.add(ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(repository)))
    return component


def npm_packages():
    """Yields name, version, licence and hexadecimal SHA-512 of each npm package in the console's pages."""
    if not NPM_PACKAGES.is_file():
        sys.exit("console: the pages are not built; run: npm --prefix functions/console/web run build")
    lock = json.loads((WEB / "package-lock.json").read_text())["packages"]
    for it in json.loads(NPM_PACKAGES.read_text()):
        locked = lock[f"node_modules/{it['name']}"]
        assert locked["version"] == it["version"], f"{it['name']}: the pages are older than package-lock.json"
        algorithm, digest = locked["integrity"].split("-", 1)
        assert algorithm == "sha512", locked
        yield it["name"], it["version"], it["identifier"], base64.b64decode(digest).hex()


def npm_component(name, version, licence, checksum):
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


def timestamp():
    """Returns SOURCE_DATE_EPOCH if it is set, otherwise the time of the last commit."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if seconds is None:
        log = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=TOP, capture_output=True, text=True)
        seconds = log.stdout.strip() or "0"
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


def generate(function, sums):
    """Returns the bill of materials as text, and its number of components."""
    bom = Bom()
    # `ancestors` is the path from the function's package to the current crate.
    components, ancestors = {}, []
    for depth, name, version, licence, repository in linked_crates(function):
        key = (name, version)
        if key not in components:
            kind = ComponentType.APPLICATION if depth == 0 else ComponentType.LIBRARY
            components[key] = crate_component(name, version, licence, repository, sums[key], kind)
            if depth == 0:
                bom.metadata.component = components[key]
            else:
                bom.components.add(components[key])
        del ancestors[depth:]
        if ancestors:
            bom.register_dependency(components[ancestors[-1]], [components[key]])
        ancestors.append(key)
    materials = [f"{name} {version} {sums[name, version]}" for name, version in components]
    for name, version, licence, checksum in npm_packages() if function == "console" else ():
        components[f"npm {name}", version] = component = npm_component(name, version, licence, checksum)
        bom.components.add(component)
        bom.register_dependency(bom.metadata.component, [component])
        materials.append(f"npm {name} {version} {checksum}")
    bom.metadata.timestamp = timestamp()
    # The serial number depends only on the materials.
    materials = "\n".join(sorted(materials))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{function}\n{materials}")
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n", len(components)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="generate each file twice and compare both")
    arguments = parser.parse_args()
    arguments.dir.mkdir(parents=True, exist_ok=True)
    validator, sums = JsonStrictValidator(SchemaVersion.V1_6), checksums()
    functions = sorted(path.parent.name for path in (TOP / "functions").glob("*/Cargo.toml"))
    for function in functions:
        text, count = generate(function, sums)
        if error := validator.validate_str(text):
            sys.exit(f"{function}: the file does not match CycloneDX's schema: {error}")
        if arguments.check and generate(function, sums)[0] != text:
            sys.exit(f"{function}: the same sources result in different files")
        (arguments.dir / f"{function}.cdx.json").write_text(text)
        print(f"{function}: {count} components")
    if not functions:
        sys.exit("found no package in functions/")


if __name__ == "__main__":
    main()

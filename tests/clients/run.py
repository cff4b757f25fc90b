"""Generates clients from infra/openapi.yaml with three public generators, and plays a story with two of the clients.

    python tests/clients/run.py [--binary PATH]

The generators are openapi-typescript (TypeScript), openapi-python-client (Python) and openapi-generator (Go, and
TypeScript in another style). The script fails if

- a generator prints a warning that is not in `KNOWN_WARNINGS`
- a generator invents a name: the models must be the schemas of the contract
- a story or generated TypeScript has a type error
- a story fails against a laptop (the local server started by `cargo run`)

The generated files and the npm packages are in target/ci/clients.

Needs `cargo build --workspace --bin roster`, Node.js 20 or later with npm, and the packages of requirements.txt in the
Python that runs it.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from laptop import ROSTER, Laptop  # noqa: E402
from repository import TOP  # noqa: E402

DOCUMENT = TOP / "infra" / "openapi.yaml"
WORK = TOP / "target" / "ci" / "clients"
TYPESCRIPT, PYTHON, OPENAPI_GENERATOR = WORK / "typescript", WORK / "python", WORK / "openapi-generator"
TOOLS = Path(sys.executable).parent
ENVIRONMENT = os.environ | {
    # openapi-python-client formats its output with the ruff in the PATH.
    "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
    "MYPY_CACHE_DIR": str(WORK / "mypy"),
    "MYPYPATH": str(PYTHON),
}

# Warnings of openapi-generator about itself. No change of the contract avoids them.
KNOWN_WARNINGS = [
    # For every document of this version of OpenAPI.
    "OpenAPI 3.1 support is still in beta",
    # For `additionalProperties: false` in a document of this version of OpenAPI. The generated models are right.
    "ModelUtils - Failed to get the schema name: null",
]

# Without this option, clients in Go refuse responses with new fields. The introduction of the contract says so.
GO_OPTIONS = ["--additional-properties", "disallowAdditionalPropertiesIfNotPresent=false"]


def run(*command, cwd=TOP, **environment):
    """Runs the command. Returns the lines that it prints."""
    command = [str(part) for part in command]
    result = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout}")
    return [line for line in result.stdout.splitlines() if line.strip()]


def model_names():
    """Returns the schemas that become models: objects, unions and enumerations. Others become plain types."""
    schemas = YAML(typ="safe").load(DOCUMENT)["components"]["schemas"]
    return {name for name, schema in schemas.items() if schema.keys() & {"properties", "oneOf", "enum"}}


def check_names(generator, names):
    """Checks the names of generated models, in any case and with or without underscores."""
    def plain(names):
        return {name.replace("_", "").lower() for name in names}

    if invented := plain(names) - plain(model_names()):
        sys.exit(f"{generator} invented models that are not schemas of the contract: {sorted(invented)}")


def check_output(generator, lines, expected):
    """Checks that every line of a generator's output is expected."""
    if warnings := [line for line in lines if not any(re.search(pattern, line) for pattern in expected)]:
        sys.exit("\n".join([f"{generator} prints warnings:", *warnings]))


def install_npm_packages():
    """Installs exactly the packages of package-lock.json, unless they are installed."""
    lock, installed = HERE / "package-lock.json", TYPESCRIPT / "node_modules" / ".roster-lock"
    TYPESCRIPT.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "tsconfig.json", "story.ts"):
        shutil.copy(HERE / name, TYPESCRIPT)
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=TYPESCRIPT)
        shutil.copy(lock, installed)


def tsc(*options):
    run("node", TYPESCRIPT / "node_modules" / "typescript" / "bin" / "tsc", *options, cwd=TYPESCRIPT)


def typescript():
    install_npm_packages()
    generator = TYPESCRIPT / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
    lines = run("node", generator, DOCUMENT, "--output", "roster-client.d.ts", cwd=TYPESCRIPT)
    check_output("openapi-typescript", lines, ["✨ openapi-typescript", "🚀 .* → "])
    tsc()


def python():
    package = PYTHON / "roster_client"
    shutil.rmtree(PYTHON, ignore_errors=True)
    PYTHON.mkdir(parents=True)
    options = ["--meta", "none", "--fail-on-warning", "--output-path", package]
    lines = run(TOOLS / "openapi-python-client", "generate", "--path", DOCUMENT, *options)
    check_output("openapi-python-client", lines, ["^Generating "])
    check_names("openapi-python-client", {file.stem for file in (package / "models").glob("[a-z]*.py")})
    # The generator's own template of client.py has type errors, whatever the contract is.
    run(TOOLS / "mypy", "--strict", "--follow-imports", "silent", HERE / "story.py")


def generate(language, *options):
    folder = OPENAPI_GENERATOR / language
    shutil.rmtree(folder, ignore_errors=True)
    command = ["generate", "--input-spec", DOCUMENT, "--generator-name", language, "--output", folder, *options]
    lines = run(TOOLS / "openapi-generator-cli", *command)
    check_output(f"openapi-generator for {language}", lines, [r"^\[main\] INFO ", "^#", *KNOWN_WARNINGS])
    return folder


def openapi_generator():
    folder = generate("typescript-fetch")
    check_names("openapi-generator", {file.stem for file in (folder / "models").glob("[A-Z]*.ts")})
    strict = ["--noEmit", "--strict", "--target", "ES2022", "--module", "ESNext", "--moduleResolution", "bundler"]
    tsc(*strict, folder / "index.ts")
    folder = generate("go", *GO_OPTIONS)
    check_names("openapi-generator", {file.stem.removeprefix("model_") for file in folder.glob("model_*.go")})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROSTER, help="the laptop's binary")
    arguments = parser.parse_args()
    # Exit normally at SIGTERM, so that the `finally` block ends the laptop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    steps = [
        ("TypeScript: openapi-typescript, tsc", typescript),
        ("Python: openapi-python-client, mypy", python),
        ("TypeScript and Go: openapi-generator, tsc", openapi_generator),
    ]
    for title, step in steps:
        started = time.monotonic()
        step()
        print(f"{title}: no warnings ({time.monotonic() - started:.0f} s)", flush=True)
    stories = [
        ("TypeScript", ["node", TYPESCRIPT / "dist" / "story.js"]),
        ("Python", [sys.executable, HERE / "story.py"]),
    ]
    for title, command in stories:
        laptop = Laptop(WORK / "laptop.log", arguments.binary)
        try:
            laptop.wait()
            run(*command, ROSTER_URL=laptop.url, PYTHONPATH=str(PYTHON))
            check = laptop.call("/_dev/check")
            assert check["organizations"] == 1 and not check["violations"], check
        finally:
            laptop.stop()
        print(f"{title}: the story ends as expected")


if __name__ == "__main__":
    main()

"""Checks infra/openapi.yaml against the laptop (the local server started by `cargo run`).

    python tests/contract/run.py [--seed N] [--examples N]

The script checks that the document is valid and that its examples match their schemas. Then schemathesis generates
requests from the document, and checks that the responses match its strict copy (document.py), in which responses have no
undocumented part. schemathesis.toml lists the exceptions. At the end the script checks that the table violates no rule
and that the laptop did not panic.

Needs `cargo build`, and schemathesis and openapi-spec-validator in the Python that runs it.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import document  # noqa: E402
from laptop import Laptop  # noqa: E402

TOOLS = Path(sys.executable).parent


def link(laptop):
    """Returns the token of a valid link, for the user that schemathesis signs in as."""
    olga = laptop.token("olga")
    acme = laptop.call("/v1/organizations", {"name": "Acme"}, olga)["id"]
    invited = {"emails": ["fuzz@example.com"], "role": "owner"}
    laptop.call(f"/v1/organizations/{acme}/invitations", invited, olga)
    laptop.call("/_dev/idle")
    return laptop.call("/_dev/mail?to=fuzz@example.com")["items"][0]["token"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--examples", default="50", help="maximum number of requests per operation")
    arguments = parser.parse_args()
    # Exit normally at SIGTERM, so that the `finally` block ends the laptop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subprocess.run([TOOLS / "openapi-spec-validator", document.FILE], check=True)
    subprocess.run([sys.executable, HERE / "examples.py"], check=True)
    with tempfile.TemporaryDirectory(prefix="roster-contract-") as folder:
        work = Path(folder)
        laptop = Laptop(work / "laptop.log")
        try:
            laptop.wait()
            # The token in the document's examples is not valid. With a valid one, the requests reach more code.
            text = json.dumps(document.strict())
            example = re.search(r'"token": "(v1\.[^"]+)"', text)[1]
            (work / "openapi.json").write_text(text.replace(example, link(laptop)), "utf-8")
            command = [
                *(TOOLS / "schemathesis", "--config-file", HERE / "schemathesis.toml"),
                *("run", "openapi.json", "--url", laptop.url),
                *("--header", f"Authorization: Bearer {laptop.token('fuzz')}"),
                # For a method without a route, an HTTP API returns 404 instead of 405, and so does the laptop
                # (tests/scenarios/contract.rs).
                *("--checks", "all", "--exclude-checks", "unsupported_method"),
                *("--seed", arguments.seed, "--max-examples", arguments.examples, "--continue-on-failure"),
            ]
            # schemathesis writes files to its working directory.
            fuzzed = subprocess.run(command, cwd=work)
            laptop.call("/_dev/idle")
            check = laptop.call("/_dev/check")
        finally:
            laptop.stop()
        log = laptop.log.read_text("utf-8", "replace")
        panicked = [line for line in log.splitlines() if "panic" in line.lower()]
        print(f"{check['organizations']} organizations, violations: {check['violations']}, panics: {panicked}")
        sys.exit(fuzzed.returncode or bool(check["violations"] or panicked or not check["organizations"]))


if __name__ == "__main__":
    main()

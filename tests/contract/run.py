"""Checks infra/openapi.yaml against the laptop (the local server started by `cargo run`).

    python tests/contract/run.py [--seed N] [--examples N]

The script checks that the document is valid and that its examples match their schemas. Then schemathesis generates
requests from the document, and checks that the responses match it. schemathesis.toml lists the exceptions. At the end
the script checks that the table violates no rule and that the laptop did not panic.

Needs `cargo build`, and schemathesis and openapi-spec-validator in the Python that runs it.
"""

import argparse
import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
DOCUMENT = TOP / "infra" / "openapi.yaml"
TOOLS = Path(sys.executable).parent


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Laptop:
    """A running laptop."""

    def __init__(self, log):
        port = free_port()
        self.url, self.log = f"http://127.0.0.1:{port}", log
        command = [TOP / "target" / "debug" / "roster", "--port", str(port), "--no-demo", "--no-console"]
        self.process = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)

    def wait(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.call("/_dev/clock")
            except (OSError, http.client.HTTPException) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the laptop does not respond: {self.log.read_text('utf-8')}") from error
                time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def call(self, path, body=None, token=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())

    def token(self, name):
        claims = {"sub": name, "email": f"{name}@example.com", "email_verified": True}
        return self.call("/_dev/token", claims)["access_token"]

    def link(self):
        """Returns the token of a valid link, for the user that schemathesis signs in as."""
        olga = self.token("olga")
        acme = self.call("/v1/organizations", {"name": "Acme"}, olga)["id"]
        invited = {"emails": ["fuzz@example.com"], "role": "owner"}
        self.call(f"/v1/organizations/{acme}/invitations", invited, olga)
        self.call("/_dev/idle")
        return self.call("/_dev/mail?to=fuzz@example.com")["items"][0]["token"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--examples", default="50", help="maximum number of requests per operation")
    arguments = parser.parse_args()
    # Exit normally at SIGTERM, so that the `finally` block ends the laptop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subprocess.run([TOOLS / "openapi-spec-validator", DOCUMENT], check=True)
    subprocess.run([sys.executable, HERE / "examples.py"], check=True)
    with tempfile.TemporaryDirectory(prefix="roster-contract-") as folder:
        work = Path(folder)
        laptop = Laptop(work / "laptop.log")
        try:
            laptop.wait()
            # The token in the document's examples is not valid. With a valid one, the requests reach more code.
            text = DOCUMENT.read_text("utf-8")
            example = next(line for line in text.splitlines() if "token: v1." in line).split("token: ")[1]
            (work / "openapi.yaml").write_text(text.replace(example, laptop.link()), "utf-8")
            command = [
                *(TOOLS / "schemathesis", "--config-file", HERE / "schemathesis.toml"),
                *("run", "openapi.yaml", "--url", laptop.url),
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

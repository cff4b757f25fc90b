"""A running laptop (the local server started by `cargo run`), for the scripts in the folders beside this file."""

import http.client
import json
import socket
import subprocess
import time
import urllib.request

from repository import TOP

ROSTER = TOP / "target" / "debug" / "roster"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Laptop:
    """A laptop without demo data and pages. It writes its output to the file `log`."""

    def __init__(self, log, binary=ROSTER):
        port = free_port()
        self.url, self.log = f"http://127.0.0.1:{port}", log
        command = [binary, "--port", str(port), "--no-demo", "--no-console"]
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

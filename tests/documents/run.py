#!/usr/bin/env python3
"""Runs the calls that a document shows, and holds what comes out against what stands below them.

Usage: run.py [DOCUMENT]...        (README.md)

Each block of `console` is one after the other the same session, on a laptop of its own: a line that begins with `$ ` is a
command, and what follows is its output. `...` stands for whatever was left out; ids, times, tokens and ports may differ.
What is in variables is what their names say: `$R` the laptop, `$ORG` the organization that was just founded, `$OLGA` the header
that signs olga in, `$BOBS` bob's invitation, `$TOKEN` what is in bob's newest mail, `$OLD` in eve's first.

Needs `cargo build --workspace --bin roster`.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
ROSTER = TOP / "target" / "debug" / "roster"
PEOPLE = ["olga", "bob", "eve", "kim", "max"]

# What differs from one time to another, and what it is called here instead.
DIFFERS = [
    (r"v1\.dev\.[\w.-]*(\.\.\.)?", "<token>"),
    (r"(org|inv)_[0-9a-z]{26}", r"<\1>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\w+day, \d+ \w+ \d{4}, \d\d:\d\d UTC", "<date>"),
    (r"http://127\.0\.0\.1:\d+", "<laptop>"),
    (r"\b(58|59|60)\b", "<a minute>"),
]


def comparable(text):
    for pattern, name in DIFFERS:
        text = re.sub(pattern, name, text)
    return re.sub(r"\s+", "", text)


def matches(shown, came):
    """Whether the output is what is shown. JSON may be wrapped; of a text, whole lines may be left out."""
    def pattern(text):
        return ".*".join(re.escape(part) for part in comparable(text).split("..."))

    if came.lstrip().startswith("{"):
        return re.fullmatch(pattern(shown), comparable(came)) is not None
    lines = [pattern(line) for line in shown.splitlines() if line.strip()]
    return re.search(".*".join(lines), comparable(came)) is not None


def commands(document):
    """The commands of the blocks of `console`, each with what is shown below it."""
    for block in re.findall(r"^```console\n(.*?)^```", document, re.M | re.S):
        for text in re.split(r"^\$ ", block, flags=re.M)[1:]:
            # A command goes on behind a line that ends with a backslash.
            command = re.match(r"(?:.*\\\n)*.*", text)[0]
            yield command, text[len(command):].strip()


class Session:
    """A shell in front of a laptop."""

    def __init__(self):
        flags = ["--port", "0", "--no-demo", "--no-console"]
        self.laptop = subprocess.Popen([ROSTER, *flags], stdout=subprocess.PIPE, text=True)
        for line in self.laptop.stdout:
            found = re.match(r" *API +(http://\S+)/v1", line)
            if found:
                self.url = found[1]
                break
        else:
            sys.exit("the laptop does not start")
        self.variables = {"R": self.url}

    def end(self):
        self.laptop.terminate()
        self.laptop.wait()

    def ask(self, path, body=None, headers=()):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, dict(headers))
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def signs_in(self, name):
        email = f"{name}@acme.example"
        token = self.ask("/_dev/token", {"sub": name, "email": email, "email_verified": True})["access_token"]
        return f"Authorization: Bearer {token}"

    def mails(self, name):
        self.ask("/_dev/idle")
        query = urllib.parse.urlencode({"to": f"{name}@acme.example"})
        return self.ask(f"/_dev/mail?{query}", headers=[("accept", "application/json")])["items"]

    def invitation(self, name):
        authorization = tuple(self.signs_in("olga").split(": "))
        listed = self.ask(self.path + "/invitations", headers=[authorization])["items"]
        return next(it["id"] for it in listed if it["email"] == f"{name}@acme.example")

    def value(self, name):
        """What is in a variable. People sign in anew: their tokens are good for an hour, and the clock is moved."""
        lower = name.lower()
        if lower in PEOPLE:
            return self.signs_in(lower)
        if name == "TOKEN":
            return self.mails("bob")[0]["token"]
        if name == "OLD":
            return self.mails("eve")[-1]["token"]
        if lower.removesuffix("s") in PEOPLE:
            return self.invitation(lower.removesuffix("s"))
        return self.variables[name]

    def run(self, command):
        # An assignment is kept for the commands that follow.
        assigned = re.fullmatch(r'(\w+)="(.*)"\s*', command)
        if assigned:
            self.variables[assigned[1]] = assigned[2]
            return ""
        names = set(re.findall(r"\$(\w+)", command))
        environment = {**os.environ, **{name: self.value(name) for name in names}}
        done = subprocess.run(
            ["bash", "-c", re.sub(r"^curl", "curl -s", command)], env=environment, capture_output=True, text=True
        )
        # What follows an answer, a mail say, is there by the time that somebody has read it.
        self.ask("/_dev/idle")
        founded = re.match(r'\{"id":"(org_\w+)"', done.stdout)
        if founded:
            self.path = f"/v1/organizations/{founded[1]}"
            self.variables["ORG"] = self.url + self.path
        return done.stdout


def main():
    wrong = count = 0
    for name in sys.argv[1:] or ["README.md"]:
        session = Session()
        try:
            for command, shown in commands((TOP / name).read_text()):
                came = session.run(command)
                count += 1
                if shown and not matches(shown, came):
                    wrong += 1
                    print(f"{name}: $ {command}\n--- is shown:\n{shown}\n--- comes out:\n{came}\n")
        finally:
            session.end()
    print(f"{count} commands, {wrong} with another output than is shown")
    sys.exit(1 if wrong or not count else 0)


if __name__ == "__main__":
    main()

"""What CloudFormation gets: infra/template.yaml after the Serverless transform, which AWS does when it deploys.

    python tests/deploy/render.py FILE          writes it, as JSON, for linters and tests that have to see it all
    python tests/deploy/render.py --check       compares its resources with tests/deploy/resources.txt
    python tests/deploy/render.py --update      writes that file anew

Needs aws-sam-translator, and no network: the transform is a library.
"""

import argparse
import json
import sys
from pathlib import Path

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

TOP = Path(__file__).resolve().parents[2]
TEMPLATE = TOP / "infra" / "template.yaml"
EXPECTED = Path(__file__).with_name("resources.txt")

# What has no default. The values are nobody's.
PARAMETERS = {
    "JwtIssuer": "https://issuer.example/",
    "JwtAudience": "roster",
    "ProductName": "Example",
    "MailFrom": "no-reply@mail.example",
    "MailIdentity": "mail.example",
    "AcceptUrl": "https://app.example/accept",
}


def render(**overrides):
    """The template after the transform, as production deploys it but for `overrides`."""
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    declared = template["Parameters"].items()
    values = {name: parameter["Default"] for name, parameter in declared if "Default" in parameter}
    for resource in template["Resources"].values():
        # Where `sam package` would put the code; the transform takes no local folder.
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = "s3://packaged/code.zip"
    return Translator({}, Parser()).translate(template, {**values, **PARAMETERS, **overrides})


def listing(template):
    """One line per resource: its type, its name, and when it is there."""
    lines = []
    for name, resource in template["Resources"].items():
        # The transform names a version by a hash of the code's address.
        if resource["Type"] == "AWS::Lambda::Version":
            name = name[: name.index("Version") + len("Version")] + "<hash>"
        condition = resource.get("Condition")
        lines.append(f"{resource['Type']} {name}" + (f" if {condition}" if condition else ""))
    return "\n".join(sorted(lines)) + "\n"


def snapshot():
    """Both environments, one after the other."""
    parts = []
    for environment in ("production", "development"):
        parts.append(f"# {environment}\n{listing(render(Environment=environment))}")
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    if arguments.file:
        arguments.file.write_text(json.dumps(render(), indent=1), encoding="utf-8")
    if arguments.update:
        EXPECTED.write_text(snapshot(), encoding="utf-8")
    if arguments.check:
        expected, found = EXPECTED.read_text(encoding="utf-8").splitlines(), snapshot().splitlines()
        if expected != found:
            import difflib

            print("The template makes other resources than tests/deploy/resources.txt says:")
            print("\n".join(difflib.unified_diff(expected, found, "expected", "found", lineterm="", n=0)))
            print("If they are right: python tests/deploy/render.py --update")
            sys.exit(1)
        print(f"{sum(not line.startswith('#') and bool(line) for line in found)} resources, as expected")


if __name__ == "__main__":
    main()

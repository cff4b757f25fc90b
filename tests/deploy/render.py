"""What CloudFormation gets: infra/template.yaml after the Serverless transform, which AWS does when it deploys.

    python tests/deploy/render.py FILE          writes it, as JSON, for linters that have to see it all
    python tests/deploy/render.py --check       compares its resources with tests/deploy/resources.txt
    python tests/deploy/render.py --update      writes that file anew

Needs aws-sam-translator, and no network: the transform is a library.
"""

import argparse
import difflib
import json
import logging
import os
import re
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

# The transform wants one; what it makes names none.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
# It asks AWS for feature toggles and says that it cannot.
logging.getLogger("samtranslator").setLevel(logging.CRITICAL)


def binary(resource):
    """The name of the function that a resource deploys: of its binary, which is its folder's unless it says so. None for others."""
    code = resource.get("Properties", {}).get("CodeUri")
    return code and resource["Metadata"].get("BuildProperties", {}).get("Binary", Path(code).name)


def render(parameters=PARAMETERS, bucket="packaged"):
    """The template after the transform, for `parameters`; the code of the function NAME is NAME.zip in `bucket`."""
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    declared = template["Parameters"].items()
    values = {name: parameter["Default"] for name, parameter in declared if "Default" in parameter}
    for resource in template["Resources"].values():
        # Where `sam package` would put the code; the transform takes no local folder.
        if name := binary(resource):
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{name}.zip"
    return Translator({}, Parser()).translate(template, {**values, **parameters})


def functions():
    """The names of the functions that the template deploys."""
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return sorted(name for resource in template["Resources"].values() if (name := binary(resource)))


def listing(template):
    """One line per resource: its type, its name, and when it is there."""
    lines = []
    for name, resource in template["Resources"].items():
        # The transform names a version by a hash of the code's address.
        if resource["Type"] == "AWS::Lambda::Version":
            name = re.sub(r"Version[0-9a-f]+$", "Version<hash>", name)
        condition = resource.get("Condition")
        lines.append(f"{resource['Type']} {name}" + (f" if {condition}" if condition else ""))
    return sorted(lines)


def snapshot():
    """The resources of both environments, one after the other."""
    lines = []
    for environment in ("production", "development"):
        lines += [f"# {environment}", *listing(render({**PARAMETERS, "Environment": environment})), ""]
    return lines[:-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    if arguments.file:
        arguments.file.write_text(json.dumps(render(), indent=1), encoding="utf-8")
    if arguments.update:
        EXPECTED.write_text("\n".join(snapshot()) + "\n", encoding="utf-8")
    if arguments.check:
        expected, found = EXPECTED.read_text(encoding="utf-8").splitlines(), snapshot()
        if expected != found:
            print("The template makes other resources than tests/deploy/resources.txt says:")
            print("\n".join(difflib.unified_diff(expected, found, "expected", "found", lineterm="", n=0)))
            print("If they are right: python tests/deploy/render.py --update")
            sys.exit(1)
        print(f"{len(found)} lines of resources, as expected")


if __name__ == "__main__":
    main()

"""Renders infra/template.yaml with the Serverless transform, as AWS does when it deploys.

    python tests/deploy/render.py FILE          writes the result as JSON, for the linters
    python tests/deploy/render.py --check       compares the resources with tests/deploy/resources.txt, and checks which
                                                of them outlive their replacement or the stack, and that no
                                                parameter removes a route that has settings; also checks the
                                                environments of samconfig.toml
    python tests/deploy/render.py --update      updates tests/deploy/resources.txt

Needs aws-sam-translator. Needs no network, since the library contains the transform.
"""

import argparse
import difflib
import json
import logging
import os
import re
import sys
import tomllib
from pathlib import Path

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

TOP = Path(__file__).resolve().parents[2]
TEMPLATE = TOP / "infra" / "template.yaml"
EXPECTED = Path(__file__).with_name("resources.txt")

# The parameters without a default, with example values.
PARAMETERS = {
    "JwtIssuer": "https://issuer.example/",
    "JwtAudience": "roster",
    "ProductName": "Example",
    "MailFrom": "no-reply@mail.example",
    "MailIdentity": "mail.example",
    "AcceptUrl": "https://app.example/accept",
}

# The resources that may outlive the stack (DeletionPolicy) or their replacement (UpdateReplacePolicy): data that cannot
# be restored, and the versions of older code, which a rollback needs. The transform copies a policy of a function to
# its alias, rules, permissions and event source mappings. A mapping that outlived its replacement would read the old
# stream.
KEPT = {
    "AWS::DynamoDB::Table": {"DeletionPolicy", "UpdateReplacePolicy"},
    "AWS::KMS::Key": {"UpdateReplacePolicy"},
    "AWS::Lambda::Version": {"DeletionPolicy"},
}

# The transform needs a Region, but its result does not contain the Region.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
# The library logs that it cannot request feature toggles from AWS.
logging.getLogger("samtranslator").setLevel(logging.CRITICAL)


def binary(resource):
    """Returns the name of the function that a resource deploys, or None for other resources.

    The name is the `Binary` of its build properties, or the name of its code folder.
    """
    code = resource.get("Properties", {}).get("CodeUri")
    return code and resource["Metadata"].get("BuildProperties", {}).get("Binary", Path(code).name)


def render(parameters=PARAMETERS, bucket="packaged"):
    """Returns the transformed template for `parameters`. The code of the function NAME is NAME.zip in `bucket`."""
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    declared = template["Parameters"].items()
    values = {name: parameter["Default"] for name, parameter in declared if "Default" in parameter}
    for resource in template["Resources"].values():
        # The transform does not accept a local folder. `sam package` would upload the code to such an address.
        if name := binary(resource):
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{name}.zip"
    return Translator({}, Parser()).translate(template, {**values, **parameters})


def functions():
    """Returns the names of the functions that the template deploys."""
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return sorted(name for resource in template["Resources"].values() if (name := binary(resource)))


def listing(template):
    """Returns one line per resource: type, name and condition."""
    lines = []
    for name, resource in template["Resources"].items():
        # The transform names a version after a hash of the code's address.
        if resource["Type"] == "AWS::Lambda::Version":
            name = re.sub(r"Version[0-9a-f]+$", "Version<hash>", name)
        condition = resource.get("Condition")
        lines.append(f"{resource['Type']} {name}" + (f" if {condition}" if condition else ""))
    return sorted(lines)


def snapshot():
    """Returns the resources of both environments, one environment after the other."""
    lines = []
    for environment in ("production", "development"):
        lines += [f"# {environment}", *listing(render({**PARAMETERS, "Environment": environment})), ""]
    return lines[:-1]


def wrongly_kept(template):
    """Returns a line for each resource whose policies differ from those in `KEPT`."""
    lines = []
    for name, resource in template["Resources"].items():
        policies = {it for it in ("DeletionPolicy", "UpdateReplacePolicy") if resource.get(it, "Delete") != "Delete"}
        expected = KEPT.get(resource["Type"], set())
        if policies != expected:
            lines.append(f"{resource['Type']} {name}: {sorted(policies)} instead of {sorted(expected)}")
    return lines


def conditional_settings(template):
    """Returns a line for each route with settings that does not exist in every deployment.

    The settings of a route outlive the route. Afterwards, each update of the stage fails.
    """
    paths = template["Resources"]["Api"]["Properties"]["Body"]["paths"]
    stage = template["Resources"]["ApiApiGatewayDefaultStage"]["Properties"]
    lines = []
    for key, settings in stage["RouteSettings"].items():
        method, path = key.split(" ", 1)
        # A route of a conditional function is an `Fn::If`, here or as the value of the method.
        operation = paths.get(path, {}).get(method.lower())
        if operation is None or "Fn::If" in operation or "Fn::If" in settings:
            lines.append(key)
    return lines


def wrong_environments():
    """Returns a line for each mistake in the environments of samconfig.toml.

    Each has its own stack, whose name is also the name of a table and of a schedule group (3 to 64 characters).
    """
    parameters = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Parameters"]
    settings = tomllib.loads((TOP / "samconfig.toml").read_text(encoding="utf-8"))
    del settings["version"]
    lines, stacks = [], set()
    for environment, commands in settings.items():
        stack = commands["global"]["parameters"]["stack_name"]
        if stack in stacks or not re.fullmatch("[A-Za-z][A-Za-z0-9-]{2,63}", stack):
            lines.append(f"{environment}: the stack's name {stack}")
        stacks.add(stack)
        if (TOP / commands["build"]["parameters"]["template_file"]) != TEMPLATE:
            lines.append(f"{environment}: the template file")
        for override in commands["deploy"]["parameters"].get("parameter_overrides", []):
            name, value = override.split("=", 1)
            if value not in parameters.get(name, {}).get("AllowedValues", [value] if name in parameters else []):
                lines.append(f"{environment}: {override}")
    return lines


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
            print("The template's resources differ from tests/deploy/resources.txt:")
            print("\n".join(difflib.unified_diff(expected, found, "expected", "found", lineterm="", n=0)))
            print("If the difference is intended, run: python tests/deploy/render.py --update")
            sys.exit(1)
        for environment in ("production", "development"):
            template = render({**PARAMETERS, "Environment": environment})
            if lines := wrongly_kept(template):
                sys.exit("\n".join(["These resources have other policies than KEPT allows:", *lines]))
            if lines := conditional_settings(template):
                sys.exit("\n".join(["These routes have settings, but do not exist in every deployment:", *lines]))
        if lines := wrong_environments():
            sys.exit("\n".join(["samconfig.toml is wrong:", *lines]))
        print(f"{len(found)} lines of resources match tests/deploy/resources.txt")


if __name__ == "__main__":
    main()

"""Checks that every example in infra/openapi.yaml matches its schema, and that every body has an example.

    python tests/contract/examples.py

Needs jsonschema and PyYAML.
"""

import sys
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = yaml.safe_load((Path(__file__).resolve().parents[2] / "infra" / "openapi.yaml").read_text("utf-8"))
URI = "urn:roster:openapi"
REGISTRY = Registry().with_resource(URI, Resource.from_contents(DOCUMENT, default_specification=DRAFT202012))


def media_types(node, path=""):
    """Yields path and value of every media type object in the document."""
    if isinstance(node, dict):
        for kind, media in node.get("content", {}).items():
            yield f"{path}/content/{kind}", media
        for key, child in node.items():
            if key != "content":
                yield from media_types(child, f"{path}/{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from media_types(child, f"{path}/{index}")


def absolute(node):
    """Returns the schema with references that resolve in the whole document."""
    if isinstance(node, dict):
        return {k: f"{URI}{v}" if k == "$ref" else absolute(v) for k, v in node.items()}
    return [absolute(it) for it in node] if isinstance(node, list) else node


def main():
    errors, count = [], 0
    for path, media in media_types(DOCUMENT):
        examples = media.get("examples", {})
        if not examples:
            errors.append(f"{path} has no example")
        validator = Draft202012Validator(absolute(media["schema"]), registry=REGISTRY)
        for name, example in examples.items():
            count += 1
            for error in validator.iter_errors(example["value"]):
                errors.append(f"{path} {name}: {error.json_path}: {error.message}")
    print("\n".join(errors) or f"{count} examples match their schemas")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()

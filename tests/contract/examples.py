"""Every example of infra/openapi.yaml fits the schema that it stands beside, and every answer has one.

    python tests/contract/examples.py       with jsonschema and PyYAML
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
    """Everything that has a schema and examples, and where it is."""
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
    """The schema with its references made to the whole document."""
    if isinstance(node, dict):
        return {k: f"{URI}{v}" if k == "$ref" else absolute(v) for k, v in node.items()}
    return [absolute(it) for it in node] if isinstance(node, list) else node


def main():
    wrong, seen = [], 0
    for path, media in media_types(DOCUMENT):
        examples = media.get("examples", {})
        if not examples:
            wrong.append(f"{path} has no example")
        validator = Draft202012Validator(absolute(media["schema"]), registry=REGISTRY)
        for name, example in examples.items():
            seen += 1
            for error in validator.iter_errors(example["value"]):
                wrong.append(f"{path} {name}: {error.json_path}: {error.message}")
    print("\n".join(wrong) or f"{seen} examples fit their schemas")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

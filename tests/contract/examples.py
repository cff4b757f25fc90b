"""Checks infra/openapi.yaml by itself: its examples, and the rules that generators of clients depend on.

    python tests/contract/examples.py

Every example must match its schema, and every body must have an example. `RULES` lists the other rules.

Needs jsonschema and PyYAML.
"""

import re
import sys

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from document import codes, load, nodes, operations, responses, strict

URI = "urn:roster:openapi"


def media_types(node, path=""):
    """Yields path and value of every media type object in the document."""
    for place, found in nodes(node, path):
        for kind, media in found.get("content", {}).items():
            yield f"{place}/content/{kind}", media


def absolute(node):
    """Returns the schema with references that resolve in the whole document."""
    if isinstance(node, dict):
        return {k: f"{URI}{v}" if k == "$ref" else absolute(v) for k, v in node.items()}
    return [absolute(it) for it in node] if isinstance(node, list) else node


def typed(document):
    """An enumeration without a type becomes `any`, `never` or a warning."""
    for place, node in nodes(document):
        if ("enum" in node or "const" in node) and "type" not in node and not place.endswith("/properties"):
            yield f"{place} has values but no type"


def named(document):
    """A generator invents a name for an object schema without one, and it merges schemas only if it must."""
    schemas = document["components"]["schemas"]
    for place, node in nodes(document):
        if node.get("type") == "object" and not re.fullmatch(r"/components/schemas/\w+", place):
            yield f"{place} is an object without a name; move it to components/schemas"
        if "allOf" in node or "anyOf" in node:
            yield f"{place} combines schemas; generators disagree about the result"
    for name, schema in schemas.items():
        if schema.get("title") != name:
            yield f"{name} needs the title {name}: some generators name a class after the title"


def described(document):
    """Generated clients take their comments from the descriptions."""
    components = document["components"]
    parts = {f"{kind}/{name}": part for kind, parts in components.items() for name, part in parts.items()}
    parts |= {f"tag {tag['name']}": tag for tag in document["tags"]}
    parts |= {f"{place} parameter {parameter['name']}": parameter
              for place, node in nodes(document["paths"])
              for parameter in node.get("parameters", ()) if "name" in parameter}
    parts |= {f"{method} {path}": operation for method, path, operation in operations(document)}
    parts |= dict(responses(document))
    for place, part in parts.items():
        if not part.get("description"):
            yield f"{place} has no description"


def growing(document):
    """Responses may grow, but requests with unknown fields are refused."""
    schemas = document["components"]["schemas"]
    bodies = [operation["requestBody"] for _, _, operation in operations(document) if "requestBody" in operation]
    requests = {media["schema"]["$ref"].split("/")[-1] for body in bodies for media in body["content"].values()}
    for name, schema in schemas.items():
        closed = schema.get("additionalProperties") is False
        if schema.get("type") == "object" and closed != (name in requests):
            yield f"{name}: `additionalProperties: false` belongs to the schemas of requests, and only to them"
    for place, node in nodes(document):
        if "x-open-enum" in node and "enum" not in schemas.get(node["x-open-enum"], {}):
            yield f"{place} names an enumeration that does not exist"


def responding(document):
    """A status has one media type. The description of a problem response names the codes that its examples show."""
    for place, response in responses(document):
        if len(response.get("content", ["none"])) != 1:
            yield f"{place} has several media types"
        if found := codes(response):
            named_codes = re.findall(r"`([a-z_]+)`", response["description"])
            known = set(document["components"]["schemas"]["ProblemCode"]["enum"])
            if found != sorted(known.intersection(named_codes)):
                yield f"{place} describes other codes than its examples show: {found}"
    for method, path, operation in operations(document):
        missing = {"400", "429", "500", "503"} - operation["responses"].keys()
        if operation.get("security") is None:
            missing |= {"401"} - operation["responses"].keys()
        if missing:
            yield f"{method} {path} lacks the responses {sorted(missing)}"


RULES = (typed, named, described, growing, responding)


def main():
    document, count = load(), 0
    errors = [error for rule in RULES for error in rule(document)]
    document = strict()
    registry = Registry().with_resource(URI, Resource.from_contents(document, default_specification=DRAFT202012))
    for path, media in media_types(document):
        examples = media.get("examples", {})
        if not examples:
            errors.append(f"{path} has no example")
        validator = Draft202012Validator(absolute(media["schema"]), registry=registry)
        for name, example in examples.items():
            count += 1
            for error in validator.iter_errors(example["value"]):
                errors.append(f"{path} {name}: {error.json_path}: {error.message}")
    print("\n".join(errors) or f"{count} examples match their schemas, and the document keeps {len(RULES)} rules")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()

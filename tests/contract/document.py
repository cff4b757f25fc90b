"""infra/openapi.yaml, and a strict copy of it for tests.

The document lets responses grow: a new field or a new value of an open enumeration breaks no client. In a test, such a
field or value must fail, because it is not documented.
"""

import copy
from pathlib import Path

import yaml

FILE = Path(__file__).resolve().parents[2] / "infra" / "openapi.yaml"
METHODS = ("get", "post", "patch", "delete")
PROBLEM, JSON = "application/problem+json", "application/json"
WHOLE_SECONDS = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"


def load():
    return yaml.safe_load(FILE.read_text("utf-8"))


def reference(schema):
    return {"$ref": f"#/components/schemas/{schema}"}


def nodes(node, path=""):
    """Yields path and value of every mapping in the document, without the values of examples."""
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            if key not in ("example", "examples"):
                yield from nodes(child, f"{path}/{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from nodes(child, f"{path}/{index}")


def operations(document):
    """Yields method, path and operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def responses(document):
    """Yields place and response of every response that is not a reference."""
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if "$ref" not in response:
                yield f"{method} {path} {status}", response
    yield from document["components"]["responses"].items()


def codes(response):
    """Returns the problem codes of a response: those of its examples."""
    examples = response.get("content", {}).get(PROBLEM, {}).get("examples", {})
    return sorted({example["value"]["code"] for example in examples.values()})


def strict():
    """Returns a copy of the document that allows no undocumented part of a response."""
    document = copy.deepcopy(load())
    schemas = document["components"]["schemas"]
    for _, node in list(nodes(schemas)):
        if node.get("type") == "object":
            node["additionalProperties"] = False
        if node.get("format") == "date-time":
            node["pattern"] = WHOLE_SECONDS
        if name := node.pop("x-open-enum", None):
            null = "null" in node["type"]
            node["enum"] = schemas[name]["enum"] + ([None] if null else [])
    for _, response in responses(document):
        if found := codes(response):
            content = response["content"]
            [status] = {example["value"]["status"] for example in content[PROBLEM]["examples"].values()}
            narrow = {"properties": {"status": {"const": status}, "code": {"enum": found}}}
            content[PROBLEM]["schema"] = {"allOf": [reference("Problem"), narrow]}
            # Any of these may also come from API Gateway. The introduction says so once for all operations.
            if status in (400, 413, 429, 500, 503):
                message = {"message": "Message"}
                content[JSON] = {"schema": reference("GatewayMessage"), "examples": {"gateway": {"value": message}}}
    return document

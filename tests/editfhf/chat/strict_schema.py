"""JSON schemas as OpenAI's strict mode takes them: what is wrong with one, and a seeded instance of one.

Rules: platform.openai.com/docs/guides/structured-outputs, "Supported schemas".
"""

from __future__ import annotations

import random
from typing import Any

KEYWORDS = {
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "exclusiveMaximum",
    "exclusiveMinimum", "format", "items", "maxItems", "maximum", "minItems", "minimum", "multipleOf", "pattern",
    "properties", "required", "title", "type",
}  # fmt: skip
ID_FIELDS = ("number", "region", "region_id")
TEXT = "shadow falls wrong behind the left wheel while its edge melts into grass and colour bleeds over"
WORDS = TEXT.split()


def problem(schema: Any, where: str = "schema", root: bool = True) -> str | None:
    """Why strict mode refuses a schema, in one sentence; None when it is taken."""
    if not isinstance(schema, dict):
        return f"{where} is not an object"
    if root and schema.get("type") != "object":
        return "schema must have type 'object' at its root"
    if unknown := sorted(set(schema) - KEYWORDS):
        return f"in {where}, {unknown[0]!r} is not permitted"
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False:
            return f"in {where}, 'additionalProperties' is required to be supplied and to be false"
        if set(schema.get("required", [])) != set(properties):
            return f"in {where}, 'required' is required to include every key in properties"
    if "$ref" in schema and len(schema) > 1:
        return f"in {where}, $ref cannot have keywords beside it"
    children = [(name, child) for part in ("properties", "$defs") for name, child in schema.get(part, {}).items()]
    children += [("items", schema["items"])] if "items" in schema else []
    children += [(str(number), child) for number, child in enumerate(schema.get("anyOf", []))]
    return next((found for name, child in children if (found := problem(child, f"{where}.{name}", False))), None)


def instance(schema: dict[str, Any], rng: random.Random, root: dict[str, Any] | None = None) -> Any:
    """A value that a strict schema allows, the same for the same state of `rng`."""
    root = root or schema
    schema = resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "anyOf" in schema:
        return instance(rng.choice(schema["anyOf"]), rng, root)
    kind = schema.get("type")
    kind = rng.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        return {name: instance(child, rng, root) for name, child in schema.get("properties", {}).items()}
    if kind == "array":
        if numbered := {number: item for item in variants(schema, root) for number in numbers(item)}:
            return [
                instance(item, rng, root) | {name: number for name in ID_FIELDS if name in item["properties"]}
                for number, item in sorted(numbered.items())
            ]
        least = schema.get("minItems", 1)
        return [instance(schema["items"], rng, root) for _ in range(rng.randint(least, schema.get("maxItems", 3)))]
    return scalar(kind, schema, rng)


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to; any other schema as it is."""
    if "$ref" not in schema:
        return schema
    found: Any = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return resolved(found, root)


def variants(array: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas that an item of an array may have."""
    return [resolved(item, root) for item in array["items"].get("anyOf", [array["items"]])]


def numbers(item: dict[str, Any]) -> list[int]:
    """The closed list of ids that an item may name, if it has one."""
    properties = item.get("properties", {})
    return next((properties[name]["enum"] for name in ID_FIELDS if "enum" in properties.get(name, {})), [])


def scalar(kind: str | None, schema: dict[str, Any], rng: random.Random) -> Any:
    """A number, a truth value, nothing, or some thirty words of text."""
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
    if kind == "integer":
        return rng.randint(low, schema.get("maximum", low + 100))
    if kind == "number":
        return round(rng.uniform(low, schema.get("maximum", low + 1)), 3)
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "null":
        return None
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(26, 40))).capitalize() + "."

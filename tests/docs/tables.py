"""The tables of docs/dataset.md that the code decides: `python tests/docs/tables.py` writes them, a test compares them.

A table lies between `<!-- name -->` and `<!-- /name -->`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from editfhf.builder.options import DATASET_CONFIDENCE, SCORING_SECTIONS, BuildOptions
from editfhf.card.metadata import read_column_descriptions
from editfhf.card.page import format_markdown_table
from editfhf.features import DATASET_CONFIGS, FeatureSpec, list_config_columns

PAGE = Path(__file__).parents[2] / "docs/dataset.md"

MEANINGS = {
    "saliency.profile": "What a disk adds: a Gaussian, a blurred flat disk, or its part of an annotator's blurred "
    "union.",
    "mos.method": "How ratings become scores, one of `editfhf mos methods`. The rows below are the options of `paper`, "
    "the method of the paper; `editfhf mos methods NAME` lists those of another.",
    "split.train": "Share of the sources, in proportion to the other two.",
    "split.validation": "The same; 0 for no such split.",
    "split.test": "The same; 0 for no such split.",
    "split.seed": "Decides between equally good assignments.",
    "shards.row_group": "Rows per row group; fewer where images are large.",
}
"""Of options whose field has no description of its own."""

ALLOWED = {
    "mos.method": ", ".join(f"`{name}`" for name in SCORING_SECTIONS),
    "mos.confidence": f"`{DATASET_CONFIDENCE:g}`",
}
"""Of options whose field alone does not say what a build accepts."""


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo, dict[str, Any]]]:
    """Every option that holds a value: dotted name, field, JSON schema; in the order of the code."""
    schemas = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from leaves(type(field.default), f"{prefix}{name}.")
        else:
            yield prefix + name, field, schemas[name]


def options() -> str:
    """The options of a build: name, default, what is allowed, meaning."""
    rows = []
    for name, field, schema in leaves(BuildOptions):
        meaning = field.description or MEANINGS[name]
        rows.append((f"`{name}`", f"`{_plain(field.default)}`", ALLOWED.get(name) or _allowed(schema), meaning))
    return format_markdown_table(("option", "default", "allowed", "meaning"), rows)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value).lower() if isinstance(value, bool) else value


def _allowed(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:  # a decimal number may also be written as text
        schema = next(kind for kind in schema["anyOf"] if kind["type"] == "number")
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    limits = " ".join(f"{word} {schema[key]:g}" for key, word in bounds.items() if key in schema)
    kinds = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true, false"}
    return f"{kinds.get(schema['type'], 'two numbers')} {limits}".strip()


def config(name: str) -> str:
    """The columns of one config: name, type, meaning."""
    said = read_column_descriptions()[name]
    return format_markdown_table(
        ("column", "type", "meaning"), [(f"`{c}`", _type(f), said[c]) for c, f in list_config_columns(name).items()]
    )


def region() -> str:
    """The fields of a region."""
    said = read_column_descriptions()["region"]
    fields = list_config_columns("default")["artifact_regions"]["feature"]
    return format_markdown_table(
        ("field", "type", "meaning"), [(f"`{c}`", _type(f), said[c]) for c, f in fields.items()]
    )


def _type(feature: FeatureSpec) -> str:
    match feature.get("_type"):
        case "Value":
            return str(feature["dtype"])
        case "List":
            inner = _type(feature["feature"])
            return f"{feature['length']} x {inner}" if "length" in feature else f"list of {inner}"
        case None:
            return "region"
        case other:
            return f"{other} ({feature['mode']})" if "mode" in feature else str(other)


def written(text: str) -> str:
    """The page with every table as it should be."""
    tables = {"options": options(), "region": region()} | {name: config(name) for name in DATASET_CONFIGS}
    for name, rows in tables.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not closing:
            raise SystemExit(f"{PAGE.name} must hold <!-- {name} --> and, after it, <!-- /{name} -->.")
        text = before + opening + rows + "\n" + closing + after
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

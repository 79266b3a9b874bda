"""The JSON schema of a reply, in the part of the language that servers accept as strict."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

REFUSED = ("minLength", "maxLength", "default")
"""Keywords that OpenAI does not take in a strict schema; lengths are checked when the reply is read.

Source: https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas"""

_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_-]")


@lru_cache(maxsize=64)
def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a pydantic model with every property required and none besides; do not change what is given."""
    import openai

    tool = openai.pydantic_function_tool(model, name=name_of(model))
    schema = tool["function"]["parameters"]
    _prune(schema)
    return schema


def name_of(model: type[BaseModel]) -> str:
    """The name of a schema: at most 64 letters, digits, `_` and `-`."""
    return _UNNAMEABLE.sub("_", model.__name__)[:64]


def _prune(node: Any, properties: bool = False) -> None:
    if isinstance(node, list):
        for item in node:
            _prune(item)
    elif isinstance(node, dict):
        if not properties:
            for word in REFUSED:
                node.pop(word, None)
        for name, value in node.items():
            # A property may itself be called "default"; the names in here are no keywords.
            _prune(value, properties=not properties and name in ("properties", "$defs"))

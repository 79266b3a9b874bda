"""From the text of a reply to the object that was asked for, or to what is wrong with it, in our own words."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from editfhf.chat.replies import MAX_TEXT

MAX_STARTS = 50
"""How many opening braces are tried in a text around an object."""
MAX_PROBLEMS = 5


class Misfit(Exception):
    """The text is not the object that was asked for; the message holds none of it."""


def read(text: str | None, model: type[BaseModel]) -> BaseModel:
    """The object of a reply; `Misfit` when there is none that fits the model.

    A server that knows no schema may have its model put a code fence or a sentence around the object: it is found if
    it is the only one.
    """
    if not text or not text.strip():
        raise Misfit("The reply was empty.")
    if len(text) > MAX_TEXT:
        raise Misfit(f"The reply was longer than {MAX_TEXT} characters.")
    whole = text.strip()
    try:
        value = json.loads(whole)
    except (ValueError, RecursionError):
        value = _only_object(whole)
    return _checked(value, model)


def _checked(value: Any, model: type[BaseModel]) -> BaseModel:
    try:
        # In JSON mode, as the model's fields were declared for JSON: a list stands for a tuple, a text for a date.
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise Misfit(_problems(error, _names(model))) from None
    except RecursionError:
        raise Misfit("The reply was nested too deeply.") from None


def _only_object(text: str) -> dict[str, Any]:
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    start = text.find("{")
    for _ in range(MAX_STARTS):
        if start < 0:
            break
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            found.append(value)
        start = text.find("{", end)
    if len(found) != 1:
        raise Misfit("The reply was no JSON." if not found else f"The reply held {len(found)} JSON objects, not one.")
    return found[0]


def _problems(error: ValidationError, names: set[str]) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{_place(fault['loc'], names)}: {fault['type']}" for fault in faults[:MAX_PROBLEMS]]
    more = len(faults) - len(told)
    return f"The reply does not fit its schema ({'; '.join(told)}{f'; and {more} more' if more else ''})."


def _place(location: tuple[int | str, ...], names: set[str]) -> str:
    # A key that the schema forbids is a word of the model's.
    parts = [str(part) if isinstance(part, int) or part in names else "?" for part in location]
    return ".".join(parts) or "the whole"


def _names(model: type[BaseModel]) -> set[str]:
    """The names of all properties in the schema of a model."""
    from editfhf.chat.schema import strict_schema

    schema = strict_schema(model)
    return {name for part in (schema, *schema.get("$defs", {}).values()) for name in part.get("properties", {})}

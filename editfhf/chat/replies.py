"""Parse responses: the chat completion, and the JSON object in its text.

The content is not trusted; error messages contain no text of the model.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ValidationError

from editfhf.chat.budget import Usage
from editfhf.chat.request import strict_schema
from mos.json_limits import describe_json_excess

MAX_REPLY_TEXT = 200_000
"""Characters of a reply that are stored; a longer one is invalid."""


MAX_TOKEN_COUNT = 1 << 40


_USAGE_COUNTS = ("requests", "retries", "input_tokens", "cached_tokens", "output_tokens")


class UnreadableReply(Exception):
    """The response is no chat completion."""


@dataclass(frozen=True, slots=True)
class ModelReply:
    """One reply as it is stored.

    finish: finish_reason, or `content_filter` when the server refused the request
    text: text of the model, None if there is none
    counted: whether the tokens are the server's count; if the server gave none, they are the maximum
    """

    finish: str
    text: str | None = field(repr=False)
    refused: bool
    served_by: str
    usage: Usage
    counted: bool = True

    def pack(self) -> bytes:
        """Encode as JSON, for the cache."""
        fields = {name: getattr(self, name) for name in ("finish", "text", "refused", "served_by", "counted")}
        usage = {name: getattr(self.usage, name) for name in _USAGE_COUNTS}
        cost = None if self.usage.cost is None else str(self.usage.cost)
        return orjson.dumps(fields | {"usage": usage | {"cost": cost}})


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Token counts of a server."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class ChatCompletion:
    """A chat completion; count: None when the server gave no token counts."""

    finish: str
    text: str | None = field(repr=False)
    refused: bool
    served_by: str
    count: TokenCount | None


def unpack_reply(data: bytes) -> ModelReply:
    """Decode what `ModelReply.pack` wrote; `UnreadableReply` for anything else."""
    try:
        value = orjson.loads(data)
        usage = value.pop("usage")
        cost = None if usage["cost"] is None else Decimal(usage["cost"])
        return ModelReply(**value, usage=Usage(**{**usage, "cost": cost}))
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation):
        raise UnreadableReply from None


def read_completion(data: bytes | dict[str, Any]) -> ChatCompletion:
    """Read the first choice of a chat completion; `UnreadableReply` when the response is none.

    Content in parts (the reasoning models of some servers) is the text of its text parts. A completion without a
    choice, or with content that holds no text, has the text None.
    """
    content = load_reply_object(data) if isinstance(data, bytes) else data
    choices = content.get("choices")
    if not isinstance(choices, list):
        raise UnreadableReply
    choice = choices[0] if choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    return ChatCompletion(
        finish=_clean_text(choice.get("finish_reason"))[:40] or "none",
        text=_clean_text(_join_parts(message.get("content"), "text"))[: MAX_REPLY_TEXT + 1] or None,
        refused=bool(_clean_text(message.get("refusal")) or _join_parts(message.get("content"), "refusal")),
        served_by=_clean_text(content.get("model"))[:100],
        count=_parse_token_count(content.get("usage")),
    )


def _join_parts(content: object, kind: Literal["text", "refusal"]) -> object:
    """The texts of all parts of a kind (not those of "thinking"); content that is no list is one text."""
    if not isinstance(content, list):
        return content if kind == "text" else ""
    parts = (part for part in content if isinstance(part, dict) and part.get("type") in (kind, f"output_{kind}"))
    return "".join(text for part in parts if isinstance(text := part.get(kind), str))


def load_reply_object(data: bytes) -> dict[str, Any]:
    """The JSON object of a response; `UnreadableReply` for anything else, or one that is too large."""
    if describe_json_excess(data) is not None:
        raise UnreadableReply
    try:
        # Unlike orjson, this accepts half of a surrogate pair, after which a reply may be truncated.
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise UnreadableReply from None
    if not isinstance(content, dict):
        raise UnreadableReply
    return content


def _parse_token_count(usage: object) -> TokenCount | None:
    if not isinstance(usage, dict):
        return None
    read, written = _natural_number(usage.get("prompt_tokens")), _natural_number(usage.get("completion_tokens"))
    if read is None or written is None:
        return None
    details = usage.get("prompt_tokens_details")
    cached = _natural_number(details.get("cached_tokens")) if isinstance(details, dict) else None
    return TokenCount(read, min(cached or 0, read), written)


def _natural_number(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MAX_TOKEN_COUNT else None


def _clean_text(value: object) -> str:
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


MAX_OBJECT_STARTS = 50
"""Opening braces that are tried when a reply has text around its object."""


MAX_SCHEMA_ERRORS = 5

_END_OF_THINKING = re.compile(r"</(?:think|thinking|thought|reasoning)>")


class ReplyMismatch(Exception):
    """The text is not the requested object; the message contains none of it."""


def parse_reply(text: str | None, model: type[BaseModel]) -> BaseModel:
    """Validate the object of a reply; `ReplyMismatch` when it does not fit the schema.

    A server that ignores schemas may wrap the object: in a code fence or a sentence (then the text must contain exactly
    one object), after the model's thinking (only what follows it counts), as the only element of an array, as the
    array of the schema's only property, or as JSON in a JSON text. Each of these has one reading.
    """
    if not text or not text.strip():
        raise ReplyMismatch("The reply was empty.")
    if len(text) > MAX_REPLY_TEXT:
        raise ReplyMismatch(f"The reply was longer than {MAX_REPLY_TEXT} characters.")
    value = _load_value(text.strip())
    if isinstance(value, str):
        value = _load_value(value.strip())
    for wrapped in _list_wrapped_objects(value, model):
        with suppress(ReplyMismatch):
            return _validate_object(wrapped, model)
    return _validate_object(value, model)


def _load_value(text: str) -> Any:
    """The JSON value that the text is; else the only object in what follows the thinking."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    thought = list(_END_OF_THINKING.finditer(text))
    answer = text[thought[-1].end() :].strip() if thought else text
    if thought:
        with suppress(ValueError, RecursionError):
            return json.loads(answer)
    return _find_only_object(answer)


def _list_wrapped_objects(value: Any, model: type[BaseModel]) -> list[Any]:
    """The objects that an array may stand for: its only element, or the object whose only property it is."""
    if not isinstance(value, list):
        return []
    names = list(model.model_fields)
    return ([value[0]] if len(value) == 1 else []) + ([{names[0]: value}] if len(names) == 1 else [])


def _validate_object(value: Any, model: type[BaseModel]) -> BaseModel:
    try:
        # JSON mode, since the fields are declared for JSON: a list is a valid tuple, a string a valid date.
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise ReplyMismatch(_describe_errors(error, _property_names(model))) from None
    except RecursionError:
        raise ReplyMismatch("The reply was nested too deeply.") from None


def _find_only_object(text: str) -> dict[str, Any]:
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    start = text.find("{")
    for _ in range(MAX_OBJECT_STARTS):
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
        raise ReplyMismatch(
            "The reply was no JSON." if not found else f"The reply held {len(found)} JSON objects: expected one."
        )
    return found[0]


def _describe_errors(error: ValidationError, names: set[str]) -> str:
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    listed = [f"{_describe_location(entry['loc'], names)}: {entry['type']}" for entry in errors[:MAX_SCHEMA_ERRORS]]
    more = len(errors) - len(listed)
    return f"The reply does not fit its schema ({'; '.join(listed)}{f'; and {more} more' if more else ''})."


def _describe_location(location: tuple[int | str, ...], names: set[str]) -> str:
    # A key that is not in the schema is text of the model.
    parts = [str(part) if isinstance(part, int) or part in names else "?" for part in location]
    return ".".join(parts) or "the whole"


def _property_names(model: type[BaseModel]) -> set[str]:
    """Names of all properties in the schema of a model."""
    schema = strict_schema(model)
    return {name for part in (schema, *schema.get("$defs", {}).values()) for name in part.get("properties", {})}

"""What a server answers: read from its bytes without trust, kept, and read again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from editfhf.chat.usage import Usage

MAX_TEXT = 200_000
"""Characters of a reply that are kept; a longer one fits no request."""
MOST_TOKENS = 1 << 40

_COUNTS = ("requests", "retries", "input_tokens", "cached_tokens", "output_tokens")


class Unreadable(Exception):
    """What came is no chat completion."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a server.

    finish: its finish_reason, or `content_filter` when it would not even take the request
    text: what the model said; None when it said nothing
    counted: whether the tokens are the server's count, not the upper bound for want of one
    """

    finish: str
    text: str | None = field(repr=False)
    refused: bool
    served_by: str
    usage: Usage
    counted: bool = True

    def pack(self) -> bytes:
        """As JSON, for the cache."""
        fields = {name: getattr(self, name) for name in ("finish", "text", "refused", "served_by", "counted")}
        usage = {name: getattr(self.usage, name) for name in _COUNTS}
        cost = None if self.usage.cost is None else str(self.usage.cost)
        return orjson.dumps(fields | {"usage": usage | {"cost": cost}})


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens as a server counted them."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """A chat completion, without the price of its tokens; count: None when the server did not say."""

    finish: str
    text: str | None = field(repr=False)
    refused: bool
    served_by: str
    count: Count | None


def unpack(data: bytes) -> Reply:
    """What `Reply.pack` wrote; `Unreadable` when it is something else."""
    try:
        value = orjson.loads(data)
        usage = value.pop("usage")
        cost = None if usage["cost"] is None else Decimal(usage["cost"])
        return Reply(**value, usage=Usage(**{**usage, "cost": cost}))
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation):
        raise Unreadable from None


def read_envelope(data: bytes | dict[str, Any]) -> Envelope:
    """The first choice of a chat completion; `Unreadable` when it is none.

    A completion without a choice, or with content that is no text, is one whose model said nothing.
    """
    content = _loaded(data) if isinstance(data, bytes) else data
    choices = content.get("choices")
    if not isinstance(choices, list):
        raise Unreadable
    choice = choices[0] if choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    return Envelope(
        finish=_text(choice.get("finish_reason"))[:40] or "none",
        text=_text(message.get("content"))[: MAX_TEXT + 1] or None,
        refused=bool(_text(message.get("refusal"))),
        served_by=_text(content.get("model"))[:100],
        count=_count(content.get("usage")),
    )


def _loaded(data: bytes) -> dict[str, Any]:
    try:
        # The standard library's reader takes a lone half of a surrogate pair, which a model may be cut after.
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable from None
    if not isinstance(content, dict):
        raise Unreadable
    return content


def _count(usage: object) -> Count | None:
    if not isinstance(usage, dict):
        return None
    sent, made = _natural(usage.get("prompt_tokens")), _natural(usage.get("completion_tokens"))
    if sent is None or made is None:
        return None
    details = usage.get("prompt_tokens_details")
    cached = _natural(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Count(sent, min(cached or 0, sent), made)


def _natural(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MOST_TOKENS else None


def _text(value: object) -> str:
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""

"""Outcomes of a request, and its rounds: the question, and one repair round if the reply does not fit the schema.

Messages contain no text of a model, a server or an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

import orjson
from pydantic import BaseModel

from editfhf.chat.budget import Usage
from editfhf.chat.costs import TEMPLATE_TOKENS, Prices, max_text_tokens, max_usage, usage_bound
from editfhf.chat.replies import ModelReply, ReplyMismatch, parse_reply
from editfhf.chat.request import ModelRequest, strict_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutcomeBase:
    """What every outcome has.

    key: of the request; usage: of its replies, when they were billed; message: one sentence, or empty
    """

    key: str
    usage: Usage = field(default_factory=Usage)
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer(_OutcomeBase):
    """A reply that fits the schema of the request.

    Attributes
    ----------
    key : str
        Key of the request, as in every outcome.
    usage : Usage
        Usage of its replies when they were billed, as in every outcome.
    value : BaseModel
        The validated reply.
    text : str
        The reply as the server sent it.
    cached : bool
        True when no request was sent this time.
    served_by : str
        Name of the model by the server.
    repaired : bool
        True when the first reply did not fit and the model was told why.
    """

    reason: ClassVar[str] = "answer"

    value: BaseModel = field(repr=False)
    text: str = field(repr=False)
    cached: bool
    served_by: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRefusal(_OutcomeBase):
    """The model declined to answer."""

    reason: ClassVar[str] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedReply(_OutcomeBase):
    """The reply reached `max_output_tokens`."""

    reason: ClassVar[str] = "truncated"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredReply(_OutcomeBase):
    """A content filter of the server blocked the request or the reply."""

    reason: ClassVar[str] = "filtered"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidReply(_OutcomeBase):
    """The reply does not fit the schema of the request, even after the repair round."""

    reason: ClassVar[str] = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRequest(_OutcomeBase):
    """No reply came; nothing is stored, and the same request can be sent again.

    status: of the last HTTP response, 0 when there was none
    """

    reason: ClassVar[str] = "failed"

    status: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverBudget(_OutcomeBase):
    """Nothing was sent: at its maximum usage the request would exceed a limit of the budget."""

    reason: ClassVar[str] = "over_budget"


RequestOutcome = ModelAnswer | ModelRefusal | TruncatedReply | FilteredReply | InvalidReply | FailedRequest | OverBudget


class ChatStopped(Exception):
    """`Chat.drain` was called before the request was sent."""


MAX_ROUNDS = 2


MAX_ECHO = 20_000
"""Characters of an invalid reply that are sent back in the repair round."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One round of a request, ready to be sent.

    key, round: key of the request and number of the round (0 or 1); max_usage: maximum usage of this round
    """

    key: str
    round: int
    name: str
    model: str
    body: bytes = field(repr=False)
    max_usage: Usage


def conclude_request(request: ModelRequest, replies: Sequence[ModelReply], cached: bool) -> RequestOutcome | None:
    """Outcome of a request by its replies, one per round; None when another round is needed."""
    if not replies:
        return None
    key, last = request.key, replies[-1]
    usage = sum((reply.usage for reply in replies), Usage())
    if last.finish == "content_filter":
        return FilteredReply(key=key, usage=usage, message="A content filter of the server blocked it.")
    if last.refused:
        return ModelRefusal(key=key, usage=usage, message="The model declined to answer.")
    if last.finish == "length":
        return TruncatedReply(key=key, usage=usage, message=f"The reply reached {request.max_output_tokens} tokens.")
    try:
        value = parse_reply(last.text, request.reply)
    except ReplyMismatch as mismatch:
        return InvalidReply(key=key, usage=usage, message=str(mismatch)) if len(replies) >= MAX_ROUNDS else None
    repaired = len(replies) > 1
    text, served_by = last.text or "", last.served_by
    return ModelAnswer(
        key=key, usage=usage, value=value, text=text, cached=cached, served_by=served_by, repaired=repaired
    )


def next_round(
    request: ModelRequest,
    replies: Sequence[ModelReply],
    prices: Prices,
    factor: Decimal = Decimal(1),
    body: bytes | None = None,
) -> Exchange:
    """The round to send after these replies; `body` is the body of the first round if it exists already."""
    most = max_usage(request, prices, factor)
    body = request.body() if body is None else body
    if replies:
        echo, problem = (replies[-1].text or "")[:MAX_ECHO], _repair_message(request, replies[-1])
        body = _append_repair(body, echo, problem)
        tokens = most.input_tokens + max_text_tokens(echo) + max_text_tokens(problem) + TEMPLATE_TOKENS
        most = usage_bound(request.model, tokens, request.max_output_tokens, prices, factor)
    return Exchange(request.key, len(replies), request.name, request.model, body, most)


def _repair_message(request: ModelRequest, reply: ModelReply) -> str:
    try:
        parse_reply(reply.text, request.reply)
    except ReplyMismatch as mismatch:
        return (
            f"{mismatch} Answer the first message again with one JSON object that fits the schema below, and nothing "
            f"else: no code fence, no other word.\n{_schema_text(request)}"
        )
    raise ValueError("a valid reply needs no repair round")


def _schema_text(request: ModelRequest) -> str:
    return orjson.dumps(strict_schema(request.reply)).decode()


def _append_repair(body: bytes, echo: str, problem: str) -> bytes:
    content = orjson.loads(body)
    content["messages"] += [{"role": "assistant", "content": echo}, {"role": "user", "content": problem}]
    return orjson.dumps(content)

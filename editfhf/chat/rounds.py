"""The rounds of a request: the question, and if the reply does not fit, one more in which the model is told why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import orjson

from editfhf.chat.bounds import TEMPLATE, bounded, text_tokens, worst
from editfhf.chat.outcomes import Answer, Filtered, Invalid, Outcome, Refused, Truncated
from editfhf.chat.prices import Prices
from editfhf.chat.reading import Misfit, read
from editfhf.chat.replies import Reply
from editfhf.chat.request import Request
from editfhf.chat.usage import Usage

ROUNDS = 2
LONGEST_ECHO = 20_000
"""Characters of a misfit that the model is shown again."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One thing to send: a round of a request.

    key, round: which; worst: what it may cost at most
    """

    key: str
    round: int
    name: str
    model: str
    body: bytes = field(repr=False)
    worst: Usage


def conclude(request: Request, replies: Sequence[Reply], cached: bool) -> Outcome | None:
    """What became of a request by its replies, one a round; None when another round is due."""
    if not replies:
        return None
    key, last = request.key, replies[-1]
    usage = sum((reply.usage for reply in replies), Usage())
    if last.finish == "content_filter":
        return Filtered(key=key, usage=usage, message="A content filter of the server stopped it.")
    if last.refused:
        return Refused(key=key, usage=usage, message="The model declined to answer.")
    if last.finish == "length":
        return Truncated(key=key, usage=usage, message=f"The reply reached {request.max_output_tokens} tokens.")
    try:
        value = read(last.text, request.reply)
    except Misfit as misfit:
        return Invalid(key=key, usage=usage, message=str(misfit)) if len(replies) >= ROUNDS else None
    repaired = len(replies) > 1
    text, served_by = last.text or "", last.served_by
    return Answer(key=key, usage=usage, value=value, text=text, cached=cached, served_by=served_by, repaired=repaired)


def next_round(
    request: Request, replies: Sequence[Reply], prices: Prices, factor: Decimal = Decimal(1), body: bytes | None = None
) -> Exchange:
    """What is to be sent after these replies; `body` is that of the first round, if it was made before."""
    most = worst(request, prices, factor)
    body = request.body() if body is None else body
    if replies:
        echo, problem = (replies[-1].text or "")[:LONGEST_ECHO], _told(request, replies[-1])
        body = _with_repair(body, echo, problem)
        tokens = most.input_tokens + text_tokens(echo) + text_tokens(problem) + TEMPLATE
        most = bounded(request.model, tokens, request.max_output_tokens, prices, factor)
    return Exchange(request.key, len(replies), request.name, request.model, body, most)


def _told(request: Request, reply: Reply) -> str:
    try:
        read(reply.text, request.reply)
    except Misfit as misfit:
        return (
            f"{misfit} Answer the first message again with one JSON object that fits the schema below, and nothing "
            f"else: no code fence, no other word.\n{_schema(request)}"
        )
    raise ValueError("A reply that fits needs no other round.")


def _schema(request: Request) -> str:
    from editfhf.chat.schema import strict_schema

    return orjson.dumps(strict_schema(request.reply)).decode()


def _with_repair(body: bytes, echo: str, problem: str) -> bytes:
    content = orjson.loads(body)
    content["messages"] += [{"role": "assistant", "content": echo}, {"role": "user", "content": problem}]
    return orjson.dumps(content)

"""The ledger: a file of lines that people can read, in which every attempt is announced before it is sent.

    {"event": "started", "id": ..., "at": ..., "name": ..., "model": ..., "input_tokens": 900, ...}   the worst case
    {"event": "ended", "id": ..., "status": 200, "input_tokens": 312, ..., "cost": "0.00061"}         what it was
    {"event": "lost", "id": ..., "problem": "TimeoutError"}                                           nobody knows

An attempt that started and has not ended is open: the server may have answered and billed it.  It stays so, whatever
errors come when it is sent again, until it is answered.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson

from editfhf.chat.prices import Prices
from editfhf.chat.usage import Usage
from mos.errors import UserError

LOG = logging.getLogger("editfhf.chat")

MAX_LINE = 1 << 16
LONGEST_NAME = 200
SHORT = 40
"""Digits of a key in the name of an attempt: OpenAI takes up to 64 characters."""

Round = tuple[str, int]
"""A key and the number of a round."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a round of a request, with its retries.

    number: from 1, one more for each time that it was given up
    doubtful: whether the server may have answered it before, without the answer reaching us
    batch: the name of the batch that it is part of, or ""
    """

    key: str
    round: int
    number: int
    name: str
    model: str
    worst: Usage
    doubtful: bool = False
    batch: str = ""

    @property
    def id(self) -> str:
        """Also the Idempotency-Key, and the custom_id of a line of a batch."""
        return f"{self.key[:SHORT]}-{self.round}-{self.number}"


@dataclass(slots=True)
class State:
    """What the lines come to.

    spent: what ended; open: attempts by id; tries: the number of the last attempt at each round that is not answered
    unheard: the worst case of what was sent, never heard of, and sent again under the same id
    """

    spent: Usage = field(default_factory=Usage)
    unheard: Usage = field(default_factory=Usage)
    open: dict[str, Attempt] = field(default_factory=dict)
    tries: dict[Round, int] = field(default_factory=dict)

    def start(self, attempt: Attempt) -> None:
        if attempt.doubtful:
            # What was sent before and got no answer turns out to have been a retry.
            self.spent += Usage(retries=1)
            self.unheard += self.open[attempt.id].worst
        self.open[attempt.id] = attempt
        self.tries[attempt.key, attempt.round] = attempt.number

    def end(self, attempt: Attempt, usage: Usage, answered: bool) -> None:
        self.open.pop(attempt.id, None)
        self.spent += usage
        if answered:
            self.tries.pop((attempt.key, attempt.round), None)


def started(attempt: Attempt) -> bytes:
    """The line before an attempt is sent, with the most that it can cost."""
    fields = {"key": attempt.key, "round": attempt.round, "attempt": attempt.number}
    fields |= {"name": attempt.name[:LONGEST_NAME], "model": attempt.model, "batch": attempt.batch}
    fields |= {"doubtful": attempt.doubtful}
    return _line("started", attempt.id, fields | _amounts(attempt.worst))


def ended(attempt: Attempt, usage: Usage, status: int, seconds: float, answered: bool, counted: bool = True) -> bytes:
    """The line after the fate of an attempt is known.

    answered: whether it is settled for good; counted: whether the tokens are the server's count, not the worst case
    """
    fields = {"status": status, "seconds": round(seconds, 3), "answered": answered, "counted": counted}
    fields |= {"requests": usage.requests, "retries": usage.retries, "cached_tokens": usage.cached_tokens}
    return _line("ended", attempt.id, fields | _amounts(usage))


def lost(attempt: Attempt, problem: str, seconds: float) -> bytes:
    """The line after an attempt to which no answer came; it stays open."""
    return _line("lost", attempt.id, {"problem": problem, "seconds": round(seconds, 3)})


def read(path: Path, prices: Prices) -> State:
    """The state by the lines of a ledger, which need not exist.

    A last line that was cut by a crash is cut off: it was not on the disk, so nothing was sent after it.  Usage whose
    price was not known when it was written is priced now.  `UserError` when a line is damaged.
    """
    state = State()
    if not path.exists():
        return state
    _cut_torn(path)
    for row, line in _lines(path):
        try:
            _apply(state, orjson.loads(line), prices)
        except (ValueError, KeyError, TypeError, InvalidOperation):
            raise UserError(f"Line {row} of {path} is damaged: it counts what was spent. Mend or restore it.") from None
    return state


def _apply(state: State, line: dict[str, Any], prices: Prices) -> None:
    match line["event"]:
        case "started":
            cost, price = _cost(line), prices.of(line["model"])
            if cost is None and price:
                cost = price.most(line["input_tokens"], line["output_tokens"])
            worst = Usage(1, 0, line["input_tokens"], 0, line["output_tokens"], cost)
            attempt = Attempt(
                line["key"],
                line["round"],
                line["attempt"],
                line["name"],
                line["model"],
                worst,
                line["doubtful"],
                line["batch"],
            )
            state.start(attempt)
        case "ended":
            attempt = state.open[line["id"]]
            tokens = line["input_tokens"], line["cached_tokens"], line["output_tokens"]
            cost = _cost(line)
            if cost is None and (price := prices.of(attempt.model)):
                cost = price.cost(*tokens) * (prices.batch_factor if attempt.batch else 1)
            state.end(attempt, Usage(line["requests"], line["retries"], *tokens, cost), line["answered"])


def _line(event: str, attempt: str, fields: dict[str, Any]) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return orjson.dumps({"event": event, "id": attempt, "at": at, **fields}, option=orjson.OPT_APPEND_NEWLINE)


def _amounts(usage: Usage) -> dict[str, Any]:
    cost = None if usage.cost is None else format(usage.cost.normalize(), "f")
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost": cost}


def _cost(line: dict[str, Any]) -> Decimal | None:
    return None if line["cost"] is None else Decimal(line["cost"])


def _cut_torn(path: Path) -> None:
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(0, size - MAX_LINE)
        stream.seek(start)
        whole = start + stream.read().rfind(b"\n") + 1
        if whole != size:
            LOG.warning("the last line of the ledger was cut by a crash: %d bytes dropped", size - whole)
            stream.truncate(whole)
            os.fsync(stream.fileno())


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as stream:
        yield from enumerate(iter(lambda: stream.readline(MAX_LINE), b""), start=1)

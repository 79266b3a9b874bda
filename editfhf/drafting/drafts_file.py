"""What was drafted and what was set aside, in two files that only grow: `drafts.jsonl` and `drafting/rejected.jsonl`.

A line is on the disk before anything else happens.  A line that a crash cut off is taken away when the files are opened
again: its request is answered from the cache then, and the line is written anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from annotation import jsonlines
from annotation.campaign.drafts import FILE, Drafts, read_drafts
from annotation.jsonlines import Reject
from editfhf.chat import Usage
from editfhf.drafting.reply import Described, Fault

FOLDER = "drafting"
REJECTED = "rejected.jsonl"

TRANSIENT = frozenset({"failed", "over_budget", "bad_picture"})
"""Reasons for which a region is simply asked about again by the next run."""

Ids = tuple[str, str]
"""A pair_id and a region_id."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a line comes from: who was asked, by which prompt, in which request, at which attempt (from 1)."""

    model: str
    prompt_version: str
    request: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one region in one request; `usage` is the region's share of what the request cost."""

    ids: Ids
    source: Source
    said: Described | Fault
    usage: Usage


@dataclass
class Standing:
    """What is known of a corpus's regions before a run.

    drafts: those that count, by pair_id and region_id
    aside: of regions that were set aside, the reason and attempt of the last time
    """

    drafts: Drafts = field(default_factory=dict)
    aside: dict[Ids, tuple[str, int]] = field(default_factory=dict)

    def drafted(self, ids: Ids) -> bool:
        return ids[1] in self.drafts.get(ids[0], {})

    def failed(self, ids: Ids) -> bool:
        """Whether the last attempt at a region was set aside."""
        return ids in self.aside and self.aside[ids][1] > self._drafted_at(ids)

    def attempts(self, ids: Ids) -> int:
        """How many attempts at a region have ended."""
        return max(self._drafted_at(ids), self.aside[ids][1] if ids in self.aside else 0)

    def _drafted_at(self, ids: Ids) -> int:
        draft = self.drafts.get(ids[0], {}).get(ids[1])
        return draft.attempt if draft is not None else 0


def read_standing(root: Path, reject: Reject) -> Standing:
    """What the two files of a corpus say; lines that cannot be read go to `reject`."""
    standing = Standing(read_drafts(root, reject))
    path = root / FOLDER / REJECTED
    if path.is_file() and path.stat().st_size:
        for _, line in jsonlines.read(path, f"{FOLDER}/{REJECTED}", reject):
            pair_id, region_id, reason, attempt = (
                line.get(name) for name in ("pair_id", "region_id", "reason", "attempt")
            )
            if not (isinstance(pair_id, str) and isinstance(region_id, str) and isinstance(reason, str)):
                continue
            if type(attempt) is int and reason not in TRANSIENT:
                standing.aside[pair_id, region_id] = (reason, attempt)
    return standing


class Writer:
    """Appends results to the files of a corpus; one process at a time (the lock is that of the chat's folder)."""

    def __init__(self, root: Path) -> None:
        (root / FOLDER).mkdir(exist_ok=True)
        self._drafts = root / FILE
        self._rejected = root / FOLDER / REJECTED
        for path in (self._drafts, self._rejected):
            _mend(path)

    def write(self, results: Iterable[Result]) -> None:
        """Append what became of the regions of one request; it is on the disk when this returns."""
        drafts: list[bytes] = []
        rejected: list[bytes] = []
        for result in results:
            (drafts if isinstance(result.said, Described) else rejected).append(_line(result))
        _append(self._rejected, rejected)
        _append(self._drafts, drafts)


def shares(usage: Usage, parts: int) -> list[Usage]:
    """What was used, divided evenly among the regions of a request: the shares add up to the whole.

    What cannot be divided goes to the first ones; money is divided into thousandths of a millionth of a dollar.
    """
    counts = {
        name: _divided(getattr(usage, name), parts)
        for name in ("requests", "retries", "input_tokens", "cached_tokens", "output_tokens")
    }
    costs: list[Decimal | None] = [None] * parts
    if usage.cost is not None:
        share = (usage.cost / parts).quantize(Decimal("1e-9"))
        costs = [usage.cost - share * (parts - 1), *[share] * (parts - 1)]
    return [
        Usage(**{name: values[place] for name, values in counts.items()}, cost=costs[place]) for place in range(parts)
    ]


def _divided(count: int, parts: int) -> list[int]:
    share, rest = divmod(count, parts)
    return [share + (place < rest) for place in range(parts)]


def _line(result: Result) -> bytes:
    line: dict[str, Any] = {"pair_id": result.ids[0], "region_id": result.ids[1]}
    if isinstance(result.said, Described):
        line |= {"text": result.said.text, "flaw_type": result.said.flaw_type, "severity": result.said.severity}
    else:
        line |= {"reason": result.said.reason, "message": result.said.message}
    line |= {
        "model": result.source.model,
        "prompt_version": result.source.prompt_version,
        "request": result.source.request,
        "attempt": result.source.attempt,
        "usage": usage_row(result.usage),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def usage_row(usage: Usage) -> Mapping[str, Any]:
    """Usage as JSON values; money as text, which keeps every digit."""
    return {
        "requests": usage.requests,
        "retries": usage.retries,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "cost": None if usage.cost is None else f"{usage.cost:f}",
    }


def _append(path: Path, lines: list[bytes]) -> None:
    if not lines:
        return
    with path.open("ab") as stream:
        stream.write(b"".join(lines))
        stream.flush()
        os.fsync(stream.fileno())


def _mend(path: Path) -> None:
    """Take away what follows the last end of a line, unless it is a whole line without its end."""
    if not path.is_file():
        return
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = max(0, size - jsonlines.MAX_LINE)
        stream.seek(start)
        rest = stream.read().rpartition(b"\n")[2]
        if not rest:
            return
        try:
            orjson.loads(rest)
        except orjson.JSONDecodeError:
            stream.truncate(size - len(rest))
        else:
            stream.write(b"\n")
        stream.flush()
        os.fsync(stream.fileno())

"""Drafts (`drafts.jsonl`) and rejected regions (`drafting/rejected.jsonl`); both files are only appended to.

A line is on the disk before the run continues. When the files are opened again, an incomplete last line is removed: its
request is then answered from the cache, and the line is written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from annotation.campaign.drafts import DRAFTS_FILE, DraftsByPair, read_drafts
from annotation.json_lines import RejectCallback, read_json_lines
from editfhf.chat import Usage
from editfhf.drafting.reply import RegionDescription
from mos.files import append_lines, open_regular_file, repair_last_line
from mos.rejections import Rejection, encode_rejection

DRAFTING_FOLDER = "drafting"
REJECTED_DRAFTS_FILE = "rejected.jsonl"

TRANSIENT_REASONS = frozenset({"failed", "over_budget", "bad_picture"})
"""Reasons after which the next run tries the region again."""

RegionKey = tuple[str, str]
"""A pair_id and a region_id."""


@dataclass(frozen=True, slots=True)
class DraftSource:
    """Origin of a line: model, version of the prompt, key of the request, and number of the attempt (from 1)."""

    model: str
    prompt_version: str
    request: str
    attempt: int


@dataclass(frozen=True, slots=True)
class DraftResult:
    """Result of one region in one request; `usage` is the region's share of the usage of the request."""

    key: RegionKey
    source: DraftSource
    content: RegionDescription | Rejection
    usage: Usage


@dataclass
class DraftStatus:
    """Drafts and rejections of a corpus before a run.

    drafts: the latest draft of each region, by pair_id and region_id
    rejections_by_region: reason and attempt of the latest rejection of each region
    """

    drafts: DraftsByPair = field(default_factory=dict)
    rejections_by_region: dict[RegionKey, tuple[str, int]] = field(default_factory=dict)

    def has_draft(self, key: RegionKey) -> bool:
        return key[1] in self.drafts.get(key[0], {})

    def has_failed(self, key: RegionKey) -> bool:
        """Whether the last attempt at a region was rejected."""
        return key in self.rejections_by_region and self.rejections_by_region[key][1] > self._draft_attempt(key)

    def count_attempts(self, key: RegionKey) -> int:
        """How many attempts at a region have ended."""
        return max(
            self._draft_attempt(key), self.rejections_by_region[key][1] if key in self.rejections_by_region else 0
        )

    def _draft_attempt(self, key: RegionKey) -> int:
        draft = self.drafts.get(key[0], {}).get(key[1])
        return draft.attempt if draft is not None else 0


def read_draft_status(root: Path, reject: RejectCallback) -> DraftStatus:
    """Read the two files of a corpus; unreadable lines go to `reject`."""
    status = DraftStatus(read_drafts(root, reject))
    path = root / DRAFTING_FOLDER / REJECTED_DRAFTS_FILE
    if path.is_file() and path.stat().st_size:
        for _, line in read_json_lines(path, f"{DRAFTING_FOLDER}/{REJECTED_DRAFTS_FILE}", reject):
            pair_id, region_id, reason, attempt = (
                line.get(name) for name in ("pair_id", "region_id", "reason", "attempt")
            )
            if not (isinstance(pair_id, str) and isinstance(region_id, str) and isinstance(reason, str)):
                continue
            if type(attempt) is int and reason not in TRANSIENT_REASONS:
                status.rejections_by_region[pair_id, region_id] = (reason, attempt)
    return status


class DraftWriter:
    """Appends results to the files of a corpus; one process at a time, by the lock of the chat folder."""

    def __init__(self, root: Path) -> None:
        (root / DRAFTING_FOLDER).mkdir(exist_ok=True)
        self._drafts = root / DRAFTS_FILE
        self._rejected = root / DRAFTING_FOLDER / REJECTED_DRAFTS_FILE
        for path in (self._drafts, self._rejected):
            _repair_tail(path)

    def write(self, results: Iterable[DraftResult]) -> None:
        """Append the results of one request; they are on the disk when this returns."""
        drafts: list[bytes] = []
        rejected: list[bytes] = []
        for result in results:
            (drafts if isinstance(result.content, RegionDescription) else rejected).append(_render_line(result))
        append_lines(self._rejected, rejected)
        append_lines(self._drafts, drafts)


def divide_usage(usage: Usage, parts: int) -> list[Usage]:
    """Divide usage evenly among the regions of a request, so that the shares add up to exactly the whole.

    Remainders go to the first regions; costs are rounded to 1e-9 US dollars.
    """
    counts = {
        name: _divide_count(getattr(usage, name), parts)
        for name in ("requests", "retries", "input_tokens", "cached_tokens", "output_tokens")
    }
    costs: list[Decimal | None] = [None] * parts
    if usage.cost is not None:
        share = (usage.cost / parts).quantize(Decimal("1e-9"))
        costs = [usage.cost - share * (parts - 1), *[share] * (parts - 1)]
    return [
        Usage(**{name: values[place] for name, values in counts.items()}, cost=costs[place]) for place in range(parts)
    ]


def _divide_count(count: int, parts: int) -> list[int]:
    share, rest = divmod(count, parts)
    return [share + (place < rest) for place in range(parts)]


def _render_line(result: DraftResult) -> bytes:
    pair_id, region_id = result.key
    source: dict[str, Any] = {
        "model": result.source.model,
        "prompt_version": result.source.prompt_version,
        "request": result.source.request,
        "attempt": result.source.attempt,
        "usage": usage_json(result.usage),
    }
    content = result.content
    if isinstance(content, Rejection):
        return encode_rejection(replace(content, pair_id=pair_id, item_id=region_id), DRAFT_REJECTION_KEYS, source)
    description = {"text": content.text, "flaw_type": content.flaw_type, "severity": content.severity}
    line = {"pair_id": pair_id, "region_id": region_id} | description | source
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def usage_json(usage: Usage) -> Mapping[str, Any]:
    """Usage as JSON values; the cost as text, which keeps every digit."""
    return {
        "requests": usage.requests,
        "retries": usage.retries,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "cost": None if usage.cost is None else f"{usage.cost:f}",
    }


DRAFT_REJECTION_KEYS = {"pair_id": "pair_id", "region_id": "item_id", "reason": "reason", "message": "message"}
"""First keys of a line of `drafting/rejected.jsonl`, and the field of `Rejection` that each one shows."""


def _repair_tail(path: Path) -> None:
    """Remove an incomplete last line, if there is one."""
    if path.is_file():
        with open_regular_file(path, "r+b") as stream:
            repair_last_line(stream, path=path)

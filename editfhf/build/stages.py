"""Counts in and out of every stage, as the manifest, the card and the report tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

# Which things set aside belong to which stage.
STAGE_OF = {
    "file": "files",
    "pair": "pairs",
    "image": "pairs with pictures",
    "annotation": "annotations",
    "box": "boxes",
    "disk": "boxes",
    "result": "boxes",
    "region": "regions",
    "rationale": "rationales",
    "flag": "flags",
    "rating": "ratings",
    "score": "scores",
}


def table(stages: Iterable[tuple[str, int, int]], rejected: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """One row a stage: what came in, what went out, what was set aside and for which reasons.

    stages: (stage, in, out) in the order in which they happened
    rejected: counts by (what, reason)
    """
    reasons: dict[str, Counter[str]] = {}
    for (what, reason), count in rejected.items():
        reasons.setdefault(STAGE_OF.get(what, "files"), Counter())[reason] += count
    rows = []
    for stage, entered, left in stages:
        found = reasons.get(stage, Counter())
        row = {"stage": stage, "in": entered, "out": left, "set_aside": sum(found.values())}
        rows.append(row | {"reasons": dict(sorted(found.items()))})
    return rows

"""Choosing the pairs that a gallery shows: few places to read from, many different things to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.records import KINDS

PAIRS_PER_PLACE = 6


def spread_out(places: int, wanted: int) -> list[int]:
    """Indices of the places (row groups) to read for `wanted` pairs, evenly over all of them.

    >>> spread_out(40, 12)
    [10, 30]
    """
    count = min(places, max(1, -(-wanted // PAIRS_PER_PLACE)))
    return [(2 * k + 1) * places // (2 * count) for k in range(count)]


def varied(rows: Sequence[Mapping[str, Any]], wanted: int) -> list[int]:
    """Indices of up to `wanted` rows, in their order, that differ in source, editor, task, number and type of flaws.

    Greedy: the next row is the one whose traits were taken least often so far; ties go to the first pair_id.  The
    choice depends on the set of rows, not on their order.
    """
    traits = [_traits(row) for row in rows]
    left = sorted(range(len(rows)), key=lambda k: str(rows[k]["pair_id"]))
    taken: Counter[tuple[str, Any]] = Counter()
    chosen: list[int] = []
    while left and len(chosen) < wanted:
        best = min(left, key=lambda k: sum(weight * taken[trait] for trait, weight in traits[k]))
        chosen.append(best)
        left.remove(best)
        taken.update(trait for trait, _ in traits[best])
    return sorted(chosen)


def _traits(row: Mapping[str, Any]) -> list[tuple[tuple[str, Any], float]]:
    """What makes a pair like another, each with its weight."""
    overall = row["overall"]
    flaws = [region["flaw_type"] for kind in KINDS for region in row[f"{kind}_regions"] or ()]
    traits: list[tuple[tuple[str, Any], float]] = [
        (("source", row["source_id"]), 4),
        (("editor", row["editor"]), 1),
        (("group", row["task_group"]), 1),
        (("task", row["task"]), 0.5),
        (("score", None if overall is None else int(overall // 20)), 0.5),
        *(((kind, min(2, len(row[f"{kind}_regions"] or ()))), 0.7) for kind in KINDS),
    ]
    return traits + [(("flaw", flaw), 0.5 / len(flaws)) for flaw in flaws]

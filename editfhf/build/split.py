"""Dealing sources to train, validation and test."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from annotation.records import Pair

Labels = Counter[tuple[str, str]]
PAIRS = ("pairs", "")
# The sizes of the splits matter more than any one task or editor.
WEIGHT_OF_PAIRS = 64


def assign(pairs: Iterable[Pair], ratios: Mapping[str, float], seed: int) -> dict[str, str]:
    """Split name of every `source_id`: no source on two sides, tasks and editors in the same proportions on each.

    Greedy over sources, largest first: each goes to the split that lacks most of what it brings, counting pairs,
    tasks and editors alike.  The result depends on the set of pairs, the ratios and the seed, not on any order.
    """
    brings: dict[str, Labels] = {}
    for pair in pairs:
        labels = (PAIRS, ("task", pair.task), ("editor", pair.editor))
        brings.setdefault(pair.source_id, Counter()).update(labels)
    totals: Labels = Counter()
    for labels in brings.values():
        totals.update(labels)

    shares = {name: ratio / sum(ratios.values()) for name, ratio in ratios.items() if ratio > 0}
    filled: dict[str, Labels] = {name: Counter() for name in shares}
    chosen: dict[str, str] = {}
    for source in sorted(brings, key=lambda source: (-brings[source][PAIRS], _shuffle(seed, source))):
        surplus = {name: _surplus(brings[source], filled[name], share, totals) for name, share in shares.items()}
        chosen[source] = min(shares, key=lambda name: (surplus[name], -shares[name]))
        filled[chosen[source]].update(brings[source])
    return chosen


def _surplus(brought: Labels, filled: Labels, share: float, totals: Labels) -> float:
    """How full a split already is of what a source brings; negative while it still lacks some of it."""
    surplus = 0.0
    for label, count in sorted(brought.items()):
        weight = WEIGHT_OF_PAIRS if label == PAIRS else 1
        surplus += weight * count / totals[label] * (filled[label] / (share * totals[label]) - 1)
    return surplus


def _shuffle(seed: int, source: str) -> str:
    return hashlib.sha256(f"{seed}\0{source}".encode()).hexdigest()

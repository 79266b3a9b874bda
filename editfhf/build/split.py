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


def families(pictures: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The family of every source: sources that share a picture, directly or through others, are one family.

    pictures: (source_id, digest of a picture that one of its pairs shows).  An edited picture that serves as the next
    pair's source, or one photo under two ids, would otherwise lie on both sides of a split.

    >>> families([("fox", "1"), ("fox", "2"), ("red fox", "2"), ("cat", "3")])
    {'cat': 'cat', 'fox': 'fox', 'red fox': 'fox'}
    """
    leader: dict[str, str] = {}

    def find(source: str) -> str:
        while leader.setdefault(source, source) != source:
            leader[source] = leader[leader[source]]
            source = leader[source]
        return source

    first: dict[str, str] = {}
    for source, digest in sorted(set(pictures)):
        one, other = sorted((find(source), find(first.setdefault(digest, source))))
        leader[other] = one
    return {source: find(source) for source in sorted(leader)}


def assign(pairs: Iterable[Pair], family: Mapping[str, str], ratios: Mapping[str, float], seed: int) -> dict[str, str]:
    """Split name of every `source_id`: no family on two sides, tasks and editors in the same proportions on each.

    Greedy over families, largest first: each goes to the split that lacks most of what it brings, counting pairs,
    tasks and editors alike.  The result depends on the set of pairs, the ratios and the seed, not on any order.
    """
    brings: dict[str, Labels] = {}
    totals: Labels = Counter()
    for pair in pairs:
        labels = (PAIRS, ("task", pair.task), ("editor", pair.editor))
        brings.setdefault(family[pair.source_id], Counter()).update(labels)
        totals.update(labels)

    shares = {name: ratio / sum(ratios.values()) for name, ratio in ratios.items() if ratio > 0}
    filled: dict[str, Labels] = {name: Counter() for name in shares}
    chosen: dict[str, str] = {}
    for member in sorted(brings, key=lambda member: (-brings[member][PAIRS], _shuffle(seed, member))):
        surplus = {name: _surplus(brings[member], filled[name], share, totals) for name, share in shares.items()}
        chosen[member] = min(shares, key=lambda name: (surplus[name], -shares[name]))
        filled[chosen[member]].update(brings[member])
    return {source: chosen[member] for source, member in family.items() if member in chosen}


def _surplus(brought: Labels, filled: Labels, share: float, totals: Labels) -> float:
    """How full a split already is of what a source brings; negative while it still lacks some of it."""
    surplus = 0.0
    for label, count in sorted(brought.items()):
        weight = WEIGHT_OF_PAIRS if label == PAIRS else 1
        surplus += weight * count / totals[label] * (filled[label] / (share * totals[label]) - 1)
    return surplus


def _shuffle(seed: int, source: str) -> str:
    return hashlib.sha256(f"{seed}\0{source}".encode()).hexdigest()

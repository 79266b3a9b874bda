"""The graph of raters and the items that they rated: whether scores of different items can be compared at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mos.moments import moments
from mos.ratings import Ratings

_FIRST_ROWS = 16_384
_ITEMS_COMPARED = 64
_MUCH = 0.1


@dataclass(frozen=True, slots=True)
class Connectivity:
    """How the raters' items hang together in one dimension; repeated ratings count once.

    items, raters, ratings: that there are; fill: ratings as a share of items times raters
    parts: raters and items of every connected component, the one with the most items first; none without ratings
    ratings_per_item_cv, ratings_per_rater_cv: coefficient of variation (population SD / mean); 0 is balanced
    mean_common_raters: of two items, over all pairs
    least_common_raters, pairs_with_common_raters: the fewest, and the share of pairs that have any: over the pairs of
        any item and one of up to 64 items, taken at equal distances in the order of names; so over all pairs of up to
        64 items.  NaN or 0 with fewer than two items
    between_raters: share of the variance of item means (counted once a rating) that lies between the sets of items
        which raters rated: what normalising each rater takes away.  0 where everyone rated everything, NaN where
        items do not differ
    between_raters_by_chance: about what that share would be, had raters been given items at random
    warning: a sentence where scores of normalised raters (z-scores) cannot be compared between items; else None
    """

    dimension: str
    items: int
    raters: int
    ratings: int
    fill: float
    parts: tuple[tuple[int, int], ...]
    ratings_per_item_cv: float
    ratings_per_rater_cv: float
    mean_common_raters: float
    least_common_raters: int
    pairs_with_common_raters: float
    between_raters: float
    between_raters_by_chance: float
    warning: str | None


def report(ratings: Ratings) -> list[Connectivity]:
    """The connectivity of every dimension, in their order; time and memory are linear in the ratings."""
    once = ratings.select(first_ratings(ratings))
    everything = np.ones(len(once), bool)
    label = _labels(once, everything, _used(once))[once.rater_keys()]
    found = []
    for position, name in enumerate(ratings.dimensions.to_pylist()):
        rows = np.flatnonzero(once.dimension == position)
        found.append(_connectivity(name, once.select(rows), label[rows]))
    return found


def _connectivity(name: str, once: Ratings, label: np.ndarray) -> Connectivity:
    """once: ratings of one dimension; label: [N] the part of each."""
    items, item = np.unique(once.item, return_inverse=True)
    raters, rater = np.unique(once.rater, return_inverse=True)
    per_item, per_rater = np.bincount(item), np.bincount(rater)
    least, sharing = _common_raters(item, rater)
    parts = _parts(item, rater, label)
    between, chance = _between(once.score, item, rater)
    cells = len(items) * len(raters)
    return Connectivity(
        dimension=name,
        items=len(items),
        raters=len(raters),
        ratings=len(once),
        fill=len(once) / cells if cells else 0.0,
        parts=parts,
        ratings_per_item_cv=_variation(per_item),
        ratings_per_rater_cv=_variation(per_rater),
        mean_common_raters=_ratio((per_rater * (per_rater - 1)).sum(), len(items) * (len(items) - 1)),
        least_common_raters=least,
        pairs_with_common_raters=sharing,
        between_raters=between,
        between_raters_by_chance=chance,
        warning=_warning(name, len(parts), between, chance),
    )


def _common_raters(item: np.ndarray, rater: np.ndarray) -> tuple[int, float]:
    """`least_common_raters` and `pairs_with_common_raters`; item: [N] ascending."""
    items = int(item.max(initial=-1)) + 1
    if items < 2:
        return 0, np.nan
    least, sharing = len(item), 0
    chosen = np.unique(np.linspace(0, items - 1, _ITEMS_COMPARED).round().astype(np.intp))
    for one in chosen:
        rated = np.zeros(int(rater.max()) + 1, bool)
        rated[rater[slice(*np.searchsorted(item, [one, one + 1]))]] = True
        common = np.delete(np.bincount(item, rated[rater], items), one)
        least = min(least, int(common.min()))
        sharing += int(np.count_nonzero(common))
    return least, sharing / (len(chosen) * (items - 1))


def _parts(item: np.ndarray, rater: np.ndarray, label: np.ndarray) -> tuple[tuple[int, int], ...]:
    names, part = np.unique(label, return_inverse=True)
    of_rater, of_item = (np.zeros(int(codes.max(initial=-1)) + 1, np.intp) for codes in (rater, item))
    of_rater[rater], of_item[item] = part, part
    counts = (np.bincount(of, minlength=len(names)).tolist() for of in (of_rater, of_item))
    return tuple(sorted(zip(*counts, strict=True), key=lambda sizes: (-sizes[1], -sizes[0])))


def _between(score: np.ndarray, item: np.ndarray, rater: np.ndarray) -> tuple[float, float]:
    """`between_raters` and `between_raters_by_chance`; item, rater: [N] in 0..items-1 and 0..raters-1."""
    items, raters = int(item.max(initial=-1)) + 1, int(rater.max(initial=-1)) + 1
    means = moments(score, item, items).mean[item]
    total = float(moments(means, np.zeros_like(item), 1).ss[0])
    if total == 0:
        return np.nan, np.nan
    inside = float(moments(means, rater, raters).ss.sum())
    # Of N - 1 degrees of freedom raters - 1 lie between raters; and none where nobody leaves an item out.
    chance = (raters - 1) / (len(score) - 1) * (1 - len(score) / (raters * items))
    return max(0.0, 1 - inside / total), chance


def _variation(counts: np.ndarray) -> float:
    return _ratio(float(counts.std()), float(counts.mean())) if len(counts) else np.nan


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan


def _warning(name: str, parts: int, between: float, chance: float) -> str | None:
    if parts > 1:
        return (
            f"In {name} the raters fall into {parts} groups that rated no item in common: normalising each rater "
            "removes the difference between the groups' items, so their scores cannot be compared across groups."
        )
    if not between - chance > _MUCH:
        return None
    return (
        f"In {name} raters were given items of different quality: {100 * between:.0f} % of the variance between items "
        f"lies between the raters' sets of items, and {100 * chance:.0f} % would by chance; normalising each rater "
        "takes it away, so prefer a method without, such as the plain mean or bias removal."
    )


def first_ratings(ratings: Ratings) -> np.ndarray:
    """[N] bool, whether a rating is the rater's first of the item in the dimension."""
    first: np.ndarray = np.ones(len(ratings), bool)
    group = ratings.groups()
    first[1:] = (group[1:] != group[:-1]) | (ratings.rater[1:] != ratings.rater[:-1])
    return first


def components(ratings: Ratings, kept: np.ndarray, used: np.ndarray) -> dict[str, int]:
    """For every dimension, into how many parts without a common item the raters fall.

    1 is good; 0 means no ratings.

    kept: [N] bool, which ratings count; used: [raters, dimensions] bool, whether one of the rater's does
    """
    parts = _count(_labels(ratings, kept, used), used)
    return dict(zip(ratings.dimensions.to_pylist(), parts.tolist(), strict=True))


def _used(ratings: Ratings) -> np.ndarray:
    used: np.ndarray = np.zeros((len(ratings.raters), len(ratings.dimensions)), bool)
    used.ravel()[ratings.rater_keys()] = True
    return used


def _count(label: np.ndarray, used: np.ndarray) -> np.ndarray:
    """[dimensions] how many parts there are."""
    return (used & (label == np.arange(len(label))).reshape(used.shape)).sum(axis=0)


def _labels(ratings: Ratings, kept: np.ndarray, used: np.ndarray) -> np.ndarray:
    """[raters * dimensions] the smallest rater key of the part of each; see `components`."""
    raters, dimensions = used.shape
    label: np.ndarray = np.arange(raters * dimensions)
    before: np.ndarray = np.zeros(0, np.int64)
    start, size = 0, _FIRST_ROWS  # a few items mostly tell that there is one part
    while start < len(kept) and _count(label, used).max() > 1:
        rows = np.append(before, start + np.flatnonzero(kept[start : start + size]))
        label = _joined(label, *_neighbours(ratings, rows, dimensions, len(label)))
        before, start, size = rows[-1:], start + size, 2 * size
    return label


def _neighbours(ratings: Ratings, rows: np.ndarray, dimensions: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The nodes of any two rows that follow each other and rate the same: the ratings are ordered by what they rate."""
    dimension = ratings.dimension[rows].astype(np.int64)
    group = ratings.item[rows].astype(np.int64) * dimensions + dimension
    node = ratings.rater[rows].astype(np.int64) * dimensions + dimension
    same = group[1:] == group[:-1]
    return np.divmod(_distinct(node[:-1][same] * nodes + node[1:][same], nodes**2), nodes)


def _joined(label: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The labels after joining nodes `one` to nodes `other`; a label is the smallest node of its part."""
    while True:
        ends = np.sort([label[one], label[other]], axis=0)
        if (ends[0] == ends[1]).all():
            return label
        np.minimum.at(label, ends[1], ends[0])
        while (label[label] != label).any():
            label = label[label]


def _distinct(codes: np.ndarray, bound: int) -> np.ndarray:
    """The distinct values of `codes`, all below `bound`, sorted; without sorting where a table of them is small."""
    if bound > len(codes) + 1_000_000:
        return np.unique(codes)
    present = np.zeros(bound, bool)
    present[codes] = True
    return np.flatnonzero(present)

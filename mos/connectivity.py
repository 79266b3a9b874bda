"""The graph of raters and the items that they rated: whether scores of different items can be compared at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments
from mos.ratings import Ratings

_FIRST_ROWS = 16_384
_ITEMS_COMPARED = 64
_MAX_EXCESS_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Connectivity:
    """How items and raters are connected in one dimension; repeated ratings count once.

    items, raters, ratings: counts; fill: ratings as a share of items times raters
    parts: raters and items of every connected component, the one with the most items first; none without ratings
    ratings_per_item_cv, ratings_per_rater_cv: coefficient of variation (population SD / mean); 0 is balanced
    mean_common_raters: mean number of raters that two items share, over all pairs of items
    least_common_raters, pairs_with_common_raters: the smallest number, and the share of pairs with any, over the pairs
        of any item and one of up to 64 items at equal distances in the order of names (all pairs for up to 64 items);
        NaN or 0 with fewer than two items
    between_raters: share of the variance of item means (weighted by ratings) between the raters' sets of items, which
        normalising each rater removes; 0 if every rater rated every item, NaN if items do not differ
    between_raters_by_chance: approximate value of that share if items were assigned to raters at random
    warning: a sentence if scores of normalised raters (z-scores) cannot be compared between items, else None
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


def report_connectivity(ratings: Ratings) -> list[Connectivity]:
    """Report the connectivity of every dimension; time and memory are linear in the number of ratings.

    Parameters
    ----------
    ratings
        The ratings of a study.

    Returns
    -------
    list of Connectivity
        One for each dimension, in the order of `ratings.dimensions`.
    """
    once = ratings.select(mask_first_ratings(ratings))
    everything = np.ones(len(once), bool)
    label = _label_parts(once, everything, _mark_used_raters(once))[once.rater_keys()]
    reports = []
    for position, name in enumerate(ratings.dimensions.to_pylist()):
        rows = np.flatnonzero(once.dimension == position)
        reports.append(_dimension_connectivity(name, once.select(rows), label[rows]))
    return reports


def _dimension_connectivity(name: str, once: Ratings, label: NDArray[Any]) -> Connectivity:
    """once: ratings of one dimension; label: [N] the part of each."""
    items, item = np.unique(once.item, return_inverse=True)
    raters, rater = np.unique(once.rater, return_inverse=True)
    per_item, per_rater = np.bincount(item), np.bincount(rater)
    least, sharing = _count_common_raters(item, rater)
    parts = _part_sizes(item, rater, label)
    between, chance = _between_raters_share(once.score, item, rater)
    cells = len(items) * len(raters)
    return Connectivity(
        dimension=name,
        items=len(items),
        raters=len(raters),
        ratings=len(once),
        fill=len(once) / cells if cells else 0.0,
        parts=parts,
        ratings_per_item_cv=_coefficient_of_variation(per_item),
        ratings_per_rater_cv=_coefficient_of_variation(per_rater),
        mean_common_raters=_safe_ratio((per_rater * (per_rater - 1)).sum(), len(items) * (len(items) - 1)),
        least_common_raters=least,
        pairs_with_common_raters=sharing,
        between_raters=between,
        between_raters_by_chance=chance,
        warning=_connectivity_warning(name, len(parts), between, chance),
    )


def _count_common_raters(item: NDArray[Any], rater: NDArray[Any]) -> tuple[int, float]:
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


def _part_sizes(item: NDArray[Any], rater: NDArray[Any], label: NDArray[Any]) -> tuple[tuple[int, int], ...]:
    names, part = np.unique(label, return_inverse=True)
    of_rater, of_item = (np.zeros(int(codes.max(initial=-1)) + 1, np.intp) for codes in (rater, item))
    of_rater[rater], of_item[item] = part, part
    counts = (np.bincount(of, minlength=len(names)).tolist() for of in (of_rater, of_item))
    return tuple(sorted(zip(*counts, strict=True), key=lambda sizes: (-sizes[1], -sizes[0])))


def _between_raters_share(score: NDArray[Any], item: NDArray[Any], rater: NDArray[Any]) -> tuple[float, float]:
    """`between_raters` and `between_raters_by_chance`; item, rater: [N] in 0..items-1 and 0..raters-1."""
    items, raters = int(item.max(initial=-1)) + 1, int(rater.max(initial=-1)) + 1
    means = group_moments(score, item, items).mean[item]
    total = float(group_moments(means, np.zeros_like(item), 1).ss[0])
    if total == 0:
        return np.nan, np.nan
    inside = float(group_moments(means, rater, raters).ss.sum())
    # raters - 1 of the N - 1 degrees of freedom lie between raters; none if every rater rated every item.
    chance = (raters - 1) / (len(score) - 1) * (1 - len(score) / (raters * items))
    return max(0.0, 1 - inside / total), chance


def _coefficient_of_variation(counts: NDArray[Any]) -> float:
    return _safe_ratio(float(counts.std()), float(counts.mean())) if len(counts) else np.nan


def _safe_ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan


def _connectivity_warning(name: str, parts: int, between: float, chance: float) -> str | None:
    if parts > 1:
        return (
            f"In {name} the raters fall into {parts} groups that rated no item in common: normalising each rater "
            "removes the difference between the groups' items, so their scores cannot be compared across groups."
        )
    if not between - chance > _MAX_EXCESS_SHARE:
        return None
    return (
        f"In {name} raters rated items of different quality: {100 * between:.0f} % of the variance between items lies "
        f"between the raters' sets of items ({100 * chance:.0f} % expected by chance). Normalising each rater removes "
        "it: prefer a method without normalisation, such as the plain mean or bias removal."
    )


def mask_first_ratings(ratings: Ratings) -> NDArray[Any]:
    """[N] bool, whether a rating is the rater's first of the item in the dimension."""
    first: NDArray[Any] = np.ones(len(ratings), bool)
    group = ratings.groups()
    first[1:] = (group[1:] != group[:-1]) | (ratings.rater[1:] != ratings.rater[:-1])
    return first


def count_rater_parts(ratings: Ratings, kept: NDArray[Any], used: NDArray[Any]) -> dict[str, int]:
    """Count, for every dimension, the parts of the raters that share no item.

    Parameters
    ----------
    ratings
        N ratings of a study.
    kept
        [N] bool, which ratings count.
    used
        [raters, dimensions] bool, whether any rating of the rater counts.

    Returns
    -------
    dict
        From the name of the dimension to the number of parts: 1 if all scores can be compared, 0 without ratings.
    """
    parts = _count_parts(_label_parts(ratings, kept, used), used)
    return dict(zip(ratings.dimensions.to_pylist(), parts.tolist(), strict=True))


def count_components(nodes: int, one: NDArray[Any], other: NDArray[Any]) -> int:
    """Count the connected components of an undirected graph.

    Parameters
    ----------
    nodes
        Number of nodes, numbered from 0.
    one, other
        [edges] int, the two nodes of each edge.

    Returns
    -------
    int
        Number of components; a node without an edge is one.

    Examples
    --------
    >>> count_components(5, np.array([0, 1]), np.array([1, 2]))
    3
    """
    label = _join_labels(np.arange(nodes), one, other)
    return int(np.count_nonzero(label == np.arange(nodes)))


def _mark_used_raters(ratings: Ratings) -> NDArray[Any]:
    used: NDArray[Any] = np.zeros((len(ratings.raters), len(ratings.dimensions)), bool)
    used.ravel()[ratings.rater_keys()] = True
    return used


def _count_parts(label: NDArray[Any], used: NDArray[Any]) -> NDArray[Any]:
    """[dimensions] how many parts there are."""
    parts: NDArray[Any] = (used & (label == np.arange(len(label))).reshape(used.shape)).sum(axis=0)
    return parts


def _label_parts(ratings: Ratings, kept: NDArray[Any], used: NDArray[Any]) -> NDArray[Any]:
    """[raters * dimensions] the smallest rater key of the part of each; see `_join_labels`."""
    raters, dimensions = used.shape
    label: NDArray[Any] = np.arange(raters * dimensions)
    before: NDArray[Any] = np.zeros(0, np.int64)
    start, size = 0, _FIRST_ROWS  # the first rows are usually enough to see one part
    while start < len(kept) and _count_parts(label, used).max() > 1:
        rows = np.append(before, start + np.flatnonzero(kept[start : start + size]))
        label = _join_labels(label, *_find_neighbours(ratings, rows, dimensions, len(label)))
        before, start, size = rows[-1:], start + size, 2 * size
    return label


def _find_neighbours(
    ratings: Ratings, rows: NDArray[Any], dimensions: int, nodes: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The nodes of neighbouring rows that rate the same item; ratings are ordered by item and dimension."""
    dimension = ratings.dimension[rows].astype(np.int64)
    group = ratings.item[rows].astype(np.int64) * dimensions + dimension
    node = ratings.rater[rows].astype(np.int64) * dimensions + dimension
    same = group[1:] == group[:-1]
    return np.divmod(_distinct_codes(node[:-1][same] * nodes + node[1:][same], nodes**2), nodes)


def _join_labels(label: NDArray[Any], one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """The labels after joining nodes `one` to nodes `other`; a label is the smallest node of its part."""
    # Not scipy.sparse.csgraph: its import takes 0.3 s, a third of `editfhf mos score`, and every scoring comes here.
    while True:
        ends = np.sort([label[one], label[other]], axis=0)
        if (ends[0] == ends[1]).all():
            return label
        np.minimum.at(label, ends[1], ends[0])
        while (label[label] != label).any():
            label = label[label]


def _distinct_codes(codes: NDArray[Any], bound: int) -> NDArray[Any]:
    """The distinct values of `codes`, all below `bound`, ascending; counted without sorting if `bound` is small."""
    if bound > len(codes) + 1_000_000:
        distinct: NDArray[Any] = np.unique(codes)
        return distinct
    present = np.zeros(bound, bool)
    present[codes] = True
    return np.flatnonzero(present)

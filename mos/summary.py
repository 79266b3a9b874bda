"""What happened, in counts and in sentences: the things that a table of scores alone would hide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mos.result import KEPT, OUTLIER, STATUSES
from mos.table import Ratings

_MANY_EXCLUDED = 0.2


def summarise(
    ratings: Ratings,
    status: np.ndarray,
    kept: np.ndarray,
    scores: pa.Table,
    raters: pa.Table,
    chance: np.ndarray,
    given: np.ndarray,
) -> dict[str, Any]:
    """`Result.summary`.

    kept: rows of the ratings with status kept
    chance: [items * dimensions] probability that a rating of the group is flagged, were all raters alike and Gaussian
    given: [items * dimensions] ratings of the group
    """
    fates = np.bincount(status, minlength=len(STATUSES))
    total = len(ratings)
    mos = scores["mos"]
    outside = pc.sum(pc.or_(pc.less(mos, 0), pc.greater(mos, 100))).as_py() or 0
    powerless = (given > 0) & (chance == 0)
    counts: dict[str, Any] = {
        "items": len(ratings.items),
        "dimensions": len(ratings.dimensions),
        "raters": len(ratings.raters),
        "ratings": total,
        "ratings_by_status": dict(zip(STATUSES, fates.tolist(), strict=True)),
        "share_removed": float(1 - fates[KEPT] / total) if total else 0.0,
        "outlier_share": float(fates[OUTLIER] / total) if total else 0.0,
        "expected_outlier_share": float(np.dot(chance, given) / total) if total else 0.0,
        "raters_excluded": pc.sum(raters["excluded"]).as_py() or 0,
        "raters_by_reason": _reasons(raters["reason"]),
        "scores": len(mos) - mos.null_count,
        "no_score_by_reason": _reasons(scores["reason"]),
        "scores_out_of_range": outside,
        "groups_without_screening_power": int(powerless.sum()),
        "components": components(ratings, kept),
    }
    return counts | {"warnings": _warnings(ratings, counts, int((given > 0).sum()))}


def components(ratings: Ratings, kept: np.ndarray) -> dict[str, int]:
    """For every dimension, into how many parts without a common item the raters of rows `kept` fall.

    1 is good; 0 means no ratings.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    raters, names = len(ratings.raters), ratings.dimensions.to_pylist()
    rater, dimension = ratings.rater[kept].astype(np.int64), ratings.dimension[kept]
    # One rater stands for each item: raters joined to that one are joined to each other.
    group = ratings.item[kept].astype(np.int64) * len(names) + dimension
    stands = np.zeros(len(ratings.items) * len(names), np.int64)
    stands[group] = rater
    edges = _distinct((dimension * raters + stands[group]) * raters + rater, len(names) * raters**2)
    at, (one, other) = edges // max(raters, 1) ** 2, np.divmod(edges % max(raters, 1) ** 2, max(raters, 1))
    parts: dict[str, int] = {}
    for number, name in enumerate(names):
        ends = one[at == number], other[at == number]
        graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(raters, raters))
        found = connected_components(graph, directed=False)[0] if raters else 0
        parts[name] = int(found) - (raters - len(np.union1d(*ends)))  # a rater without ratings is no part
    return parts


def _distinct(codes: np.ndarray, bound: int) -> np.ndarray:
    """The distinct values of `codes`, all below `bound`, sorted; without sorting where a table of them is small."""
    if bound > len(codes) + 1_000_000:
        return np.unique(codes)
    present = np.zeros(bound, bool)
    present[codes] = True
    return np.flatnonzero(present)


def _reasons(column: pa.ChunkedArray) -> dict[str, int]:
    counted = column.drop_null().value_counts().to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counted, key=lambda entry: entry["values"])}


def _warnings(ratings: Ratings, counts: dict[str, Any], groups: int) -> list[str]:
    found = [_on_raters(counts), _on_power(counts, groups), _on_range(counts), *_on_parts(counts["components"])]
    found += [_on_case(ratings.items, "items"), _on_case(ratings.raters, "raters")]
    return [sentence for sentence in found if sentence]


def _on_raters(counts: dict[str, Any]) -> str | None:
    excluded = counts["raters_by_reason"].get("outlier_share", 0)
    rated = counts["raters"] - counts["raters_by_reason"].get("no_ratings", 0)
    null = f"{100 * counts['expected_outlier_share']:.1f} %"
    if counts["ratings"] and not counts["ratings_by_status"]["kept"]:
        return (
            f"None of the {counts['ratings']} ratings is left and there are no scores: {excluded} of {rated} raters "
            f"had too many outliers (expected of raters who are all alike: {null} of their ratings) and the others "
            "cannot be normalised; look at the table of raters."
        )
    if excluded <= _MANY_EXCLUDED * rated:
        return None
    return (
        f"{excluded} of {rated} raters were excluded for their share of outliers, while raters who are all alike "
        f"would have {null} outliers by chance alone: careful raters may be among them; look at the table of raters."
    )


def _on_power(counts: dict[str, Any], groups: int) -> str | None:
    powerless = counts["groups_without_screening_power"]
    if not powerless:
        return None
    return (
        f"{powerless} of {groups} combinations of item and dimension have too few ratings for any to be an outlier, "
        "however far off; nothing was screened there."
    )


def _on_range(counts: dict[str, Any]) -> str | None:
    outside = counts["scores_out_of_range"]
    return f"{outside} of {counts['scores']} scores lie outside 0 to 100; they are not clipped." if outside else None


def _on_parts(parts: dict[str, int]) -> list[str]:
    return [
        f"In {name} the raters fall into {number} groups that rated no item in common: normalising each rater removes "
        "the difference between the groups' items, so their scores cannot be compared across groups."
        for name, number in parts.items()
        if number > 1
    ]


def _on_case(labels: pa.StringArray, what: str) -> str | None:
    alike = len(labels) - pc.count_distinct(pc.utf8_lower(labels)).as_py()
    return f"{alike} ids of {what} differ from another one only in capital letters; check them." if alike else None

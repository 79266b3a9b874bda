"""What happened, in counts and in sentences: the things that a table of scores alone would hide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mos.result import KEPT, NO_SCORE, NOT_USED, OUTLIER, STATUSES
from mos.table import Ratings

_MANY_EXCLUDED = 0.2


class Figures(NamedTuple):
    """What the summary is made of.

    fates: [statuses] ratings of each status
    mos: [items * dimensions] score points
    no_score, not_used: see `mos.result.why_no_score` and `why_not_used`
    given: [items * dimensions] ratings before anything was removed
    chance: [items * dimensions] probability that one of them is flagged, were all raters alike and Gaussian
    false_exclusions: see `mos.screening.chance.expected_exclusions`
    components: see `mos.connectivity.components`
    """

    fates: np.ndarray
    mos: np.ndarray
    no_score: np.ndarray
    not_used: np.ndarray
    given: np.ndarray
    chance: np.ndarray
    false_exclusions: float
    components: dict[str, int]


def summarise(ratings: Ratings, figures: Figures) -> dict[str, Any]:
    """`Result.summary`."""
    fates, given, chance = figures.fates, figures.given, figures.chance
    total = len(ratings)
    mos = figures.mos[figures.no_score < 0]
    counts: dict[str, Any] = {
        "items": len(ratings.items),
        "dimensions": len(ratings.dimensions),
        "raters": len(ratings.raters),
        "ratings": total,
        "ratings_by_status": dict(zip(STATUSES, fates.tolist(), strict=True)),
        "share_removed": float(1 - fates[KEPT] / total) if total else 0.0,
        "outlier_share": float(fates[OUTLIER] / total) if total else 0.0,
        "expected_outlier_share": float((chance * given).sum() / total) if total else 0.0,
        "raters_excluded": int((figures.not_used > 0).sum()),
        "expected_false_exclusions": figures.false_exclusions,
        "raters_by_reason": _reasons(NOT_USED, figures.not_used),
        "scores": len(mos),
        "no_score_by_reason": _reasons(NO_SCORE, figures.no_score),
        "scores_out_of_range": int(((mos < 0) | (mos > 100)).sum()),
        "groups_without_screening_power": int(((given > 0) & (chance == 0)).sum()),
        "components": figures.components,
    }
    return counts | {"warnings": _warnings(ratings, counts, int((given > 0).sum()))}


def _reasons(names: Sequence[str], position: np.ndarray) -> dict[str, int]:
    counts = np.bincount(position[position >= 0], minlength=len(names)).tolist()
    return {name: count for name, count in sorted(zip(names, counts, strict=True)) if count}


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
    if not excluded:
        return None
    many = ": careful raters may be among them" if excluded > _MANY_EXCLUDED * rated else ""
    return (
        f"{excluded} of {rated} raters were excluded for their share of outliers; raters who are all alike would have "
        f"{null} outliers by chance alone, and {counts['expected_false_exclusions']:.1f} of them would be "
        f"excluded{many}; look at the table of raters."
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

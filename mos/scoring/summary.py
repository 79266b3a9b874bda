"""What happened, in counts and in sentences: the things that a table of scores alone would hide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mos.ratings import Ratings
from mos.scoring.estimate import KEPT, STATUSES, Null
from mos.scoring.result import FALLBACK, NO_SCORE, NOT_USED

_MANY_EXCLUDED = 0.2
# From here a rating's rank says something: of five, none is two sample deviations from the mean of the five.
_FEW_RATINGS = 6
_FEW_FOR_KURTOSIS = 21
RULES = {
    "outlier_share": "for their share of outliers",
    "bt500": "by the rule of BT.500",
    "correlation": "for their low correlation with the others",
}


class Cases(NamedTuple):
    """How many of what a rule could exclude it did: raters, or combinations of rater and dimension."""

    what: str
    excluded: int
    judged: int


class Figures(NamedTuple):
    """What the summary is made of.

    fates: [statuses] ratings of each status
    flagged: ratings that the method counts against raters; None where it counts nothing
    cases: see `Cases`
    outside: scores out of `bounds`; clipped: whether they were cut to it
    reason, not_used: see `mos.scoring.result.why_no_score` and `why_not_used`
    rated: [items * dimensions] ratings before anything was removed
    null: what chance alone would do, where that is known
    components: see `mos.connectivity.components`
    notes: sentences of the method
    normalises: whether every rater's ratings are brought to one mean
    """

    fates: np.ndarray
    flagged: int | None
    cases: Cases
    outside: int
    bounds: tuple[float, float]
    clipped: bool
    reason: np.ndarray
    not_used: np.ndarray
    rated: np.ndarray
    null: Null | None
    components: dict[str, int]
    notes: list[str]
    normalises: bool


def summarise(ratings: Ratings, exclusion: str, figures: Figures) -> dict[str, Any]:
    """`Result.summary`.  exclusion: the rule by which raters are excluded, one of `RULES`."""
    fates, rated, null = figures.fates, figures.rated, figures.null
    total = len(ratings)
    counts: dict[str, Any] = {
        "items": len(ratings.items),
        "dimensions": len(ratings.dimensions),
        "raters": len(ratings.raters),
        "ratings": total,
        "ratings_by_status": dict(zip(STATUSES, fates.tolist(), strict=True)),
        "share_removed": float(1 - fates[KEPT] / total) if total else 0.0,
        "outlier_share": None if figures.flagged is None else figures.flagged / max(total, 1),
        "expected_outlier_share": None if null is None else float((null.chance * rated).sum() / max(total, 1)),
        "raters_excluded": int((figures.not_used > 0).sum()),
        "exclusions": figures.cases.excluded,
        "expected_false_exclusions": None if null is None or np.isnan(null.exclusions) else null.exclusions,
        "raters_by_reason": _reasons(NOT_USED, figures.not_used),
        "scores": int(((figures.reason < 0) | (figures.reason == FALLBACK)).sum()),
        "no_score_by_reason": _reasons(NO_SCORE, figures.reason),
        "scores_out_of_range": figures.outside,
        "groups_without_screening_power": None if null is None else int(((rated > 0) & (null.chance == 0)).sum()),
        "groups_with_fewer_than_6_ratings": int(((rated > 0) & (rated < _FEW_RATINGS)).sum()),
        "groups_with_fewer_than_21_ratings": int(((rated > 0) & (rated < _FEW_FOR_KURTOSIS)).sum()),
        "components": figures.components,
    }
    return counts | {"warnings": _warnings(ratings, exclusion, counts, figures)}


def _reasons(names: Sequence[str], position: np.ndarray) -> dict[str, int]:
    counts = np.bincount(position[position >= 0], minlength=len(names)).tolist()
    return {name: count for name, count in sorted(zip(names, counts, strict=True)) if count}


def _warnings(ratings: Ratings, exclusion: str, counts: dict[str, Any], figures: Figures) -> list[str]:
    groups = int((figures.rated > 0).sum())
    found = [
        _on_raters(counts, exclusion, figures.cases),
        _on_power(counts, groups, exclusion),
        _on_range(counts, figures),
    ]
    found += [*_on_parts(counts["components"], figures.normalises), *figures.notes]
    found += [_on_case(ratings.items, "items"), _on_case(ratings.raters, "raters")]
    return [sentence for sentence in found if sentence]


def _on_raters(counts: dict[str, Any], exclusion: str, cases: Cases) -> str | None:
    share = counts["expected_outlier_share"]
    null = "" if share is None else f"{100 * share:.1f} %"
    if counts["ratings"] and not counts["ratings_by_status"]["kept"]:
        why = _why_none_is_left(counts["raters_by_reason"], exclusion, cases, null)
        return (
            f"None of the {counts['ratings']} ratings is left and there are no scores: {why}; look at the table of "
            "raters."
        )
    if not cases.excluded:
        return None
    many = ": careful raters may be among them" if cases.excluded > _MANY_EXCLUDED * cases.judged else ""
    false = counts["expected_false_exclusions"]
    alike = (
        f"; raters who are all alike would have {null} outliers by chance alone, and {false:.1f} of them would be "
        "excluded"
        if null and false is not None
        else ""
    )
    return f"{_told(cases, exclusion)}{alike}{many}; look at the table of raters."


def _told(cases: Cases, exclusion: str) -> str:
    return f"{cases.excluded} of {cases.judged} {cases.what} were excluded {RULES[exclusion]}"


def _why_none_is_left(reasons: dict[str, int], exclusion: str, cases: Cases, null: str) -> str:
    alike = f" (raters who are all alike would have {null} outliers)" if null else ""
    why = [_told(cases, exclusion) + alike] if cases.excluded else []
    for reason, did in (("constant", "gave the same score to everything"), ("too_few", "have too few ratings left")):
        if reasons.get(reason):
            why.append(f"{reasons[reason]} raters {did}")
    return " and ".join(why)


def _on_power(counts: dict[str, Any], groups: int, exclusion: str) -> str | None:
    powerless, few = counts["groups_without_screening_power"], counts["groups_with_fewer_than_21_ratings"]
    if powerless:
        return (
            f"{powerless} of {groups} combinations of item and dimension have too few ratings for any to be an "
            "outlier, however far off; nothing was screened there."
        )
    if exclusion == "bt500" and few:
        return (
            f"{few} of {groups} combinations of item and dimension have fewer than {_FEW_FOR_KURTOSIS} ratings: where "
            "their kurtosis is not between 2 and 4, as one gross outlier makes it, BT.500 can flag none of them."
        )
    return None


def _on_range(counts: dict[str, Any], figures: Figures) -> str | None:
    low, high = figures.bounds
    fate = "were cut to it" if figures.clipped else "are not clipped"
    outside = figures.outside
    return f"{outside} of {counts['scores']} scores lie outside {low:g} to {high:g}; they {fate}." if outside else None


def _on_parts(parts: dict[str, int], normalises: bool) -> list[str]:
    if not normalises:
        return []
    return [
        f"In {name} the raters fall into {number} groups that rated no item in common: normalising each rater removes "
        "the difference between the groups' items, so their scores cannot be compared across groups."
        for name, number in parts.items()
        if number > 1
    ]


def _on_case(labels: pa.StringArray, what: str) -> str | None:
    lowered = pc.utf8_lower(labels)
    alike = 0 if lowered.equals(labels) else len(labels) - pc.count_distinct(lowered).as_py()
    return f"{alike} ids of {what} differ from another one only in capital letters; check them." if alike else None

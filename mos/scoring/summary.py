"""The summary of a scoring: counts of ratings, raters and scores, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mos.ratings import Ratings
from mos.scoring.estimate import RATING_KEPT, RATING_STATUSES, ChanceModel
from mos.scoring.result import FALLBACK_REASON, NO_SCORE_REASONS, NOT_USED_REASONS

_MANY_EXCLUDED_SHARE = 0.2
# With five ratings or fewer, none can be two sample deviations from their mean.
_FEW_RATINGS = 6
_FEW_FOR_KURTOSIS = 21
EXCLUSION_RULES = {
    "outlier_share": "for their share of outliers",
    "bt500": "by the rule of BT.500",
    "correlation": "for their low correlation with the others",
}


class ExclusionCounts(NamedTuple):
    """Number of raters, or combinations of rater and dimension (`what`), that a rule judged and excluded."""

    what: str
    excluded: int
    judged: int


class SummaryFigures(NamedTuple):
    """The figures from which the summary is made.

    statuses: [statuses] ratings of each status
    flagged: ratings that the method counts against raters; None where it counts nothing
    cases: raters that the rule judged and excluded
    outside: scores out of `bounds`; clipped: whether they were cut to it
    reason, not_used: see `mos.scoring.result.no_score_reasons` and `not_used_reasons`
    rated: [items * dimensions] ratings before anything was removed
    null: expected result by chance; None where it is not known
    components: see `mos.connectivity.count_rater_parts`
    notes: warnings of the method
    normalises: whether every rater's ratings are brought to one mean
    """

    statuses: NDArray[Any]
    flagged: int | None
    cases: ExclusionCounts
    outside: int
    bounds: tuple[float, float]
    clipped: bool
    reason: NDArray[Any]
    not_used: NDArray[Any]
    rated: NDArray[Any]
    null: ChanceModel | None
    components: dict[str, int]
    notes: list[str]
    normalises: bool


def summarise_scoring(ratings: Ratings, exclusion: str, figures: SummaryFigures) -> dict[str, Any]:
    """Make the summary of a result.

    Parameters
    ----------
    ratings : Ratings
    exclusion : str
        Rule that excludes raters, one of `EXCLUSION_RULES`, or "".
    figures : SummaryFigures

    Returns
    -------
    dict
        JSON values; see `ScoringResult.summary`.
    """
    statuses, rated, null = figures.statuses, figures.rated, figures.null
    total = len(ratings)
    counts: dict[str, Any] = {
        "items": len(ratings.items),
        "dimensions": len(ratings.dimensions),
        "raters": len(ratings.raters),
        "ratings": total,
        "ratings_by_status": dict(zip(RATING_STATUSES, statuses.tolist(), strict=True)),
        "share_removed": float(1 - statuses[RATING_KEPT] / total) if total else 0.0,
        "outlier_share": None if figures.flagged is None else figures.flagged / max(total, 1),
        "expected_outlier_share": None if null is None else float((null.chance * rated).sum() / max(total, 1)),
        "raters_excluded": int((figures.not_used > 0).sum()),
        "exclusions": figures.cases.excluded,
        "expected_false_exclusions": None if null is None or np.isnan(null.exclusions) else null.exclusions,
        "raters_by_reason": _count_reasons(NOT_USED_REASONS, figures.not_used),
        "scores": int(((figures.reason < 0) | (figures.reason == FALLBACK_REASON)).sum()),
        "no_score_by_reason": _count_reasons(NO_SCORE_REASONS, figures.reason),
        "scores_out_of_range": figures.outside,
        "groups_without_screening_power": None if null is None else int(((rated > 0) & (null.chance == 0)).sum()),
        "groups_with_fewer_than_6_ratings": int(((rated > 0) & (rated < _FEW_RATINGS)).sum()),
        "groups_with_fewer_than_21_ratings": int(((rated > 0) & (rated < _FEW_FOR_KURTOSIS)).sum()),
        "components": figures.components,
    }
    return counts | {"warnings": _collect_warnings(ratings, exclusion, counts, figures)}


def _count_reasons(names: Sequence[str], position: NDArray[Any]) -> dict[str, int]:
    counts = np.bincount(position[position >= 0], minlength=len(names)).tolist()
    return {name: count for name, count in sorted(zip(names, counts, strict=True)) if count}


def _collect_warnings(ratings: Ratings, exclusion: str, counts: dict[str, Any], figures: SummaryFigures) -> list[str]:
    groups = int((figures.rated > 0).sum())
    found = [
        _exclusion_warning(counts, exclusion, figures.cases),
        _power_warning(counts, groups, exclusion),
        _range_warning(counts, figures),
    ]
    found += [*_component_warnings(counts["components"], figures.normalises), *figures.notes]
    found += [_letter_case_warning(ratings.items, "items"), _letter_case_warning(ratings.raters, "raters")]
    return [sentence for sentence in found if sentence]


def _exclusion_warning(counts: dict[str, Any], exclusion: str, cases: ExclusionCounts) -> str | None:
    share = counts["expected_outlier_share"]
    null = "" if share is None else f"{100 * share:.1f} %"
    if counts["ratings"] and not counts["ratings_by_status"]["kept"]:
        why = _no_ratings_left_phrase(counts["raters_by_reason"], exclusion, cases, null)
        return (
            f"None of the {counts['ratings']} ratings is left and there are no scores: {why}; look at the table of "
            "raters."
        )
    if not cases.excluded:
        return None
    many = ": careful raters may be among them" if cases.excluded > _MANY_EXCLUDED_SHARE * cases.judged else ""
    false = counts["expected_false_exclusions"]
    alike = (
        f"; raters who are all alike would have {null} outliers by chance alone, and {false:.1f} of them would be "
        "excluded"
        if null and false is not None
        else ""
    )
    return f"{_exclusion_phrase(cases, exclusion)}{alike}{many}; look at the table of raters."


def _exclusion_phrase(cases: ExclusionCounts, exclusion: str) -> str:
    return f"{cases.excluded} of {cases.judged} {cases.what} were excluded {EXCLUSION_RULES[exclusion]}"


def _no_ratings_left_phrase(reasons: dict[str, int], exclusion: str, cases: ExclusionCounts, null: str) -> str:
    alike = f" (raters who are all alike would have {null} outliers)" if null else ""
    why = [_exclusion_phrase(cases, exclusion) + alike] if cases.excluded else []
    for reason, did in (("constant", "gave the same score to everything"), ("too_few", "have too few ratings left")):
        if reasons.get(reason):
            why.append(f"{reasons[reason]} raters {did}")
    return " and ".join(why)


def _power_warning(counts: dict[str, Any], groups: int, exclusion: str) -> str | None:
    powerless, few = counts["groups_without_screening_power"], counts["groups_with_fewer_than_21_ratings"]
    if powerless:
        return (
            f"{powerless} of {groups} combinations of item and dimension have too few ratings for any to be an "
            "outlier at any distance from the mean; their ratings were not screened."
        )
    if exclusion == "bt500" and few:
        return (
            f"{few} of {groups} combinations of item and dimension have fewer than {_FEW_FOR_KURTOSIS} ratings: where "
            "their kurtosis is not between 2 and 4, as one gross outlier makes it, BT.500 can flag none of them."
        )
    return None


def _range_warning(counts: dict[str, Any], figures: SummaryFigures) -> str | None:
    low, high = figures.bounds
    treatment = "were cut to it" if figures.clipped else "are not clipped"
    outside = figures.outside
    return (
        f"{outside} of {counts['scores']} scores lie outside {low:g} to {high:g}; they {treatment}."
        if outside
        else None
    )


def _component_warnings(parts: dict[str, int], normalises: bool) -> list[str]:
    if not normalises:
        return []
    return [
        f"In {name} the raters fall into {number} groups that rated no item in common: normalising each rater removes "
        "the difference between the groups' items, so their scores cannot be compared across groups."
        for name, number in parts.items()
        if number > 1
    ]


def _letter_case_warning(labels: pa.StringArray, what: str) -> str | None:
    lowered = pc.utf8_lower(labels)
    alike = 0 if lowered.equals(labels) else len(labels) - pc.count_distinct(lowered).as_py()
    return f"{alike} ids of {what} differ from another one only in capital letters; check them." if alike else None

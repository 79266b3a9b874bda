"""People and losses: raters, ratings by status, stages of the build, everything set aside."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from annotation.records import DIMENSIONS
from editfhf.statistics.records import Rater, RaterAgreement, Reason, Stage
from editfhf.statistics.tables import coded, numbers
from mos.agreement.alpha import alpha
from mos.errors import UserError
from mos.screening.correlation import correlate

LIMITS = {"paper": "max_outlier_share", "bt500": "max_share", "p913": "max_share"}
"""Option of a method that holds the outlier share above which a rater can be left out."""

LEAST_PICTURES = 3
EXAMPLES = 3
EXAMPLE_LENGTH = 300


def raters(annotators: pa.Table) -> tuple[Rater, ...]:
    """Everyone who took part, in the order of the pseudonyms."""
    rows = sorted(annotators.to_pylist(), key=lambda row: str(row["annotator_id"]))
    return tuple(_rater(row) for row in rows)


def _rater(row: Mapping[str, Any]) -> Rater:
    counts = ("regional_annotations", "boxes", "boxes_accepted", "rationales", "flags", "ratings")
    expected, ratings = row["expected_share"], row["ratings"] or 0
    low, high = null_band(expected, ratings)
    return Rater(
        annotator_id=str(row["annotator_id"]),
        **{name: int(row[name] or 0) for name in counts},
        outliers=row["outliers"],
        outlier_share=row["outlier_share"],
        expected_share=expected,
        null_low=low,
        null_high=high,
        excluded=bool(row["excluded"]),
        reason=row["reason"],
        excluded_in=row["excluded_in"],
    )


def null_band(expected: float | None, ratings: int) -> tuple[float | None, float | None]:
    """Where about 95 % of the outlier shares of honest raters lie: expected +- 1.96 binomial standard errors."""
    if expected is None or ratings == 0:
        return None, None
    half = 1.96 * math.sqrt(expected * (1 - expected) / ratings)
    return max(0.0, expected - half), min(1.0, expected + half)


def outlier_limit(scoring: Mapping[str, Any]) -> float | None:
    """The outlier share above which the method could leave a rater out; None where it has no such rule."""
    options = scoring.get("options") or {}
    if options.get("screening") == "none":
        return None
    limit = options.get(LIMITS.get(str(options.get("method")), ""))
    return float(limit) if isinstance(limit, int | float) else None


def expected_exclusions(scoring: Mapping[str, Any]) -> float | None:
    """How often the rule would leave somebody out if all were alike, as the build told; None where it is not known."""
    expected = scoring.get("expected_false_exclusions")
    return float(expected) if isinstance(expected, int | float) else None


def by_status(ratings: pa.Table) -> Mapping[str, Mapping[str, int]]:
    """Ratings by dimension and status."""
    dimension, dimensions = coded(ratings["dimension"])
    status, names = coded(ratings["status"])
    pairs, counts = np.unique(dimension * max(len(names), 1) + status, return_counts=True)
    counted = Counter(
        {
            (dimensions[pair // len(names)], names[pair % len(names)]): int(n)
            for pair, n in zip(pairs, counts, strict=True)
        }
    )
    statuses = sorted({name for _, name in counted}, key=lambda name: (name != "kept", name))
    return {
        dimension: {status: counted[dimension, status] for status in statuses if counted[dimension, status]}
        for dimension in DIMENSIONS
    }


def agreement(ratings: pa.Table) -> tuple[RaterAgreement, ...]:
    """Agreement on each dimension, before screening ("all") and after it ("kept")."""
    picture, _ = coded(ratings["pair_id"])
    person, _ = coded(ratings["annotator_id"])
    score = numbers(ratings["score"])
    dimension, dimensions = coded(ratings["dimension"])
    status, names = coded(ratings["status"])
    given = ~np.isnan(score)
    chosen = {"all": given, "kept": given & (status == _position(names, "kept"))}
    return tuple(
        _agreement(name, label, picture[rows], person[rows], score[rows])
        for name in DIMENSIONS
        for label, mask in chosen.items()
        for rows in [np.flatnonzero(mask & (dimension == _position(dimensions, name)))]
    )


def _position(names: list[str], name: str) -> int:
    return names.index(name) if name in names else -1


def _agreement(dimension: str, label: str, picture: Any, person: Any, score: Any) -> RaterAgreement:
    size = int(picture.max(initial=-1)) + 1, int(person.max(initial=-1)) + 1
    found = correlate(score, picture, size[0], person, size[1], leave_one_out=True)
    judged = found.n >= LEAST_PICTURES
    return RaterAgreement(
        dimension=dimension,
        ratings=label,
        n=len(score),
        raters=len(np.unique(person)),
        spearman=_mean(found.spearman[judged]),
        pearson=_mean(found.pearson[judged]),
        alpha=_alpha(picture, score),
    )


def _alpha(picture: Any, score: Any) -> float | None:
    """Krippendorff's alpha, interval level; None where nothing is rated twice, or all such ratings are equal."""
    shared = score[np.bincount(picture)[picture] >= 2]
    return alpha(picture, score) if len(shared) and np.ptp(shared) > 0 else None


def _mean(values: Any) -> float | None:
    given = values[~np.isnan(values)]
    return float(given.mean()) if len(given) else None


def stages(manifest: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The stages that the manifest tells, in their order.  UserError when it does not tell them as ours do."""
    try:
        return tuple(_stage(row) for row in manifest.get("stages", ()))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            "The manifest tells its stages in another form than this version: expected stage, in, out, reasons. "
            "Build the dataset again."
        ) from None


def _stage(row: Mapping[str, Any]) -> Stage:
    return Stage(
        stage=str(row["stage"]),
        entered=int(row["in"]),
        left=int(row["out"]),
        set_aside=int(row.get("set_aside", 0)),
        reasons={str(reason): int(count) for reason, count in sorted(row.get("reasons", {}).items())},
    )


def rejected(rows: Iterable[Mapping[str, Any]]) -> tuple[Reason, ...]:
    """Everything set aside, by reason, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    repaired: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        key = str(row.get("what", "")), str(row.get("reason", ""))
        counts[key] += 1
        repaired[key] += bool(row.get("repaired"))
        shown = examples.setdefault(key, [])
        if len(shown) < EXAMPLES:
            shown.append(_example(row))
    return tuple(
        Reason(
            reason=reason,
            what=what,
            count=count,
            repaired=repaired[what, reason],
            examples=tuple(examples[what, reason]),
        )
        for (what, reason), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _example(row: Mapping[str, Any]) -> str:
    place = f"{row.get('file') or ''}, row {row.get('row')}" if row.get("row") else str(row.get("file") or "")
    text = f"{place}: {row.get('message') or ''}" if place else str(row.get("message") or "")
    return text if len(text) <= EXAMPLE_LENGTH else text[: EXAMPLE_LENGTH - 1] + "…"

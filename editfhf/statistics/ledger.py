"""People and losses: raters, ratings by status, stages of the build, everything set aside."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from annotation.records import DIMENSIONS
from editfhf.statistics.agreement import interval_alpha, mean_correlations
from editfhf.statistics.records import Rater, RaterAgreement, Reason, Stage
from editfhf.statistics.tables import coded, numbers
from mos.errors import UserError

LIMIT = Fraction(1, 20)
EXAMPLES = 3
EXAMPLE_LENGTH = 300


def raters(annotators: pa.Table) -> tuple[Rater, ...]:
    """Everyone who took part, in the order of the pseudonyms."""
    rows = sorted(annotators.to_pylist(), key=lambda row: str(row["annotator_id"]))
    return tuple(_rater(row) for row in rows)


def _rater(row: Mapping[str, Any]) -> Rater:
    counts = ("regional_annotations", "boxes", "boxes_accepted", "rationales", "flags", "ratings", "outliers")
    expected, ratings = row["expected_share"], row["ratings"] or 0
    low, high = null_band(expected, ratings)
    return Rater(
        annotator_id=str(row["annotator_id"]),
        **{name: int(row[name] or 0) for name in counts},
        outlier_share=row["outlier_share"],
        expected_share=expected,
        null_low=low,
        null_high=high,
        excluded=bool(row["excluded"]),
        reason=row["reason"],
    )


def null_band(expected: float | None, ratings: int) -> tuple[float | None, float | None]:
    """Where about 95 % of the outlier shares of honest raters lie: expected +- 1.96 binomial standard errors."""
    if expected is None or ratings == 0:
        return None, None
    half = 1.96 * math.sqrt(expected * (1 - expected) / ratings)
    return max(0.0, expected - half), min(1.0, expected + half)


def outlier_limit(scoring: Mapping[str, Any]) -> Fraction:
    """The outlier share above which a rater was left out; the paper's 5 % where the manifest tells none."""
    try:
        return Fraction(str((scoring.get("options") or {})["max_outlier_share"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return LIMIT


def expected_exclusions(found: Iterable[Rater], limit: Fraction) -> float | None:
    """How many of these raters the rule would leave out if all were equally careful; None where nothing is expected.

    Sum over raters of the binomial probability that more than `limit` of their ratings are outliers, each with the
    share expected of an honest rater.
    """
    from scipy.special import bdtrc

    known = [(rater.ratings, rater.expected_share) for rater in found if rater.ratings and rater.expected_share]
    return float(sum(bdtrc(math.floor(limit * n), n, share) for n, share in known)) if known else None


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
    spearman, pearson = mean_correlations(picture, person, score)
    return RaterAgreement(
        dimension=dimension,
        ratings=label,
        n=len(score),
        raters=len(np.unique(person)),
        spearman=spearman,
        pearson=pearson,
        alpha=interval_alpha(picture, score),
    )


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

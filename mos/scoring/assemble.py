"""Assemble the result of a method from its estimate: fallback, intervals, reasons, tables and summary.

Intervals of scores use a quantile of Student's t or the normal distribution, or a bootstrap over raters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos._kernels import group_moments
from mos.connectivity import count_rater_parts
from mos.errors import UserError
from mos.ratings import Ratings
from mos.scoring.estimate import RATER_EXCLUDED, RATING_KEPT, RATING_OUTLIER, RATING_STATUSES, ScoreEstimate, ScoreMeans
from mos.scoring.options import ScoringOptions
from mos.scoring.result import (
    FALLBACK_REASON,
    ScoringResult,
    no_score_reasons,
    not_used_reasons,
    result_rater_table,
    result_score_table,
)
from mos.scoring.summary import ExclusionCounts, SummaryFigures, summarise_scoring

_GROUPS_AT_ONCE = 4096


_LEAST_VALID = 0.5  # an item needs a score in at least this share of the resamples to get an interval


def interval_half_widths(means: ScoreMeans, kind: str, level: float) -> NDArray[Any]:
    """Half-width of the confidence interval of every score: se times a quantile.

    Parameters
    ----------
    means : ScoreMeans
    kind : {"t", "normal"}
        Student's t with n - 1 degrees of freedom, or the normal distribution. The latter covers too little for few
        ratings: a nominal 95 % interval of 5 ratings covers 88 %.
    level : float
        Confidence, in 0..1.

    Returns
    -------
    ndarray of float64, shape (groups,)
        In the unit of the scores. NaN by t where n is below 2.
    """
    from scipy.special import ndtri, stdtrit

    if kind == "normal":
        half: NDArray[Any] = means.se * ndtri((1 + level) / 2)
        return half
    freedom = np.arange(means.n.max(initial=0) + 1) - 1
    quantile = np.where(freedom > 0, stdtrit(np.maximum(freedom, 1), (1 + level) / 2), np.nan)
    values: NDArray[Any] = means.se * quantile[means.n]
    return values


def bootstrap_intervals(
    ratings: Ratings,
    scores: Callable[[Ratings], NDArray[Any]],
    *,
    level: float,
    resamples: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Confidence interval of every score by a bootstrap over raters.

    Parameters
    ----------
    ratings : Ratings
    scores : callable
        From ratings to the score of every item and dimension, NaN where there is none.
    level : float
        Confidence, in 0..1.
    resamples : int
    seed : int
    progress : callable, optional
        Called with 1 after each resample.

    Returns
    -------
    low, high : ndarray of float64, shape (groups,)
        NaN where there is one rater, or where more than half of the resamples have no score.

    Notes
    -----
    Raters are drawn with replacement, each with all of their ratings (a cluster bootstrap: Field and Welsh, Journal
    of the Royal Statistical Society B 69, 2007). The whole method, screening included, is applied to each resample.
    The percentiles are too narrow with few raters: use t below ten raters.
    """
    rated = np.bincount(ratings.rater, minlength=len(ratings.raters)) > 0
    raters = int(rated.sum())
    groups = len(ratings.items) * len(ratings.dimensions)
    random = np.random.default_rng(seed)
    drawn = np.empty((resamples, groups), np.float32)
    for row in drawn:
        times = np.zeros(len(rated), np.int64)
        if raters:
            times[rated] = random.multinomial(raters, np.full(raters, 1 / raters))
        row[:] = scores(resample_raters(ratings, times))
        if progress is not None:
            progress(1)
    low, high = np.full(groups, np.nan), np.full(groups, np.nan)
    if raters > 1:
        for start in range(0, groups, _GROUPS_AT_ONCE):
            here = slice(start, start + _GROUPS_AT_ONCE)
            part = np.sort(drawn[:, here], axis=0)  # NaN come last
            low[here], high[here] = (
                _column_percentiles(part, (1 - level) / 2),
                _column_percentiles(part, (1 + level) / 2),
            )
    return low, high


def resample_raters(ratings: Ratings, times: NDArray[Any]) -> Ratings:
    """Repeat the ratings of each rater, each copy as a rater of its own.

    Parameters
    ----------
    ratings : Ratings
    times : ndarray of int, shape (raters,)
        Number of copies of each rater; their sum is at most the number of raters.

    Returns
    -------
    Ratings
    """
    repeats = times[ratings.rater]
    rows = np.repeat(np.arange(len(ratings)), repeats)
    first = np.repeat(np.cumsum(repeats) - repeats, repeats)
    start = np.cumsum(times) - times
    rater = start[ratings.rater[rows]] + np.arange(len(rows)) - first
    drawn = replace(ratings.select(rows), rater=rater.astype(np.int32))
    if ratings.repetitions == 1:
        return drawn
    return drawn.select(np.lexsort((drawn.repetition, drawn.rater, drawn.groups())))  # a copy's repetitions together


def _column_percentiles(ordered: NDArray[Any], share: float) -> NDArray[Any]:
    """Of every column of `ordered` [resamples, groups], ascending with NaN last; linear between ranks."""
    valid = ordered.shape[0] - np.isnan(ordered).sum(axis=0)
    place = share * np.maximum(valid - 1, 0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(valid - 1, 0))
    column = np.arange(ordered.shape[1])
    low, high = ordered[below, column].astype(np.float64), ordered[above, column].astype(np.float64)
    return np.where(valid >= _LEAST_VALID * len(ordered), low + (high - low) * (place - below), np.nan)


EstimateFunction = Callable[[Ratings, Any], ScoreEstimate]


POINTS_RANGE = (0.0, 100.0)


_RANGE_SLACK = 1e-9


def assemble_result(
    ratings: Ratings,
    options: ScoringOptions,
    estimate: EstimateFunction,
    progress: Callable[[int], None] | None = None,
) -> ScoringResult:
    """Score the ratings, with intervals, reasons, tables and summary.

    Parameters
    ----------
    ratings : Ratings
    options : ScoringOptions
    estimate : callable
        The method. A bootstrap also calls it on resampled raters.
    progress : callable, optional
        Called with 1 after each resample.

    Returns
    -------
    ScoringResult

    Raises
    ------
    UserError
        Where an item has too few ratings and `on_too_few` is "raise".
    """
    score_estimate = estimate(ratings, options)
    bounds = POINTS_RANGE if score_estimate.unit == "points" else ratings.scale
    means, reason = _apply_fallback(ratings, score_estimate, options)
    low, high = _score_intervals(ratings, score_estimate, means, options, estimate, progress)
    slack = _RANGE_SLACK * (bounds[1] - bounds[0])
    scored = (reason < 0) | (reason == FALLBACK_REASON)
    outside = scored & ((means.mos < bounds[0] - slack) | (means.mos > bounds[1] + slack))
    if options.clip:
        means = means._replace(mos=np.clip(means.mos, *bounds))
        low, high = np.clip(low, *bounds), np.clip(high, *bounds)
    not_used = not_used_reasons(score_estimate, len(ratings.dimensions))
    null = score_estimate.null() if score_estimate.null is not None else None
    figures = SummaryFigures(
        statuses=_count_statuses(score_estimate),
        flagged=None if score_estimate.flags is None else int(score_estimate.flags.flagged.sum()),
        cases=_count_exclusions(ratings, score_estimate),
        outside=int(outside.sum()),
        bounds=bounds,
        clipped=options.clip,
        reason=reason,
        not_used=not_used,
        rated=score_estimate.rated,
        null=null,
        components=count_rater_parts(
            ratings, score_estimate.status == RATING_KEPT, _used_raters(ratings, score_estimate)
        ),
        notes=score_estimate.notes,
        normalises=score_estimate.normalises,
    )
    return ScoringResult(
        ratings=ratings,
        options=options.as_dict(),
        unit=score_estimate.unit,
        status=score_estimate.status,
        value=score_estimate.value,
        scores=result_score_table(ratings, means, low, high, score_estimate.rated, reason),
        raters=result_rater_table(ratings, score_estimate, None if null is None else null.share, not_used),
        summary=summarise_scoring(ratings, score_estimate.exclusion, figures),
        decisions=score_estimate.decisions,
    )


def _apply_fallback(
    ratings: Ratings, score_estimate: ScoreEstimate, options: ScoringOptions
) -> tuple[ScoreMeans, NDArray[Any]]:
    """The means, and the reason for each missing one. With the option "fallback", the means of all ratings instead."""
    means = score_estimate.means
    reason = no_score_reasons(means.n, score_estimate.rated, options.min_ratings)
    short = (reason >= 0) & (score_estimate.rated > 0)
    if not short.any() or options.on_too_few == "null":
        return means, reason
    if options.on_too_few == "raise":
        raise UserError(_too_few_message(ratings, means.n, np.flatnonzero(short), options.min_ratings))
    usable = short[ratings.groups()] & ~np.isnan(score_estimate.value)
    every = group_moments(score_estimate.value[usable], ratings.groups()[usable], len(means.n))
    filled = short & (every.n > 0)
    factor, shift = score_estimate.to_unit
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = every.sd(1) * factor
        fallback = ScoreMeans(every.n, every.mean * factor + shift, sd, sd / np.sqrt(every.n))
    merged = (np.where(filled, new, old) for old, new in zip(means, fallback, strict=True))
    return ScoreMeans(*merged), np.where(filled, FALLBACK_REASON, reason)


def _too_few_message(ratings: Ratings, n: NDArray[Any], short: NDArray[Any], least: int) -> str:
    item, dimension = divmod(int(short[0]), len(ratings.dimensions))
    first = f"'{ratings.items[item].as_py()[:60]}' in {ratings.dimensions[dimension].as_py()[:60]}"
    return (
        f"{len(short)} scores rest on fewer than {least} ratings, the first being {first} with {n[short[0]]}: collect "
        "more ratings, or set on_too_few to null or fallback."
    )


def _score_intervals(
    ratings: Ratings,
    score_estimate: ScoreEstimate,
    means: ScoreMeans,
    options: ScoringOptions,
    estimate: EstimateFunction,
    progress: Callable[[int], None] | None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    if options.interval != "bootstrap":
        half = interval_half_widths(means, options.interval, options.confidence)
        return means.mos - half, means.mos + half

    lenient = options.in_resamples()

    def scores(drawn: Ratings) -> NDArray[Any]:
        again, reason = _apply_fallback(drawn, estimate(drawn, lenient), lenient)
        return np.where((reason < 0) | (reason == FALLBACK_REASON), again.mos, np.nan)

    low, high = bootstrap_intervals(
        ratings,
        scores,
        level=options.confidence,
        resamples=options.resamples,
        seed=options.seed,
        progress=progress,
    )
    known = _count_raters_behind(ratings, score_estimate, means) > 1
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _count_raters_behind(ratings: Ratings, score_estimate: ScoreEstimate, means: ScoreMeans) -> NDArray[Any]:
    """[items * dimensions] number of raters whose ratings are in each score."""
    group = ratings.groups()
    fallen_back = score_estimate.means.n != means.n
    rows = np.flatnonzero(
        (score_estimate.status == RATING_KEPT) | (fallen_back[group] & ~np.isnan(score_estimate.value))
    )
    group, rater = group[rows], ratings.rater[rows]
    another = np.append(True, (group[1:] != group[:-1]) | (rater[1:] != rater[:-1]))[: len(rows)]
    return np.bincount(group[another], minlength=len(means.n))


def _count_exclusions(ratings: Ratings, score_estimate: ScoreEstimate) -> ExclusionCounts:
    shape = len(ratings.raters), len(ratings.dimensions)
    rated = score_estimate.statuses.rating_count.reshape(shape) > 0
    excluded = rated & (score_estimate.statuses.rater == RATER_EXCLUDED).reshape(shape)
    if score_estimate.by_dimension and shape[1] > 1:
        return ExclusionCounts("combinations of rater and dimension", int(excluded.sum()), int(rated.sum()))
    return ExclusionCounts("raters", int(excluded.any(axis=1).sum()), int(rated.any(axis=1).sum()))


def _count_statuses(score_estimate: ScoreEstimate) -> NDArray[Any]:
    """[statuses] ratings of each."""
    counts = np.bincount(score_estimate.statuses.rater, score_estimate.statuses.retained, len(RATING_STATUSES)).astype(
        np.int64
    )
    counts[RATING_OUTLIER] = len(score_estimate.statuses.removed)
    return counts


def _used_raters(ratings: Ratings, score_estimate: ScoreEstimate) -> NDArray[Any]:
    """[raters, dimensions] bool, whether a rating of the rater counts."""
    statuses = score_estimate.statuses
    values: NDArray[Any] = ((statuses.rater == RATING_KEPT) & (statuses.retained > 0)).reshape(
        len(ratings.raters), len(ratings.dimensions)
    )
    return values

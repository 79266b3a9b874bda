"""Intervals of mean opinion scores: by a quantile, or by doing the whole study again with other raters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mos.ratings import Ratings
from mos.scoring.scores import Means

_GROUPS = 4096
_LEAST_VALID = 0.5  # an item that has no score in more of the resamples than this gets no interval


def half_widths(means: Means, kind: str, level: float) -> np.ndarray:
    """[groups] half-width at confidence `level`: se times the quantile of Student's t with n - 1 degrees of freedom.

    NaN by t where there is no degree of freedom, whatever the standard error is made of.

    kind: "t", or "normal" for that of the normal distribution, which covers too little for few ratings: a nominal
    95 % interval of 5 ratings covers 88 %.
    """
    from scipy.special import ndtri, stdtrit

    if kind == "normal":
        return means.se * ndtri((1 + level) / 2)
    freedom = np.arange(means.n.max(initial=0) + 1) - 1
    quantile = np.where(freedom > 0, stdtrit(np.maximum(freedom, 1), (1 + level) / 2), np.nan)
    return means.se * quantile[means.n]


def bootstrap(
    ratings: Ratings,
    scores: Callable[[Ratings], np.ndarray],
    *,
    level: float,
    resamples: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """[groups] lower and upper end: percentiles of the scores that other raters of the same kind would have given.

    Those who rated are drawn with replacement, each with all of their ratings (a cluster bootstrap: Field and Welsh,
    Journal of the Royal Statistical Society B 69, 2007), and the method starts again: whom it screens out may differ
    every time.  With few raters percentiles are narrow: prefer t below ten.

    scores: from ratings to the score of every item and dimension, NaN without; progress: called with 1 after each of
    `resamples`.  NaN where there is one rater, or where more than half of the resamples have no score.
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
        row[:] = scores(resampled(ratings, times))
        if progress is not None:
            progress(1)
    low, high = np.full(groups, np.nan), np.full(groups, np.nan)
    if raters > 1:
        for start in range(0, groups, _GROUPS):
            here = slice(start, start + _GROUPS)
            part = np.sort(drawn[:, here], axis=0)  # NaN come last
            low[here], high[here] = _percentiles(part, (1 - level) / 2), _percentiles(part, (1 + level) / 2)
    return low, high


def resampled(ratings: Ratings, times: np.ndarray) -> Ratings:
    """The ratings with each rater `times` [raters] over, every time as another rater.

    `times` adds up to no more than the raters.
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


def _percentiles(ordered: np.ndarray, share: float) -> np.ndarray:
    """Of every column of `ordered` [resamples, groups], ascending with NaN last; linear between ranks."""
    valid = ordered.shape[0] - np.isnan(ordered).sum(axis=0)
    place = share * np.maximum(valid - 1, 0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(valid - 1, 0))
    column = np.arange(ordered.shape[1])
    low, high = ordered[below, column].astype(np.float64), ordered[above, column].astype(np.float64)
    return np.where(valid >= _LEAST_VALID * len(ordered), low + (high - low) * (place - below), np.nan)

"""How close a rater is to the others: bias, inconsistency, correlation."""

from __future__ import annotations

import numpy as np

from mos.moments import moments
from mos.raters.ranks import average_ranks, pooled_correlation
from mos.raters.sheet import Sheet

_LEVEL = 0.95


def closeness(sheet: Sheet) -> dict[str, np.ndarray]:
    """Columns alone, bias, inconsistency (each with the ends of its interval), pearson and spearman; each [raters]."""
    alone = sheet.count(~sheet.compared)
    return {"alone": alone} | _bias(sheet) | _correlation(sheet)


def _bias(sheet: Sheet) -> dict[str, np.ndarray]:
    """Mean and SD of rating - mean of the others.

    The SD is around the rater's mean in each dimension, with n - (number of dimensions) degrees of freedom, and has a
    chi-square interval with as many; the mean has a t interval that allows for `item_effect`.
    """
    from scipy.special import chdtri, stdtrit

    within = moments(sheet.residual, sheet.block, sheet.blocks, sheet.compared)
    n, ss = sheet.by_rater(within.n), sheet.by_rater(within.ss)
    bias = sheet.by_rater(np.where(within.n > 0, within.n * within.mean, 0)) / np.where(n > 1, n, np.nan)
    freedom = n - sheet.by_rater(within.n > 0)
    variance = ss / np.where(freedom > 0, freedom, np.nan)
    deviation = np.where(sheet.compared, sheet.residual - within.mean[sheet.block], 0.0)
    items, effect = item_effect(sheet, deviation)
    quantile = np.where(items > 1, stdtrit(np.maximum(items - 1, 1), (1 + _LEVEL) / 2), np.nan)
    half = quantile * np.sqrt(variance * effect / np.maximum(n, 1))
    df = np.maximum(freedom, 1)
    return {
        "bias": bias,
        "bias_low": bias - half,
        "bias_high": bias + half,
        "inconsistency": np.sqrt(variance),
        "inconsistency_low": np.sqrt(df * variance / chdtri(df, (1 - _LEVEL) / 2)),
        "inconsistency_high": np.sqrt(df * variance / chdtri(df, (1 + _LEVEL) / 2)),
    }


def item_effect(sheet: Sheet, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much the variance of a mean of `deviation` exceeds that of independent ratings, for every rater.

    deviation: [N] around the rater's mean, 0 where a rating is not compared.  Whoever likes an item more than the
    others mostly does so in all dimensions and each time: the sum of an item's deviations then varies more than
    independent ones would (the design effect of cluster sampling: Kish, Survey Sampling, 1965).  Exactly 1 with one
    dimension and no repetitions.  Returns [raters] items that are compared, and [raters] float64 effect.
    """
    ratings = sheet.ratings
    codes = ratings.rater.astype(np.min_scalar_type(sheet.raters))
    rows = np.argsort(codes, kind="stable")  # by rater, then item
    rows = rows[sheet.compared[rows]]
    rater, item = ratings.rater[rows], ratings.item[rows]
    start = np.flatnonzero(np.append(True, (rater[1:] != rater[:-1]) | (item[1:] != item[:-1])))[: len(rows)]
    sums = np.add.reduceat(deviation[rows], start) if len(rows) else np.zeros(0)
    items = np.bincount(rater[start], minlength=sheet.raters)
    together = np.bincount(rater[start], sums**2, sheet.raters)
    apart = np.bincount(rater, deviation[rows] ** 2, sheet.raters)
    effect = np.ones(sheet.raters)
    np.divide(together, apart, out=effect, where=apart > 0)
    return items, effect


def _correlation(sheet: Sheet) -> dict[str, np.ndarray]:
    rows = sheet.compared
    block, score, others = sheet.block[rows], sheet.ratings.score[rows], sheet.others[rows]
    ranks = [average_ranks(codes, block) for codes in (sheet.level[rows], np.unique(others, return_inverse=True)[1])]
    return {
        "pearson": pooled_correlation(score, others, block, sheet.raters, sheet.dimensions),
        "spearman": pooled_correlation(ranks[0], ranks[1], block, sheet.raters, sheet.dimensions),
    }

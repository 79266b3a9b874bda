"""Agreement of a rater with the other raters (bias, inconsistency, correlation, flagged ratings and the number of flags
expected by chance), and with the rater's own repeated ratings of an item.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mos._arrow import column_values, null_mask
from mos._kernels import group_moments
from mos._outliers import flag_outliers
from mos.errors import UserError
from mos.methods.bt500_screening import flag_ratings_by_kurtosis
from mos.methods.paper import outlier_probability
from mos.ranks import pooled_correlation, rank_within_blocks
from mos.raters.design import RaterDesign
from mos.scoring.estimate import expected_flag_shares

if TYPE_CHECKING:
    from mos.ratings import Ratings
    from mos.scoring.result import ScoringResult


_CONFIDENCE = 0.95


def measure_closeness(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Columns alone, bias, inconsistency (each with the ends of its interval), pearson and spearman; each [raters]."""
    alone = sheet.count(~sheet.compared)
    return {"alone": alone} | _measure_bias(sheet) | _correlate_with_others(sheet)


def _measure_bias(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Mean and SD of rating - mean of the others.

    The SD is around the rater's mean in each dimension, with n - (number of dimensions) degrees of freedom and a
    chi-square interval; the mean has a t interval that allows for `item_design_effect`.
    """
    from scipy.special import chdtri, stdtrit

    within = group_moments(sheet.residual, sheet.block, sheet.blocks, sheet.compared)
    n, ss = sheet.by_rater(within.n), sheet.by_rater(within.ss)
    bias = sheet.by_rater(np.where(within.n > 0, within.n * within.mean, 0)) / np.where(n > 1, n, np.nan)
    freedom = n - sheet.by_rater(within.n > 0)
    variance = ss / np.where(freedom > 0, freedom, np.nan)
    deviation = np.where(sheet.compared, sheet.residual - within.mean[sheet.block], 0.0)
    items, effect = item_design_effect(sheet, deviation)
    quantile = np.where(items > 1, stdtrit(np.maximum(items - 1, 1), (1 + _CONFIDENCE) / 2), np.nan)
    half = quantile * np.sqrt(variance * effect / np.maximum(n, 1))
    df = np.maximum(freedom, 1)
    return {
        "bias": bias,
        "bias_low": bias - half,
        "bias_high": bias + half,
        "inconsistency": np.sqrt(variance),
        "inconsistency_low": np.sqrt(df * variance / chdtri(df, (1 - _CONFIDENCE) / 2)),
        "inconsistency_high": np.sqrt(df * variance / chdtri(df, (1 + _CONFIDENCE) / 2)),
    }


def item_design_effect(sheet: RaterDesign, deviation: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ratio of the variance of a mean of `deviation` to that of independent ratings, for each rater.

    deviation: [N] around the rater's mean, 0 where a rating is not compared.  A rater who likes an item more than the
    others mostly does so in all dimensions and repetitions, so the sum of an item's deviations varies more than that of
    independent ones (the design effect of cluster sampling: Kish, Survey Sampling, 1965).  Exactly 1 with one dimension
    and no repetitions.  Returns [raters] number of compared items, and [raters] float64 effect.
    """
    ratings = sheet.ratings
    codes = ratings.rater.astype(np.min_scalar_type(sheet.raters))
    rows = np.argsort(codes, kind="stable")  # by rater, then item
    rows = rows[sheet.compared[rows]]
    rater, item = ratings.rater[rows], ratings.item[rows]
    start = np.flatnonzero(np.append(True, (rater[1:] != rater[:-1]) | (item[1:] != item[:-1])))[: len(rows)]
    sums = np.add.reduceat(deviation[rows], start) if len(rows) else np.zeros(0)
    items = np.bincount(rater[start], minlength=sheet.raters)
    clustered = np.bincount(rater[start], sums**2, sheet.raters)
    independent = np.bincount(rater, deviation[rows] ** 2, sheet.raters)
    effect = np.ones(sheet.raters)
    np.divide(clustered, independent, out=effect, where=independent > 0)
    return items, effect


def _correlate_with_others(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    rows = sheet.compared
    block, score, others = sheet.block[rows], sheet.ratings.score[rows], sheet.others[rows]
    ranks = [
        rank_within_blocks(codes, block) for codes in (sheet.level[rows], np.unique(others, return_inverse=True)[1])
    ]
    return {
        "pearson": pooled_correlation(score, others, block, sheet.raters, sheet.dimensions),
        "spearman": pooled_correlation(ranks[0], ranks[1], block, sheet.raters, sheet.dimensions),
    }


_BAND_LEVEL = 0.95


_OUTLIER_SIGMA = Fraction(2)


_PROBABILITY_ROUNDING = 1e-10  # relative error of a sum of up to 100,000 terms


def count_flags(ratings: Ratings, result: ScoringResult | None) -> dict[str, NDArray[Any]]:
    """Columns screened, flagged, share, expected_share, share_low, share_high, share_p, share_p_holm; each [raters].

    The flags come from the result's table of raters; without a result, a rating is flagged if it differs from the mean
    of its item and dimension by more than two sample standard deviations.  Raises `UserError` for a result with other
    raters.
    """
    flags = _flags_from_ratings(ratings) if result is None else _flags_from_result(ratings, result)
    screened, flagged, chance = flags["screened"], flags["flagged"], flags["expected_share"]
    known = (screened > 0) & ~np.isnan(flagged) & ~np.isnan(chance)
    low, high, p = (np.full(len(screened), np.nan) for _ in range(3))
    n, k, share = screened[known], flagged[known], chance[known]
    low[known] = binomial_quantile((1 - _BAND_LEVEL) / 2, n, share) / n
    high[known] = binomial_quantile((1 + _BAND_LEVEL) / 2, n, share) / n
    p[known] = binomial_tail(k, n, share)
    return flags | {"share_low": low, "share_high": high, "share_p": p, "share_p_holm": adjust_holm(p)}


def count_bt500_sides(ratings: Ratings) -> dict[str, NDArray[Any]]:
    """Columns bt500_p and bt500_q: the P and Q of ITU-R BT.500; items with equal ratings count to neither."""
    repetitions = ratings.repetitions
    group = ratings.groups().astype(np.int64) * repetitions + ratings.repetition
    flags = flag_ratings_by_kurtosis(ratings.score, group, len(ratings.items) * len(ratings.dimensions) * repetitions)
    raters = len(ratings.raters)
    return {
        "bt500_p": np.bincount(ratings.rater[flags.high], minlength=raters),
        "bt500_q": np.bincount(ratings.rater[flags.low], minlength=raters),
    }


def binomial_tail(k: NDArray[Any], n: NDArray[Any], p: NDArray[Any]) -> NDArray[Any]:
    """P(Binomial(n, p) >= k), each [...]."""
    from scipy.special import bdtrc

    return np.where(k > 0, bdtrc(np.maximum(k - 1, 0), n, p), 1.0)


def binomial_quantile(q: float, n: NDArray[Any], p: NDArray[Any]) -> NDArray[Any]:
    """The smallest k with P(Binomial(n, p) <= k) >= q, each [...] float64.

    A probability that is below q by rounding alone counts as q, so ties (odd n, p and q one half) give the lower k.
    """
    from scipy.special import bdtr, bdtrik

    inside = (p > 0) & (p < 1)
    safe = np.where(inside, p, 0.5)
    k = np.ceil(bdtrik(q, n, safe))
    below = np.maximum(k - 1, 0)
    k = np.where(
        bdtr(below, n, safe) >= q * (1 - _PROBABILITY_ROUNDING), below, k
    )  # bdtrik can return slightly more than a whole number
    return np.where(inside, k, np.where(p > 0, n, 0.0))


def adjust_holm(p: NDArray[Any]) -> NDArray[Any]:
    """[...] p adjusted so that all of them hold together (Holm, Scandinavian Journal of Statistics 6, 1979).

    NaN values are not tests: they stay NaN and do not count.
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def _flags_from_ratings(ratings: Ratings) -> dict[str, NDArray[Any]]:
    group, raters = ratings.groups(), len(ratings.raters)
    outliers = flag_outliers(ratings.score, group, len(ratings.items) * len(ratings.dimensions), _OUTLIER_SIGMA, 1)
    n = np.bincount(ratings.rater, minlength=raters)
    flagged = np.bincount(ratings.rater[outliers.row], minlength=raters).astype(np.float64)
    chance = outlier_probability(outliers.moments.n, _OUTLIER_SIGMA, 1)
    return {
        "screened": n,
        "flagged": np.where(n > 0, flagged, np.nan),
        "share": flagged / np.where(n > 0, n, np.nan),
        "expected_share": expected_flag_shares(ratings.rater, n, group, chance),
    }


def _flags_from_result(ratings: Ratings, result: ScoringResult) -> dict[str, NDArray[Any]]:
    table = result.raters
    if not table["rater"].combine_chunks().equals(ratings.raters):
        raise UserError(
            f"The result has other raters ({len(table)}) than these ratings ({len(ratings.raters)}); "
            "score these ratings and pass that result."
        )
    names = {"flagged": "outliers", "share": "share", "expected_share": "expected_share"}
    return {"screened": column_values(table["n"]).astype(np.int64)} | {
        name: _float_values(table[source]) for name, source in names.items()
    }


def _float_values(column: pa.ChunkedArray) -> NDArray[Any]:
    """[N] float64, NaN where null."""
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    return np.where(null_mask(column), np.nan, column_values(column))


def measure_retest(sheet: RaterDesign) -> dict[str, NDArray[Any]]:
    """Columns retests, retest_difference, retest_pearson and retest_icc, from the first two ratings of an item."""
    first = sheet.first[np.diff(sheet.first, append=len(sheet.ratings)) > 1]
    earlier, later = sheet.ratings.score[first], sheet.ratings.score[first + 1]
    block = sheet.block[first]
    n = sheet.by_rater(np.bincount(block, minlength=sheet.blocks))
    difference = np.bincount(sheet.ratings.rater[first], np.abs(earlier - later), sheet.raters)
    return {
        "retests": n,
        "retest_difference": difference / np.where(n > 0, n, np.nan),
        "retest_pearson": pooled_correlation(earlier, later, block, sheet.raters, sheet.dimensions),
        "retest_icc": _retest_icc(sheet, earlier, later, block),
    }


def _retest_icc(sheet: RaterDesign, earlier: NDArray[Any], later: NDArray[Any], block: NDArray[Any]) -> NDArray[Any]:
    """[raters] ICC(1,1) of pairs earlier, later [pairs], items within dimensions (Shrout and Fleiss 1979, case 1).

    (MSB - MSW) / (MSB + MSW); NaN below three pairs, or where all ratings are equal.
    """
    means = group_moments((earlier + later) / 2, block, sheet.blocks)
    n = sheet.by_rater(means.n)
    freedom = n - sheet.by_rater(means.n > 0)
    between = 2 * sheet.by_rater(means.ss) / np.maximum(freedom, 1)
    within = sheet.by_rater(np.bincount(block, (earlier - later) ** 2 / 2, sheet.blocks)) / np.maximum(n, 1)
    icc = np.full(sheet.raters, np.nan)
    np.divide(between - within, between + within, out=icc, where=(n > 2) & (freedom > 0) & (between + within > 0))
    return icc

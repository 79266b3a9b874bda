"""How many of a rater's ratings were flagged, and how many would be by chance, were all raters alike."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mos.arrow import nulls, plain
from mos.errors import UserError
from mos.screening.bt500 import flag_ratings
from mos.screening.chance import expected_shares, outlier_probability
from mos.screening.outliers import flag_outliers

if TYPE_CHECKING:
    from mos.ratings import Ratings
    from mos.scoring.result import Result

_LEVEL = 0.95
_SIGMA = Fraction(2)
_ROUNDING = 1e-10  # relative; a sum of up to 100,000 terms is right to about this


def flagging(ratings: Ratings, result: Result | None) -> dict[str, np.ndarray]:
    """Columns screened, flagged, share, expected_share, share_low, share_high, share_p, share_p_holm; each [raters].

    From the result's table of raters; without one, a rating is flagged if it differs from the mean of its item and
    dimension by more than two sample standard deviations.
    Raises UserError for a result of other raters.
    """
    found = _found(ratings) if result is None else _taken(ratings, result)
    screened, flagged, chance = found["screened"], found["flagged"], found["expected_share"]
    known = (screened > 0) & ~np.isnan(flagged) & ~np.isnan(chance)
    low, high, p = (np.full(len(screened), np.nan) for _ in range(3))
    n, k, share = screened[known], flagged[known], chance[known]
    low[known] = binomial_quantile((1 - _LEVEL) / 2, n, share) / n
    high[known] = binomial_quantile((1 + _LEVEL) / 2, n, share) / n
    p[known] = at_least(k, n, share)
    return found | {"share_low": low, "share_high": high, "share_p": p, "share_p_holm": holm(p)}


def sides(ratings: Ratings) -> dict[str, np.ndarray]:
    """Columns bt500_p and bt500_q: the P and Q of ITU-R BT.500; items that all rate the same count to neither."""
    repetitions = ratings.repetitions
    group = ratings.groups().astype(np.int64) * repetitions + ratings.repetition
    found = flag_ratings(ratings.score, group, len(ratings.items) * len(ratings.dimensions) * repetitions)
    raters = len(ratings.raters)
    return {
        "bt500_p": np.bincount(ratings.rater[found.high], minlength=raters),
        "bt500_q": np.bincount(ratings.rater[found.low], minlength=raters),
    }


def at_least(k: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """P(Binomial(n, p) >= k), each [...]."""
    from scipy.special import bdtrc

    return np.where(k > 0, bdtrc(np.maximum(k - 1, 0), n, p), 1.0)


def binomial_quantile(q: float, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The smallest k with P(Binomial(n, p) <= k) >= q, each [...] float64.

    A probability that misses q by rounding alone reaches it, so ties (odd n, p and q one half) fall to the lower k.
    """
    from scipy.special import bdtr, bdtrik

    inside = (p > 0) & (p < 1)
    safe = np.where(inside, p, 0.5)
    k = np.ceil(bdtrik(q, n, safe))
    below = np.maximum(k - 1, 0)
    k = np.where(bdtr(below, n, safe) >= q * (1 - _ROUNDING), below, k)  # bdtrik may land just above a whole number
    return np.where(inside, k, np.where(p > 0, n, 0.0))


def holm(p: np.ndarray) -> np.ndarray:
    """[...] p adjusted so that all of them hold together (Holm, Scandinavian Journal of Statistics 6, 1979).

    NaN are no tests: they stay, and do not count.
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def _found(ratings: Ratings) -> dict[str, np.ndarray]:
    group, raters = ratings.groups(), len(ratings.raters)
    outliers = flag_outliers(ratings.score, group, len(ratings.items) * len(ratings.dimensions), _SIGMA, 1)
    n = np.bincount(ratings.rater, minlength=raters)
    flagged = np.bincount(ratings.rater[outliers.row], minlength=raters).astype(np.float64)
    chance = outlier_probability(outliers.moments.n, _SIGMA, 1)
    return {
        "screened": n,
        "flagged": np.where(n > 0, flagged, np.nan),
        "share": flagged / np.where(n > 0, n, np.nan),
        "expected_share": expected_shares(ratings.rater, n, group, chance),
    }


def _taken(ratings: Ratings, result: Result) -> dict[str, np.ndarray]:
    table = result.raters
    if not table["rater"].combine_chunks().equals(ratings.raters):
        raise UserError(
            f"The result is of {len(table)} other raters than the {len(ratings.raters)} of these ratings; "
            "score these ratings and pass that result."
        )
    names = {"flagged": "outliers", "share": "share", "expected_share": "expected_share"}
    return {"screened": plain(table["n"]).astype(np.int64)} | {
        name: _figures(table[source]) for name, source in names.items()
    }


def _figures(column: pa.ChunkedArray) -> np.ndarray:
    """[N] float64, NaN where null."""
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    return np.where(nulls(column), np.nan, plain(column))

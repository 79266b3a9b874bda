"""Screening of raters by the kurtosis rule of ITU-R BT.500: many ratings far from the mean, on both sides of it.

Recommendation ITU-R BT.500-13, annex 2, 2.3.1; BT.500-14, annex 1, A1-2.3.1. For each presentation, with mean,
sample standard deviation S and kurtosis beta2 = m4 / m2^2 of its ratings: a rating at or beyond mean + e S counts
to its rater's P, one at or beyond mean - e S to Q, where e is 2 if 2 <= beta2 <= 4 (as of normal ratings) and else
sqrt(20). A rater is rejected if (P + Q) / n > 0.05 and |P - Q| / (P + Q) < 0.3. One pass; meant for fewer than 20
raters.

Decisions are exact: values so near a threshold that rounding could decide are compared in whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import frexp, ldexp, sqrt
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos._kernels import (
    EXACT_BAND,
    SCORE_RESOLUTION,
    SUM_ROUNDING,
    add_by_group,
    largest_magnitude,
    row_blocks,
    scale_to_integers,
)

ZeroVariancePolicy = Literal["skip", "literal"]


_NORMAL_KURTOSIS = (2, 4)


_REACH_FACTORS = (2.0, sqrt(20))  # of ratings with normal and with other kurtosis


_REACHES_SQUARED = (4, 20)


class PresentationStatistics(NamedTuple):
    """Statistics of every presentation, each of shape (groups,).

    Attributes
    ----------
    n : ndarray of int64
        Number of ratings.
    mean, sd, kurtosis : ndarray of float64
        The kurtosis is NaN where all ratings are equal, or where there are none.
    reach : ndarray of float64
        The e of the rule, 2 or sqrt(20): number of standard deviations from the mean from which a rating counts. NaN
        where the kurtosis is NaN.
    """

    n: NDArray[Any]
    mean: NDArray[Any]
    sd: NDArray[Any]
    kurtosis: NDArray[Any]
    reach: NDArray[Any]


class KurtosisFlags(NamedTuple):
    """high, low: [N] bool, whether a rating counts in its rater's P or Q; presentations: the statistics used."""

    high: NDArray[Any]
    low: NDArray[Any]
    presentations: PresentationStatistics


class KurtosisVerdicts(NamedTuple):
    """Counts and verdict of every rater, each of shape (raters,).

    Attributes
    ----------
    n, p, q : ndarray of int64
        Ratings of the rater, and the numbers of them that count in P and in Q.
    share : ndarray of float64
        (P + Q) / presentations; NaN without presentations.
    balance : ndarray of float64
        |P - Q| / (P + Q); NaN where P + Q is 0.
    rejected : ndarray of bool
    """

    n: NDArray[Any]
    p: NDArray[Any]
    q: NDArray[Any]
    share: NDArray[Any]
    balance: NDArray[Any]
    rejected: NDArray[Any]


class KurtosisScreening(NamedTuple):
    """Result of the rule for ratings, presentations and raters."""

    flags: KurtosisFlags
    raters: KurtosisVerdicts


def screen_raters_by_kurtosis(
    score: NDArray[Any],
    group: NDArray[Any],
    groups: int,
    rater: NDArray[Any],
    raters: int,
    *,
    ddof: int = 1,
    zero_variance: ZeroVariancePolicy = "skip",
    presentations: NDArray[Any] | None = None,
    max_share: Fraction = Fraction(5, 100),
    min_balance: Fraction = Fraction(3, 10),
) -> KurtosisScreening:
    """Screen the raters once.

    Parameters are those of `flag_ratings_by_kurtosis` and `reject_raters_by_flags`.

    Returns
    -------
    KurtosisScreening

    Notes
    -----
    With ddof 0, zero variance "literal" and all presentations of the table it is the rule of the package sureal,
    except that sureal rejects no rater where this function rejects all of them.
    """
    flags = flag_ratings_by_kurtosis(score, group, groups, ddof=ddof, zero_variance=zero_variance)
    verdicts = reject_raters_by_flags(rater, raters, flags.high, flags.low, presentations, max_share, min_balance)
    return KurtosisScreening(flags, verdicts)


def flag_ratings_by_kurtosis(
    score: NDArray[Any], group: NDArray[Any], groups: int, *, ddof: int = 1, zero_variance: ZeroVariancePolicy = "skip"
) -> KurtosisFlags:
    """Flag the ratings at or beyond the reach of their presentation.

    Parameters
    ----------
    score : ndarray of float64, shape (N,)
        Finite scores.
    group : ndarray of int, shape (N,)
        Presentation of each rating, in 0..groups-1: item, dimension and repetition, or item and dimension to pool
        repetitions. Ascending groups are fastest.
    groups : int
    ddof : {0, 1}
        1 for the sample deviation S of BT.500; 0 for the population deviation, as in sureal.
    zero_variance : {"skip", "literal"}
        Where all ratings of a presentation are equal, S = 0 and each rating is at both thresholds. "literal" counts
        it in P and in Q, although the raters agree; "skip" counts it in neither.

    Returns
    -------
    KurtosisFlags
    """
    order = None if (group[1:] >= group[:-1]).all() else np.argsort(group, kind="stable")
    if order is not None:
        score, group = score[order], group[order]
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1])) if len(group) else np.zeros(0, np.int64)
    runs = _PresentationRuns(starts, np.diff(starts, append=len(group)))
    high, low = np.zeros(len(score), bool), np.zeros(len(score), bool)
    found = _flag_runs(score, runs, ddof, zero_variance == "literal", high, low)
    if order is not None:
        high[order], low[order] = high.copy(), low.copy()
    at = group[starts]
    n = np.zeros(groups, np.int64)
    n[at] = runs.n
    return KurtosisFlags(high, low, PresentationStatistics(n, *(_scatter_values(value, at, groups) for value in found)))


def reject_raters_by_flags(
    rater: NDArray[Any],
    raters: int,
    high: NDArray[Any],
    low: NDArray[Any],
    presentations: NDArray[Any] | None = None,
    max_share: Fraction = Fraction(5, 100),
    min_balance: Fraction = Fraction(3, 10),
) -> KurtosisVerdicts:
    """Reject the raters with more than `max_share` flagged ratings that balance better than `min_balance`.

    Parameters
    ----------
    rater : ndarray of int, shape (N,)
        The rater, or the rater and dimension, of each rating, in 0..raters-1.
    raters : int
    high, low : ndarray of bool, shape (N,)
        See `KurtosisFlags`.
    presentations : ndarray of int, shape (raters,), optional
        Divisor of P + Q; by default the number of the rater's ratings. sureal divides by all presentations, so that
        it rejects fewer raters of a partial design.
    max_share, min_balance : Fraction
        A rater is rejected with a larger share and a smaller balance. Both comparisons are strict and in whole
        numbers: a rater at exactly 5 % stays.

    Returns
    -------
    KurtosisVerdicts
        A rater without ratings is not rejected. All raters may be rejected; the caller handles that.
    """
    n = np.zeros(raters, np.int64)
    for rows in row_blocks(len(rater)):
        add_by_group(rater[rows], n)
    p, q = (np.bincount(rater[flag], minlength=raters) for flag in (high, low))
    seen = n if presentations is None else np.asarray(presentations)
    rejected = [
        (above + below) * max_share.denominator > max_share.numerator * shown
        and abs(above - below) * min_balance.denominator < min_balance.numerator * (above + below)
        for above, below, shown in zip(p.tolist(), q.tolist(), seen.tolist(), strict=True)
    ]
    flagged = p + q
    share = flagged / np.where(seen > 0, seen, np.nan)
    balance = np.abs(p - q) / np.where(flagged > 0, flagged, np.nan)
    return KurtosisVerdicts(n, p, q, share, balance, np.array(rejected, bool))


class _PresentationRuns(NamedTuple):
    """Rows of one presentation each, one run after the other: [runs] int64 first row and number of rows."""

    start: NDArray[Any]
    n: NDArray[Any]

    def select_runs(self, part: slice | NDArray[Any]) -> _PresentationRuns:
        """Some of the runs: a slice of them, or those where `part` [runs] bool is true."""
        return _PresentationRuns(self.start[part], self.n[part])

    def rows(self) -> NDArray[Any]:
        """[rows] the row numbers of all runs."""
        before = np.cumsum(self.n) - self.n
        return np.repeat(self.start - before, self.n) + np.arange(self.n.sum())


class _RunStatistics(NamedTuple):
    """Of every run, each [runs]; see `PresentationStatistics`."""

    mean: NDArray[Any]
    sd: NDArray[Any]
    kurtosis: NDArray[Any]
    reach: NDArray[Any]


def _scatter_values(value: NDArray[Any], at: NDArray[Any], size: int) -> NDArray[Any]:
    out = np.full(size, np.nan)
    out[at] = value
    return out


def _flag_runs(
    score: NDArray[Any], runs: _PresentationRuns, ddof: int, literal: bool, high: NDArray[Any], low: NDArray[Any]
) -> _RunStatistics:
    """Set `high` and `low` [N] in place: in floating point, and then exactly in the runs near a threshold."""
    found = _RunStatistics(*(np.full(len(runs.n), np.nan) for _ in _RunStatistics._fields))
    near = np.zeros(len(runs.n), bool)
    highest = largest_magnitude(score)
    # Fourth powers neither overflow nor vanish when the largest score is about 1.
    unit = ldexp(1.0, min(-frexp(highest)[1], 1023))
    for part in _aligned_blocks(runs):
        for whole, block in zip(
            found, _flag_block(score, runs.select_runs(part), unit, ddof, high, low, near[part]), strict=True
        ):
            whole[part] = block
    if near.any():
        found.kurtosis[near], found.reach[near] = _decide_exactly(
            score, runs.select_runs(near), highest, ddof, high, low
        )
    equal = np.isnan(found.kurtosis) & (runs.n > ddof)
    found.sd[equal] = 0.0
    if literal:
        both = runs.select_runs(equal).rows()
        high[both] = low[both] = True
    return found


def _aligned_blocks(runs: _PresentationRuns) -> Iterator[slice]:
    """Slices of the runs, each of about as many rows as stay in the cache."""
    first = [rows.start for rows in row_blocks(int(runs.n.sum()))]
    edges = np.unique(np.append(np.searchsorted(runs.start, first), len(runs.n))).tolist()
    return (slice(*edge) for edge in pairwise(edges))


def _flag_block(
    score: NDArray[Any],
    runs: _PresentationRuns,
    unit: float,
    ddof: int,
    high: NDArray[Any],
    low: NDArray[Any],
    near: NDArray[Any],
) -> _RunStatistics:
    """Set `high` and `low` [N] in place in floating point, and `near` [runs] where rounding could decide."""
    start, n = runs
    rows, at = slice(start[0], start[-1] + n[-1]), start - start[0]
    x = score[rows] * unit
    mean = np.add.reduceat(x, at) / n
    deviation = np.subtract(x, np.repeat(mean, n), out=x)
    power = np.square(deviation)
    ss = np.add.reduceat(power, at)
    ss[ss == 0] = np.nan
    variance = ss / n
    sd = np.sqrt(ss / np.where(n > ddof, n - ddof, np.nan))
    kurtosis = np.add.reduceat(np.square(power, out=power), at) / n / variance**2

    noise = SUM_ROUNDING * n + SCORE_RESOLUTION  # how far off numbers up to 1 and their mean can be
    relative = noise / np.sqrt(variance)
    low_edge, high_edge = _NORMAL_KURTOSIS
    reach = np.where((low_edge <= kurtosis) & (kurtosis <= high_edge), *_REACH_FACTORS)
    limit = reach * sd
    slack = EXACT_BAND * limit + noise
    band = EXACT_BAND + 16 * relative
    for edge in _NORMAL_KURTOSIS:
        near |= np.abs(kurtosis - edge) <= edge * band
    near |= relative > 0.01
    np.abs(deviation, out=power)
    flagged = np.flatnonzero(power >= np.repeat(limit - slack, n))
    run = np.searchsorted(at, flagged, side="right") - 1
    near[run[power[flagged] <= (limit + slack)[run]]] = True
    above = deviation[flagged] > 0
    high[rows.start + flagged[above]] = True
    low[rows.start + flagged[~above]] = True
    return _RunStatistics(mean / unit, sd / unit, kurtosis, np.where(np.isnan(kurtosis), np.nan, reach))


def _decide_exactly(
    score: NDArray[Any], runs: _PresentationRuns, highest: float, ddof: int, high: NDArray[Any], low: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Set `high` and `low` in the rows of these runs exactly; their kurtosis and reach.

    With D = n x - sum x, all whole numbers: SS = sum D^2 / n^2, beta2 = n sum D^4 / (sum D^2)^2, and a rating counts
    where D^2 (n - ddof) >= e^2 sum D^2.
    """
    rows, n = runs.rows(), runs.n
    x = scale_to_integers(score[rows], highest)
    x = x - x.min()
    most, widest = int(n.max()), int(x.max())
    # No overflow: D^2 <= n^2 range^2, and by Popoviciu's inequality sum D^2 <= n^3 range^2 / 4.
    if max(5 * most**3 * widest**2, most**6 * widest**4 // 4) >= 2**62:
        x = x.astype(object)
    at = np.cumsum(n) - n
    deviation = x * np.repeat(n, n) - np.repeat(np.add.reduceat(x, at), n)
    square = deviation * deviation
    total = np.add.reduceat(square, at)
    fourth, squared = n * np.add.reduceat(square * square, at), total * total
    low_edge, high_edge = _NORMAL_KURTOSIS
    normal = (low_edge * squared <= fourth) & (fourth <= high_edge * squared)
    spread = total > 0
    limit = np.where(normal, *_REACHES_SQUARED) * total
    flagged = (square * np.repeat(n - ddof, n) >= np.repeat(limit, n)) & np.repeat(spread, n)
    high[rows], low[rows] = flagged & (deviation > 0), flagged & (deviation < 0)
    kurtosis = np.full(len(n), np.nan)
    kurtosis[spread] = fourth[spread] / squared[spread]
    return kurtosis, np.where(spread, np.where(normal, *_REACH_FACTORS), np.nan)

"""Which raters ITU-R BT.500 rejects: those who rate far from the others, and on both sides of them.

Recommendation ITU-R BT.500-13, annex 2, 2.3.1; BT.500-14, annex 1, A1-2.3.1.  For each presentation, with mean, sample
standard deviation S and kurtosis beta2 = m4 / m2^2 of its ratings: a rating at or beyond mean + e S counts to its
rater's P, one at or beyond mean - e S to Q, where e is 2 if 2 <= beta2 <= 4 (as of normal ratings) and else sqrt(20).
A rater is rejected if (P + Q) / n > 0.05 and |P - Q| / (P + Q) < 0.3.  One pass; meant for fewer than 20 raters.

Decisions are exact.  What lies so near a threshold that rounding could decide is decided in whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import frexp, ldexp, sqrt
from typing import Literal, NamedTuple

import numpy as np

from mos.moments import ROUNDING, add_by, blocks, largest
from mos.screening.exact import NEAR, RESOLUTION, whole_numbers

ZeroVariance = Literal["skip", "literal"]

_NORMAL_KURTOSIS = (2, 4)
_REACHES = (2.0, sqrt(20))  # of ratings with normal and with other kurtosis
_REACHES_SQUARED = (4, 20)


class Presentations(NamedTuple):
    """Of every presentation, each [groups]: n int64, mean, sd, kurtosis and reach float64.

    reach: e, 2 or sqrt(20), how many standard deviations from the mean a rating counts; NaN where kurtosis is
    kurtosis: NaN of ratings that are all equal, or none
    """

    n: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    kurtosis: np.ndarray
    reach: np.ndarray


class Flags(NamedTuple):
    """high, low: [N] bool, whether a rating counts to its rater's P, to Q; presentations: what decided."""

    high: np.ndarray
    low: np.ndarray
    presentations: Presentations


class Verdicts(NamedTuple):
    """Of every rater, each [raters]: n, p, q int64, share and balance float64, rejected bool.

    n: own ratings; share: (P + Q) / presentations, NaN without any; balance: |P - Q| / (P + Q), NaN at 0
    """

    n: np.ndarray
    p: np.ndarray
    q: np.ndarray
    share: np.ndarray
    balance: np.ndarray
    rejected: np.ndarray


class Screening(NamedTuple):
    """What the rule made of ratings, presentations and raters."""

    flags: Flags
    raters: Verdicts


def screen(
    score: np.ndarray,
    group: np.ndarray,
    groups: int,
    rater: np.ndarray,
    raters: int,
    *,
    ddof: int = 1,
    zero_variance: ZeroVariance = "skip",
    presentations: np.ndarray | None = None,
    max_share: Fraction = Fraction(5, 100),
    min_balance: Fraction = Fraction(3, 10),
) -> Screening:
    """Screen the raters once, see `flag_ratings` and `judge_raters`.

    With ddof 0, zero variance "literal" and all presentations of the table it is the rule as the package sureal
    applies it, except that sureal rejects nobody where this rejects everybody.
    """
    flags = flag_ratings(score, group, groups, ddof=ddof, zero_variance=zero_variance)
    verdicts = judge_raters(rater, raters, flags.high, flags.low, presentations, max_share, min_balance)
    return Screening(flags, verdicts)


def flag_ratings(
    score: np.ndarray, group: np.ndarray, groups: int, *, ddof: int = 1, zero_variance: ZeroVariance = "skip"
) -> Flags:
    """Flag the ratings at or beyond the reach of their presentation.

    score: [N] finite float64; group: [N] in 0..groups-1, the presentation: item, dimension and repetition, or item
    and dimension to pool repetitions; fastest where rows are ordered by group
    ddof: 1 for the sample deviation S of BT.500; 0 for the population's, as in sureal
    zero_variance: where all ratings of a presentation are equal, S = 0 and each is at or beyond both thresholds.
    "literal" counts it to P and to Q, which makes raters who agree look like careless ones; "skip" to neither.
    """
    order = None if (group[1:] >= group[:-1]).all() else np.argsort(group, kind="stable")
    if order is not None:
        score, group = score[order], group[order]
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1])) if len(group) else np.zeros(0, np.int64)
    runs = _Runs(starts, np.diff(starts, append=len(group)))
    high, low = np.zeros(len(score), bool), np.zeros(len(score), bool)
    found = _flag(score, runs, ddof, zero_variance == "literal", high, low)
    if order is not None:
        high[order], low[order] = high.copy(), low.copy()
    at = group[starts]
    n = np.zeros(groups, np.int64)
    n[at] = runs.n
    return Flags(high, low, Presentations(n, *(_scattered(value, at, groups) for value in found)))


def judge_raters(
    rater: np.ndarray,
    raters: int,
    high: np.ndarray,
    low: np.ndarray,
    presentations: np.ndarray | None = None,
    max_share: Fraction = Fraction(5, 100),
    min_balance: Fraction = Fraction(3, 10),
) -> Verdicts:
    """Reject the raters with more than `max_share` flagged ratings that balance better than `min_balance`.

    rater: [N] in 0..raters-1, who rated, or who rated in which dimension; high, low: [N] bool
    presentations: [raters] int, what P + Q is divided by; the rater's own ratings if None.  sureal divides by all
    presentations there are, which lets raters of a partial design pass.
    Both comparisons are strict and in whole numbers: a rater at exactly 5 % stays.  A rater who would be rejected on
    no ratings at all stays; that everybody is rejected is for the caller to handle.
    """
    n = np.zeros(raters, np.int64)
    for rows in blocks(len(rater)):
        add_by(rater[rows], n)
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
    return Verdicts(n, p, q, share, balance, np.array(rejected, bool))


class _Runs(NamedTuple):
    """Rows of one presentation each, one run after the other: [runs] int64 first row and number of rows."""

    start: np.ndarray
    n: np.ndarray

    def cut(self, part: slice | np.ndarray) -> _Runs:
        """Some of the runs: a slice of them, or those where `part` [runs] bool is true."""
        return _Runs(self.start[part], self.n[part])

    def rows(self) -> np.ndarray:
        """[rows] the row numbers of all runs."""
        before = np.cumsum(self.n) - self.n
        return np.repeat(self.start - before, self.n) + np.arange(self.n.sum())


class _Found(NamedTuple):
    """Of every run, each [runs]; see `Presentations`."""

    mean: np.ndarray
    sd: np.ndarray
    kurtosis: np.ndarray
    reach: np.ndarray


def _scattered(value: np.ndarray, at: np.ndarray, size: int) -> np.ndarray:
    out = np.full(size, np.nan)
    out[at] = value
    return out


def _flag(score: np.ndarray, runs: _Runs, ddof: int, literal: bool, high: np.ndarray, low: np.ndarray) -> _Found:
    """Set `high` and `low` [N] in place: in floating point, and then exactly in the runs near a threshold."""
    found = _Found(*(np.full(len(runs.n), np.nan) for _ in _Found._fields))
    near = np.zeros(len(runs.n), bool)
    highest = largest(score)
    # Fourth powers neither overflow nor vanish when the largest score is about 1.
    unit = ldexp(1.0, min(-frexp(highest)[1], 1023))
    for part in _aligned_blocks(runs):
        for whole, block in zip(
            found, _flag_block(score, runs.cut(part), unit, ddof, high, low, near[part]), strict=True
        ):
            whole[part] = block
    if near.any():
        found.kurtosis[near], found.reach[near] = _decide(score, runs.cut(near), highest, ddof, high, low)
    equal = np.isnan(found.kurtosis) & (runs.n > ddof)
    found.sd[equal] = 0.0
    if literal:
        both = runs.cut(equal).rows()
        high[both] = low[both] = True
    return found


def _aligned_blocks(runs: _Runs) -> Iterator[slice]:
    """Slices of the runs, each of about as many rows as stay in the cache."""
    first = [rows.start for rows in blocks(int(runs.n.sum()))]
    edges = np.unique(np.append(np.searchsorted(runs.start, first), len(runs.n))).tolist()
    return (slice(*edge) for edge in pairwise(edges))


def _flag_block(
    score: np.ndarray, runs: _Runs, unit: float, ddof: int, high: np.ndarray, low: np.ndarray, near: np.ndarray
) -> _Found:
    """Set `high` and `low` [N] in place as floating point has it, and `near` [runs] where that may be wrong."""
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

    noise = ROUNDING * n + RESOLUTION  # how far off numbers up to 1 and their mean can be
    relative = noise / np.sqrt(variance)
    low_edge, high_edge = _NORMAL_KURTOSIS
    reach = np.where((low_edge <= kurtosis) & (kurtosis <= high_edge), *_REACHES)
    limit = reach * sd
    slack = NEAR * limit + noise
    band = NEAR + 16 * relative
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
    return _Found(mean / unit, sd / unit, kurtosis, np.where(np.isnan(kurtosis), np.nan, reach))


def _decide(
    score: np.ndarray, runs: _Runs, highest: float, ddof: int, high: np.ndarray, low: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Set `high` and `low` in the rows of these runs exactly; their kurtosis and reach.

    With D = n x - sum x, all whole numbers: SS = sum D^2 / n^2, beta2 = n sum D^4 / (sum D^2)^2, and a rating counts
    where D^2 (n - ddof) >= e^2 sum D^2.
    """
    rows, n = runs.rows(), runs.n
    x = whole_numbers(score[rows], highest)
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
    return kurtosis, np.where(spread, np.where(normal, *_REACHES), np.nan)

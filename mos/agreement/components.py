"""Variances of items, raters and what is left, whoever rated what, and the intraclass correlations that follow.

Model: rating = mean + item + rater + residual, all random and independent; at most one opinion for an item and rater.

Estimated by fitting constants (Henderson's method III: C. R. Henderson, Biometrics 9 (1953) 226-252; S. R. Searle,
G. Casella, C. E. McCulloch, Variance Components (1992), section 5.5), taken for both factors.  With N opinions of
p items and q raters in c unconnected parts, and the sums of squares about the items' means (W_items), about the
raters' means (W_raters) and about the least-squares fit of both (E):
    residual = E / (N - p - q + c)
    rater    = (W_items  - E - (q - c) residual) / (N - p)
    item     = (W_raters - E - (p - c) residual) / (N - q)
Unbiased, whichever raters got whichever items, since each factor is judged within the other; on a complete design
the estimates of the analysis of variance.  Only E needs more than sums: a few passes of conjugate gradients.

Intervals: bootstrap over items.  E and W_raters of a resample are summed from the squares that the items had about
the fit of all items.  That is exact to first order, as a least-squares fit is stationary in what is fitted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos.agreement.coefficient import Coefficient, coefficient, middle
from mos.agreement.icc import NAMES, UNDEFINED, why_none
from mos.agreement.opinions import Opinions
from mos.agreement.resampling import INTERVAL, Resampling
from mos.moments import moments

SDS = ("item_sd", "rater_sd", "residual_sd")
ONE_WAY = ("ICC(1,1)", "ICC(1,k)")
NOT_CROSSED = "raters and items are not crossed enough to tell their variances apart"
_NEGATIVE = "the estimated variance is negative, as chance makes it when there is next to none: read it as 0"
_TOLERANCE = 1e-9  # of the raters' effects; the sum of squares is then wrong by its square
_ROUNDING = 1e-13  # a variance below this share of the largest is none


class Components(NamedTuple):
    """Variances, in squared points; an estimate may be negative.  Floats, or arrays [replicates].

    parts: how many unconnected parts the raters and items fall into
    """

    item: NDArray[np.float64]
    rater: NDArray[np.float64]
    residual: NDArray[np.float64]
    parts: int


class _Sums(NamedTuple):
    """The sizes of the design, and of every item [items, 8], n its opinions and m their mean: n, n^2, 1/n, n m, n m^2,
    and the squares of its opinions about m, about the raters' means and about the fit.
    """

    of_item: np.ndarray
    items: int
    raters: int
    parts: int


def components(opinions: Opinions) -> Components | None:
    """Estimated variances of one dimension; None where the design or a lack of variation leaves them undefined."""
    parts = _parts(opinions)
    if why_none(opinions) or not _crossable(opinions, parts):
        return None
    sums = _sums(opinions, parts)
    return _crossed(sums.of_item.sum(axis=0), sums)


def random_effects(opinions: Opinions, resampling: Resampling) -> dict[str, Coefficient]:
    """The six intraclass correlations of any design, and item_sd, rater_sd and residual_sd, with intervals.

    ICC(1,.) comes from the one-way analysis of unequal groups, A and C from `components`.  The k of a mean is the
    harmonic mean of the numbers of opinions of the items: the variance of a mean, averaged over the items, is the
    variance of one opinion divided by it.  A variance estimated as negative has the standard deviation 0 and a note.
    """
    names = (*NAMES, *SDS)
    size = (opinions.items, opinions.raters, len(opinions))
    reason = why_none(opinions)
    if reason:
        return {name: coefficient(np.nan, None, None, size, reason) for name in names}
    parts = _parts(opinions)
    sums = _sums(opinions, parts)
    values = _effects(sums.of_item.sum(axis=0), sums)
    again = _effects(resampling.totals(sums.of_item), sums)
    crossable = _crossable(opinions, parts)
    found = {}
    for name in names:
        value, ci = float(values[name]), middle(again[name], resampling.level)
        note = None if name in ONE_WAY else _parted(parts)
        if name not in ONE_WAY and not crossable:
            value, note = np.nan, NOT_CROSSED
        elif name in SDS and value < 0:
            value, note = 0.0, _NEGATIVE
        elif np.isnan(value):
            note = UNDEFINED
        if name in SDS:
            ci = (max(ci[0], 0.0), max(ci[1], 0.0))
        found[name] = coefficient(value, ci, INTERVAL, size, note)
    return found


def _parted(parts: int) -> str | None:
    if parts == 1:
        return None
    return f"the raters and items fall into {parts} unconnected parts: differences between the parts are not counted"


def _crossable(opinions: Opinions, parts: int) -> bool:
    n, p, q = len(opinions), opinions.items, opinions.raters
    return n > p and n > q and n - p - q + parts > 0


def _parts(opinions: Opinions) -> int:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = opinions.items + opinions.raters
    edges = coo_array((np.ones(len(opinions)), (opinions.item, opinions.items + opinions.rater)), shape=(nodes, nodes))
    return int(connected_components(edges, directed=False, return_labels=False))


def _sums(opinions: Opinions, parts: int) -> _Sums:
    """The design's sums: see `_Sums`; scores are taken from their mean, to be safe against cancellation."""
    item, rater = opinions.item, opinions.rater
    score = opinions.score - opinions.score.mean()
    by_item = moments(score, item, opinions.items)
    by_rater = moments(score, rater, opinions.raters)
    of_raters = np.bincount(item, (score - by_rater.mean[rater]) ** 2)
    severity = _severity(opinions, score, by_item.mean)
    left = score - severity[rater]
    left -= (np.bincount(item, left) / by_item.n)[item]
    n, total = by_item.n.astype(np.float64), by_item.n * by_item.mean
    columns = [n, n**2, 1 / n, total, total * by_item.mean, by_item.ss, of_raters, np.bincount(item, left**2)]
    return _Sums(np.stack(columns, axis=1), opinions.items, opinions.raters, parts)


def _severity(opinions: Opinions, score: np.ndarray, item_mean: np.ndarray) -> np.ndarray:
    """[raters] least-squares effects of the raters, those of the items fitted as well; up to a constant in each part.

    Conjugate gradients on the raters' normal equations, scaled by their numbers of opinions: each step is a sum by
    item and a sum by rater.  On a complete design the first step is the solution.
    """
    item, rater = opinions.item, opinions.rater
    n_item, n_rater = np.bincount(item), np.bincount(rater)
    scale = 1 / np.sqrt(n_rater)

    def normal(effects: np.ndarray) -> np.ndarray:
        spread = (effects * scale)[rater]
        spread -= (np.bincount(item, spread) / n_item)[item]
        return np.bincount(rater, spread) * scale

    effects = np.zeros(opinions.raters)
    rest = np.bincount(rater, score - item_mean[item]) * scale
    direction, size = rest.copy(), rest @ rest
    enough = max(size * _TOLERANCE**2, _ROUNDING**2 * (score @ score))
    for _ in range(10 * opinions.raters):  # a few unless the design is a chain; never more than the raters, exactly
        if size <= enough:
            break
        image = normal(direction)
        step = size / (direction @ image)
        effects += step * direction
        rest -= step * image
        size, before = rest @ rest, size
        direction = rest + size / before * direction
    return effects * scale


def _crossed(totals: np.ndarray, sums: _Sums) -> Components:
    """Components from [..., 8] totals of the items' sums."""
    n, of_items, of_raters, of_fit = (totals[..., column] for column in (0, 5, 6, 7))
    p, q, c = sums.items, sums.raters, sums.parts
    residual = _over(of_fit, n - p - q + c)
    rater = _over(of_items - of_fit - (q - c) * residual, n - p)
    item = _over(of_raters - of_fit - (p - c) * residual, n - q)
    found = np.stack([item, rater, residual])
    found[np.abs(found) <= _ROUNDING * np.abs(found).max(axis=0)] = 0
    return Components(found[0], found[1], found[2], c)


def _effects(totals: np.ndarray, sums: _Sums) -> dict[str, NDArray[np.float64]]:
    """Every coefficient by name from [..., 8] totals; of a negative variance, minus the root of its size."""
    n, squared, inverse, total, squares, within = (totals[..., column] for column in range(6))
    p = sums.items
    k = p / inverse
    inside = _over(within, n - p)
    between = _over((squares - total**2 / n) / (p - 1) - inside, (n - squared / n) / (p - 1))
    item, rater, residual, _ = _crossed(totals, sums)
    noise = rater + residual
    found = {
        "ICC(1,1)": _over(between, between + inside),
        "ICC(A,1)": _over(item, item + noise),
        "ICC(C,1)": _over(item, item + residual),
        "ICC(1,k)": _over(between, between + inside / k),
        "ICC(A,k)": _over(item, item + noise / k),
        "ICC(C,k)": _over(item, item + residual / k),
    }
    return found | {
        name: np.sign(variance) * np.sqrt(np.abs(variance))
        for name, variance in zip(SDS, (item, rater, residual), strict=True)
    }


def _over(part: np.ndarray, whole: np.ndarray) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is not positive."""
    positive = whole > 0
    return np.where(positive, part / np.where(positive, whole, 1), np.nan)

"""From a method's estimate to its result: intervals, reasons, tables, summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mos.connectivity import components
from mos.errors import UserError
from mos.moments import moments
from mos.ratings import Ratings
from mos.scoring.estimate import KEPT, OUTLIER, RATER_EXCLUDED, STATUSES, Estimate
from mos.scoring.intervals import bootstrap, half_widths
from mos.scoring.options import Options
from mos.scoring.result import FALLBACK, Result, rater_table, score_table, why_no_score, why_not_used
from mos.scoring.scores import Means
from mos.scoring.summary import Cases, Figures, summarise

Estimating = Callable[[Ratings, Any], Estimate]
POINTS = (0.0, 100.0)
_ROUNDING = 1e-9


def assemble(
    ratings: Ratings,
    options: Options,
    estimate: Estimating,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Score the ratings.

    estimate: the method; called again on resampled raters for a bootstrap
    progress: called with 1 after each resample
    Raises UserError where an item has too few ratings and that is an error by the options.
    """
    found = estimate(ratings, options)
    bounds = POINTS if found.unit == "points" else ratings.scale
    means, reason = _with_fallback(ratings, found, options)
    low, high = _interval(ratings, found, means, options, estimate, progress)
    slack = _ROUNDING * (bounds[1] - bounds[0])
    scored = (reason < 0) | (reason == FALLBACK)
    outside = scored & ((means.mos < bounds[0] - slack) | (means.mos > bounds[1] + slack))
    if options.clip:
        means = means._replace(mos=np.clip(means.mos, *bounds))
        low, high = np.clip(low, *bounds), np.clip(high, *bounds)
    not_used = why_not_used(found, len(ratings.dimensions))
    null = found.null() if found.null is not None else None
    figures = Figures(
        fates=_by_status(found),
        flagged=None if found.flags is None else int(found.flags.flagged.sum()),
        cases=_cases(ratings, found),
        outside=int(outside.sum()),
        bounds=bounds,
        clipped=options.clip,
        reason=reason,
        not_used=not_used,
        rated=found.rated,
        null=null,
        components=components(ratings, found.status == KEPT, _used(ratings, found)),
        notes=found.notes,
        normalises=found.normalises,
    )
    return Result(
        ratings=ratings,
        options=options.as_dict(),
        unit=found.unit,
        status=found.status,
        value=found.value,
        scores=score_table(ratings, means, low, high, found.rated, reason),
        raters=rater_table(ratings, found, None if null is None else null.share, not_used),
        summary=summarise(ratings, found.exclusion, figures),
        decisions=found.decisions,
    )


def _with_fallback(ratings: Ratings, found: Estimate, options: Options) -> tuple[Means, np.ndarray]:
    """The means, and why there is none; of all ratings of an item where too few are left and the options say so."""
    means = found.means
    reason = why_no_score(means.n, found.rated, options.min_ratings)
    short = (reason >= 0) & (found.rated > 0)
    if not short.any() or options.on_too_few == "null":
        return means, reason
    if options.on_too_few == "raise":
        raise UserError(_too_few(ratings, means.n, np.flatnonzero(short), options.min_ratings))
    usable = short[ratings.groups()] & ~np.isnan(found.value)
    every = moments(found.value[usable], ratings.groups()[usable], len(means.n))
    filled = short & (every.n > 0)
    factor, shift = found.to_unit
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = every.sd(1) * factor
        theirs = Means(every.n, every.mean * factor + shift, sd, sd / np.sqrt(every.n))
    merged = (np.where(filled, other, one) for one, other in zip(means, theirs, strict=True))
    return Means(*merged), np.where(filled, FALLBACK, reason)


def _too_few(ratings: Ratings, n: np.ndarray, short: np.ndarray, least: int) -> str:
    item, dimension = divmod(int(short[0]), len(ratings.dimensions))
    first = f"'{ratings.items[item].as_py()[:60]}' in {ratings.dimensions[dimension].as_py()[:60]}"
    return (
        f"{len(short)} scores rest on fewer than {least} ratings, the first being {first} with {n[short[0]]}: collect "
        "more ratings, or set on_too_few to null or fallback."
    )


def _interval(
    ratings: Ratings,
    found: Estimate,
    means: Means,
    options: Options,
    estimate: Estimating,
    progress: Callable[[int], None] | None,
) -> tuple[np.ndarray, np.ndarray]:
    if options.interval != "bootstrap":
        half = half_widths(means, options.interval, options.confidence)
        return means.mos - half, means.mos + half

    lenient = options.in_resamples()

    def scores(drawn: Ratings) -> np.ndarray:
        again, reason = _with_fallback(drawn, estimate(drawn, lenient), lenient)
        return np.where((reason < 0) | (reason == FALLBACK), again.mos, np.nan)

    low, high = bootstrap(
        ratings,
        scores,
        level=options.confidence,
        resamples=options.resamples,
        seed=options.seed,
        progress=progress,
    )
    known = _raters_behind(ratings, found, means) > 1
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _raters_behind(ratings: Ratings, found: Estimate, means: Means) -> np.ndarray:
    """[items * dimensions] how many raters a score rests on: of one, no resample could tell how others differ."""
    group = ratings.groups()
    fallen_back = found.means.n != means.n
    rows = np.flatnonzero((found.status == KEPT) | (fallen_back[group] & ~np.isnan(found.value)))
    group, rater = group[rows], ratings.rater[rows]
    another = np.append(True, (group[1:] != group[:-1]) | (rater[1:] != rater[:-1]))[: len(rows)]
    return np.bincount(group[another], minlength=len(means.n))


def _cases(ratings: Ratings, found: Estimate) -> Cases:
    shape = len(ratings.raters), len(ratings.dimensions)
    rated = found.fates.given.reshape(shape) > 0
    excluded = rated & (found.fates.rater == RATER_EXCLUDED).reshape(shape)
    if found.by_dimension and shape[1] > 1:
        return Cases("combinations of rater and dimension", int(excluded.sum()), int(rated.sum()))
    return Cases("raters", int(excluded.any(axis=1).sum()), int(rated.any(axis=1).sum()))


def _by_status(found: Estimate) -> np.ndarray:
    """[statuses] ratings of each."""
    counts = np.bincount(found.fates.rater, found.fates.retained, len(STATUSES)).astype(np.int64)
    counts[OUTLIER] = len(found.fates.removed)
    return counts


def _used(ratings: Ratings, found: Estimate) -> np.ndarray:
    """[raters, dimensions] bool, whether a rating of the rater counts."""
    fates = found.fates
    return ((fates.rater == KEPT) & (fates.retained > 0)).reshape(len(ratings.raters), len(ratings.dimensions))

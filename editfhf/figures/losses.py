"""Figures of what was lost and why: outlier shares of raters, stages of the build."""

from __future__ import annotations

from editfhf.figures.drawing import Drawing, short, ticks
from editfhf.figures.wording import percent, rule, words
from editfhf.statistics.records import Rater, Statistics

MOST_RATERS = 40
SCALE_CUT = 4
"""The scale ends at this many times the limit, so that one careless rater does not flatten all others."""

_LEFT, _RIGHT = 120.0, 440.0


def raters(statistics: Statistics) -> Drawing:
    """Outlier share of every rater beside the limit, where there is one, and the share expected of an honest one."""
    rated = [rater for rater in statistics.raters if rater.ratings and rater.outlier_share is not None]
    rated.sort(key=lambda rater: (-(rater.outlier_share or 0), rater.annotator_id))
    shown = rated[:MOST_RATERS]
    row, top = 17.0, 66.0
    bottom = top + row * max(len(shown), 1)
    drawing = Drawing("Outlier share of raters", "Outlier share of each rater with the null band.", bottom + 40)
    drawing.heading()
    drawing.legend(
        14,
        42,
        [("circle", "kept", "kept"), ("diamond", "excluded", "excluded"), ("square", "band", "95 % of honest raters")],
    )
    limit = statistics.outlier_limit
    ends = [value for rater in shown for value in (rater.outlier_share, rater.null_high) if value is not None]
    high = max(0.01, max([*ends, limit or 0.0]) * 1.08)
    if limit:
        high = max(0.01, min(high, limit * SCALE_CUT))
    for tick in ticks(0, high, 6):
        x = _across(tick, high)
        drawing.line(x, top, x, bottom)
        drawing.text(x, bottom + 15, percent(tick, 0 if high > 0.06 else 1), "soft small", "middle")
    for k, rater in enumerate(shown):
        _rater(drawing, top + row * (k + 0.5), rater, high)
    if limit is not None:
        x = _across(limit, high)
        drawing.line(x, top - 4, x, bottom, "limit")
        drawing.text(x + 4, top - 1, f"limit {rule(limit)}", "excluded small")
    rest = f" ({len(rated) - len(shown):,} more below)" if len(rated) > len(shown) else ""
    label = f"share of the rater's ratings that are outliers{rest}"
    drawing.text((_LEFT + _RIGHT) / 2, bottom + 31, label, "soft small", "middle")
    return drawing


def _rater(drawing: Drawing, y: float, rater: Rater, high: float) -> None:
    drawing.text(_LEFT - 10, y + 4, short(rater.annotator_id, _LEFT - 18), "ink small", "end")
    if rater.null_low is not None and rater.null_high is not None and rater.expected_share is not None:
        left, middle, right = (_across(x, high) for x in (rater.null_low, rater.expected_share, rater.null_high))
        band = f"{percent(rater.null_low)} to {percent(rater.null_high)}"
        tip = f"expected {percent(rater.expected_share)}, 95 % of honest raters {band}"
        drawing.rect(left, y - 5, right - left, 10, "band", tip, 2)
        drawing.line(middle, y - 5, middle, y + 5, "axis")
    share = rater.outlier_share or 0.0
    shape, look = ("diamond", "excluded") if rater.excluded else ("circle", "kept")
    outcome = ", excluded" if rater.excluded else ""
    if share > high:
        drawing.text(_RIGHT - 8, y + 4, f"{percent(share, 0)} →", "ink small", "end")
    tip = f"{rater.annotator_id}: {rater.outliers:,} of {rater.ratings:,} ratings, {percent(share)}{outcome}"
    drawing.mark(_across(share, high), y, shape, look, tip)


def _across(share: float, high: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * min(share / high, 1.0)


def stages(statistics: Statistics) -> Drawing:
    """What went into each stage of the build and what came out of it."""
    row = 40.0
    drawing = Drawing(
        "From corpus to dataset",
        "Counts in and out of each stage of the build.",
        40 + row * max(len(statistics.stages), 1),
    )
    drawing.heading()
    for k, stage in enumerate(statistics.stages):
        y = 36 + row * k
        share = min(1.0, stage.left / stage.entered) if stage.entered else 1.0
        drawing.text(14, y + 11, words(stage.stage), "ink strong")
        lost = f", {stage.set_aside:,} set aside" if stage.set_aside else ""
        drawing.text(446, y + 11, f"{stage.entered:,} in, {stage.left:,} out{lost}", "soft small", "end")
        why = ", ".join(f"{words(reason)} {count:,}" for reason, count in stage.reasons.items())
        drawing.rect(14, y + 17, 432, 10, "track", why or "nothing set aside", 3)
        drawing.rect(14, y + 17, 432 * share, 10, "kept", f"{percent(share)} left", 3)
    return drawing

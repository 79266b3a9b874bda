"""Figures of mean opinion scores: distributions, and means of groups of images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from editfhf.figures.drawing import Drawing, short, ticks
from editfhf.figures.wording import SCORE_NAMES, SHAPES, decimal, estimate
from editfhf.statistics.records import SCORE_BIN, SCORES, Distribution, Group, Statistics

_LEFT, _RIGHT = 150.0, 444.0


def distributions(statistics: Statistics) -> Drawing:
    """Histogram of every score over all images, in panels of one scale."""
    drawing = Drawing(
        "Mean opinion scores", "Histogram of each mean opinion score over all images, with mean and sd.", 346
    )
    drawing.heading()
    top = max((max(score.histogram, default=0) for score in statistics.scores), default=0) or 1
    for k, score in enumerate(statistics.scores):
        _histogram(drawing, 16 + 226.0 * (k % 2), 34 + 148.0 * (k // 2), score, top)
    drawing.text(14, 336, "Images by score, in bins of 5 points; mean ± standard deviation over images.", "soft small")
    return drawing


def _histogram(drawing: Drawing, x: float, y: float, score: Distribution, top: int) -> None:
    width, height = 200.0, 88.0
    bottom = y + 30 + height
    spread = f"{decimal(score.mean)} ± {decimal(score.sd)}" if score.sd is not None else decimal(score.mean)
    drawing.text(x, y + 10, SCORE_NAMES[score.score], "ink strong")
    drawing.text(x, y + 24, spread, "soft small")
    step = width / len(score.histogram)
    for k, count in enumerate(score.histogram):
        tall = height * count / top
        tip = f"{SCORE_NAMES[score.score]} {k * SCORE_BIN}–{(k + 1) * SCORE_BIN}: {count:,} images"
        drawing.rect(x + step * k + 0.6, bottom - tall, step - 1.2, tall, f"bar {score.score}", tip)
    drawing.line(x, bottom, x + width, bottom, "axis")
    for tick in (0, 25, 50, 75, 100):
        drawing.text(x + width * tick / 100, bottom + 13, tick, "soft small", "middle")
    if score.mean is not None:
        mean = x + width * min(max(score.mean, 0), 100) / 100
        drawing.line(mean, y + 30, mean, bottom, "axis")


def by_group(title: str, groups: Sequence[Group], names: Mapping[str, str] | None = None) -> Drawing:
    """Mean of every score with its 95 % interval, one row for each group, the best overall first."""
    ordered = sorted(groups, key=lambda group: (-(group.scores["overall"].mean or -math.inf), group.name))
    row = 42.0
    drawing = Drawing(
        title, f"{title}: mean opinion scores with 95 % intervals over images.", 74 + row * len(ordered) + 26
    )
    drawing.heading()
    drawing.legend(10, 42, [(SHAPES[score], score, SCORE_NAMES[score]) for score in SCORES])
    low, high = _range(ordered)
    top, bottom = 54.0, 54 + row * len(ordered)
    for tick in ticks(low, high):
        x = _place(tick, low, high)
        drawing.line(x, top, x, bottom)
        drawing.text(x, bottom + 15, decimal(tick, 0), "soft small", "middle")
    for k, group in enumerate(ordered):
        label = (names or {}).get(group.name, group.name)
        drawing.text(_LEFT - 10, top + row * k + 19, short(label, _LEFT - 18), "ink", "end", tip=label)
        drawing.text(_LEFT - 10, top + row * k + 32, f"{group.pairs:,} images", "soft small", "end")
        _row(drawing, top + row * k, label, group, low, high)
    drawing.text(
        (_LEFT + _RIGHT) / 2, bottom + 31, "mean opinion score, 95 % interval over images", "soft small", "middle"
    )
    return drawing


def _row(drawing: Drawing, top: float, label: str, group: Group, low: float, high: float) -> None:
    for k, score in enumerate(SCORES):
        value = group.scores[score]
        if value.mean is None:
            continue
        y = top + 8 + 8.6 * k
        half = value.ci95 or 0.0
        left, right = (_place(value.mean + side * half, low, high) for side in (-1, 1))
        drawing.line(left, y, right, y, f"whisker {score}")
        tip = f"{label}, {SCORE_NAMES[score]}: {estimate(value)} ({value.n:,} images)"
        drawing.mark(_place(value.mean, low, high), y, SHAPES[score], score, tip, 3.4)


def _range(groups: Sequence[Group]) -> tuple[float, float]:
    """From the lowest to the highest end of an interval within [0, 100], to the next tens."""
    found = [value for group in groups for value in group.scores.values()]
    ends = [value.mean + side * (value.ci95 or 0) for value in found if value.mean is not None for side in (-1, 1)]
    if not ends:
        return 0.0, 100.0
    low = max(0, 10 * math.floor(min(ends) / 10))
    high = min(100, 10 * math.ceil(max(ends) / 10))
    return (float(low), float(high)) if high > low else (0.0, 100.0)


def _place(value: float, low: float, high: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (min(max(value, low), high) - low) / (high - low)

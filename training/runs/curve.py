"""The curve of a training: losses over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from editfhf.report.drawing import SvgDrawing, compute_axis_ticks

_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 440.0, 56.0, 220.0
_SERIES = {"training": ("square", "artifact"), "validation": ("circle", "failure")}


def draw_curve(history: Sequence[Mapping[str, float]]) -> str:
    """Draw training and validation loss of each epoch as an SVG file.

    Parameters
    ----------
    history : sequence of mapping
        With "epoch", "training" and "validation"; at least one.
    """
    drawing = SvgDrawing("Loss by epoch", "Training and validation loss of each epoch of a training.", 262)
    drawing.heading()
    drawing.legend(_LEFT, 42, [(*_SERIES[name], name) for name in _SERIES])
    values = [row[name] for row in history for name in _SERIES]
    low, high = min(values), max(values)
    spread = (high - low) or 1.0

    def place(epoch: float, loss: float) -> tuple[float, float]:
        across = (epoch - 1) / max(1, len(history) - 1)
        return _LEFT + across * (_RIGHT - _LEFT), _BOTTOM - (loss - low) / spread * (_BOTTOM - _TOP)

    for tick in compute_axis_ticks(low, high):
        y = place(1, tick)[1]
        drawing.line(_LEFT, y, _RIGHT, y)
        drawing.text(_LEFT - 6, y + 4, f"{tick:g}", "soft small", "end")
    for tick in compute_axis_ticks(1, len(history), 10):
        if tick == int(tick):
            drawing.text(place(tick, low)[0], _BOTTOM + 18, f"{tick:g}", "soft small", "middle")
    drawing.text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, "epoch", "soft small", "middle")
    for name, (shape, classes) in _SERIES.items():
        points = [place(row["epoch"], row[name]) for row in history]
        for (x1, y1), (x2, y2) in pairwise(points):
            drawing.line(x1, y1, x2, y2, "axis")
        for row, (x, y) in zip(history, points, strict=True):
            drawing.mark(x, y, shape, classes, f"{name}, epoch {row['epoch']:g}: {row[name]:.4f}", 3)
    return drawing.svg(standalone=True)

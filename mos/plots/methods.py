"""Scores of the same items by several methods, each against each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mos.plots.density import MANY, cloud
from mos.plots.names import short
from mos.plots.style import LARGE, NORMAL, SMALL, SOFT, fix_layout, look, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

_TITLE = "Scores by one method against another"
_MAX_METHODS = 6
_ROUNDING = 1e-11  # a difference below this share of the largest score is none


class _Method(NamedTuple):
    """name, unit: shortened; scores: [items]; span: limits of its axis."""

    name: str
    unit: str
    scores: np.ndarray
    span: tuple[float, float]


@look()
def method_scatter(methods: Sequence[str], units: Sequence[str], scores: np.ndarray) -> Figure:
    """A panel for each pair of methods, with rank (SRCC) and linear (PLCC) correlation and the largest difference.

    methods: [M] names, two to six (later ones are not drawn); units: [M] what their scores are in
    scores: [M, items], NaN where a method gives none.  The largest difference, and the line of equal scores, only where
    both methods have the same unit.  Of three and more methods the panels stand below the names, the figures above.
    """
    if len(methods) < 2:
        return nothing(_TITLE, "fewer than two methods")
    drawn = [
        _Method(short(name, 15), short(unit, 16), values, _span(values))
        for name, unit, values in zip(methods[:_MAX_METHODS], units, scores, strict=False)
    ]
    if np.isfinite(scores[: len(drawn)]).sum(axis=0).max(initial=0) < 2:
        return nothing(_TITLE, "no item has scores by two methods")
    reading = (
        "Each point is an item (larger or darker: several). Close to a line, methods agree; far from it, the choice "
        "of method changes the score. Dashed: equal scores. Max |Δ|: the largest difference in the same unit."
    )
    if len(methods) > len(drawn):
        reading += f" Shown are the first {len(drawn)} of {len(methods)} methods."
    if len(drawn) > 2:
        return _matrix(drawn, reading)
    figure = sheet(_TITLE, reading, 4.4)
    axes = figure.add_subplot()
    first, second = drawn
    _draw_pair(axes, first, second, MANY)
    axes.set_title(" · ".join(_figures(first, second)))
    axes.set_xlabel(f"{first.name}, {first.unit}", parse_math=False)
    axes.set_ylabel(f"{second.name}, {second.unit}", parse_math=False)
    return figure


def _matrix(drawn: list[_Method], reading: str) -> Figure:
    """Names on the diagonal, points below, figures above it."""
    count = len(drawn)
    figure = sheet(_TITLE, reading, {3: 6.6, 4: 6.8}.get(count, 7.0))
    top = fix_layout(figure)
    grid = figure.add_gridspec(count, count, left=0.06, right=0.985, bottom=0.04, top=top, wspace=0.12, hspace=0.12)
    small = count > 4
    for row, across in enumerate(drawn):
        for column, upright in enumerate(drawn):
            if column < row:
                axes = figure.add_subplot(grid[row, column])
                _draw_pair(axes, upright, across, 2 * MANY // (count * (count - 1) // 2))
                axes.tick_params(labelbottom=row == count - 1, labelleft=column == 0)
                axes.locator_params(nbins=4)
            elif column == row:
                _write(figure, grid[row, column], [across.name, across.unit], SMALL if small else NORMAL, bold=True)
            else:
                _write(figure, grid[row, column], _figures(across, upright), SMALL if small else LARGE - 2)
    return figure


def _span(values: np.ndarray) -> tuple[float, float]:
    """Limits for an axis, with a margin; NaN are passed over."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return (0.0, 1.0)
    margin = 0.05 * float(np.ptp(finite)) or 0.5
    return (float(finite.min()) - margin, float(finite.max()) + margin)


def _draw_pair(axes: Axes, across: _Method, upright: _Method, most: int) -> None:
    both = np.isfinite(across.scores) & np.isfinite(upright.scores)
    axes.set_xlim(across.span)
    axes.set_ylim(upright.span)
    cloud(axes, across.scores[both], upright.scores[both], (48, 48), most)
    if across.unit == upright.unit:
        low, high = max(across.span[0], upright.span[0]), min(across.span[1], upright.span[1])
        axes.plot([low, high], [low, high], color=SOFT, linestyle="--", linewidth=0.9)


def _write(figure: Figure, cell: SubplotSpec, lines: list[str], size: float, bold: bool = False) -> None:
    """Lines in the middle of a cell, the first one in bold."""
    box = cell.get_position(figure)
    x, middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    step = 1.6 * size / 72 / figure.get_figheight()
    for line, text in enumerate(lines):
        weight = "bold" if bold and line == 0 else "normal"
        y = middle + step * ((len(lines) - 1) / 2 - line)
        figure.text(x, y, text, size=size, weight=weight, ha="center", va="center", parse_math=False)


def _figures(one: _Method, other: _Method) -> list[str]:
    from scipy.stats import rankdata

    both = np.isfinite(one.scores) & np.isfinite(other.scores)
    x, y = (_clean(method.scores[both]) for method in (one, other))
    lines = [f"SRCC {_correlation(rankdata(x), rankdata(y))}", f"PLCC {_correlation(x, y)}"]
    if one.unit == other.unit and len(x):
        lines.append(f"max |Δ| {np.abs(_clean(x - y, np.abs(x).max())).max():.2g}")
    return lines


def _clean(values: np.ndarray, largest: float | None = None) -> np.ndarray:
    """The values without the rounding that would part equal ones, and so their ranks."""
    unit = _ROUNDING * (float(np.abs(values).max(initial=0)) if largest is None else float(largest))
    return np.round(values / unit) * unit if unit > 0 else values


def _correlation(x: np.ndarray, y: np.ndarray) -> str:
    """Pearson correlation to three decimals; a dash where a side is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "–"
    return f"{np.corrcoef(x, y)[0, 1]:.3f}"

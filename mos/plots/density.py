"""Colour maps that let the page shine through, and clouds of points too many to draw one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mos.plots.style import BLUE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

MANY = 3000  # points; more are drawn as a density
_FEW = 500
_SIZES = 5
_LEVELS = 128
_MISSING = (0.5, 0.5, 0.5, 0.3)


def diverging() -> Colormap:
    """Vermilion below 0, blue above, the page's background at 0 and grey where there is nothing."""
    from matplotlib.colors import ListedColormap

    below, above = _fading(VERMILION, 0.0), _fading(BLUE, 0.0)
    return ListedColormap(np.concatenate([below[::-1], above])).with_extremes(bad=_MISSING)


def sequential() -> Colormap:
    """From faint to full blue; the page's background where there is nothing."""
    from matplotlib.colors import ListedColormap

    return ListedColormap(_fading(BLUE, 0.2)).with_extremes(bad=(0, 0, 0, 0))


def _fading(colour: str, least: float) -> np.ndarray:
    """[levels, 4] RGBA of the colour, from opacity `least` to full."""
    from matplotlib.colors import to_rgba

    shades = np.tile(to_rgba(colour), (_LEVELS, 1))
    shades[:, 3] = np.linspace(least, 1, _LEVELS)
    return shades


def cloud(axes: Axes, x: np.ndarray, y: np.ndarray, cells: tuple[int, int] = (50, 36), most: int = MANY) -> None:
    """Points x, y [N], finite, drawn one by one; more than `most`, by how many fall into each of `cells`.

    Many points at few places, as of few ratings on a scale of few steps, are drawn larger where there are more.

    The limits of the axes, which must be set, are those of the cells.
    """
    places, items = np.unique(np.column_stack([x, y]).round(9), axis=0, return_counts=True)
    if len(places) <= min(most, len(x) // 2):
        _draw_places(axes, places, items)
        return
    if len(x) <= most:
        size, opacity = (3.4, 0.55) if len(x) <= _FEW else (2.6, 0.4)
        axes.plot(x, y, "o", color=BLUE, alpha=opacity, markersize=size, zorder=2)
        return
    from matplotlib.colors import LogNorm

    across, upward = axes.get_xlim(), axes.get_ylim()
    counts, _, _ = np.histogram2d(x, y, bins=cells, range=(sorted(across), sorted(upward)))
    axes.imshow(
        np.ma.masked_equal(counts.T, 0),
        origin="lower",
        extent=(*across, *upward),
        aspect="auto",
        cmap=sequential(),
        norm=LogNorm(1, max(counts.max(), 2)),
        interpolation="none",
        zorder=2,
    )


def _draw_places(axes: Axes, places: np.ndarray, items: np.ndarray) -> None:
    """places: [P, 2]; items: [P] points at each, shown by five sizes of dots."""
    largest, smallest = (8.0, 2.4) if len(places) <= _FEW else (5.0, 1.6)
    steps = np.ceil(_SIZES * np.sqrt(items / items.max()))
    for step in range(1, _SIZES + 1):
        at = places[steps == step]
        size = smallest + (largest - smallest) * (step - 1) / (_SIZES - 1)
        axes.plot(at[:, 0], at[:, 1], "o", color=BLUE, alpha=0.6, markersize=size, zorder=2)

"""Elements that several plots share: bins of histograms, transparent colour maps, clouds of points, labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mos.plots.style import BLUE, FONT_SMALL, PLOT_INK, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


MAX_BAR_VALUES = 21  # up to this number of different values, each value has its own bar


_MAX_STEPS = 100_000  # scores with more steps count as continuous


_STEP_TOLERANCE = 1e-3  # in steps


def bar_edges(values: NDArray[Any]) -> NDArray[Any]:
    """[2 V] alternating left and right ends of a bar around each of V different values (ascending, at least one)."""
    half = 0.42 * (float(np.diff(values).min()) if len(values) > 1 else 1.0)
    return np.column_stack([values - half, values + half]).ravel()


def bin_edges(values: NDArray[Any], most: int) -> NDArray[Any]:
    """Ends of up to about `most` bins of equal width over different values (ascending, at least two).

    Where the values are multiples of a step, each bin holds the same number of steps: ratings in tenths, counted in
    bins of 0.13, would show a comb that is not in the data.
    """
    span = float(values[-1] - values[0])
    step = float(np.diff(values).min())
    multiples = (values - values[0]) / step
    if multiples[-1] > _MAX_STEPS or np.abs(multiples - np.round(multiples)).max() > _STEP_TOLERANCE:
        return np.linspace(values[0], values[-1], most + 1)
    steps = round(span / step) + 1
    each = -(-steps // most)
    bins = -(-steps // each)
    edges: NDArray[Any] = values[0] - step / 2 + step * each * np.arange(bins + 1)
    return edges


MAX_CLOUD_POINTS = 3000  # a cloud with more points is drawn as a density


_FEW_POINTS = 500


_DOT_SIZES = 5


_COLOUR_LEVELS = 128


_MISSING_COLOUR = (0.5, 0.5, 0.5, 0.3)


def diverging_colormap() -> Colormap:
    """Vermilion below 0, blue above, transparent at 0, and grey for NaN."""
    from matplotlib.colors import ListedColormap

    below, above = _fade_colour(VERMILION, 0.0), _fade_colour(BLUE, 0.0)
    return ListedColormap(np.concatenate([below[::-1], above])).with_extremes(bad=_MISSING_COLOUR)


def sequential_colormap() -> Colormap:
    """From faint to full blue; transparent for NaN."""
    from matplotlib.colors import ListedColormap

    return ListedColormap(_fade_colour(BLUE, 0.2)).with_extremes(bad=(0, 0, 0, 0))


def _fade_colour(colour: str, least: float) -> NDArray[Any]:
    """[levels, 4] RGBA of the colour, from opacity `least` to full."""
    from matplotlib.colors import to_rgba

    shades = np.tile(to_rgba(colour), (_COLOUR_LEVELS, 1))
    shades[:, 3] = np.linspace(least, 1, _COLOUR_LEVELS)
    return shades


def draw_cloud(
    axes: Axes, x: NDArray[Any], y: NDArray[Any], cells: tuple[int, int] = (50, 36), most: int = MAX_CLOUD_POINTS
) -> None:
    """Draw points x, y [N], finite: one by one, or more than `most` points as counts in `cells` (columns, rows).

    Where many points share few places, as for few ratings on a scale with few steps, a place with more points has a
    larger dot.  The limits of the axes must be set; the cells cover them.
    """
    places, items = np.unique(np.column_stack([x, y]).round(9), axis=0, return_counts=True)
    if len(places) <= min(most, len(x) // 2):
        _draw_sized_dots(axes, places, items)
        return
    if len(x) <= most:
        size, opacity = (3.4, 0.55) if len(x) <= _FEW_POINTS else (2.6, 0.4)
        axes.plot(x, y, "o", color=BLUE, alpha=opacity, markersize=size, zorder=2)
        return
    from matplotlib.colors import LogNorm

    across, upward = axes.get_xlim(), axes.get_ylim()
    counts, _, _ = np.histogram2d(x, y, bins=cells, range=(sorted(across), sorted(upward)))
    axes.imshow(
        np.where(counts.T > 0, counts.T, np.nan),
        origin="lower",
        extent=(*across, *upward),
        aspect="auto",
        cmap=sequential_colormap(),
        norm=LogNorm(1, max(counts.max(), 2)),
        interpolation="none",
        zorder=2,
    )


def _draw_sized_dots(axes: Axes, places: NDArray[Any], items: NDArray[Any]) -> None:
    """places: [P, 2]; items: [P] number of points at each place, shown by five sizes of dots."""
    largest, smallest = (8.0, 2.4) if len(places) <= _FEW_POINTS else (5.0, 1.6)
    steps = np.ceil(_DOT_SIZES * np.sqrt(items / items.max()))
    for step in range(1, _DOT_SIZES + 1):
        at = places[steps == step]
        size = smallest + (largest - smallest) * (step - 1) / (_DOT_SIZES - 1)
        axes.plot(at[:, 0], at[:, 1], "o", color=BLUE, alpha=0.6, markersize=size, zorder=2)


_LABEL_GAP = 5.0  # points between a point and its name


_LETTER_WIDTH, _LABEL_HEIGHT = (
    0.62 * FONT_SMALL,
    1.25 * FONT_SMALL,
)  # points; an upper limit for most letters of DejaVu Sans


# Not adjustText 1.4: for 30 names among 200 points it takes 0.46 s instead of 0.01 s, leaves 3 pairs of names that
# overlap (here none), and needs a drawn canvas.
def label_points(
    axes: Axes, x: NDArray[Any], y: NDArray[Any], chosen: Sequence[int], names: Sequence[str], size: tuple[float, float]
) -> None:
    """Write names next to the points x, y [N] at the positions `chosen`, the most important first.

    names: [chosen] shortened names; size: approximate size of the axes in inches.  The limits of the axes must be set.
    A name that would cover another name or leave the axes is not written.
    """
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    room = np.array(size) * 72
    spots = np.column_stack([(x - left) / (right - left), (y - bottom) / (top - bottom)]) * room
    taken: list[tuple[float, float, float, float]] = []
    for at, name in zip(chosen, names, strict=True):
        width = _LETTER_WIDTH * max(len(name), 1)
        places = [_label_box(spots[at], width, side, up) for up in (0, 1, -1) for side in (1, -1)]
        places += [_label_box(spots[at], width, 0, up) for up in (1, -1)]
        free = [
            box for box in places if _fits_inside(box, room) and not any(_boxes_overlap(box, other) for other in taken)
        ]
        if not free:
            continue
        best = min(free, key=lambda box: _count_covered_points(box, spots))
        taken.append(best)
        offset = (best[0] - spots[at][0], (best[1] + best[3]) / 2 - spots[at][1])
        axes.annotate(
            name,
            (x[at], y[at]),
            offset,
            textcoords="offset points",
            size=FONT_SMALL,
            color=PLOT_INK,
            va="center",
            parse_math=False,
            annotation_clip=False,
            zorder=5,
        ).set_in_layout(False)


def _label_box(spot: NDArray[Any], width: float, side: int, up: int) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of a name to one side of a spot (-1 left, 1 right), and above (1) or below (-1) it."""
    x = spot[0] + (side - 1) / 2 * width + side * (_LABEL_GAP if not up else 0.5 * _LABEL_GAP)
    y = spot[1] + up * (_LABEL_GAP + _LABEL_HEIGHT / 2) - _LABEL_HEIGHT / 2
    return (float(x), float(y), float(x + width), float(y + _LABEL_HEIGHT))


def _fits_inside(box: tuple[float, float, float, float], room: NDArray[Any]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= room[0] and box[3] <= room[1]


def _boxes_overlap(first: tuple[float, float, float, float], second: tuple[float, float, float, float]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _count_covered_points(box: tuple[float, float, float, float], spots: NDArray[Any]) -> int:
    """Number of points that the name covers."""
    across = (spots[:, 0] > box[0] - 2) & (spots[:, 0] < box[2] + 2)
    return int(np.count_nonzero(across & (spots[:, 1] > box[1] - 2) & (spots[:, 1] < box[3] + 2)))

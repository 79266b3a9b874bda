"""Names beside points, where they cover neither each other nor, if possible, another point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mos.plots.style import INK, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 5.0  # points between a point and its name
_LETTER, _HEIGHT = 0.62 * SMALL, 1.25 * SMALL  # points; an upper limit for most letters of DejaVu Sans


def name_points(
    axes: Axes, x: np.ndarray, y: np.ndarray, chosen: Sequence[int], names: Sequence[str], size: tuple[float, float]
) -> None:
    """Write names beside some of the points x, y [N]: beside those in `chosen`, the most important first.

    names: [chosen] shortened; size: of the axes, about, in inches.  The limits of the axes must be set.  A name that
    finds no free place is not written.
    """
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    room = np.array(size) * 72
    spots = np.column_stack([(x - left) / (right - left), (y - bottom) / (top - bottom)]) * room
    taken: list[tuple[float, float, float, float]] = []
    for at, name in zip(chosen, names, strict=True):
        width = _LETTER * max(len(name), 1)
        places = [_box(spots[at], width, side, up) for up in (0, 1, -1) for side in (1, -1)]
        places += [_box(spots[at], width, 0, up) for up in (1, -1)]
        free = [box for box in places if _inside(box, room) and not any(_meet(box, other) for other in taken)]
        if not free:
            continue
        best = min(free, key=lambda box: _covered(box, spots))
        taken.append(best)
        offset = (best[0] - spots[at][0], (best[1] + best[3]) / 2 - spots[at][1])
        axes.annotate(
            name,
            (x[at], y[at]),
            offset,
            textcoords="offset points",
            size=SMALL,
            color=INK,
            va="center",
            parse_math=False,
            annotation_clip=False,
            zorder=5,
        ).set_in_layout(False)


def _box(spot: np.ndarray, width: float, side: int, up: int) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of a name to one side of a spot (-1 left, 1 right), and above (1) or below (-1) it."""
    x = spot[0] + (side - 1) / 2 * width + side * (_GAP if not up else 0.5 * _GAP)
    y = spot[1] + up * (_GAP + _HEIGHT / 2) - _HEIGHT / 2
    return (float(x), float(y), float(x + width), float(y + _HEIGHT))


def _inside(box: tuple[float, float, float, float], room: np.ndarray) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= room[0] and box[3] <= room[1]


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _covered(box: tuple[float, float, float, float], spots: np.ndarray) -> int:
    """How many points lie under a name."""
    across = (spots[:, 0] > box[0] - 2) & (spots[:, 0] < box[2] + 2)
    return int(np.count_nonzero(across & (spots[:, 1] > box[1] - 2) & (spots[:, 1] < box[3] + 2)))

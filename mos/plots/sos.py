"""How much raters disagree along the scale: standard deviation of opinion scores (SOS) against their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mos.plots.density import cloud
from mos.plots.style import SOFT, VERMILION, key, left_out, look, nothing, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLE = "Disagreement along the scale"


@look()
def sos_scatter(mean: np.ndarray, sd: np.ndarray, scale: tuple[float, float], a: float | None = None) -> Figure:
    """SD of the ratings of an item against their mean, with the fitted parabola.

    mean, sd: [items] in the units of the scale, NaN where there is none; scale: its lowest and highest score
    a: the SOS parameter, SD^2 = a (mean - low) (high - mean) (T. Hossfeld, R. Schatz, S. Egger, SOS: the MOS is not
        enough, QoMEX 2011); None where it could not be fitted
    """
    known = np.isfinite(mean) & np.isfinite(sd)
    low, high = scale
    if not known.any() or not low < high:
        return nothing(_TITLE, "no item has two ratings" if low < high else "the scale has no width")
    reading = (
        "Each point is an item (larger or darker: several). At the ends of the scale raters can but agree; in the "
        "middle a high point is an item that they see differently." + left_out(known, "items", "two ratings")
    )
    figure = sheet(_TITLE, reading, 3.9)
    axes = figure.add_subplot()
    inside = np.linspace(low, high, 201)
    arch = np.sqrt((inside - low) * (high - inside))
    margin = 0.02 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(0, 1.04 * max(float(sd[known].max()), arch.max()))
    cloud(axes, mean[known], sd[known])
    axes.plot(inside, arch, color=SOFT, linestyle=":", label="most that many raters can disagree (a = 1)")
    if a is not None and np.isfinite(a) and a >= 0:
        axes.plot(inside, np.sqrt(a) * arch, color=VERMILION, linewidth=2, label=f"fitted parabola, a = {a:.3f}")
    for end in scale:
        axes.axvline(end, color=SOFT, linewidth=0.9)
    axes.set_xlabel(f"mean of the item's ratings (the scale goes from {low:g} to {high:g})")
    axes.set_ylabel("SD of the item's ratings, units of the scale")
    key(axes)
    return figure

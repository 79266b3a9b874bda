"""A small study, and every plot of it under whatever names its raters and items have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mos import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Draw = Callable[[], "Figure"]


@pytest.fixture(scope="session")
def every_plot() -> Callable[[Sequence[str]], dict[str, Draw]]:
    """From six names, used for raters, items, dimensions, methods, groups and units, to all plots."""
    return _every_plot


def _every_plot(names: Sequence[str]) -> dict[str, Draw]:
    count = len(names)
    random = np.random.default_rng(3)
    item, rater = (axis.ravel() for axis in np.indices((40, count)))
    score = np.clip(np.round(1 + 4 * item / 39 + random.normal(0, 0.8, len(item))), 1, 5)
    table = score.reshape(40, count)
    mean, sd = table.mean(axis=1), table.std(axis=1, ddof=1)
    residual = table - mean[:, None]
    bias, spread = residual.mean(axis=0), residual.std(axis=0, ddof=1)
    apart = np.array([-0.2, 0.2])
    share, excluded = np.linspace(0.2, 0.0, count), np.arange(count) == 0
    band = np.tile([0.0, 0.09], (count, 1))
    few = np.arange(1.0, 4.0)
    items = [f"{names[at % count]}" for at in range(40)]
    group = (np.arange(40) % count, names)
    methods = mean + random.normal(0, 0.1, (count, 40))
    return {
        "residuals": lambda: plots.plot_residual_map(item, rater, score, names),
        "sos": lambda: plots.plot_sos_scatter(mean, sd, (1, 5), 0.2),
        "bias": lambda: plots.plot_bias_inconsistency(
            names, bias, spread, bias[:, None] + apart, spread[:, None] + apart, excluded
        ),
        "shares": lambda: plots.plot_flagged_shares(names, share, band, 0.05, excluded),
        "intervals": lambda: plots.plot_score_intervals(items, mean, mean - 0.4, mean + 0.4, names[0], group=group),
        "halves": lambda: plots.plot_split_half_curve(few, few / 4, few / 5, few / 3, (few + 3, 1 - 1 / (few + 3))),
        "methods": lambda: plots.plot_method_scatter(names, list(names), methods),
        "pair": lambda: plots.plot_method_scatter(names[:2], [names[0]] * 2, methods[:2]),
        "histograms": lambda: plots.plot_score_histograms(names[:2], [score, score], [mean, mean], names[0]),
        "ridge": lambda: plots.plot_rater_ridge(rater, score, names),
        "planning": lambda: plots.plot_planning_curve(few + 1, 2 / few, 1 - 0.5 / few, names[0], now=3),
    }

"""The residual map and the ridge: cells, order and what is left out of large tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mos.plots import figure_to_svg, plot_rater_ridge, plot_residual_map
from mos.plots.artists import bar_edges, bin_edges

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cells(figure: Figure) -> np.ndarray:
    """[rows, columns] NaN where nothing is drawn."""
    (image,) = figure.axes[0].images
    return np.ma.filled(image.get_array(), np.nan)


def row_names(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def long(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Item, rater and score of a matrix [items, raters]; NaN where there is no rating."""
    item, rater = np.nonzero(~np.isnan(table))
    return item, rater, table[item, rater]


def test_cells_are_ratings_minus_the_items_mean() -> None:
    table = np.array([[5.0, 4, 3], [1, 1, np.nan], [2, 4, 3]])
    figure = plot_residual_map(*long(table), ["a", "b", "c"])
    residual = table - np.nanmean(table, axis=1, keepdims=True)
    spread = np.nanstd(residual, axis=0, ddof=1)
    order = np.argsort(-spread)
    items = [1, 2, 0]  # by mean: 1, 3, 4
    np.testing.assert_allclose(cells(figure), residual[items][:, order].T)
    assert row_names(figure) == [["a", "b", "c"][at] for at in order]
    (steps,) = figure.axes[2].patches
    np.testing.assert_allclose(steps.get_data().values, spread[order])


def test_colours_are_even_around_zero() -> None:
    figure = plot_residual_map(*long(np.array([[5.0, 1, 3], [4, 4, 1]])), ["a", "b", "c"])
    (image,) = figure.axes[0].images
    low, high = image.get_clim()
    assert low == -high
    assert image.get_cmap()(image.norm(0.0))[3] < 0.02  # the page shines through
    assert image.get_cmap()(image.norm(high))[2] > image.get_cmap()(image.norm(low))[2]  # blue above, orange below


def test_many_items_are_averaged_in_bins_of_neighbours() -> None:
    random = np.random.default_rng(0)
    table = np.linspace(1, 5, 1600)[:, None] + random.normal(0, 0.5, (1600, 3))
    figure = plot_residual_map(*long(table), ["a", "b", "c"])
    residual = table - table.mean(axis=1, keepdims=True)
    order = np.argsort(-residual.std(axis=0, ddof=1))
    ranked = residual[np.argsort(table.mean(axis=1))][:, order]
    np.testing.assert_allclose(cells(figure), ranked.reshape(800, 2, 3).mean(axis=1).T, atol=1e-12)


def test_of_many_raters_the_least_consistent_are_shown() -> None:
    random = np.random.default_rng(0)
    table = random.normal(3, 1, (40, 500)) * np.linspace(1, 2, 500)
    figure = plot_residual_map(*long(table), [f"r{at}" for at in range(500)])
    assert cells(figure).shape == (400, 40)
    (steps,) = figure.axes[2].patches
    spread = (table - table.mean(axis=1, keepdims=True)).std(axis=0, ddof=1)
    np.testing.assert_allclose(steps.get_data().values, np.sort(spread)[::-1][:400])
    assert "400 least consistent of 500 raters" in figure.texts[1].get_text().replace("\n", " ")


def test_items_and_raters_without_ratings_take_no_room() -> None:
    figure = plot_residual_map(
        np.array([7, 7, 3]), np.array([4, 2, 2]), np.array([1.0, 2, 5]), ["a", "b", "c", "d", "e"]
    )
    assert cells(figure).shape == (2, 2)
    assert row_names(figure) == ["c", "e"]


@pytest.mark.parametrize("draw", ["map", "ridge"])
def test_the_order_of_rows_does_not_matter(draw: str) -> None:
    random = np.random.default_rng(0)
    item, rater, score = long(random.integers(1, 6, (90, 7)).astype(float))
    mixed = random.permutation(len(item))
    names = [f"r{at}" for at in range(7)]
    figures = [
        plot_residual_map(item[rows], rater[rows], score[rows], names)
        if draw == "map"
        else plot_rater_ridge(rater[rows], score[rows], names)
        for rows in (np.arange(len(item)), mixed)
    ]
    assert figure_to_svg(figures[0], "p") == figure_to_svg(figures[1], "p")


def test_a_ridge_has_each_raters_shares_by_falling_mean() -> None:
    rater = np.array([0, 0, 0, 0, 1, 1])
    score = np.array([1.0, 1, 2, 3, 3, 3])
    figure = plot_rater_ridge(rater, score, ["low", "high"])
    assert row_names(figure) == ["high", "low"]
    filled = [steps for steps in figure.axes[0].patches if steps.get_fill() and steps.get_alpha()]
    heights = [steps.get_data().baseline - steps.get_data().values[::2] for steps in filled]
    np.testing.assert_allclose(heights[0] / heights[0].max(), [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(heights[1] / heights[0].max(), [0.5, 0.25, 0.25])


def test_of_many_raters_the_ridge_shows_those_unlike_the_rest() -> None:
    random = np.random.default_rng(0)
    rater = np.repeat(np.arange(60), 50)
    score = random.integers(2, 5, 3000).astype(float)
    score[rater == 33] = 1.0
    figure = plot_rater_ridge(rater, score, [f"r{at}" for at in range(60)])
    names = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    assert len(names) == 40
    assert names[-1] == "r33"


def test_bars_do_not_touch() -> None:
    ends = bar_edges(np.array([1.0, 2, 5])).reshape(3, 2)
    assert (ends[1:, 0] > ends[:-1, 1]).all()
    np.testing.assert_allclose(ends.mean(axis=1), [1, 2, 5])


def test_bins_hold_as_many_steps_each() -> None:
    tenths = np.arange(10, 51) / 10
    np.testing.assert_allclose(np.diff(bin_edges(tenths, 32)), 0.2)
    continuous = np.sort(np.random.default_rng(0).normal(size=100))
    np.testing.assert_allclose(bin_edges(continuous, 10), np.linspace(continuous[0], continuous[-1], 11))


def test_the_scrambled_raters_of_a_real_study_are_on_top(real: Callable[[str], Path]) -> None:
    rows = [line.split(",") for line in real("nflx_public_last4outliers.csv").read_text().splitlines()[1:]]
    items, item = np.unique([row[0] for row in rows], return_inverse=True)
    raters, rater = np.unique([row[1] for row in rows], return_inverse=True)
    figure = plot_residual_map(item, rater, np.array([float(row[3]) for row in rows]), raters.tolist())
    assert set(row_names(figure)[:4]) == {"s026", "s027", "s028", "s029"}
    assert cells(figure).shape == (30, len(items))

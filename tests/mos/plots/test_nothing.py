"""Tables with next to nothing in them give a figure that says so, and no warning (an error to pytest here)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mos.plots import (
    figure_to_svg,
    plot_bias_inconsistency,
    plot_flagged_shares,
    plot_method_scatter,
    plot_planning_curve,
    plot_rater_ridge,
    plot_residual_map,
    plot_score_histograms,
    plot_score_intervals,
    plot_sos_scatter,
    plot_split_half_curve,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NONE = np.empty(0)
NO_CODES = np.empty(0, int)
NAN = np.full(3, np.nan)
PAIRS = np.full((3, 2), np.nan)
ABC = ["a", "b", "c"]


def says(figure: Figure, reason: str) -> bool:
    assert "<svg" in figure_to_svg(figure, "p")
    return any(text.get_text() == f"Nothing to show: {reason}." for text in figure.texts)


def test_no_ratings() -> None:
    assert says(plot_residual_map(NO_CODES, NO_CODES, NONE, []), "no ratings")
    assert says(plot_residual_map(np.arange(3), np.arange(3), NAN, ABC), "no ratings")
    assert says(plot_rater_ridge(NO_CODES, NONE, []), "no ratings")
    assert says(plot_rater_ridge(np.arange(3), NAN, ABC), "no ratings")
    assert says(plot_score_histograms([], [], [], "points"), "no ratings")
    assert says(plot_score_histograms(["d"], [NAN], [NONE], "points"), "no ratings")


def test_no_items_with_a_score() -> None:
    assert says(plot_score_intervals([], NONE, NONE, NONE, "points"), "no item has a score")
    assert says(plot_score_intervals(ABC, NAN, NAN, NAN, "points"), "no item has a score")
    assert says(plot_sos_scatter(NONE, NONE, (1, 5)), "no item has two ratings")
    assert says(plot_sos_scatter(np.ones(3), NAN, (1, 5), 0.2), "no item has two ratings")
    assert says(plot_sos_scatter(np.ones(3), np.zeros(3), (1, 1)), "the scale has no width")


def test_no_raters() -> None:
    assert says(plot_bias_inconsistency([], NONE, NONE, PAIRS[:0], PAIRS[:0], NONE), "no rater has enough ratings")
    assert says(plot_bias_inconsistency(ABC, NAN, NAN, PAIRS, PAIRS, np.zeros(3)), "no rater has enough ratings")
    assert says(plot_flagged_shares([], NONE, PAIRS[:0], 0.05, NONE), "no ratings")
    assert says(plot_flagged_shares(ABC, NAN, PAIRS, 0.05, np.zeros(3)), "no ratings")


def test_nothing_to_compare_or_to_plan_by() -> None:
    reason = "fewer than two raters an item, or fewer than two items"
    assert says(plot_split_half_curve(NONE, NONE, NONE, NONE), reason)
    assert says(plot_split_half_curve(np.arange(3), NAN, NAN, NAN), reason)
    assert says(plot_method_scatter([], [], np.empty((0, 5))), "fewer than two methods")
    assert says(plot_method_scatter(["mos"], ["points"], np.ones((1, 5))), "fewer than two methods")
    assert says(plot_method_scatter(ABC, ABC, np.empty((3, 0))), "no item has scores by two methods")
    alone = np.where(np.eye(3, 6) > 0, 1.0, np.nan)
    assert says(plot_method_scatter(ABC, ABC, alone), "no item has scores by two methods")
    reason = "neither the spread of the ratings nor their reliability is known"
    assert says(plot_planning_curve(np.arange(3), NAN, NAN, "points"), reason)
    assert says(plot_planning_curve(NONE, NONE, NONE, "points"), reason)


@pytest.mark.parametrize(("items", "raters", "constant"), [(1, 1, True), (1, 2, False), (2, 1, False), (2, 2, True)])
def test_one_or_two_of_anything_are_drawn(items: int, raters: int, constant: bool) -> None:
    item, rater = (axis.ravel() for axis in np.indices((items, raters)))
    score = np.full(len(item), 3.0) if constant else 1.0 + np.arange(len(item))
    names, ids = ABC[:raters], ABC[:items]
    one, each = np.ones(items), np.full(raters, 0.0 if constant else 0.3)
    unknown = np.full((raters, 2), np.nan)
    figures = [
        plot_residual_map(item, rater, score, names),
        plot_rater_ridge(rater, score, names),
        plot_score_histograms(["d"], [score], [one], "points"),
        plot_score_intervals(ids, one, one - 0.1, one + 0.1, "points"),
        plot_score_intervals(
            ids, one, np.full(items, np.nan), np.full(items, np.nan), "points", group=(item[:items], ids)
        ),
        plot_sos_scatter(one, one, (1, 5), 0.0),
        plot_sos_scatter(one, 0 * one, (1, 5), float("nan")),
        plot_bias_inconsistency(names, each, each, unknown, unknown, np.zeros(raters, bool)),
        plot_flagged_shares(names, each, unknown, 0.05, np.ones(raters, bool)),
        plot_split_half_curve(np.ones(1), np.array([-0.5]), np.array([np.nan]), np.array([np.nan])),
        plot_method_scatter(ABC, ABC, np.ones((3, items))),
        plot_method_scatter(ABC[:2], ["x", "x"], np.zeros((2, items))),
        plot_planning_curve(np.array([2.0]), np.array([0.0]), np.array([np.nan]), "points", now=2),
    ]
    for number, figure in enumerate(figures):
        assert "<svg" in figure_to_svg(figure, f"p{number}")

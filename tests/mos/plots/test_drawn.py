"""What is drawn is the data: read back from the figures."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from scipy.stats import pearsonr, spearmanr

from mos.plots import (
    plot_bias_inconsistency,
    plot_flagged_shares,
    plot_method_scatter,
    plot_planning_curve,
    plot_score_histograms,
    plot_score_intervals,
    plot_sos_scatter,
    plot_split_half_curve,
)


def segments(axes: object, number: int = 0) -> np.ndarray:
    """[lines, 2 ends, 2] of a collection of straight lines."""
    found = [part for part in axes.collections if isinstance(part, LineCollection)]  # type: ignore[attr-defined]
    return np.array(found[number].get_segments())


def markers(axes: object, marker: str) -> np.ndarray:
    """[points, 2] of all lines drawn with a marker."""
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]  # type: ignore[attr-defined]
    return np.concatenate([np.column_stack(line.get_data()) for line in lines])


def in_order(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.T)]


class TestSos:
    def test_points_parabola_and_ends(self) -> None:
        mean, sd = np.array([1.5, 3.0, 4.0, np.nan]), np.array([0.5, 1.2, 0.7, 0.1])
        axes = plot_sos_scatter(mean, sd, (1, 5), 0.25).axes[0]
        np.testing.assert_array_equal(markers(axes, "o"), np.column_stack([mean, sd])[:3])
        (fitted,) = (line for line in axes.get_lines() if "0.250" in str(line.get_label()))
        x, y = fitted.get_data()
        np.testing.assert_allclose(y**2, 0.25 * (x - 1) * (5 - x), atol=1e-12)
        ends = [line.get_xdata()[0] for line in axes.get_lines() if len(set(line.get_xdata())) == 1]
        assert {1, 5} <= set(ends)

    def test_many_items_at_few_places_become_larger_dots(self) -> None:
        mean, sd = np.repeat([2.0, 3.0, 4.0], [10, 90, 1]), np.repeat([0.5, 1.0, 0.7], [10, 90, 1])
        axes = plot_sos_scatter(mean, sd, (1, 5)).axes[0]
        sizes = {line.get_xdata()[0]: line.get_markersize() for line in axes.get_lines() if len(line.get_xdata()) == 1}
        assert sizes[3.0] > sizes[2.0] > sizes[4.0]

    def test_more_than_3000_items_become_counts(self) -> None:
        random = np.random.default_rng(0)
        mean, sd = random.uniform(1, 5, 4000), random.uniform(0, 2, 4000)
        (image,) = plot_sos_scatter(mean, sd, (1, 5)).axes[0].images
        counts = image.get_array()
        assert counts.sum() == 4000
        left, right, bottom, top = image.get_extent()
        expected, _, _ = np.histogram2d(mean, sd, counts.shape[::-1], [(left, right), (bottom, top)])
        np.testing.assert_array_equal(counts.filled(0), expected.T)


class TestBiasInconsistency:
    bias, spread = np.array([0.1, -0.4, 2.0]), np.array([0.5, 0.6, 0.7])
    excluded = np.array([False, False, True])

    def test_points_and_crosses(self) -> None:
        across = self.bias[:, None] + [-0.1, 0.2]
        upward = self.spread[:, None] + [-0.3, 0.4]
        axes = plot_bias_inconsistency(["a", "b", "c"], self.bias, self.spread, across, upward, self.excluded).axes[0]
        np.testing.assert_array_equal(markers(axes, "o"), [[0.1, 0.5], [-0.4, 0.6]])
        np.testing.assert_array_equal(markers(axes, "X"), [[2.0, 0.7]])
        np.testing.assert_allclose(segments(axes, 0)[:, :, 0], across)
        np.testing.assert_allclose(segments(axes, 0)[:, :, 1], np.column_stack([self.spread, self.spread]))
        np.testing.assert_allclose(segments(axes, 1)[:, :, 1], upward)
        assert {text.get_text() for text in axes.texts} == {"a", "b", "c"}

    def test_the_furthest_are_named_at_their_points(self) -> None:
        random = np.random.default_rng(0)
        bias, spread = random.normal(0, 0.1, 60), random.normal(0.6, 0.02, 60)
        bias[17], spread[23] = 2.0, 3.0
        unknown = np.full((60, 2), np.nan)
        names = [f"r{at}" for at in range(60)]
        axes = plot_bias_inconsistency(names, bias, spread, unknown, unknown, np.zeros(60, bool)).axes[0]
        named = {text.get_text(): text.xy for text in axes.texts}
        assert {"r17", "r23"} <= set(named)
        assert len(named) <= 12
        assert named["r17"] == (bias[17], spread[17])

    def test_names_do_not_cover_each_other(self) -> None:
        random = np.random.default_rng(1)
        bias, spread = random.normal(0, 0.2, 12), random.normal(0.6, 0.1, 12)
        bias[:3] = 0.1, 0.1, 3.0  # a heap, and one near the edge
        unknown = np.full((12, 2), np.nan)
        figure = plot_bias_inconsistency(
            [f"a long name {at}" for at in range(12)], bias, spread, unknown, unknown, np.zeros(12, bool)
        )
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert len(boxes) >= 6
        frame = figure.bbox
        for at, box in enumerate(boxes):
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1
            assert not any(box.overlaps(other) for other in boxes[at + 1 :])


class TestFlaggedShares:
    def test_sorted_shares_with_their_bands_and_the_threshold(self) -> None:
        share = np.array([0.01, 0.2, np.nan, 0.06])
        band = np.array([[0.0, 0.1], [0.01, 0.08], [0.0, 0.1], [0.02, 0.07]])
        out = np.array([False, True, False, True])
        figure = plot_flagged_shares(["a", "b", "c", "d"], share, band, 0.05, out)
        axes = figure.axes[0]
        np.testing.assert_allclose(markers(axes, "X"), [[0, 20], [1, 6]])
        np.testing.assert_allclose(markers(axes, "o"), [[2, 1]])
        np.testing.assert_allclose(segments(axes)[:, :, 1], 100 * band[[1, 3, 0]])
        assert [label.get_text() for label in axes.get_xticklabels()] == ["b", "d", "a"]
        (line,) = (line for line in axes.get_lines() if line.get_linestyle() == "--")
        assert set(line.get_ydata()) == {5.0}
        shown = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
        assert "here 1 of 2" in shown  # d is excluded, but within its band
        assert "for want of ratings: 1 of 4 raters" in shown


class TestScoreIntervals:
    def test_items_rise_and_keep_their_intervals(self) -> None:
        score = np.array([3.0, 1.0, np.nan, 2.0])
        low, high = score - np.array([0.3, 0.1, 0, 0.2]), score + np.array([0.5, 0.6, 0, 0.7])
        axes = plot_score_intervals(["c", "a", "x", "b"], score, low, high, "points").axes[0]
        np.testing.assert_array_equal(markers(axes, "o"), [[1, 1], [2, 2], [3, 3]])
        np.testing.assert_array_equal(segments(axes)[:, :, 1], np.column_stack([low, high])[[1, 3, 0]])
        assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]

    def test_groups_keep_their_ranks(self) -> None:
        score = np.array([3.0, 1.0, 2.0])
        group = (np.array([0, 1, 0]), ["g", "h"])
        axes = plot_score_intervals(["c", "a", "b"], score, score, score, "points", group=group).axes[0]
        drawn = {str(line.get_label()): np.column_stack(line.get_data()).tolist() for line in axes.get_lines()}
        assert drawn == {"\u200bg (2)": [[2, 2], [3, 3]], "\u200bh (1)": [[1, 1]]}

    def test_the_seventh_group_and_those_without_one_share_the_rest(self) -> None:
        codes = np.array([*np.repeat(np.arange(7), 2), 0, -1])  # group 6 has two items, as have 1 to 5
        score = np.arange(16.0)
        names = [f"g{at}" for at in range(7)]
        axes = plot_score_intervals(names * 3, score, score, score, "points", group=(codes, names)).axes[0]
        labels = [str(line.get_label()).removeprefix("\u200b") for line in axes.get_lines()]
        assert labels == ["g0 (3)", "g1 (2)", "g2 (2)", "g3 (2)", "g4 (2)", "g5 (2)", "others (3)"]

    def test_many_items_become_a_line_of_means_and_a_band(self) -> None:
        score = np.random.default_rng(0).permutation(6000) / 1000
        axes = plot_score_intervals([""] * 6000, score, score - 1, score + 1, "points").axes[0]
        (line,) = axes.get_lines()
        np.testing.assert_allclose(line.get_ydata(), np.arange(6000).reshape(300, 20).mean(axis=1) / 1000)
        (band,) = axes.collections
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == pytest.approx(line.get_ydata().min() - 1)
        assert heights.max() == pytest.approx(line.get_ydata().max() + 1)


class TestMethodScatter:
    random = np.random.default_rng(0)
    first = random.normal(3, 1, 50)
    scores = np.array([first, first + random.normal(0, 0.3, 50), 20 * first, np.full(50, 2.0)])

    def test_a_pair_is_drawn_with_its_figures(self) -> None:
        axes = plot_method_scatter(["a", "b"], ["s", "s"], self.scores[:2]).axes[0]
        np.testing.assert_array_equal(markers(axes, "o"), self.scores[:2].T)
        x, y = self.scores[:2]
        expected = [spearmanr(x, y).statistic, pearsonr(x, y).statistic, np.abs(x - y).max()]
        rank, linear, largest = expected
        assert axes.get_title(loc="left") == f"SRCC {rank:.3f} · PLCC {linear:.3f} · max |Δ| {largest:.2g}"

    def test_a_matrix_has_a_panel_for_each_pair(self) -> None:
        figure = plot_method_scatter(["a", "b", "c", "d"], ["s", "s", "p", "s"], self.scores)
        panels = [markers(axes, "o") for axes in figure.axes]
        pairs = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]  # x and y, row by row
        for panel, (x, y) in zip(panels, pairs, strict=True):
            np.testing.assert_array_equal(in_order(panel), in_order(self.scores[[x, y]].T))
        texts = [text.get_text() for text in figure.texts]
        assert sum(text.startswith("max |Δ|") for text in texts) == 3  # a, b and d are in the same unit
        assert texts.count("SRCC –") == 3  # d is constant

    def test_rounding_parts_no_equal_scores(self) -> None:
        tied = np.repeat([1.0, 2.0, 3.0], 20)
        nearly = tied + np.random.default_rng(0).normal(0, 1e-15, 60)
        title = plot_method_scatter(["a", "b"], ["s", "s"], np.array([tied, nearly])).axes[0].get_title(loc="left")
        assert title == "SRCC 1.000 · PLCC 1.000 · max |Δ| 0"

    def test_only_items_that_both_scored_count(self) -> None:
        scores = np.array([[1.0, 2, 3, np.nan], [1.0, np.nan, 4, 9]])
        axes = plot_method_scatter(["a", "b"], ["s", "s"], scores).axes[0]
        np.testing.assert_array_equal(markers(axes, "o"), [[1, 1], [3, 4]])


class TestScoreHistograms:
    def test_bars_are_shares_of_each_value(self) -> None:
        raw = [np.array([1, 1, 2, 5.0, np.nan]), np.array([3.0])]
        final = [np.array([10.0, 20.0]), np.array([])]
        figure = plot_score_histograms(["d", "e"], raw, final, "points")
        (steps,) = figure.axes[0].patches
        shares, edges, _ = steps.get_data()
        np.testing.assert_allclose(shares[::2], [50, 25, 25])
        assert not shares[1::2].any()
        np.testing.assert_allclose((edges[:-1:2] + edges[1::2]) / 2, [1, 2, 5])
        assert figure.axes[0].get_title(loc="left") == "d: 4 ratings"
        assert [text.get_text() for text in figure.axes[3].texts] == ["no items"]

    def test_tenths_are_counted_in_even_bins(self) -> None:
        values = np.round(np.tile(np.arange(10, 51) / 10, 50), 1)  # as many of each of 41 values
        (steps,) = plot_score_histograms(["d"], [values], [values], "points").axes[0].patches
        shares, edges, _ = steps.get_data()
        np.testing.assert_allclose(np.diff(edges), 0.2)
        np.testing.assert_allclose(shares[:-1], 200 / 41)
        assert shares.sum() == pytest.approx(100)


class TestCurves:
    def test_split_half_points_interval_and_extrapolation(self) -> None:
        raters, srcc = np.array([2, 1, 3]), np.array([0.6, 0.4, np.nan])
        curve = (np.array([4.0, 8.0]), np.array([0.7, 0.8]))
        axes = plot_split_half_curve(raters, srcc, srcc - 0.1, srcc + 0.2, curve).axes[0]
        np.testing.assert_array_equal(markers(axes, "o"), [[1, 0.4], [2, 0.6]])
        np.testing.assert_allclose(segments(axes)[:, :, 1], [[0.3, 0.6], [0.5, 0.8]])
        (dashed,) = (line for line in axes.get_lines() if line.get_linestyle() == "--")
        np.testing.assert_array_equal(dashed.get_data(), curve)

    def test_planning_curves_and_where_the_study_stands(self) -> None:
        raters, width, reliability = np.arange(2, 9), 2 / np.arange(2, 9), 1 - 1 / np.arange(2, 9)
        left, right = plot_planning_curve(raters, width, reliability, "points", now=4).axes
        np.testing.assert_array_equal(left.get_lines()[0].get_data(), [raters, width])
        np.testing.assert_array_equal(right.get_lines()[0].get_data(), [raters, reliability])
        assert left.get_title(loc="left") == "precision of an item: ±0.5 with 4 raters now"
        assert right.get_title(loc="left") == "reliability: 0.75 with 4 raters now"
        assert left.get_ylim()[1] >= 0.5

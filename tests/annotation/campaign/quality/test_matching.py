"""How alike two people's marks are: boxes against scipy's bipartite matching, disks against a raster."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from annotation.campaign.quality.matching import (
    BoxMatches,
    DiskAreas,
    count_box_matches,
    count_disk_hits,
    disk_centres_in_radii,
    disk_union_areas,
    match_boxes,
    shared_disk_areas,
)
from annotation.records import Box, Disk, Kind, Mark


def mark(kind: Kind, box: tuple[float, float, float, float], *disks: tuple[float, float]) -> Mark:
    return Mark("m", kind, Box(*box), tuple(Disk(*disk) for disk in disks))


def box(corner: tuple[int, int], size: tuple[int, int]) -> Box:
    return Box(corner[0], corner[1], corner[0] + size[0], corner[1] + size[1])


small = st.integers(0, 8)
boxes = st.lists(st.builds(box, st.tuples(small, small), st.tuples(st.integers(1, 8), st.integers(1, 8))), max_size=7)
centres = st.lists(st.tuples(st.floats(0, 6), st.floats(0, 6)), max_size=8)


def largest_matching(first: list[Box], second: list[Box], iou: float) -> int:
    """Hopcroft and Karp's, by scipy."""
    fits = np.array([[one.iou(other) >= iou - 1e-9 for other in second] for one in first])
    if not fits.any():
        return 0
    return int((maximum_bipartite_matching(csr_array(fits)) >= 0).sum())


class TestBoxesAreMatchedOneToOne:
    @given(boxes, boxes, st.sampled_from([0.1, 0.3, 0.5, 0.7]))
    def test_as_many_as_can_be(self, first: list[Box], second: list[Box], iou: float) -> None:
        found = match_boxes(first, second, iou)
        assert len(found) == largest_matching(first, second, iou)
        assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)
        assert all(first[row].iou(second[column]) >= iou - 1e-9 for row, column in found)

    @given(boxes, boxes, st.randoms(use_true_random=False))
    def test_neither_the_order_of_people_nor_of_boxes_matters(self, first, second, random) -> None:  # type: ignore[no-untyped-def]
        count = len(match_boxes(first, second, 0.3))
        assert len(match_boxes(second, first, 0.3)) == count
        random.shuffle(first)
        assert len(match_boxes(first, second, 0.3)) == count

    def test_of_equally_many_those_that_overlap_most(self) -> None:
        first = [Box(0, 0, 10, 10), Box(0, 0, 10, 9)]
        assert match_boxes(first, [Box(0, 0, 10, 9), Box(0, 0, 10, 10)], 0.5) == [(0, 1), (1, 0)]

    def test_where_taking_the_best_pair_first_would_lose_one(self) -> None:
        first, second = [Box(0, 0, 10, 10), Box(4, 0, 14, 10)], [Box(3, 0, 13, 10), Box(7, 0, 17, 10)]
        assert match_boxes(first, second, 0.5) == [(0, 0), (1, 1)]
        assert first[1].iou(second[0]) > max(first[0].iou(second[0]), first[1].iou(second[1]))

    def test_an_overlap_that_is_just_enough_counts_despite_rounding(self) -> None:
        assert match_boxes([Box(0, 0, 0.3, 1)], [Box(0.1, 0, 0.4, 1)], 0.5) == [(0, 0)]

    def test_only_within_a_kind(self) -> None:
        drawn = [mark("artifact", (0, 0, 9, 9))]
        assert count_box_matches(drawn, [mark("failure", (0, 0, 9, 9))], 0.5) == BoxMatches(0, 1, 1)
        assert count_box_matches(drawn, drawn, 0.5, ["failure"]) == BoxMatches()

    def test_f1_is_the_harmonic_mean_and_nothing_where_nobody_drew(self) -> None:
        found = BoxMatches(2, 3, 5)
        assert found.f1 == pytest.approx(2 / (3 / 2 + 5 / 2))
        assert BoxMatches().f1 is None
        assert BoxMatches(0, 0, 4).f1 == 0
        assert found + BoxMatches(1, 1, 1) == BoxMatches(3, 4, 6)


def areas(first: list[Mark], second: list[Mark], height: int) -> DiskAreas:
    return shared_disk_areas([(disk_centres_in_radii(first, height), disk_centres_in_radii(second, height))])[0]


class TestDisksAreComparedByArea:
    @given(centres)
    @settings(max_examples=40)
    def test_the_union_is_that_of_a_fine_raster(self, circles: list[tuple[float, float]]) -> None:
        step = 0.01
        grid = np.arange(-1, 7, step) + step / 2
        covered = np.zeros((len(grid), len(grid)), dtype=bool)
        for x, y in circles:
            covered |= (grid[None, :] - x) ** 2 + (grid[:, None] - y) ** 2 <= 1
        expected = covered.sum() * step**2
        assert disk_union_areas([np.array(circles).reshape(-1, 2)])[0] == pytest.approx(
            expected, abs=0.004 * (1 + len(circles))
        )

    @pytest.mark.parametrize("distance", [0.0, 1e-9, 0.5, 1.0, 1.999, 2.0, 5.0])
    def test_of_two_circles_it_is_the_lens_formula(self, distance: float) -> None:
        d = min(distance, 2)
        lens = 2 * math.acos(d / 2) - d / 2 * math.sqrt(4 - d * d)
        pair = np.array([[100.0, 50.0], [100.0 + distance, 50.0]])
        assert disk_union_areas([pair])[0] == pytest.approx(2 * math.pi - lens, abs=1e-6)

    @given(centres, centres)
    def test_the_overlap_is_between_none_and_all(self, first: list[tuple[float, float]], second) -> None:  # type: ignore[no-untyped-def]
        one, other = [mark("artifact", (0, 0, 9, 9), *first)], [mark("artifact", (0, 0, 9, 9), *second)]
        found = areas(one, other, 20).iou
        assert (found is None) == (not first and not second)
        assert found is None or 0 <= found <= 1
        back = areas(other, one, 20).iou
        assert found == (None if back is None else pytest.approx(back))

    def test_the_same_disks_overlap_wholly_and_other_kinds_not_at_all(self) -> None:
        drawn = [mark("artifact", (0, 0, 90, 90), (10, 10), (14, 12))]
        assert areas(drawn, drawn, 100).iou == pytest.approx(1)
        assert areas(drawn, [mark("failure", (0, 0, 90, 90), (10, 10), (14, 12))], 100).iou == 0
        assert DiskAreas().iou is None

    def test_disks_have_a_twentieth_of_the_height_as_radius(self) -> None:
        one, other = [mark("artifact", (0, 0, 9, 9), (0, 0))], [mark("artifact", (0, 0, 9, 9), (10, 0))]
        assert areas(one, other, 100).iou == pytest.approx(0, abs=1e-12)
        assert areas(one, other, 200).union == pytest.approx(2 * math.pi - 2 * math.acos(0.5) + math.sqrt(3) / 2)


class TestADiskHits:
    GOLD = (mark("artifact", (10, 10, 20, 20), (15, 15)), mark("failure", (50, 50, 60, 60), (55, 55)))

    @pytest.mark.parametrize(
        ("disk", "hits"),
        [
            ((10, 10), 1),  # on the box's upper left edge, which belongs to it
            ((15, 23), 1),  # outside, and just within reach of the gold disk
            ((15, 23.001), 0),
            ((20, 20), 1),  # outside, within reach
            ((55, 55), 0),  # on a gold disk of the other kind
        ],
    )
    def test_near_a_gold_disk_or_in_a_gold_box_of_its_kind(self, disk: tuple[float, float], hits: int) -> None:
        assert count_disk_hits([mark("artifact", (0, 0, 99, 99), disk)], self.GOLD, 8.0) == (hits, 1)

    def test_every_disk_is_counted(self) -> None:
        drawn = [mark("failure", (0, 0, 99, 99), (55, 55), (0, 0)), mark("artifact", (0, 0, 99, 99), (15, 15))]
        assert count_disk_hits(drawn, self.GOLD, 5.0) == (2, 3)
        assert count_disk_hits([], self.GOLD, 5.0) == (0, 0)

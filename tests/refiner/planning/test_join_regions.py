"""Areas to edit: disjoint, inside of the image, at least as large as their regions; specks together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annotation.records import Box
from editfhf.editors.mask_geometry import choose_ring_width
from editfhf.saliency import render_saliency
from refiner.planning.join_regions import EditArea, join_regions, number_regions
from refiner.planning.make_plan import paint_mask
from training.agents.map_regions import find_map_regions, find_mask

SIDE = 100


def find_areas(artifact: np.ndarray, failure: np.ndarray) -> list[EditArea]:
    found = [("artifact", one) for one in find_map_regions(artifact)]
    found += [("failure", one) for one in find_map_regions(failure)]
    return join_regions(number_regions(found), *artifact.shape)  # type: ignore[arg-type]


def draw_squares(*squares: tuple[int, int, int]) -> np.ndarray:
    drawn = np.zeros((SIDE, SIDE), np.float32)
    for x, y, side in squares:
        drawn[y : y + side, x : x + side] = 1
    return drawn


squares = st.lists(
    st.tuples(st.integers(-5, SIDE - 10), st.integers(-5, SIDE - 10), st.integers(9, 40)).map(
        lambda one: (max(0, one[0]), max(0, one[1]), one[2])
    ),
    max_size=5,
)


@given(squares, squares)
def test_areas_are_disjoint_and_cover_their_regions(artifacts: list, failures: list) -> None:
    maps = draw_squares(*artifacts), draw_squares(*failures)
    areas = find_areas(*maps)
    painted = [paint_mask(area, SIDE, SIDE) > 0 for area in areas]
    assert all(np.sum(painted, axis=0).max(initial=0) <= 1 for _ in areas)
    union = np.any(painted, axis=0) if painted else np.zeros((SIDE, SIDE), bool)
    for one in maps:
        assert not np.any(find_mask(one) & ~union)
    named = [region.region_id for area in areas for region in area.regions]
    assert len(named) == len(set(named)) == sum(len(find_map_regions(one)) for one in maps)


def test_a_region_grows_back_to_its_disk() -> None:
    """The map of one disk of the radius H/20, cut at one half and grown, is the disk to a pixel, and its rim."""
    height, radius = 400, 20 + choose_ring_width(400, 400) // 4
    saliency, _ = render_saliency(np.array([[200.0, 200.0]]), height, height)
    (area,) = find_areas(saliency, np.zeros_like(saliency))
    for low, high in ((area.box.x0, area.box.x1), (area.box.y0, area.box.y1)):
        assert abs(low - (200 - radius)) <= 1.5 and abs(high - (200 + radius)) <= 1.5


def test_the_same_flaw_in_both_maps_is_edited_once() -> None:
    one = draw_squares((40, 40, 20))
    (area,) = find_areas(one, one)
    assert {region.kind for region in area.regions} == {"artifact", "failure"}


def test_specks_are_edited_together_and_large_flaws_apart() -> None:
    none = np.zeros((SIDE, SIDE), np.float32)
    assert len(find_areas(draw_squares((20, 20, 9), (33, 20, 9)), none)) == 1
    assert len(find_areas(draw_squares((5, 20, 40), (53, 20, 40)), none)) == 2


def test_the_strongest_area_comes_first_and_a_border_cuts_it() -> None:
    areas = find_areas(draw_squares((0, 0, 12), (60, 60, 40)), np.zeros((SIDE, SIDE), np.float32))
    assert [area.regions[0].region_id for area in areas] == ["a2", "a1"]
    assert areas[0].box.x1 == SIDE and areas[1].box == Box(0.0, 0.0, 16.0, 16.0)


def test_a_clean_image_has_no_area() -> None:
    none = np.zeros((SIDE, SIDE), np.float32)
    assert find_areas(none, none) == []

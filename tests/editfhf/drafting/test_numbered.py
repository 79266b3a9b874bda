"""Numbered outlines: around the flaws, never over them, on any picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.records import Box
from editfhf.drafting.pair_images import OUTLINE_COLOURS, draw_numbered_boxes, frame_width

H, W = 120, 160


def picture(value: int = 90) -> np.ndarray:
    return np.full((H, W, 3), value, np.uint8)


def shown(drawn: np.ndarray) -> np.ndarray:
    """The picture without its frame."""
    frame = frame_width(H, W)
    return drawn[frame : frame + H, frame : frame + W]


def inside(array: np.ndarray, box: Box) -> np.ndarray:
    x0, y0 = max(0, int(box.x0)), max(0, int(box.y0))
    return array[y0 : max(0, int(np.ceil(box.y1))), x0 : max(0, int(np.ceil(box.x1)))]


boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.floats(-10, W - 2),
    st.floats(-10, H - 2),
    st.floats(12, W),
    st.floats(12, H),
)


@settings(max_examples=40)
@given(box=boxes)
def test_nothing_inside_a_box_is_painted_over_wherever_it_lies(box: Box) -> None:
    assert (inside(shown(draw_numbered_boxes(picture(), {7: box})), box) == 90).all()


def test_boxes_with_room_between_them_leave_each_other_alone() -> None:
    four = {n + 1: Box(10 + 80 * (n % 2), 20 + 60 * (n // 2), 45 + 80 * (n % 2), 45 + 60 * (n // 2)) for n in range(4)}
    drawn = shown(draw_numbered_boxes(picture(), four))
    assert all((inside(drawn, box) == 90).all() for box in four.values())


def test_a_number_keeps_clear_of_a_box_above_it() -> None:
    low, high = Box(40, 60, 90, 100), Box(30, 20, 100, 54)
    drawn = shown(draw_numbered_boxes(picture(), {1: low, 2: high}))
    ring = len(OUTLINE_COLOURS)
    kept = inside(drawn, Box(high.x0, high.y0, high.x1, high.y1 - ring))
    assert (kept == 90).all()


@pytest.mark.parametrize("value", [0, 90, 127, 255])
def test_the_outline_stands_out_from_any_background(value: int) -> None:
    drawn = shown(draw_numbered_boxes(picture(value), {1: Box(60, 50, 100, 80)}))
    ring = drawn[65, 60 - len(OUTLINE_COLOURS) : 60].astype(int)
    assert np.abs(ring - value).max(axis=1).max() > 100 and ring.std() > 50


def test_other_numbers_look_different() -> None:
    one, two = (draw_numbered_boxes(picture(), {number: Box(60, 50, 100, 80)}) for number in (1, 2))
    assert (one != two).any()


def test_the_same_boxes_give_the_same_pixels_in_any_order() -> None:
    given_boxes = {1: Box(10, 10, 40, 40), 2: Box(30, 30, 80, 90)}
    assert (
        draw_numbered_boxes(picture(), given_boxes)
        == draw_numbered_boxes(picture(), dict(reversed(given_boxes.items())))
    ).all()


def test_the_picture_that_is_given_stays_as_it_is() -> None:
    pixels = picture()
    draw_numbered_boxes(pixels, {1: Box(0, 0, W, H)})
    assert (pixels == 90).all()

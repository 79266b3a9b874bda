"""Crops: the rule of `plan_crop`, for any mask and size; and every pixel of a mask in exactly one crop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editfhf.editors.crops import CropOptions, plan_crop, plan_region_crops
from editfhf.editors.mask_geometry import PixelBox, bound_mask


def mask_of(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = 255
    return mask


def test_a_region_in_the_middle_gets_context_on_all_sides() -> None:
    size = (2000, 3000)
    crop = plan_crop(mask_of(size, (1000, 800, 1600, 1000)), size)
    assert crop.box == PixelBox(700, 500, 1900, 1300)
    assert crop.box.x1 - 1600 >= 300
    assert 800 - crop.box.y0 >= 300
    assert (crop.width, crop.height) == (1200, 800)


def test_a_small_region_is_shown_at_least_side_and_at_its_own_pixels() -> None:
    size = (2000, 3000)
    crop = plan_crop(mask_of(size, (1500, 1000, 1510, 1010)), size)
    assert (crop.box.width, crop.box.height) == (512, 512) == (crop.width, crop.height)
    assert not crop.is_resized


def test_at_a_corner_the_crop_is_moved_not_cut() -> None:
    size = (2000, 3000)
    crop = plan_crop(mask_of(size, (2990, 1990, 3000, 2000)), size)
    assert crop.box == PixelBox(3000 - 512, 2000 - 512, 3000, 2000)


def test_nearly_the_whole_image_is_the_whole_image() -> None:
    crop = plan_crop(mask_of((700, 900), (200, 150, 700, 550)), (700, 900))
    assert crop.box == PixelBox(0, 0, 900, 700)


def test_a_small_image_is_enlarged_and_a_large_part_made_smaller() -> None:
    small = plan_crop(mask_of((128, 192), (10, 10, 50, 50)), (128, 192))
    assert (small.box, small.width, small.height) == (PixelBox(0, 0, 192, 128), 768, 512)
    size = (4320, 7680)
    large = plan_crop(mask_of(size, (500, 500, 7000, 4000)), size)
    assert large.box == PixelBox(0, 0, 7680, 4320)
    assert large.width * large.height <= 1.02 * 2**20
    assert large.width / large.height == pytest.approx(7680 / 4320, rel=0.02)


def test_a_speck_in_an_8k_image_is_shown_at_full_detail() -> None:
    size = (4320, 7680)
    crop = plan_crop(mask_of(size, (7600, 10, 7640, 40)), size)
    assert not crop.is_resized
    assert crop.box == PixelBox(7680 - 512, 0, 7680, 512)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_rule_holds_for_any_mask(draw: st.DataObject) -> None:
    height, width = draw.draw(st.integers(1, 1500)), draw.draw(st.integers(1, 1500))
    x, y = draw.draw(st.integers(0, width - 1)), draw.draw(st.integers(0, height - 1))
    mask = mask_of((height, width), (x, y, x + draw.draw(st.integers(1, 900)), y + draw.draw(st.integers(1, 900))))
    options = CropOptions(multiple=draw.draw(st.sampled_from([1, 8, 16])), least_side=draw.draw(st.integers(1, 600)))
    crop = plan_crop(mask, (height, width), options)
    bounds = bound_mask(mask)
    assert bounds is not None
    margin = max(32, round(0.5 * max(bounds.width, bounds.height)))
    assert 0 <= crop.box.x0 <= max(0, bounds.x0 - margin)
    assert 0 <= crop.box.y0 <= max(0, bounds.y0 - margin)
    assert min(width, bounds.x1 + margin) <= crop.box.x1 <= width
    assert min(height, bounds.y1 + margin) <= crop.box.y1 <= height
    assert crop.box.width >= min(width, options.least_side)
    assert crop.width % options.multiple == crop.height % options.multiple == 0
    assert crop.width > 0 < crop.height


def test_an_empty_mask_is_an_error() -> None:
    with pytest.raises(ValueError, match="not empty"):
        plan_crop(np.zeros((10, 10)), (10, 10))
    assert plan_region_crops(np.zeros((10, 10)), (10, 10)) == []


def test_near_regions_share_a_crop_and_far_ones_do_not() -> None:
    size = (1500, 2000)
    mask = mask_of(size, (100, 100, 140, 140), (180, 120, 200, 160), (1800, 1300, 1850, 1350))
    crops = plan_region_crops(mask, size)
    assert [bound_mask(each.mask) for each in crops] == [PixelBox(100, 100, 200, 160), PixelBox(1800, 1300, 1850, 1350)]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 60), st.integers(0, 2**31), st.integers(1, 5))
def test_every_pixel_of_many_regions_is_in_one_crop(count: int, seed: int, most: int) -> None:
    random = np.random.default_rng(seed)
    size = (500, 700)
    corners = random.integers(0, 480, (count, 2))
    mask = mask_of(size, *((int(x), int(y), int(x) + 9, int(y) + 14) for x, y in corners))
    options = CropOptions(least_context=4, least_side=64)
    crops = plan_region_crops(mask, size, options, most_crops=most)
    assert len(crops) <= most
    assert np.array_equal(sum((each.mask > 0).astype(int) for each in crops) if crops else 0 * mask, mask > 0)
    for each in crops:
        bounds, box = bound_mask(each.mask), each.crop.box
        assert bounds is not None
        assert (box.x0 <= bounds.x0, box.y0 <= bounds.y0, box.x1 >= bounds.x1, box.y1 >= bounds.y1) == (True,) * 4

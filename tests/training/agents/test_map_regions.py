"""Regions of a map: the rule on an absolute scale, against the morphology and labels of SciPy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import measure

from training.agents.map_regions import find_map_regions, find_mask

SQUARE = np.ones((5, 5), bool)


def blobs(seed: int, height: int, width: int, smoothness: float = 2.0) -> np.ndarray:
    """A smooth random map, float32 [H, W], from 0 to 1."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), smoothness)
    noise = (noise - noise.min()) / max(float(np.ptp(noise)), 1e-12)
    return noise.astype(np.float32)


def mask_by_scipy(saliency: np.ndarray, threshold: float) -> np.ndarray:
    """Open, then close; what lies outside of the map takes no part."""
    mask = saliency >= np.float32(threshold)
    mask = ndimage.binary_dilation(ndimage.binary_erosion(mask, SQUARE, border_value=1), SQUARE)
    return np.asarray(ndimage.binary_erosion(ndimage.binary_dilation(mask, SQUARE), SQUARE, border_value=1))


def regions_by_skimage(saliency: np.ndarray, threshold: float, least_area: int) -> list[tuple[object, ...]]:
    labels = measure.label(mask_by_scipy(saliency, threshold), connectivity=2)
    found = []
    for part in measure.regionprops(labels, intensity_image=saliency):
        top, left, bottom, right = part.bbox
        if part.area >= least_area:
            found.append(((left, top, right, bottom), int(part.area), float(part.intensity_max), part.image.tolist()))
    return sorted(found, key=lambda region: (region[0][1], region[0][0], region[0][3], region[0][2]))


@given(
    seed=st.integers(0, 10_000),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    threshold=st.sampled_from([0.3, 0.5, 0.7, 0.9]),
    least_area=st.sampled_from([1, 50, 200]),
    smoothness=st.sampled_from([0.7, 2.0, 4.0]),
)
@settings(max_examples=40, deadline=None)
def test_regions_are_those_of_other_libraries(
    seed: int, height: int, width: int, threshold: float, least_area: int, smoothness: float
) -> None:
    saliency = blobs(seed, height, width, smoothness)
    expected = regions_by_skimage(saliency, threshold, least_area)
    found = find_map_regions(saliency, threshold, least_area)
    assert [(tuple(r.box), r.area, r.peak, r.mask.tolist()) for r in found] == expected
    painted = np.zeros(saliency.shape, bool)
    for region in found:
        left, top, right, bottom = map(int, region.box)
        painted[top:bottom, left:right] |= region.mask
    assert np.array_equal(find_mask(saliency, threshold, least_area), painted)


def test_a_map_is_never_stretched() -> None:
    saliency = blobs(0, 60, 60)
    assert find_map_regions(saliency)
    assert find_map_regions(saliency * np.float32(0.49)) == []
    assert not find_mask(saliency * np.float32(0.49)).any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (4, 90), (90, 4), (64, 64)])
def test_a_map_without_saliency_has_no_region(shape: tuple[int, int]) -> None:
    assert find_map_regions(np.zeros(shape, np.float32)) == []
    assert find_mask(np.zeros(shape, np.float32)).shape == shape


@pytest.mark.parametrize(("shape", "area"), [((1, 1), 1), ((3, 3), 9), ((4, 90), 360), ((64, 64), 4096)])
def test_a_map_full_of_saliency_is_one_region_of_its_size(shape: tuple[int, int], area: int) -> None:
    (region,) = find_map_regions(np.ones(shape, np.float32), least_area=1)
    assert (region.box, region.area, region.peak) == ((0, 0, shape[1], shape[0]), area, 1.0)


def test_the_threshold_itself_belongs_to_a_region() -> None:
    for threshold in (0.5, 0.7):
        saliency = np.full((20, 20), np.float32(threshold))
        assert len(find_map_regions(saliency, threshold)) == 1


def test_a_region_at_the_border_keeps_its_pixels() -> None:
    saliency = np.zeros((50, 50), np.float32)
    saliency[:7, 40:] = 0.9
    (region,) = find_map_regions(saliency)
    assert (region.box, region.area) == ((40, 0, 50, 7), 70)


def test_opening_removes_threads_and_closing_fills_cracks() -> None:
    saliency = np.zeros((60, 60), np.float32)
    saliency[10:30, 10:30] = 0.8
    saliency[20, 30:60] = 0.9  # a thread to the border
    saliency[10:30, 19:21] = 0.1  # a crack of two pixels
    (region,) = find_map_regions(saliency)
    assert (region.box, region.area) == ((10, 10, 30, 30), 400)


def test_small_regions_are_left_out_and_corners_connect() -> None:
    saliency = np.zeros((60, 60), np.float32)
    saliency[0:7, 0:7] = 1  # 49 pixels
    assert find_map_regions(saliency) == []
    saliency[7:14, 7:14] = 1  # touches it at a corner: 98 together
    assert [region.box for region in find_map_regions(saliency)] == [(0, 0, 14, 14)]


def test_regions_are_ordered_from_top_to_bottom() -> None:
    saliency = np.zeros((100, 100), np.float32)
    for top, left in ((60, 5), (10, 70), (10, 20)):
        saliency[top : top + 12, left : left + 12] = 0.9
    assert [(r.box.x0, r.box.y0) for r in find_map_regions(saliency)] == [(20, 10), (70, 10), (5, 60)]


@pytest.mark.parametrize(
    ("saliency", "threshold", "message"),
    [
        (np.zeros((0, 4), np.float32), 0.5, "with pixels"),
        (np.zeros((4, 4, 1), np.float32), 0.5, r"\[H, W\]"),
        (np.zeros((4, 4), np.uint8), 0.5, "uint8"),
        (np.full((4, 4), 1.5, np.float32), 0.5, r"\[0, 1\]"),
        (np.full((4, 4), np.nan, np.float32), 0.5, r"\[0, 1\]"),
        (np.zeros((4, 4), np.float32), 0.0, "threshold"),
        (np.zeros((4, 4), np.float32), 1.5, "threshold"),
    ],
)
def test_wrong_input_is_named(saliency: np.ndarray, threshold: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_map_regions(saliency, threshold)

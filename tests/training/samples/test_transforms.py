"""Transforms of samples: images, maps, boxes and disks stay at one place, and the truth stays true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.records import DIMENSIONS, Box, Disk, Region
from editfhf.saliency import render_saliency
from training.samples.pair_sample import PairSample
from training.samples.transforms import (
    SampleVariation,
    crop_sample,
    fit_size,
    flip_sample,
    may_flip_sample,
    resize_sample,
    scale_brightness,
    vary_sample,
)

STRONG = SampleVariation(flip=0.5, least_area=0.3, brightness=0.3)
HEIGHT, WIDTH = 60, 80


def sample_of_squares() -> PairSample:
    """A white square in both images, a Gaussian at its centre in the map, and the square as the region's box."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[20:30, 50:62] = 255
    saliency = render_saliency([[56.0, 25.0]], HEIGHT, WIDTH, sigma=3.0)[0]
    region = Region("r1", "artifact", Box(50, 20, 62, 30), (Disk(56, 25),), "other", None, None, ())
    return PairSample(
        pair_id="p",
        source_id="s",
        instruction="Remove the hat.",
        task="remove",
        source=pixels,
        edited=pixels.copy(),
        maps={"artifact": saliency, "failure": np.zeros_like(saliency)},
        regions=(region,),
        scores=dict.fromkeys(DIMENSIONS, 50.0),
        shown=Box(0, 0, WIDTH, HEIGHT),
    )


def same(first: PairSample, second: PairSample) -> bool:
    arrays = ((each.source, each.edited, *each.maps.values()) for each in (first, second))
    return (first.regions, first.shown, first.flipped) == (second.regions, second.shown, second.flipped) and all(
        np.array_equal(one, other) for one, other in zip(*arrays, strict=True)
    )


def assert_aligned(sample: PairSample, tolerance: float) -> None:
    """Box, disk, square and peak of the map lie at one place, in both images."""
    (region,) = sample.regions
    for image in (sample.source, sample.edited):
        y, x = np.nonzero(image[..., 0] > 127)
        assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == pytest.approx(tuple(region.box), abs=tolerance)
    weights = sample.maps["artifact"].astype(float)
    rows, columns = (np.arange(side) + 0.5 for side in sample.size)
    centre = (weights.sum(axis=0) @ columns / weights.sum(), weights.sum(axis=1) @ rows / weights.sum())
    x0, y0, x1, y1 = region.box
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx(centre, abs=0.1)
    assert tuple(region.disks[0]) == pytest.approx(centre, abs=0.1)


@pytest.mark.parametrize("size", [(60, 80), (30, 40), (120, 160), (45, 200), (37, 53)])
def test_resizing_keeps_images_maps_and_boxes_aligned(size: tuple[int, int]) -> None:
    resized = resize_sample(sample_of_squares(), *size)
    assert resized.size == size
    assert_aligned(resized, 1.0)
    assert resized.maps["artifact"].max() <= 1
    assert resized.shown == (0, 0, WIDTH, HEIGHT)


def test_a_flip_exchanges_left_and_right_of_everything() -> None:
    flipped = flip_sample(sample_of_squares())
    assert flipped.regions[0].box == (18, 20, 30, 30)
    assert_aligned(flipped, 0)
    assert same(flip_sample(flipped), sample_of_squares())


def test_a_crop_moves_everything() -> None:
    cut = crop_sample(sample_of_squares(), 8, 38, 36, 38)
    assert cut.regions[0].box == (12, 12, 24, 22)
    assert_aligned(cut, 0)
    assert cut.shown == (38, 8, 76, 44)
    assert set(cut.scores.values()) == {None}  # they were of the whole image


def test_the_part_that_is_shown_survives_flips_and_sizes() -> None:
    again = crop_sample(flip_sample(crop_sample(sample_of_squares(), 10, 40, 30, 30)), 0, 0, 30, 10)
    assert again.shown == (60, 10, 70, 40)
    assert np.array_equal(flip_sample(again).edited, sample_of_squares().edited[10:40, 60:70])
    large = resize_sample(sample_of_squares(), 120, 160)
    assert crop_sample(large, 20, 40, 60, 80).shown == (20, 10, 60, 40)


@pytest.mark.parametrize(("left", "columns", "kept"), [(0, 80, True), (56, 10, True), (57, 10, False), (70, 10, False)])
def test_a_region_stays_while_half_of_it_is_visible(left: int, columns: int, kept: bool) -> None:
    assert bool(crop_sample(sample_of_squares(), 0, left, HEIGHT, columns).regions) == kept


def test_the_whole_as_a_crop_keeps_the_scores() -> None:
    assert crop_sample(sample_of_squares(), 0, 0, HEIGHT, WIDTH).scores[DIMENSIONS[0]] == 50.0
    with pytest.raises(ValueError, match="not inside an image of 60 x 80"):
        crop_sample(sample_of_squares(), 0, 0, HEIGHT + 1, WIDTH)


@pytest.mark.parametrize(
    ("changes", "rationale", "allowed"),
    [
        ({}, "The hand has six fingers.", True),
        ({"instruction": "Make the sky bright."}, "The colours are too bright.", True),
        ({"instruction": "Move the dog to the LEFT."}, None, False),
        ({}, "Her right hand is blurred.", False),
        ({"instruction": "Turn it anti-clockwise."}, None, False),
        ({"instruction": "Change the text to 'OPEN'."}, None, False),
        ({"task": "text_replacement"}, None, False),
        ({}, "The letters cannot be read.", False),
        ({"instruction": "Add a leftmost tree."}, None, False),
    ],
)
def test_texts_about_sides_or_writing_forbid_a_flip(
    changes: dict[str, Any], rationale: str | None, allowed: bool
) -> None:
    sample = sample_of_squares()
    sample = replace(sample, regions=(replace(sample.regions[0], rationale=rationale),), **changes)
    assert may_flip_sample(sample) == allowed
    assert vary_sample(sample, SampleVariation(flip=1), np.random.default_rng(0)).flipped == allowed


@given(st.integers(0, 2**32 - 1))
def test_any_variation_keeps_the_pair_aligned(seed: int) -> None:
    """Both images were equal, so they still are: no change was made on one side only."""
    varied = vary_sample(sample_of_squares(), STRONG, np.random.default_rng(seed))
    assert np.array_equal(varied.source, varied.edited)
    assert varied.maps["artifact"].shape == varied.maps["failure"].shape == varied.size
    assert 0.25 <= varied.size[0] * varied.size[1] / (HEIGHT * WIDTH) <= 1
    for region in varied.regions:
        x0, y0, x1, y1 = (round(edge) for edge in region.box)
        assert (varied.edited[y0:y1, x0:x1, 0] > 127).all()
        assert (varied.edited[..., 0] > 127).sum() == (y1 - y0) * (x1 - x0)
    x0, y0, x1, y1 = (round(edge) for edge in varied.shown)
    part = sample_of_squares().edited[y0:y1, x0:x1]
    assert np.array_equal((part[:, ::-1] if varied.flipped else part) > 127, varied.edited > 127)


def test_brightness_is_one_factor_for_both_images() -> None:
    sample = replace(sample_of_squares(), source=np.full((HEIGHT, WIDTH, 3), 100, np.uint8))
    brighter = scale_brightness(sample, 1.2)
    assert (brighter.source == 120).all()
    assert brighter.edited.max() == 255
    assert same(scale_brightness(sample, 1.0), sample)


@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from([1, 16, 32]), st.integers(32 * 32, 2**20))
def test_a_size_fits(height: int, width: int, multiple: int, most: int) -> None:
    rows, columns = fit_size(height, width, most, multiple)
    assert rows % multiple == columns % multiple == 0
    assert multiple <= rows <= max(height, multiple)
    assert multiple <= columns <= max(width, multiple)
    assert rows * columns <= most

"""Places that are certainly flawed become whole regions, and nothing else of a map changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.agents.map_regions import REGION_THRESHOLD, find_map_regions
from training.compact.lift_places import CERTAIN, PLACE_EDGE, lift_certain_places

MAPS = arrays(np.float32, (24, 30), elements=st.floats(0, 1, width=32))


def bump(height: float, sigma: float = 12.0) -> np.ndarray:
    rows, columns = np.mgrid[:120, :160]
    return (height * np.exp(-((rows - 60) ** 2 + (columns - 80) ** 2) / (2 * sigma**2))).astype(np.float32)


def test_the_region_of_a_certain_place_reaches_to_its_edge() -> None:
    saliency = bump(0.6)
    (region,) = find_map_regions(lift_certain_places(saliency, 0.5))
    (place,) = find_map_regions(saliency, PLACE_EDGE)
    assert region.box == place.box
    (core,) = find_map_regions(saliency)
    assert core.area < 0.25 * region.area


@pytest.mark.parametrize("height", [0.3, 0.49])
def test_an_uncertain_place_stays_below_the_threshold(height: float) -> None:
    saliency = bump(height)
    assert np.array_equal(lift_certain_places(saliency, 0.5), saliency)
    assert not find_map_regions(saliency)


def test_only_the_certain_place_of_two_is_raised() -> None:
    saliency = np.zeros((60, 160), np.float32)
    saliency[10:30, 10:40], saliency[10:30, 100:130] = 0.55, 0.4
    lifted = lift_certain_places(saliency, 0.5)
    assert np.array_equal(lifted[:, 90:], saliency[:, 90:])
    assert (lifted[10:30, 10:40] > 0.55).all()


@given(MAPS, st.sampled_from(sorted(CERTAIN.values())))
def test_places_are_raised_in_order_and_never_lowered(saliency: np.ndarray, certain: float) -> None:
    lifted = lift_certain_places(saliency, certain)
    assert ((lifted >= saliency - 1e-6) & (lifted <= 1 + 1e-6)).all()
    raised = lifted > saliency + 1e-6
    assert (lifted[raised] >= REGION_THRESHOLD - 1e-6).all()
    assert (saliency[raised] >= PLACE_EDGE).all()
    assert (np.diff(lifted[raised][np.argsort(saliency[raised], kind="stable")]) >= -1e-6).all()


@given(MAPS)
def test_a_map_without_certainty_is_untouched(saliency: np.ndarray) -> None:
    calm = saliency * np.float32(0.44)
    assert np.array_equal(lift_certain_places(calm, 0.45), calm)

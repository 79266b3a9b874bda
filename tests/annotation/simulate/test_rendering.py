"""An image is rendered as a generative editor does, and whoever knows the seed knows where everything went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from annotation.records import Box, Disk
from annotation.simulate import SimulationOptions, simulate_corpus
from annotation.simulate.flaws.flaw import InjectedFlaw
from annotation.simulate.photos import list_packaged_photos
from annotation.simulate.rendering import Rendering, RenderingOptions, draw_rendering, render_as_editor

NOTHING = RenderingOptions(shift=0, zoom=0, detail=1, drift=0, grain=0)


def _photo(height: int = 120, width: int = 160) -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return np.asarray(Image.fromarray(data.coffee()).resize((width, height)))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (64, 48), (33, 257)])
def test_any_size_keeps_its_size_and_the_same_seed_gives_the_same_bytes(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before = image.copy()
    rendered = render_as_editor(image, 5)
    assert rendered.shape == image.shape
    assert rendered.dtype == np.uint8
    assert (rendered == render_as_editor(image, 5)).all()
    assert (image == before).all()


def test_without_any_effect_the_image_is_the_same():
    image = _photo()
    assert np.abs(render_as_editor(image, 3, NOTHING).astype(int) - image).max() <= 1


def test_every_pixel_is_drawn_again_and_another_seed_draws_otherwise():
    image = _photo()
    one, other = (render_as_editor(image, seed) for seed in (1, 2))
    assert (one != image).any(axis=2).mean() > 0.95
    assert (one != other).any(axis=2).mean() > 0.95
    errors = [np.mean((render_as_editor(image, seed).astype(float) - image) ** 2) for seed in range(8)]
    assert all(15 < 10 * np.log10(255**2 / error) < 33 for error in errors)


def test_a_shift_is_what_phase_correlation_finds():
    registration, filters = pytest.importorskip("skimage.registration"), pytest.importorskip("skimage.filters")
    image, options = _photo(240, 320), replace(NOTHING, shift=0.02)
    for seed in range(4):
        drawn = draw_rendering(seed, 240, options)
        moved = render_as_editor(image, seed, options)
        grey = [picture.astype(float).mean(axis=2) for picture in (moved, image)]
        grey = [(picture - picture.mean()) * filters.window("hann", picture.shape) for picture in grey]
        shift, *_ = registration.phase_cross_correlation(*grey, upsample_factor=20, normalization=None)
        assert np.allclose(shift, (drawn.shift_y, drawn.shift_x), atol=0.15)


def test_half_of_the_shifts_are_whole_pixels():
    shifts = [draw_rendering(seed, 1024) for seed in range(200)]
    whole = np.mean([drawn.shift_x == round(drawn.shift_x) for drawn in shifts])
    assert 0.35 < whole < 0.65
    assert max(abs(drawn.shift_x) for drawn in shifts) <= round(0.008 * 1024) + 0.5
    assert all(abs(drawn.zoom - 1) <= 0.012 for drawn in shifts)


def test_boxes_and_disks_go_where_the_pixels_go():
    options = replace(NOTHING, shift=0.03, zoom=0.05)
    image = np.zeros((200, 300, 3), np.uint8)
    image[40:60, 210:250] = 255
    flaw = InjectedFlaw("artifact", "color", "minor", Box(210, 40, 250, 60), (Disk(230, 50),), "")
    for seed in range(5):
        found = render_as_editor(image, seed, options)[..., 0] / 255
        moved = draw_rendering(seed, 200, options).move_flaw(flaw, 200, 300)
        rows, columns = np.flatnonzero(found.max(axis=1) > 0.5), np.flatnonzero(found.max(axis=0) > 0.5)
        seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert np.abs(np.subtract(moved.box, seen)).max() <= 0.51
        y, x = np.indices(found.shape) + 0.5
        middle = ((found * x).sum() / found.sum(), (found * y).sum() / found.sum())
        assert np.abs(np.subtract(moved.disks[0], middle)).max() < 0.05


def test_a_box_of_the_whole_image_stays_and_disks_stay_in_their_box():
    drawn = Rendering(shift_x=-6, shift_y=9, zoom=0.97, detail=1, sharpening=0, grain=0)
    whole = InjectedFlaw("failure", "global_drift", "minor", Box(0, 0, 300, 200), (Disk(1, 199),), "")
    moved = drawn.move_flaw(whole, 200, 300)
    assert moved.box == whole.box
    assert moved.box.contains(moved.disks[0])


def test_images_that_differ_in_one_place_differ_in_that_place_afterwards():
    clean = _photo()
    flawed = clean.copy()
    flawed[50:70, 60:90] = 255 - flawed[50:70, 60:90]
    for seed in range(5):
        changed = (render_as_editor(clean, seed) != render_as_editor(flawed, seed)).any(axis=2)
        assert changed[52:68, 62:88].mean() > 0.9
        changed[50 - 16 : 70 + 16, 60 - 16 : 90 + 16] = False
        assert not changed.any()


def test_grain_has_the_deviation_that_was_drawn():
    image, options = np.full((300, 300, 3), 128, np.uint8), replace(NOTHING, grain=8)
    for seed in range(3):
        found = render_as_editor(image, seed, options).astype(float).std(axis=(0, 1))
        assert found == pytest.approx([draw_rendering(seed, 300, options).grain] * 3, rel=0.03)


def test_colours_drift_smoothly_and_not_too_far():
    image, options = np.full((96, 128, 3), 128, np.uint8), replace(NOTHING, drift=20)
    drift = np.array([render_as_editor(image, seed, options).astype(int) - 128 for seed in range(20)])
    assert 10 < np.abs(drift).max() <= 24
    assert np.abs(np.diff(drift, axis=1)).max() <= 2
    assert np.abs(np.diff(drift, axis=2)).max() <= 2
    assert np.abs(drift.mean(axis=(0, 1, 2))).max() < 6


def test_detail_is_lost_at_high_frequencies_only():
    image, options = _photo(128, 128), replace(NOTHING, detail=2)

    def power(picture: np.ndarray, low: float, high: float) -> float:
        spectrum = np.abs(np.fft.fft2(picture.astype(float).mean(axis=2))) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
        return float(spectrum[(frequency >= low) & (frequency < high)].sum())

    for seed in range(4):
        rendered = render_as_editor(image, seed, options)
        assert power(rendered, 0.4, 0.71) < 0.8 * power(image, 0.4, 0.71)
        assert power(rendered, 0.004, 0.05) == pytest.approx(power(image, 0.004, 0.05), rel=0.15)


def test_a_rendered_corpus_says_which_pairs_were_rendered_with_which_seed(tmp_path: Path):
    settings = SimulationOptions(pairs=18, height=64, format="png", seed=3, exports=False)
    for name, share in (("plain", 0.0), ("rendered", 0.6)):
        simulate_corpus(replace(settings, rendered=share), list_packaged_photos(), tmp_path / name, 1, lambda _: None)
    plain = pq.read_table(tmp_path / "plain/truth.parquet").to_pylist()
    rendered = pq.read_table(tmp_path / "rendered/truth.parquet").to_pylist()
    assert "rendering" not in plain[0]
    assert 4 <= sum(row["rendering"] is not None for row in rendered) <= 16
    for before, after in zip(plain, rendered, strict=True):
        name = f"images/{after['source_id']}/{after['pair_id']}.png"
        one, other = (np.asarray(Image.open(tmp_path / corpus / name)) for corpus in ("plain", "rendered"))
        seed = after["rendering"]
        assert (other == (one if seed is None else render_as_editor(one, seed))).all()
        for flaw, moved in zip(before["regions"], after["regions"], strict=True):
            assert Box(*flaw["box"]).iou(Box(*moved["box"])) > (0.5 if seed is not None else 0.999)
            assert all(Box(*moved["box"]).contains(Disk(*disk)) for disk in moved["disks"])

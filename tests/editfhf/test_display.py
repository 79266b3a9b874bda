"""`editfhf.show`: the panels, the boxes at their places, the texts escaped, and one sentence for a wrong row."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

import editfhf
from editfhf.display import PANEL_GAP
from editfhf.heat import KIND_COLOURS, blend_heat
from mos.errors import UserError
from tests.editfhf import sample_dataset

HOSTILE = "<script>alert(1)</script> & \x07 \x1b[2J"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    folder = tmp_path_factory.mktemp("display")
    root = sample_dataset.write(folder / "six")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
        datasets.disable_progress_bars()
        return editfhf.load(root)["train"]


def with_regions(pairs: datasets.Dataset) -> dict[str, Any]:
    return next(row for row in pairs if row["artifact_regions"] and row["failure_regions"])


def test_a_row_becomes_four_panels_of_the_wanted_height(pairs: datasets.Dataset) -> None:
    view = editfhf.show(pairs[0], height=96)
    width = round(sample_dataset.WIDTH * 96 / sample_dataset.HEIGHT)
    png = Image.open(io.BytesIO(view._repr_png_()))
    assert png.width == 4 * width + 5 * PANEL_GAP
    assert png.height > 96
    embedded = re.search(r'src="data:image/png;base64,([^"]+)"', view._repr_html_())
    assert embedded is not None
    inside = Image.open(io.BytesIO(base64.b64decode(embedded[1])))
    assert inside.size == (4 * width + 3 * PANEL_GAP, 96)


def test_stored_and_decoded_images_show_the_same(pairs: datasets.Dataset) -> None:
    stored = pairs.cast_column("edited_image", datasets.Image(decode=False))[1]
    assert editfhf.show(stored)._repr_png_() == editfhf.show(pairs[1])._repr_png_()


def test_boxes_are_drawn_where_the_regions_are(pairs: datasets.Dataset) -> None:
    row = with_regions(pairs)
    height = sample_dataset.HEIGHT * 4
    panels = dict(editfhf.show(row, height=height)._render_panels())
    for kind, colour in KIND_COLOURS.items():
        panel = np.asarray(panels[f"{kind} map"])
        for region in row[f"{kind}_regions"]:
            _, y0, x1, y1 = (4 * value for value in region["box"])
            edge = panel[round((y0 + y1) / 2), min(round(x1), panel.shape[1] - 1)]
            assert tuple(int(value) for value in edge) == colour


def test_the_overlay_is_the_colour_where_the_map_is_high_and_the_image_where_it_is_zero() -> None:
    image = Image.new("RGB", (4, 3), (10, 20, 30))
    heat = np.zeros((3, 4), np.float32)
    heat[1, 2] = 1
    blended = np.asarray(blend_heat(image, heat, (210, 120, 230)), np.int64)
    assert blended[0, 0].tolist() == [10, 20, 30]
    assert np.abs(blended[1, 2] - [180, 105, 200]).max() <= 1  # opacity 0.85


def test_texts_of_a_dataset_are_escaped(pairs: datasets.Dataset) -> None:
    row = with_regions(pairs)
    regions = [{**region, "rationale": HOSTILE, "flaw_type": HOSTILE} for region in row["artifact_regions"]]
    view = editfhf.show({**row, "instruction": HOSTILE, "pair_id": HOSTILE, "artifact_regions": regions})
    html = view._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in html
    assert "\x07" not in html
    assert "\x1b" not in html
    assert "\x1b" not in repr(view)
    assert view._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_view_is_saved_as_an_image(pairs: datasets.Dataset, tmp_path: Path, suffix: str) -> None:
    view = editfhf.show(pairs[0])
    saved = view.save(tmp_path / f"pair{suffix}")
    with Image.open(saved) as image:
        assert image.size == view.render_image().size


def test_a_view_is_saved_as_a_page(pairs: datasets.Dataset, tmp_path: Path) -> None:
    text = editfhf.show(pairs[0]).save(tmp_path / "pair.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert pairs[0]["pair_id"] in text


def test_another_suffix_is_refused(pairs: datasets.Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in .png, .jpg, .jpeg, .webp or .html, but ends in '.gif'"):
        editfhf.show(pairs[0]).save(tmp_path / "pair.gif")


def test_what_is_no_row_is_one_sentence(pairs: datasets.Dataset) -> None:
    with pytest.raises(UserError, match=r"expects one row .* but got Dataset"):
        editfhf.show(pairs)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="the columns source_image, edited_image are missing"):
        editfhf.show({name: pairs[0][name] for name in pairs.column_names if not name.endswith("_image")})
    with pytest.raises(UserError, match="height must be from 32 to 4096 pixels, but got 3"):
        editfhf.show(pairs[0], height=3)
    with pytest.raises(UserError, match="must be decoded or hold its bytes, but is str"):
        editfhf.show({**pairs[0], "edited_image": "p1.png"})._repr_png_()


def test_a_strip_does_not_make_a_view_of_a_million_pixels(pairs: datasets.Dataset) -> None:
    view = editfhf.show({**pairs[0], "edited_image": Image.new("RGB", (5000, 1))}, height=32)
    assert view.render_image().width < 4 * 8 * 32 + 5 * PANEL_GAP


@pytest.mark.parametrize("change", [None, {"box": None}, {"box": [1, 2, 3]}, {"box": [float("nan")] * 4}])
def test_a_damaged_region_is_one_sentence(pairs: datasets.Dataset, change: dict[str, Any] | None) -> None:
    row = with_regions(pairs)
    region = change and {**row["artifact_regions"][0], **change}
    with pytest.raises(UserError, match="artifact_regions must be a list of regions"):
        editfhf.show({**row, "artifact_regions": [region]})


def test_a_box_far_outside_is_drawn_at_the_edge(pairs: datasets.Dataset) -> None:
    row = with_regions(pairs)
    region = {**row["artifact_regions"][0], "box": [-1e9, -1e9, 1e9, 1e9]}
    assert editfhf.show({**row, "artifact_regions": [region]}, height=32).render_image().height > 32


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
@pytest.mark.parametrize("column", ["source_image", "edited_image", "artifact_saliency"])
def test_an_image_without_pixels_is_one_sentence(pairs: datasets.Dataset, column: str, size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="expected at least 1 x 1"):
        editfhf.show(pairs[0] | {column: Image.new("RGB", size)}).render_image()


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_a_view_that_cannot_be_saved_leaves_the_old_file(
    pairs: datasets.Dataset, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"pair{suffix}"
    path.write_text("old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        editfhf.show(pairs[0]).save(path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]

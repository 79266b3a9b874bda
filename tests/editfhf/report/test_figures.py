"""Figures: the same bytes every time, well-formed, safe, and the colours told apart."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from editfhf.report import DatasetStatistics, compute_statistics
from editfhf.report.drawing import SvgDrawing, compute_axis_ticks
from editfhf.report.figures import draw_figures, encode_heat_uri, write_figures

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def statistics(dataset: Path) -> DatasetStatistics:
    return compute_statistics(dataset)


def test_every_figure_is_written_twice_with_the_same_bytes(statistics: DatasetStatistics, tmp_path: Path) -> None:
    first = write_figures(statistics, tmp_path / "a")
    assert first == write_figures(statistics, tmp_path / "b")
    assert first == sorted(first, key=first.index) and len(first) == 8
    for name in first:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_every_figure_is_xml_with_a_title_that_asks_for_nothing_outside(
    statistics: DatasetStatistics, tmp_path: Path
) -> None:
    for name in write_figures(statistics, tmp_path):
        root = ElementTree.fromstring((tmp_path / name).read_text(encoding="utf-8"))
        assert root.find(f"{SVG}title") is not None
        assert {element.tag.removeprefix(SVG) for element in root.iter()}.isdisjoint({"script", "foreignObject", "a"})
        links = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith("href")]
        assert all(link.startswith("data:image/png;base64,") for link in links)


def test_every_class_and_colour_of_a_figure_is_defined(statistics: DatasetStatistics) -> None:
    for drawing in draw_figures(statistics).values():
        root = ElementTree.fromstring(drawing.svg(standalone=True))
        style = root.findtext(f"{SVG}style") or ""
        used = {name for element in root.iter() for name in element.get("class", "").split()}
        assert used <= set(re.findall(r"\.([a-z_]+)", style)) and "ink" in used
        assert set(re.findall(r"var\((--[a-z-]+)\)", style)) <= set(re.findall(r"(--[a-z-]+):", style))


def test_a_bar_of_a_histogram_tells_its_count(statistics: DatasetStatistics) -> None:
    text = draw_figures(statistics)["score_distributions"].svg(standalone=True)
    overall = next(score for score in statistics.scores if score.score == "overall")
    for k, count in enumerate(overall.histogram):
        if count:
            assert f"Overall {5 * k}–{5 * k + 5}: {count} images" in text


def test_drawn_shapes_stay_inside_the_figure(statistics: DatasetStatistics) -> None:
    for drawing in draw_figures(statistics).values():
        for rect in ElementTree.fromstring(drawing.svg(standalone=True)).iter(f"{SVG}rect"):
            if rect.get("width") != "100%":
                x, y, width, height = (float(rect.get(name) or 0) for name in ("x", "y", "width", "height"))
                assert x >= 0 and y >= 0
                assert x + width <= drawing.width + 0.01 and y + height <= drawing.height + 0.01


def test_text_from_outside_stays_text_even_with_control_characters() -> None:
    drawing = SvgDrawing("<b>", "&", 10)
    drawing.text(0, 0, "\x00</text><script>\x0b\ufffe\ud800")
    root = ElementTree.fromstring(drawing.svg(standalone=True))
    assert root.findtext(f"{SVG}text") == " </text><script>   "


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 0.07, [0, 0.02, 0.04, 0.06]),
        (30, 60, [30, 35, 40, 45, 50, 55, 60]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_and_within(low: float, high: float, told: list[float]) -> None:
    assert compute_axis_ticks(low, high) == told


def test_a_heat_map_is_one_colour_whose_opacity_rises_with_the_map() -> None:
    import base64
    import io

    from PIL import Image

    uri = encode_heat_uri(np.linspace(0, 1, 64)[None].repeat(2, axis=0), (1, 2, 3))
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert (pixels[..., :3] == (1, 2, 3)).all()
    assert pixels[0, 0, 3] == 0
    assert (np.diff(pixels[0, :, 3].astype(int)) >= 0).all()
    assert pixels[0, -1, 3] > 200


def test_one_careless_rater_does_not_flatten_the_others(statistics: DatasetStatistics) -> None:
    careless = replace(statistics.raters[0], outlier_share=0.9, excluded=True)
    crowd = replace(statistics, raters=(careless, *statistics.raters[1:]))
    text = draw_figures(crowd)["raters"].svg(standalone=True)
    assert "90\N{NO-BREAK SPACE}% →" in text
    assert ">20\N{NO-BREAK SPACE}%<" in text and ">80\N{NO-BREAK SPACE}%<" not in text


def test_without_a_limit_no_line_is_drawn(statistics: DatasetStatistics) -> None:
    free = replace(statistics, outlier_limit=None)
    assert "limit" in draw_figures(statistics)["raters"].svg(standalone=False)
    assert "limit" not in draw_figures(free)["raters"].svg(standalone=False)


def test_without_outliers_there_is_no_figure_of_them(statistics: DatasetStatistics) -> None:
    raters = tuple(replace(rater, outliers=None, outlier_share=None) for rater in statistics.raters)
    assert "raters" not in draw_figures(replace(statistics, raters=raters))

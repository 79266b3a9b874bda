"""A plot as SVG: the same bytes every time, at home in any page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from mos.plots import figure_to_svg, plot_rater_ridge, plot_sos_scatter
from mos.plots.style import CSS_VARIABLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


RATERS = ["ann", "bob", "cleo", "dave", "eve", "fred"]
PLOTS = [
    "residuals",
    "sos",
    "bias",
    "shares",
    "intervals",
    "halves",
    "methods",
    "pair",
    "histograms",
    "ridge",
    "planning",
]  # of the fixture every_plot
EveryPlot = Callable[[Sequence[str]], "dict[str, Callable[[], Figure]]"]


@pytest.fixture(scope="module")
def pictures(every_plot: EveryPlot) -> dict[str, str]:
    """Every plot as SVG, called p."""
    return {plot: figure_to_svg(draw(), "p") for plot, draw in every_plot(RATERS).items()}


def one() -> Figure:
    return plot_sos_scatter(np.array([2.0, 3.0]), np.array([0.5, 1.0]), (1, 5), 0.3)


def test_every_plot_is_covered(every_plot: EveryPlot) -> None:
    assert list(every_plot(RATERS)) == PLOTS


@pytest.mark.parametrize("plot", PLOTS)
def test_the_same_data_give_the_same_bytes(plot: str, every_plot: EveryPlot, pictures: dict[str, str]) -> None:
    figure = every_plot(RATERS)[plot]()
    assert figure_to_svg(figure, "p") == pictures[plot]
    assert figure_to_svg(figure, "p") == pictures[plot]


def test_the_same_bytes_in_another_process() -> None:
    script = (
        "import numpy as np; from mos.plots import plot_sos_scatter, figure_to_svg;"
        "print(figure_to_svg(plot_sos_scatter(np.array([2.0, 3.0]), np.array([0.5, 1.0]), (1, 5), 0.3), 'p'), end='')"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1"}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout == figure_to_svg(one(), "p")


def test_a_persons_own_settings_change_nothing_and_stay() -> None:
    expected = figure_to_svg(one(), "p")
    own = {"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "path", "text.parse_math": True}
    with matplotlib.rc_context(own):
        assert figure_to_svg(one(), "p") == expected
        assert {name: matplotlib.rcParams[name] for name in own} == own


@pytest.mark.parametrize("plot", PLOTS)
def test_it_is_one_element_of_well_formed_xml_without_scripts_or_dates(plot: str, pictures: dict[str, str]) -> None:
    text = pictures[plot]
    root = ElementTree.fromstring(text)
    assert text.startswith("<svg ")
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"]
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "a", "foreignObject", "metadata"}
    assert not re.search(r"20\d\d-\d\d-\d\d", text)


@pytest.mark.parametrize("plot", PLOTS)
def test_every_id_is_the_plots_own_and_every_reference_is_met(plot: str, pictures: dict[str, str]) -> None:
    text = pictures[plot]
    root = ElementTree.fromstring(text)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    assert all(name == "p" or name.startswith("p-") for name in ids)
    references = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    assert references
    assert references <= set(ids)
    classes = set(re.findall(r'class="([^"]+)"', text))
    assert classes == {name for name in re.findall(r"\.([a-z0-9-]+)\{", text) if name.startswith("p-s")}


def test_no_rule_reaches_beyond_the_plot() -> None:
    (style,) = re.findall("<style[^>]*>([^<]*)</style>", figure_to_svg(one(), "own"))
    selectors = re.findall(r"([^{}]+)\{[^{}]*\}", style)
    assert selectors[0] == "#own"
    assert all(selector.startswith(".own-s") for selector in selectors[1:])


@pytest.mark.parametrize("plot", PLOTS)
def test_colours_are_the_pages(plot: str, pictures: dict[str, str]) -> None:
    text = pictures[plot]
    assert "var(--ink, #1a1a1a)" in text
    for colour, variable in CSS_VARIABLES.items():
        assert text.count(colour) == text.count(f"var({variable}, {colour})")
    other = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", text))
    assert not other


def test_the_background_is_transparent() -> None:
    text = figure_to_svg(one(), "p")
    rules = dict(re.findall(r"\.(p-s\d+)\{([^}]*)\}", text))
    patch = re.search(r'<g id="p-patch_1">\s*<path d="[^"]*" class="([^"]+)"', text)
    assert patch is not None
    assert "fill: none" in rules[patch[1]]


@pytest.mark.parametrize("name", ["", "1a", "a b", 'a"', "a<b", "ä", "-a"])
def test_a_name_that_is_no_id_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        figure_to_svg(one(), name)


def test_matplotlib_waits_until_it_is_needed_and_pyplot_stays_out() -> None:
    script = (
        "import sys, mos.plots; assert 'matplotlib' not in sys.modules;"
        "import numpy as np; from mos.plots import *;"
        "figure_to_svg(plot_sos_scatter(np.ones(1), np.ones(1), (0, 2)), 'p');"
        "assert 'matplotlib.pyplot' not in sys.modules;"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_places_are_rounded_to_hundredths_and_pictures_are_not_touched() -> None:
    figure = plot_rater_ridge(np.zeros(3, int), np.array([1.0, 2, 3]), ["r"])
    places = re.findall(r' d="([^"]*)"', figure_to_svg(figure, "p"))
    assert places
    assert not [place for place in places if re.search(r"\.\d{3}", place)]

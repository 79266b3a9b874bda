"""Names that anyone may have written do no harm in a plot."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.plots import figure_to_svg
from mos.plots.style import shorten_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


HOSTILE = [
    r"$\frac{1}{",
    "<script>alert(1)",
    "]]></style><b>&amp;",
    "😀👍🏽 emoji",
    "مقيّم ١٢ עברית",
    '_x" onload="1',
]
MORE = ["a\x00b\x1b[0m", "\ud800 lone", "\u202eesrever", "x" * 300, "-->", "line\nbreak"]
PLOTS = ["residuals", "bias", "shares", "intervals", "methods", "pair", "histograms", "ridge", "planning"]
EveryPlot = Callable[[Sequence[str]], "dict[str, Callable[[], Figure]]"]


def texts(svg_text: str) -> str:
    root = ElementTree.fromstring(svg_text)
    return "\n".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.parametrize("names", [HOSTILE, MORE], ids=["hostile", "more"])
@pytest.mark.parametrize("plot", PLOTS)
def test_names_stay_text(plot: str, names: list[str], every_plot: EveryPlot) -> None:
    text = figure_to_svg(every_plot(names)[plot](), "p")
    root = ElementTree.fromstring(text)
    allowed = {"svg", "defs", "style", "g", "path", "use", "text", "clipPath", "rect", "image"}
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= allowed
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on")]


@pytest.mark.parametrize("plot", ["residuals", "shares", "methods", "ridge"])
def test_every_name_can_be_read(plot: str, every_plot: EveryPlot) -> None:
    shown = texts(figure_to_svg(every_plot(HOSTILE)[plot](), "p"))
    for name in HOSTILE:
        assert name[:6] in shown
        assert name[-6:] in shown


def test_a_group_whose_name_starts_with_an_underscore_is_in_the_key(every_plot: EveryPlot) -> None:
    assert '_x" onload="1' in texts(figure_to_svg(every_plot(HOSTILE)["intervals"](), "p"))


def test_a_name_is_left_alone_where_it_fits() -> None:
    assert shorten_name("rater 17", 8) == "rater 17"


def test_a_long_name_keeps_its_ends() -> None:
    assert shorten_name("session-2024-11-03/participant-0017", 16) == "session-…nt-0017"
    assert shorten_name("x" * 299 + "7") == "x" * 12 + "…" + "x" * 10 + "7"


def test_wide_letters_count_twice() -> None:
    assert shorten_name("評価者の識別子", 14) == "評価者の識別子"
    assert shorten_name("評価者の識別子", 13) == "評価者…識別子"


def test_what_cannot_be_shown_is_seen_to_be_missing() -> None:
    assert shorten_name("a\x00b\u202ec\ud800\uffff") == "a\ufffdb\ufffdc\ufffd\ufffd"


@given(st.text(max_size=400), st.integers(4, 40))
def test_any_name_fits_and_is_fit_for_xml(name: str, width: int) -> None:
    text = shorten_name(name, width)
    columns = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    assert columns <= width
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    assert ElementTree.fromstring(f"<a>{escaped}</a>").text == (text or None)

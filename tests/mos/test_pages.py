"""What pages share: values are text, whatever they hold, and what is missing is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, UndefinedError
from markupsafe import Markup, escape

from mos import pages
from mos.plots.style import CSS_VARIABLES
from mos.words import replace_control_characters

ANYTHING = st.text(st.characters())


@pytest.fixture(scope="module")
def templates() -> Environment:
    return pages.template_environment("mos.report")


@given(ANYTHING)
def test_a_value_is_escaped_and_can_be_written(templates: Environment, value: str) -> None:
    text = templates.from_string("<p>{{ value }}</p>").render(value=value)
    assert text == f"<p>{escape(replace_control_characters(value))}</p>"
    text.encode("utf-8")
    assert not {"\x00", "\x1b", "\x7f", "\x9b"} & set(text)


def test_markup_of_ours_and_figures_pass_as_they_are(templates: Environment) -> None:
    assert templates.from_string("{{ a }}{{ b }}").render(a=Markup("<b>"), b=5) == "<b>5"
    assert replace_control_characters("a\tb\nc") == "a\tb\nc"


def test_a_name_that_nothing_was_given_for_is_an_error(templates: Environment) -> None:
    with pytest.raises(UndefinedError):
        templates.from_string("{{ absent }}").render()


def test_the_style_is_the_shared_one_and_what_a_page_adds() -> None:
    assert pages.page_style("b{}") == pages.page_style() + "b{}"
    assert "--accent" in pages.page_style()


def test_every_colour_of_a_plot_is_in_the_theme_in_light_and_in_dark() -> None:
    light, dark = pages.read_theme().split("@media")
    for colour, name in CSS_VARIABLES.items():
        assert f"{name}:" in light and f"{name}:" in dark
        if name.startswith("--plot-"):
            assert f"{name}:{colour}" in light


def test_numbers_are_shown_the_same_way_on_every_page(templates: Environment) -> None:
    text = templates.from_string(
        "{{ 1234 | count }} {{ -0.5 | decimal(2) }} {{ 0.125 | percent(1) }} {{ none | percent }}"
    )
    assert text.render() == "1,234 −0.50 12.5\N{NO-BREAK SPACE}% –"


def test_a_page_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("old")
    pages.write_page(page, "<p>é\r\n</p>\n")
    assert page.read_bytes() == "<p>é\r\n</p>\n".encode()
    assert list(tmp_path.iterdir()) == [page]

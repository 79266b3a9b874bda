"""What pages share: values are text, whatever they hold, and what is missing is an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, UndefinedError
from markupsafe import Markup, escape

from mos import pages

ANYTHING = st.text(st.characters())


@pytest.fixture(scope="module")
def templates() -> Environment:
    return pages.environment("mos.report")


@given(ANYTHING)
def test_a_value_is_escaped_and_can_be_written(templates: Environment, value: str) -> None:
    text = templates.from_string("<p>{{ value }}</p>").render(value=value)
    assert text == f"<p>{escape(pages.printable(value))}</p>"
    text.encode("utf-8")
    assert not {"\x00", "\x1b", "\x7f", "\x9b"} & set(text)


def test_markup_of_ours_and_figures_pass_as_they_are(templates: Environment) -> None:
    assert templates.from_string("{{ a }}{{ b }}").render(a=Markup("<b>"), b=5) == "<b>5"
    assert pages.printable("a\tb\nc") == "a\tb\nc"


def test_a_name_that_nothing_was_given_for_is_an_error(templates: Environment) -> None:
    with pytest.raises(UndefinedError):
        templates.from_string("{{ absent }}").render()


def test_the_style_is_the_shared_one_and_what_a_page_adds() -> None:
    assert pages.style("b{}") == pages.style() + "b{}"
    assert "--accent" in pages.style()

"""Small and large windows, every score by one click, and what Submit holds back, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from annotation import interfaces
from annotation.interfaces.guidance import HOT_KEYS
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.results import rationale_results
from annotation.records import Place
from tests.annotation.interfaces.conftest import Give
from tests.annotation.interfaces.desk import WINDOW
from tests.annotation.interfaces.test_browser_window import SHOWN, SIZE, begin

__all__ = ["begin"]
pytestmark = [pytest.mark.browser, pytest.mark.studio, pytest.mark.slow]

LONG = ("Remove the red heart and fill the place with the same sheet of music as around it. " * 4)[:260]


@pytest.fixture
def window(page: Any) -> Iterator[Any]:
    """The page, whose window a test may change."""
    yield page
    page.set_viewport_size(WINDOW)


@pytest.mark.parametrize(("width", "height", "least"), [(1093, 614, 200), (1920, 1080, 600), (2560, 1440, 950)])
def test_both_images_are_seen_and_use_the_window(window: Any, begin: Any, width: int, height: int, least: int) -> None:
    window.set_viewport_size({"width": width, "height": height})
    desk = begin("regional", instruction=LONG)
    foot = height - 52
    frames = [image.bounding_box() for image in window.locator(".ehf-image img").all()]
    assert len(frames) == 2
    for frame in frames:
        assert frame["x"] >= 0 and frame["x"] + frame["width"] <= width
        assert min(frame["y"] + frame["height"], foot) - frame["y"] >= least
    assert desk.page.get_by_text(LONG[:80]).first.bounding_box()["height"] < height / 3


def test_every_mark_of_a_scale_is_set_by_one_click(window: Any, begin: Any) -> None:
    for shares in ((0.5, 0.5, 0.5), (0.004, 0.25, 0.996)):
        desk = begin("scoring")
        for dimension, share in zip(interfaces.DIMENSION_QUESTIONS, shares, strict=True):
            desk.score(dimension, share)
        found = [float(text) for text in window.locator("output").all_inner_texts()]
        assert found == pytest.approx([1 + 4 * share for share in shares], abs=0.03)
        assert shares[0] != 0.5 or found == pytest.approx([3, 3, 3], abs=0.005)


def test_a_rater_who_cannot_judge_needs_no_scores(window: Any, give: Give) -> None:
    desk, exported = give("scoring", "images/plain.png", (64, 40), region_choices=[])
    window.get_by_text(interfaces.CANNOT_JUDGE).click()
    window.get_by_placeholder("A note to the manager").fill("No image.")
    desk.submit(with_button=True)
    [answer] = exported()["annotations"]
    assert {item["from_name"] for item in answer["result"]} == {"cannot_judge", "note"}


def test_a_text_that_was_not_opened_holds_submit(window: Any, give: Give) -> None:
    desk, exported = give("textual", "images/plain.png", SIZE, rationale_results(SHOWN, None, *SIZE))
    desk.press(HOT_KEYS["verdict"]["agree"])
    for _ in SHOWN:
        desk.press("Control+Enter")
        window.get_by_text("A text was not read yet").wait_for()
        window.get_by_role("button", name="OK").click()
        window.locator(".ant-modal-wrap").wait_for(state="hidden")
        desk.press(HOT_KEYS["text_read"]["read"])
    desk.submit()
    assert exported()["annotations"]


@pytest.mark.parametrize("presses", [(), (HOT_KEYS["no_flaw"]["no_flaw"],)])
def test_the_key_0_says_no_flaw_and_nothing_says_nothing(give: Give, presses: tuple[str, ...]) -> None:
    desk, exported = give("regional", "images/plain.png", (64, 40), key="regional/p/ann/0")
    desk.press(*presses)
    desk.submit()
    found = read_regional_annotations(exported(), Place("export", 1), (64, 40), lambda rejection: None)
    assert [one.marks for one in found] == [()] * len(presses)

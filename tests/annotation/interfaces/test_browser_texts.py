"""Texts and scores in a real browser: what people are shown is text, and what they type comes back as they typed it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from annotation import interfaces
from annotation.interfaces.guidance import HOT_KEYS
from annotation.labelstudio.read_ratings import read_export_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.labelstudio.results import rationale_results
from annotation.records import Box, Place, Region, Rejection
from tests.annotation.interfaces.conftest import Give
from tests.annotation.interfaces.desk import BESIDE_LINE, Desk

pytestmark = [pytest.mark.browser, pytest.mark.studio, pytest.mark.slow]

EVIL = (
    '<img src=x onerror="alert(1)"><script>alert(2)</script><b>b</b> '
    "{{7*7}} ${7*7} $pair_id &lt; </textarea> שלום, עולם 🦊"
)
PICTURE = "images/plain.png"
SIZE = (64, 40)
KNOB = 60
"""By how much the knob of a score is more blue than red; its line is grey."""
SHOWN = [
    Region("r1", "artifact", Box(6, 4, 26, 20), (), "texture", "minor", EVIL, ("a",)),
    Region("r2", "failure", Box(38, 20, 58, 36), (), "partial", "severe", "Half of it is there.", ("a",)),
]


def refused(rejection: Rejection) -> None:
    pytest.fail(f"{rejection.reason}: {rejection.message}")


def shown_to_the_letter(desk: Desk, times: int) -> None:
    """The text stands there at least so often, and nothing of it was run or made part of the page."""
    assert desk.page.get_by_text(EVIL).count() >= times
    assert desk.page.seen == []
    assert desk.page.locator("img[src=x], .ehf b").count() == 0


def knob(desk: Desk, dimension: str) -> float | None:
    """How far along its line the knob of a score stands; None when none can be seen."""
    with Image.open(io.BytesIO(desk.visible_line(dimension).screenshot())) as shown:
        line = shown.crop((0, 0, shown.width - BESIDE_LINE, shown.height))
        red, _, blue = (band.load() for band in line.convert("RGB").split())
        found = [x for x in range(line.width) if blue[x, line.height // 2] - red[x, line.height // 2] > KNOB]
        return sum(found) / len(found) / line.width if found else None


def await_knob(desk: Desk, dimension: str) -> float | None:
    """The place of a knob that appears after a click: a busy browser takes its time to draw it."""
    for _ in range(20):
        if (place := knob(desk, dimension)) is not None:
            return place
        desk.page.wait_for_timeout(250)
    return None


def texts(task: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    return {one.region_id: (one.text, one.verdict) for one in read_rationales(task, Place("export", 1), SIZE, refused)}


def test_a_text_is_revised_and_the_other_left_as_it_is(give: Give) -> None:
    desk, exported = give("textual", PICTURE, SIZE, rationale_results(SHOWN, None, *SIZE), instruction=EVIL)
    desk.select(0)
    shown_to_the_letter(desk, 2)
    desk.press(HOT_KEYS["text_read"]["read"])
    desk.select(1)
    desk.press(HOT_KEYS["text_read"]["read"])
    desk.revise(EVIL + "\nOnly half.")
    desk.press("Escape", HOT_KEYS["verdict"]["revise"])
    desk.submit()
    assert texts(exported()) == {"r1": (EVIL, "revise"), "r2": (EVIL + "\nOnly half.", "revise")}


def test_the_experts_text_counts_though_it_was_not_confirmed(give: Give) -> None:
    shown = rationale_results(SHOWN, None, *SIZE)
    desk, exported = give("expert_text", PICTURE, SIZE, shown, instruction=EVIL, history=EVIL)
    desk.select(0)
    shown_to_the_letter(desk, 3)
    desk.page.get_by_test_id("htx-textbox-edit-button").click()
    desk.page.get_by_test_id("htx-textbox-input").fill("The last word.")
    desk.submit(with_button=True)
    assert [text for text, _ in texts(exported()).values()] == ["The last word.", "Half of it is there."]


def test_no_score_is_there_before_it_is_given_and_all_are_needed(give: Give) -> None:
    choices = interfaces.build_region_choices(SHOWN)
    shown = rationale_results(SHOWN, None, *SIZE)
    desk, exported = give("scoring", PICTURE, SIZE, shown, instruction=EVIL, region_choices=choices)
    assert [knob(desk, dimension) for dimension in interfaces.DIMENSION_QUESTIONS] == [None] * 3
    assert desk.page.locator("output").all_inner_texts() == [""] * 3
    for dimension, share in zip(interfaces.DIMENSION_QUESTIONS, (0.1, 0.52, 0.9), strict=True):
        desk.page.get_by_test_id("bottombar-submit-button").click()
        desk.page.get_by_text(f"{dimension.replace('_', ' ').capitalize()} has no score yet").wait_for()
        desk.page.get_by_role("button", name="OK").click()
        desk.score(dimension, share)
        desk.page.mouse.move(0, 0)
        assert await_knob(desk, dimension) == pytest.approx(share, abs=0.02)
    assert desk.page.get_by_text(EVIL.replace("$", "$\u2060")).count() == 1
    shown_to_the_letter(desk, 1)
    desk.flag("Half of it is there.")
    desk.submit(with_button=True)
    rated, flags = read_export_ratings(exported(), Place("export", 1), refused)
    assert [one.score for one in rated] == pytest.approx([1.4, 3.08, 4.6], abs=0.06)
    assert [flag.region_id for flag in flags] == ["r2"]


def test_the_lesson_of_a_qualification_and_a_note_are_text(give: Give) -> None:
    desk, exported = give("qualification", PICTURE, SIZE, instruction=EVIL, lesson=EVIL)
    shown_to_the_letter(desk, 2)
    desk.press(HOT_KEYS["no_flaw"]["no_flaw"])
    for dimension in interfaces.DIMENSION_QUESTIONS:
        desk.score(dimension, 0.95)
    desk.page.get_by_placeholder("A note to the manager").fill(EVIL)
    desk.submit(with_button=True)
    assert desk.page.seen == []
    [said] = exported()["annotations"]
    assert [one["value"]["text"] for one in said["result"] if one["from_name"] == "note"] == [[EVIL]]

"""Marking in a real browser: what mouse and keys do to a picture arrives in the export, to half a pixel."""

from __future__ import annotations

from typing import Any

import pytest

from annotation.interfaces.guidance import HOT_KEYS
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.records import Mark, Place, Rejection
from tests.annotation.interfaces.conftest import Give

pytestmark = [pytest.mark.browser, pytest.mark.studio, pytest.mark.slow]

Picture = tuple[str, tuple[int, int]]

PRESSES = 10
"""Keys and buttons for a box, three disks, a flaw type and a severity, the next flaw at hand; docs/campaign.md."""


def marks(task: dict[str, Any], size: tuple[int, int]) -> tuple[Mark, ...]:
    rejected: list[Rejection] = []
    [found] = read_regional_annotations(task, Place("export", 1), size, rejected.append)
    assert rejected == []
    return found.marks


def test_a_box_and_its_disks_arrive_to_half_a_pixel(give: Give, picture: Picture) -> None:
    path, size = picture
    desk, exported = give("regional", path, size)
    desk.keep_labels()
    desk.close_dialog()
    places = [(0.3, 0.4), (0.4, 0.5), (0.35, 0.55)]
    corners = (0.2, 0.3, 0.5, 0.6)
    desk.press(HOT_KEYS["disk"]["artifact"])
    for place in places:
        desk.disk(*place)
    desk.press(HOT_KEYS["box"]["artifact"])
    desk.box(*corners)
    desk.click(0.48, 0.32)
    desk.say("texture", "moderate")
    desk.press("Escape")
    assert desk.presses == PRESSES
    box = (*desk.pixel(*corners[:2]), *desk.pixel(*corners[2:]))
    disks = [desk.pixel(*place) for place in places]
    desk.submit()
    [mark] = marks(exported(), size)
    assert (mark.kind, mark.flaw_type, mark.severity) == ("artifact", "texture", "moderate")
    assert mark.box == pytest.approx(box, abs=0.5)
    assert [tuple(disk) for disk in mark.disks] == [pytest.approx(disk, abs=0.5) for disk in disks]


@pytest.mark.parametrize("picture", ["turned"], indirect=True)
def test_a_disk_belongs_to_the_smallest_box_around_it_unless_it_is_linked(give: Give, picture: Picture) -> None:
    path, size = picture
    desk, exported = give("regional", path, size)
    desk.press(HOT_KEYS["disk"]["failure"])
    desk.disk(0.4, 0.4)
    desk.press("Escape", HOT_KEYS["disk"]["failure"])
    desk.disk(0.6, 0.6)
    desk.press("Escape", HOT_KEYS["box"]["failure"])
    desk.box(0.35, 0.35, 0.65, 0.65)
    desk.press("Escape", HOT_KEYS["box"]["failure"])
    desk.box(0.2, 0.2, 0.8, 0.8)
    for number in (2, 3):
        desk.select(number)
        desk.say("partial", "minor")
    before = desk.presses
    desk.link(1, 0.22, 0.5)
    assert desk.presses == before + 3
    desk.submit()
    inner, outer = sorted(marks(exported(), size), key=lambda mark: mark.box.area)
    assert [tuple(disk) for disk in inner.disks] == [pytest.approx((0.4 * size[0], 0.4 * size[1]), abs=0.5)]
    assert [tuple(disk) for disk in outer.disks] == [pytest.approx((0.6 * size[0], 0.6 * size[1]), abs=0.5)]


@pytest.mark.parametrize("picture", ["upright"], indirect=True)
def test_a_box_without_its_flaw_type_is_not_submitted_and_no_flaw_is_one_key(give: Give, picture: Picture) -> None:
    path, size = picture
    desk, exported = give("regional", path, size)
    desk.press(HOT_KEYS["box"]["failure"])
    desk.box(0.2, 0.2, 0.5, 0.6)
    desk.press("Control+Enter")
    desk.page.get_by_text("A box has no flaw type yet").wait_for()
    desk.page.get_by_role("button", name="OK").click()
    desk.press("Backspace")
    desk.regions.first.wait_for(state="detached")
    desk.press(HOT_KEYS["no_flaw"]["no_flaw"])
    desk.submit()
    assert marks(exported(), size) == ()

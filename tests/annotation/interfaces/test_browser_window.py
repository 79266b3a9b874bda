"""A real pair in a window of 1440 x 900 pixels: everything that the work needs is in sight.

The pictures of docs/campaign.md are taken on the way, here and in test_browser_campaign.py:
`EDITFHF_PICTURES=docs/images pytest tests/annotation/interfaces -k "window or campaign"` keeps them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from annotation import interfaces
from annotation.interfaces.guidance import HOT_KEYS
from annotation.labelstudio.results import rationale_results, regional_results
from annotation.records import Box, Disk, Mark, Region
from tests.annotation.interfaces.conftest import Give, Photo
from tests.annotation.interfaces.desk import WINDOW, Desk
from tests.annotation.studio_server import Live

pytestmark = [pytest.mark.browser, pytest.mark.studio, pytest.mark.slow]

EXAMPLES = Path(__file__).parents[3] / "examples" / "real"
PAIR = "reasonedit-heart"
SIZE = (512, 512)
FOOT = WINDOW["height"] - 52
"""Below this Label Studio's own bar begins."""

HEART, REST = (0.234, 0.602, 0.418, 0.774), (0.234, 0.586, 0.48, 0.766)
DISKS = {"artifact": [(0.28, 0.67), (0.33, 0.71), (0.37, 0.66)], "failure": [(0.44, 0.63)]}
TEXTS = {
    "artifact": "What replaced the heart is a smeared thing, half glass, half withered petal, with no clear edge.",
    "failure": "The heart is not removed: a reddish lump with its outline and its shadow is still there.",
}
DATA: dict[str, dict[str, Any]] = {
    "qualification": {"lesson": "Training task 1. The heart was to go. Mark what is left of it, and what is broken."},
    "expert": {"disagreement": "3 annotators. Regions on which they agree: 2. Boxes on which they do not: 1."},
    "expert_text": {
        "history": "1. artifact, object structure\nreviewer A: The heart is smeared.\n"
        f"reviewer B: {TEXTS['artifact']}\nreviewer C: A dark stone lies where the heart was."
    },
}


def box(place: tuple[float, float, float, float]) -> Box:
    return Box(place[0] * SIZE[0], place[1] * SIZE[1], place[2] * SIZE[0], place[3] * SIZE[1])


SHOWN = [
    Region("r1", "artifact", box(HEART), (), "object_structure", "severe", TEXTS["artifact"], ("a",)),
    Region("r2", "failure", box(REST), (), "partial", "severe", TEXTS["failure"], ("a",)),
]
MARKS = [
    Mark(
        shown.region_id,
        shown.kind,
        shown.box,
        tuple(Disk(x * SIZE[0], y * SIZE[1]) for x, y in DISKS[shown.kind]),
        shown.flaw_type,
        shown.severity,
    )
    for shown in SHOWN
]


@pytest.fixture
def begin(live: Live, give: Give) -> Any:
    """Opens the pair in a stage."""
    lines = map(json.loads, (EXAMPLES / "pairs.jsonl").read_text().splitlines())
    pair = next(line for line in lines if line["pair_id"] == PAIR)
    for name in (pair["source"], pair["edited"]):
        shutil.copy(EXAMPLES / name, live.corpus / "images")

    def begun(stage: str, **data: Any) -> Desk:
        predicted = {
            "expert": regional_results(MARKS, *SIZE),
            "textual": rationale_results(SHOWN, None, *SIZE),
            "expert_text": rationale_results(SHOWN, None, *SIZE),
            "scoring": rationale_results(SHOWN, None, *SIZE),
        }.get(stage)
        desk, _ = give(
            stage,
            pair["edited"],
            SIZE,
            predicted,
            **{
                "pair_id": PAIR,
                "instruction": pair["instruction"],
                "source_image": f"/data/local-files/?d={pair['source']}",
                "region_choices": interfaces.build_region_choices(SHOWN),
            }
            | DATA.get(stage, {})
            | data,
        )
        return desk

    return begun


def reach(desk: Desk, selector: str) -> tuple[float, float]:
    """The highest and the lowest line of the window that anything visible of a kind reaches."""
    frames = [found.bounding_box() for found in desk.page.locator(selector).all()]
    shown = [frame for frame in frames if frame and frame["height"]]
    return min(frame["y"] for frame in shown), max(frame["y"] + frame["height"] for frame in shown)


def mark_all(desk: Desk) -> None:
    desk.keep_labels()
    desk.close_dialog()
    for shown, place in zip(SHOWN, (HEART, REST), strict=True):
        desk.press(HOT_KEYS["disk"][shown.kind])
        for disk in DISKS[shown.kind]:
            desk.disk(*disk)
        desk.press(HOT_KEYS["box"][shown.kind])
        desk.box(*place)
        desk.click(place[2] - 0.01, place[3] - 0.01)
        desk.say(str(shown.flaw_type), str(shown.severity))
        if shown.kind == "artifact":
            desk.press("Escape")


@pytest.mark.parametrize("stage", interfaces.INTERFACE_STAGES)
def test_all_that_the_work_needs_is_in_sight(begin: Any, photo: Photo, stage: str) -> None:
    desk = begin(stage)
    if stage in ("regional", "qualification"):
        mark_all(desk)
    elif stage == "scoring":
        for dimension, share in zip(interfaces.DIMENSION_QUESTIONS, (0.4, 0.2, 0.85), strict=True):
            desk.score(dimension, share)
        desk.page.mouse.move(0, 0)
    elif stage == "prompt_check":
        desk.press(HOT_KEYS["verdict"]["agree"])
    else:
        desk.select(0)
    below = {"scoring": ".ehf-flags .lsf-choice__item", "prompt_check": ".ehf textarea"}.get(stage, ".ehf-region")
    head, foot = reach(desk, below)
    assert foot <= FOOT + 1
    # Long texts make the images smaller.
    assert stage == "expert_text" or reach(desk, ".ehf-image img")[1] <= head
    photo(desk.page, stage.replace("_", "-"))


def test_the_drawings_and_the_one_setting(begin: Any, photo: Photo) -> None:
    desk = begin("regional")
    desk.keep_labels()
    desk.page.wait_for_timeout(500)
    photo(desk.page, "setting")
    desk.close_dialog()
    desk.page.get_by_text("Artifacts, with drawings").click()
    desk.page.wait_for_timeout(500)
    photo(desk.page, "drawings")
    assert desk.page.locator(".ehf-drawing").first.is_visible()

"""What everybody answers in the campaign on a real server: the same whenever and in whatever order they are asked.

Three annotators give the three passes of the example, of pairs and of gold.  Everything that is not as it should be is
listed here, for the checks to find again.
"""

from __future__ import annotations

from typing import Any

from annotation.labelstudio.results import no_flaw_results, rating_results, regional_results
from annotation.records import DIMENSIONS, Box, Disk, Mark
from tests.annotation.campaign import live_example
from tests.annotation.campaign.live_people import PASS, RATERS
from tests.annotation.campaign.people_at_work import predicted, text_of, verdict, with_text

Result = dict[str, Any]
Task = dict[str, Any]

BOWL, CAT, PEARL = "editreward-bowl-1", "gemcook-cat_tropical", "step1x-0003"
KLEIN, MAGE = "sdcpp-flux2_flux2-klein-4b-edit", "sdcpp-mage_flow_edit_example"
TONGS, PLANET, CLEAN = "gemcook-fox_bbq", "gemcook-fox_planet", "nafnet-denoise_img"
PAIRS = (BOWL, CAT, PEARL, KLEIN, MAGE, TONGS, PLANET, CLEAN)
"""In the last of them one pass saw a flaw and nobody else did."""

TRAINING = "reasonedit-heart"
ATTEMPTS = (
    ("editeval-6_AIDI", "editeval-6_SINE", "gemcook-giraffe_rainbow"),
    ("editeval-6_DDS", "editeval-6_edict", "gemcook-giraffe_cartoon"),
)
HIDDEN = ("editeval-6_proxedit", "gemcook-fox_basejump", "sdcpp-qwen_qwen_image_edit")
GOLD: dict[str, dict[str, Any]] = {
    TRAINING: {"set": "training", "explanation": "Part of the heart is still there."},
    **{name: {"set": "attempt", "attempt": number} for number, part in enumerate(ATTEMPTS) for name in part},
    **{name: {"set": "hidden"} for name in HIDDEN},
}

OTHER_HAND = "the-other-hand"
"""What bob alone saw, and the expert takes up with a text of their own."""
OTHER_HAND_TEXT = "The other hand has three fingers, and they pass through the plate."
SEVERER = "a-ff0d57c3"
"""What the expert calls severe."""

REVISED = {"a-08ecf1d1", "f-10cf3534"}
"""Regions whose draft eve rewrites."""
REVISION = "In other words: <b>flat</b> {{green}} א🦊"
CONTESTED = "f-98c5670a"
"""The region on whose text no two reviewers agree, so that the expert writes it."""
SETTLED = "The sign lacks the last letter."

FLAGS = {
    "f-a1218b5c": {"tour-ann", "tour-bob", "tour-r1", "tour-r2"},
    "f-c1e78fbd": {"tour-ann", "tour-bob", "tour-r1"},
    "f-d69b1336": {"tour-r3", "tour-r4"},
}
CARELESS = "tour-r8"
"""Who clicks at the lower end of every line."""
SLIP = ("tour-r5", BOWL, "perceptual_quality")
"""One good rater's one slip, to the other end of the line."""


def answer(person: str, task: Task) -> list[Result]:
    """The results that a person submits in a task of their own."""
    stage, _ = task["data"]["key"].split("/", 1)
    pair_id = task["data"]["pair_id"]
    match stage:
        case "qualification":
            return qualifying(person, pair_id)
        case "regional":
            return live_example.passes()[pair_id, PASS[person]]
        case "expert":
            return reviewing(task, pair_id)
        case "textual":
            return wording(person, task)
        case "expert_text":
            return [with_text(item, SETTLED) for item in predicted(task)]
        case "scoring":
            return scoring(person, task, pair_id)
    raise ValueError(stage)


def qualifying(person: str, pair_id: str) -> list[Result]:
    """Kim knows it all; cat sees nothing at the first attempt; zoe never does, and scores the wrong way round."""
    known = live_example.scores()[pair_id]
    if person == "tour-zoe":
        return [*no_flaw_results(), *rating_results({name: 6 - score for name, score in known.items()}, [])]
    drawn = no_flaw_results() if person == "tour-cat" and pair_id in ATTEMPTS[0] else live_example.passes()[pair_id, 0]
    return [*drawn, *rating_results(known, [])]


def reviewing(task: Task, pair_id: str) -> list[Result]:
    """The expert takes what the annotators agree on, but for what is listed above."""
    agreed = [item | {"origin": "prediction"} for item in predicted(task)]
    if pair_id == CAT:
        return [
            item | {"value": item["value"] | {"choices": ["severe"]}}
            if (item.get("id"), item.get("from_name")) == (SEVERER, "severity")
            else item
            for item in agreed
        ]
    if pair_id == TONGS:
        assert "Boxes on which they do not: 2." in task["data"]["disagreement"]
        return agreed + other_hand(task["predictions"][0]["result"])
    return agreed or no_flaw_results()


def other_hand(everybody: list[Result]) -> list[Result]:
    """Bob's box, drawn by the expert again, with a disk in its middle."""
    [seen] = [item for item in everybody if item.get("from_name") == "box" and item["id"].endswith("hand2-2")]
    width, height = seen["original_width"], seen["original_height"]
    x, y, wide, high = (seen["value"][name] / 100 for name in ("x", "y", "width", "height"))
    box = Box(x * width, y * height, (x + wide) * width, (y + high) * height)
    disk = Disk((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    mark = Mark(OTHER_HAND, "artifact", box, (disk,), "hand_foot", "minor", OTHER_HAND_TEXT)
    return regional_results([mark], width, height)


def wording(person: str, task: Task) -> list[Result]:
    """A reviewer writes a text of their own where the regions above say so, and agrees with all others."""
    results = predicted(task)
    seen = {item["id"]: item["value"]["text"] for item in results if item["from_name"] == "rationale"}
    assert seen == {name: [text] for name, text in task["data"]["seen"].items()}
    drafts = live_example.regions()[task["data"]["pair_id"]]
    own = {}
    for name, [text] in seen.items():
        if name == CONTESTED and text != stubborn(person):
            own[name] = stubborn(person)
        if name in REVISED and person == "tour-eve" and text == drafts[name].text:
            own[name] = REVISION
    boxes = [item for item in results if item["from_name"] == "box" and item["id"] in own]
    kept = [item for item in results if item["from_name"] != "rationale" or item["id"] not in own]
    return [*kept, *(text_of(box, own[box["id"]]) for box in boxes), verdict("revise" if own else "agree")]


def stubborn(person: str) -> str:
    """What a reviewer says of the contested region whenever they are asked."""
    return f"As {person} reads it, the sign lacks a letter."


def scoring(person: str, task: Task, pair_id: str) -> list[Result]:
    """Scores, and flags on the regions listed above."""
    shown = [choice["alias"] for choice in task["data"]["region_choices"]]
    flagged = [name for name in shown if person in FLAGS.get(name, ())]
    return rating_results({name: score(person, pair_id, name) for name in DIMENSIONS}, flagged)


def score(person: str, pair_id: str, dimension: str) -> float:
    """The mean of the example, and around it the raters evenly, each at another place for every pair and dimension."""
    number = DIMENSIONS.index(dimension) + list(live_example.lines()).index(pair_id)
    if person == CARELESS:
        return 1 + number % 4 / 10
    if (person, pair_id, dimension) == SLIP:
        return 5.0
    place = (7 * RATERS.index(person) + 4 * number) % len(RATERS) - len(RATERS) // 2
    return min(5.0, max(1.0, round(live_example.scores()[pair_id][dimension] + place / 20, 2)))

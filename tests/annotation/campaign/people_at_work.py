"""What the people of a test's campaign answer to a task: each the same whenever asked, so that two runs compare."""

from __future__ import annotations

from typing import Any

from annotation.labelstudio.results import no_flaw_results, rating_results, regional_results
from annotation.records import DIMENSIONS, Box, Disk, Mark

Result = dict[str, Any]


def respond(task: dict[str, Any], size: tuple[int, int]) -> list[Result]:
    """The results of the owner of a task; `size` is that of the edited image."""
    stage, rest = task["data"]["key"].split("/", 1)
    person, number = rest.rsplit("/", 2)[1:]
    match stage:
        case "qualification":
            return qualifying(task, person, size)
        case "prompt_check":
            return [verdict("agree") | {"to_name": "source"}]
        case "regional":
            return regional_results([mark(person, size)], *size)
        case "expert":
            return [item | {"origin": "prediction"} for item in predicted(task)]
        case "textual":
            return reviewed(task, int(number))
        case "expert_text":
            return [with_text(item, "The expert's word.") for item in predicted(task)]
        case "scoring":
            shift = sum(map(ord, person)) % 3 / 2
            return rating_results(dict.fromkeys(DIMENSIONS, 2.0 + shift), [])
    raise ValueError(stage)


def qualifying(task: dict[str, Any], person: str, size: tuple[int, int]) -> list[Result]:
    """Training is submitted as it is; of gold, who is called zed sees all at the wrong place and scores all alike."""
    if task["predictions"]:
        shown = [item for item in predicted(task) if item.get("from_name") not in DIMENSIONS]
        return [*shown, *rating_results(gold_scores(pair_of(task)), [])]
    careless = person == "zed"
    seen = mark(person, size, left=0.55 if careless else 0.25)
    return [*regional_results([seen], *size), *rating_results(gold_scores("0" if careless else pair_of(task)), [])]


def pair_of(task: dict[str, Any]) -> str:
    """The pair of a task."""
    pair_id: str = task["data"]["pair_id"]
    return pair_id


def gold_scores(pair_id: str) -> dict[str, float]:
    """The true scores of a gold pair, by the last sign of its id."""
    return dict.fromkeys(DIMENSIONS, 1.0 + int(pair_id[-1]) / 3)


def mark(person: str, size: tuple[int, int], left: float = 0.25) -> Mark:
    """Nearly the same flaw for everybody: a box of half the picture's size, and a disk in it."""
    width, height = size
    shift = sum(map(ord, person)) % 5 / 200
    x, y = (left + shift) * width, 0.25 * height
    box = Box(x, y, x + 0.4 * width, y + 0.5 * height)
    return Mark(f"{person}-m", "artifact", box, (Disk(x + 0.2 * width, 0.5 * height),), "face", "minor")


def predicted(task: dict[str, Any]) -> list[Result]:
    """The results of the prediction that Label Studio shows, the last one."""
    return [dict(item) for item in task["predictions"][-1]["result"]]


def reviewed(task: dict[str, Any], turn: int) -> list[Result]:
    """The first reviewer writes every text, the second revises it, the others agree."""
    results = predicted(task)
    if turn > 1:
        return [*results, verdict("agree")]
    boxes = [item for item in results if item["from_name"] == "box"]
    others = [item for item in results if item["from_name"] != "rationale"]
    return [*others, *(text_of(box, f"Text {turn} <b>א🦊") for box in boxes), verdict("revise")]


def text_of(box: Result, text: str) -> Result:
    """What the text area of a box writes."""
    place = {key: value for key, value in box["value"].items() if key != "rectanglelabels"}
    return box | {"from_name": "rationale", "type": "textarea", "value": place | {"text": [text]}}


def with_text(item: Result, text: str) -> Result:
    """The item, with another text if it is one."""
    return item | {"value": item["value"] | {"text": [text]}} if item["from_name"] == "rationale" else item


def verdict(word: str) -> Result:
    """What the verdict of a task writes."""
    return {
        "id": "verdict",
        "from_name": "verdict",
        "to_name": "edited",
        "type": "choices",
        "value": {"choices": [word]},
    }


def nothing_seen() -> list[Result]:
    """An annotator who sees no flaw."""
    return no_flaw_results()

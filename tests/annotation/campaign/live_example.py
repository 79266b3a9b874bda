"""The pairs of the example of real edits, and what is known of them, for a campaign of a test."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from annotation.records import DIMENSIONS

Result = dict[str, Any]
EXAMPLE = Path(__file__).parents[3] / "examples" / "real"


class Written(NamedTuple):
    """A region as the example has it: its box [x0, y0, x1, y1] in pixels, and what is said of it."""

    kind: str
    box: tuple[float, float, float, float]
    flaw_type: str
    severity: str
    text: str


@cache
def lines() -> dict[str, dict[str, Any]]:
    """The line of every pair."""
    found = map(json.loads, (EXAMPLE / "pairs.jsonl").read_text().splitlines())
    return {line["pair_id"]: line for line in found}


@cache
def passes() -> dict[tuple[str, int], list[Result]]:
    """What was drawn in each pair, in each of three passes (0, 1, 2)."""
    return {
        (task["data"]["pair_id"], number): task["annotations"][0]["result"]
        for number in range(3)
        for task in _export(f"regions-{number + 1}.json")
    }


@cache
def scores() -> dict[str, dict[str, float]]:
    """The mean scores of each pair."""
    found = {}
    for task in _export("ratings.json"):
        said = [{item["from_name"]: item["value"].get("number") for item in a["result"]} for a in task["annotations"]]
        found[task["data"]["pair_id"]] = {name: round(fmean(one[name] for one in said), 2) for name in DIMENSIONS}
    return found


@cache
def regions() -> dict[str, dict[str, Written]]:
    """The regions of each pair that have a text, by their ids."""
    found = {}
    for task in _export("rationales.json"):
        said: dict[str, dict[str, Result]] = {}
        for item in task["annotations"][-1]["result"]:
            said.setdefault(item["id"], {})[item["from_name"]] = item
        found[task["data"]["pair_id"]] = {name: _written(parts) for name, parts in said.items() if "rationale" in parts}
    return found


def _written(parts: dict[str, Result]) -> Written:
    place = parts["box"]["value"]
    width, height = (parts["box"][name] / 100 for name in ("original_width", "original_height"))
    x, y = place["x"] * width, place["y"] * height
    box = (x, y, x + place["width"] * width, y + place["height"] * height)
    flaw_type, severity = (parts[name]["value"]["choices"][0] for name in ("flaw_type", "severity"))
    return Written(place["rectanglelabels"][0], box, flaw_type, severity, parts["rationale"]["value"]["text"][0])


def write_corpus(root: Path, pairs: tuple[str, ...], gold: dict[str, dict[str, Any]], served: Path) -> Path:
    """A corpus of some of the pairs, with others as its gold; all their pictures are in the folder `served` too."""
    (root / "images").mkdir(parents=True)
    (root / "corpus.yaml").write_text("name: a-tour\nlicence: see each pair\n")
    _write(root / "pairs.jsonl", [lines()[pair_id] for pair_id in pairs])
    _write(root / "gold.jsonl", [_gold_line(pair_id) | fields for pair_id, fields in gold.items()])
    for pair_id in (*pairs, *gold):
        for name in (lines()[pair_id]["source"], lines()[pair_id]["edited"]):
            shutil.copy(EXAMPLE / name, root / "images")
            shutil.copy(EXAMPLE / name, served)
    return root


def write_drafts(root: Path, pairs: tuple[str, ...]) -> None:
    """A draft of every region of these pairs."""
    drafts = [
        {"pair_id": pair_id, "region_id": name, "text": region.text}
        for pair_id in pairs
        for name, region in regions().get(pair_id, {}).items()
    ]
    _write(root / "drafts.jsonl", drafts)


def _gold_line(pair_id: str) -> dict[str, Any]:
    """A pair as gold: its regions, each with a disk in its middle, and its mean scores."""
    marks = [
        {
            "kind": region.kind,
            "box": region.box,
            "disks": [((region.box[0] + region.box[2]) / 2, (region.box[1] + region.box[3]) / 2)],
            "flaw_type": region.flaw_type,
            "severity": region.severity,
            "rationale": region.text,
        }
        for region in regions()[pair_id].values()
    ]
    shown = {name: lines()[pair_id][name] for name in ("pair_id", "source", "edited", "instruction")}
    return shown | {"marks": marks, "scores": scores()[pair_id]}


def _export(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((EXAMPLE / "annotations" / name).read_text())
    return found


def _write(path: Path, found: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in found))

"""A corpus for a campaign of any size, and what its annotators will draw: eight regions on every pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
from PIL import Image

from annotation.labelstudio.results import regional_results
from annotation.records import Box, Disk, Kind, Mark

REGIONS = 8
PICTURES = 50
SIZE = (160, 100)
PEOPLE = ("ann0", "ann1", "ann2")
KINDS: tuple[Kind, Kind] = ("artifact", "failure")


def make(root: Path, pairs: int) -> None:
    """A corpus of `pairs` pairs over a few small pictures, and the table of its three annotators."""
    (root / "images").mkdir(parents=True)
    (root / "corpus.yaml").write_text("name: benchmark\nlicence: CC0-1.0\n")
    for number in range(PICTURES):
        Image.new("RGB", SIZE, (5 * number, 128, 200)).save(root / "images" / f"p{number:02d}.png")
    (root / "pairs.jsonl").write_bytes(b"".join(orjson.dumps(pair(number)) + b"\n" for number in range(pairs)))
    people = "".join(f"{name},{name}@example.org,{name.title()},regional\n" for name in PEOPLE)
    (root / "people.csv").write_text(f"person_id,email,name,roles\n{people}")


def pair(number: int) -> dict[str, Any]:
    """One line of pairs.jsonl."""
    return {
        "pair_id": f"pair-{number:05d}",
        "source_id": f"source-{number // 6:05d}",
        "source": f"images/p{number % PICTURES:02d}.png",
        "edited": f"images/p{(number + 7) % PICTURES:02d}.png",
        "instruction": f"Change the picture in way {number}.",
        "task": "object_add",
        "editor": f"editor-{number % 13:02d}",
    }


def write_answers(path: Path, pairs: int, person: int) -> None:
    """What one annotator draws on every pair, a line each: pair_id, result."""
    with path.open("wb") as stream:
        for number in range(pairs):
            result = regional_results(_marks(number, person), *SIZE)
            stream.write(orjson.dumps({"pair_id": pair(number)["pair_id"], "result": result}) + b"\n")


def plain_tasks(pairs: int) -> list[dict[str, Any]]:
    """The tasks of one annotator as somebody without a campaign would import them."""
    made = []
    for row in map(pair, range(pairs)):
        pictures = {f"{name}_image": f"/data/local-files/?d={row[name]}" for name in ("source", "edited")}
        made.append({"data": {"pair_id": row["pair_id"], "instruction": row["instruction"], **pictures}})
    return made


def _marks(number: int, person: int) -> list[Mark]:
    """The flaws of a pair as one person sees them: all see the same, each a little aside."""
    flaws, own = np.random.default_rng(number), np.random.default_rng((number, person + 1))
    width, height = SIZE
    marks = []
    for place in range(REGIONS):
        w, h = flaws.uniform(0.08, 0.2, 2) * SIZE
        x, y = flaws.uniform(0.05, 0.7, 2) * SIZE + own.normal(0, 0.5, 2)
        box = Box(float(x), float(y), min(float(x + w), width), min(float(y + h), height))
        kind = KINDS[place % 2]
        flaw = ("face", "wrong_target")[place % 2]
        marks.append(Mark(f"m{place}", kind, box, (Disk(float(x + w / 2), float(y + h / 2)),), flaw, "minor"))
    return marks

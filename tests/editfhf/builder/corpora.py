"""Small corpora made by hand, whose right answers a reader can work out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from PIL import Image

from annotation.labelstudio.results import build_annotation_json, build_task_json, rating_results, regional_results
from annotation.records import DIMENSIONS, Box, Disk, Mark, Region

TASKS = ("object_add", "object_remove", "color_tone", "text_replace")
WIDTH, HEIGHT = 96, 80
AT = "2026-01-01T00:00:00.000000Z"


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT, format: str = "PNG") -> bytes:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(coarse).resize((width, height)).save(buffer, format)
    return buffer.getvalue()


def flaw(number: int, shift: float = 0.0) -> list[Mark]:
    """One artifact and one failure region, moved by `shift` pixels."""
    x = 8.0 + 3 * (number % 4) + shift
    artifact = Mark(f"a{number}", "artifact", Box(x, 10, x + 24, 34), (Disk(x + 6, 18), Disk(x + 15, 25)))
    failure = Mark(f"f{number}", "failure", Box(50, 40 + shift, 80, 70 + shift), (Disk(60 + shift, 55),))
    return [artifact, failure]


@dataclass
class Made:
    """A corpus to be written; tests spoil it before or after."""

    pairs: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    exports: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    meta: str = "name: small\nversion: 1.0.0\nlicence: CC0-1.0\ndescription: A corpus made by a test.\n"

    def write(self, root: Path) -> Path:
        (root / "annotations").mkdir(parents=True)
        (root / "images").mkdir()
        (root / "corpus.yaml").write_text(self.meta)
        (root / "pairs.jsonl").write_bytes(b"".join(orjson.dumps(pair) + b"\n" for pair in self.pairs))
        for name, data in self.images.items():
            (root / name).write_bytes(data)
        for name, tasks in self.exports.items():
            (root / "annotations" / name).write_bytes(orjson.dumps(tasks))
        return root


def corpus(sources: int = 6, edits: int = 2, raters: int = 5, format: str = "PNG") -> Made:
    """`sources` x `edits` pairs; three annotators who agree to a pixel; raters who agree but for a little noise."""
    made = Made()
    generator = np.random.default_rng(7)
    ratings = []
    for number in range(sources * edits):
        source, edit = divmod(number, edits)
        pair_id = f"p{number:03d}"
        suffix = format.lower()
        pair = {
            "pair_id": pair_id,
            "source_id": f"s{source:03d}",
            "source": f"images/s{source:03d}.{suffix}",
            "edited": f"images/e{number:03d}.{suffix}",
            "instruction": f"Change the picture, number {number}",
            "task": TASKS[number % len(TASKS)],
            "editor": f"editor-{edit}",
            "licence": "CC0-1.0",
            "origin": "made by a test",
        }
        made.pairs.append(pair)
        made.images[pair["source"]] = picture(1000 + source, format=format)
        made.images[pair["edited"]] = picture(number, format=format)
        for slot in range(3):
            marks = flaw(number, float(slot - 1)) if number % 3 else []
            results = regional_results(marks, WIDTH, HEIGHT)
            made.exports.setdefault(f"regions-{slot}.json", []).append(task(number, pair, {slot + 1: results}))
        quality = 1.5 + 3 * number / (sources * edits)
        scores = {
            rater: {d: round(float(np.clip(quality + generator.normal(0, 0.2), 1, 5)), 2) for d in DIMENSIONS}
            for rater in range(11, 11 + raters)
        }
        results_of = {rater: rating_results(given, []) for rater, given in scores.items()}
        ratings.append(task(number, pair, results_of))
    made.exports["ratings.json"] = ratings
    return made


def task(number: int, pair: Mapping[str, Any], results: Mapping[int, Sequence[dict[str, Any]]]) -> dict[str, Any]:
    annotations = [
        build_annotation_json(1000 * number + who, number, 1, who, list(result), AT, 10.0)
        for who, result in results.items()
    ]
    data = {
        "pair_id": pair["pair_id"],
        "instruction": pair["instruction"],
        "source_image": f"/data/local-files/?d={pair['source']}",
        "edited_image": f"/data/local-files/?d={pair['edited']}",
    }
    return build_task_json(number, 1, data, annotations, AT)


def agreed(region: Region, text: str, flaw_type: str, at: str = AT) -> Region:
    return Region(region.region_id, region.kind, region.box, region.disks, flaw_type, "moderate", text, ())

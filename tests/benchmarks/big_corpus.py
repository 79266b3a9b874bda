"""A corpus of any size, made quickly: real JPEG streams, realistic numbers of regions and ratings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson

from annotation.labelstudio.results import build_annotation_json, build_task_json, regional_results
from annotation.records import DIMENSIONS, Box, Disk, Kind, Mark

AT = "2026-01-01T00:00:00.000000Z"
EDITS = 6
QUALITY = 93


def make(root: Path, pairs: int, size: int, raters: int = 15, seed: int = 0) -> None:
    """A corpus of `pairs` pairs at `size` x `size` pixels, six edits a source, three annotators, about 9 regions each.

    The paper's averages: 60,318 artifact and 80,345 failure regions over 15,287 pictures.
    """
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    (root / "corpus.yaml").write_text("name: benchmark\nlicence: CC0-1.0\n")
    generator = np.random.default_rng(seed)
    slots: list[list[Any]] = [[], [], []]
    rows, ratings = [], []
    for number in range(pairs):
        row = _pair(root, number, size, generator)
        rows.append(orjson.dumps(row))
        truth = _flaws(generator, size)
        for slot, tasks in enumerate(slots):
            marks = [_moved(mark, slot - 1.0, size) for mark in truth]
            tasks.append(_task(number, row, {slot + 1: regional_results(marks, size, size)}))
        quality = generator.uniform(1.5, 4.5)
        given = np.clip(quality + generator.normal(0, 0.5, (raters, len(DIMENSIONS))), 1, 5).round(2)
        ratings += [
            f"{row['pair_id']},r{rater:03d},{dimension},{given[rater, at]}"
            for rater in range(raters)
            for at, dimension in enumerate(DIMENSIONS)
        ]
    (root / "pairs.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    for slot, tasks in enumerate(slots):
        (root / "annotations" / f"regions-{slot}.json").write_bytes(orjson.dumps(tasks))
    header = "pair_id,annotator_id,dimension,score\n"
    (root / "annotations" / "ratings.csv").write_text(header + "\n".join(ratings) + "\n")


def _pair(root: Path, number: int, size: int, generator: np.random.Generator) -> dict[str, Any]:
    source = number // EDITS
    names = {"source": f"images/s{source:05d}.jpg", "edited": f"images/e{number:05d}.jpg"}
    for name in names.values():
        if not (root / name).exists():
            (root / name).write_bytes(_jpeg(size, generator))
    return {
        "pair_id": f"pair-{number:05d}",
        "source_id": f"source-{source:05d}",
        **names,
        "instruction": f"Change the picture in way {number}.",
        "task": ("object_add", "object_remove", "color_tone", "text_replace", "scene_weather")[number % 5],
        "editor": f"editor-{number % 13:02d}",
    }


def _jpeg(size: int, generator: np.random.Generator) -> bytes:
    coarse = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    noise = cv2.resize(generator.integers(0, 40, (size // 2, size // 2, 3), dtype=np.uint8), (size, size))
    return cv2.imencode(".jpg", cv2.add(smooth, noise), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _flaws(generator: np.random.Generator, size: int) -> list[Mark]:
    marks = []
    counts: tuple[tuple[Kind, float], ...] = (("artifact", 3.9), ("failure", 5.3))
    for kind, mean in counts:
        for number in range(generator.poisson(mean)):
            width, height = (float(value) * size for value in generator.uniform(0.08, 0.3, 2))
            x, y = (float(generator.uniform(2, size - side - 2)) for side in (width, height))
            disks = tuple(
                Disk(x + float(generator.uniform(0.1, 0.9)) * width, y + float(generator.uniform(0.1, 0.9)) * height)
                for _ in range(generator.integers(1, 3))
            )
            marks.append(Mark(f"{kind[0]}{number}", kind, Box(x, y, x + width, y + height), disks))
    return marks


def _moved(mark: Mark, by: float, size: int) -> Mark:
    box = Box(*(min(max(value + by, 0.0), float(size)) for value in mark.box))
    return Mark(mark.mark_id, mark.kind, box, tuple(Disk(disk.x + by, disk.y) for disk in mark.disks))


def _task(number: int, row: dict[str, Any], results: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    annotations = [
        build_annotation_json(10 * number + who, number, who, who, result, AT, 60.0) for who, result in results.items()
    ]
    data = {"pair_id": row["pair_id"], "instruction": row["instruction"]}
    return build_task_json(number, 1, data, annotations, AT)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

"""A small dataset as the builder would write it: random numbers, real images, hostile texts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from annotation.records import DIMENSIONS, KINDS, SEVERITIES
from annotation.taxonomy import list_flaw_types, load_edit_tasks
from editfhf.features import make_arrow_schema

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "{{7*7}} {% include 'x' %}",
    '" onmouseover="alert(3)" x="',
    "שלום \u202eevil\u202c \u2028 line",
    "an emoji 🦊 and a & sign \x0b",
    "https://example.org/tracker.png",
)
WIDTH, HEIGHT = 160, 120
EDITORS = ("alpha-edit", "beta <b>", "gamma\u2028edit", "delta")
RATERS = tuple(f"rater-{k:02d}" for k in range(6))


STATUSES = ("accepted", "accepted", "unsupported", "superseded", "overruled", "flagged")


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A smooth random JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def grey(seed: int, blank: bool) -> bytes:
    level = np.zeros((HEIGHT, WIDTH), np.uint8)
    if not blank:
        x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
        cx, cy = np.random.default_rng(seed).uniform(20, 100, 2)
        level = (255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 400)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(level).save(buffer, "PNG")
    return buffer.getvalue()


def _regions(random: np.random.Generator, pair: int, kind: Any) -> list[dict[str, Any]]:
    types = list_flaw_types(kind)
    made = []
    for k in range(int(random.choice([0, 0, 1, 1, 2, 4]))):
        x, y = random.uniform(10, WIDTH - 60), random.uniform(10, HEIGHT - 50)
        box = [x, y, x + random.uniform(15, 45), y + random.uniform(15, 35)]
        disks = [[random.uniform(box[0], box[2]), random.uniform(box[1], box[3])] for _ in range(random.integers(1, 5))]
        text = HOSTILE[(pair + k) % len(HOSTILE)] if k == 0 else "The hand has six fingers."
        made.append(
            {
                "region_id": f"r{pair}-{kind[0]}{k}",
                "box": box,
                "disks": disks,
                "flaw_type": None if k == 3 else types[int(random.integers(len(types)))],
                "severity": None if k == 3 else SEVERITIES[int(random.integers(3))],
                "rationale": None if k == 2 else text,
                "annotators": ["rater-00", "rater-01"],
            }
        )
    return made


def pair_row(random: np.random.Generator, k: int) -> dict[str, Any]:
    """Row k of the config "default"."""
    task = int(random.integers(len(load_edit_tasks())))
    regions = {kind: _regions(random, k, kind) for kind in KINDS}
    row: dict[str, Any] = {
        "pair_id": f"pair-{k:04d}",
        "source_id": f"source-{k // 3:03d}",
        "source_image": {"bytes": picture(10_000 + k // 3), "path": f"s{k // 3}.jpg"},
        "edited_image": {"bytes": picture(k), "path": f"e{k}.jpg"},
        "instruction": HOSTILE[k % len(HOSTILE)],
        "task": task,
        "task_group": list(load_edit_tasks().values())[task].group,
        "editor": EDITORS[int(random.integers(len(EDITORS)))],
        "overall": None if k == 5 else float(random.normal(50, 12)),
        "licence": "CC0-1.0",
    }
    for kind, found in regions.items():
        row[f"{kind}_saliency"] = {"bytes": grey(k, not found), "path": f"{kind}.png"}
        row[f"{kind}_peak"] = float(len(found))
        row[f"{kind}_regions"] = found
    for dimension in DIMENSIONS:
        missing = k == 5
        row[dimension] = None if missing else float(random.normal(50, 15))
        row[f"{dimension}_ci95"] = None if missing else 4.5
        row[f"{dimension}_n"] = 0 if missing else 6
    return row


def _ratings(random: np.random.Generator, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for k, row in enumerate(rows):
        for dimension in DIMENSIONS:
            for rater in RATERS:
                if random.random() < 0.15:
                    continue
                score = float(np.clip(np.rint(random.normal((row[dimension] or 50) / 20 + 0.5, 0.7)), 1, 5))
                status = "rater_excluded" if rater == "rater-05" else "outlier" if random.random() < 0.04 else "kept"
                made.append(
                    {
                        "pair_id": row["pair_id"],
                        "annotator_id": rater,
                        "dimension": dimension,
                        "score": score,
                        "rated_at": None,
                        "status": status,
                        "z": 0.1 if status == "kept" else None,
                        "split": "train",
                        "file": "annotations/ratings.csv",
                        "row": k + 2,
                    }
                )
    return made


def _marks(random: np.random.Generator, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for row in rows:
        for kind in KINDS:
            for region in row[f"{kind}_regions"]:
                for rater in RATERS[: int(random.integers(1, 4))]:
                    status = str(random.choice(STATUSES))
                    box = [float(np.float32(value + random.normal(0, 4))) for value in region["box"]]
                    made.append(
                        {
                            "pair_id": row["pair_id"],
                            "annotator_id": rater,
                            "mark_id": f"m{len(made)}",
                            "kind": kind,
                            "box": box,
                            "disks": region["disks"],
                            "flaw_type": region["flaw_type"],
                            "severity": region["severity"],
                            "status": status,
                            "region_id": region["region_id"] if status == "accepted" else None,
                            "width": WIDTH,
                            "height": HEIGHT,
                            "split": "train",
                            "file": "annotations/regions.json",
                            "row": 1,
                        }
                    )
    return made


def _annotators(ratings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for k, rater in enumerate(RATERS):
        own = [rating for rating in ratings if rating["annotator_id"] == rater]
        outliers = sum(rating["status"] == "outlier" for rating in own) + (30 if rater == "rater-05" else 0)
        made.append(
            {
                "annotator_id": rater,
                "regional_annotations": 10 + k,
                "boxes": 20,
                "boxes_accepted": 15,
                "disks": 30,
                "rationales": 5,
                "flags": 1,
                "ratings": len(own),
                "outliers": outliers,
                "outlier_share": outliers / len(own),
                "expected_share": 0.0324,
                "excluded": rater == "rater-05",
                "reason": "outlier_share" if rater == "rater-05" else None,
                "excluded_in": "all" if rater == "rater-05" else None,
            }
        )
    return made


def manifest_for(rows: int) -> dict[str, Any]:
    """A manifest as the builder writes it, with the parts that the statistics read."""
    return {
        "format": "editfhf-dataset/1",
        "corpus": {
            "name": "Small <i>corpus</i>",
            "version": "1.0",
            "licence": "CC-BY-4.0",
            "description": HOSTILE[0],
            "homepage": "javascript:alert(4)",
            "citation": None,
        },
        "versions": {"editfhf": "0.1.0", "numpy": "2.2"},
        "stages": [
            {"stage": "pairs", "in": rows + 2, "out": rows, "set_aside": 2, "reasons": {"missing_file": 2}},
            {"stage": "images", "in": rows, "out": rows, "set_aside": 0, "reasons": {}},
        ],
        "splits": {"train": {"pairs": rows, "sources": rows // 3, "shards": 1, "bytes": 1}},
        "scores": {
            "options": {"method": "paper", "max_outlier_share": 0.05, "exclusion_scope": "pooled"},
            "warnings": ["1 of 6 raters was excluded."],
            "raters": 6,
            "raters_excluded": 1,
            "exclusions": 1,
            "ratings": 100,
            "outliers": 12,
            "expected_outlier_share": 0.0324,
            "expected_false_exclusions": 1.4,
        },
        "rejected": {"total": 3, "by_reason": {"missing_file": 2, "no_disk": 1}},
        "outputs": [],
    }


REJECTED = (
    ("pair", "missing_file", HOSTILE[1], False),
    ("pair", "missing_file", "images/x.png: no such file.", False),
    ("box", "no_disk", "A box without a disk.", True),
)


def write_table(path: Path, config: str, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=make_arrow_schema(config)), path, row_group_size=25)


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Path]:
    """A function (folder, pairs=60, seed=0) that writes a dataset and gives the folder back."""

    def make(folder: Path, pairs: int = 60, seed: int = 0) -> Path:
        random = np.random.default_rng(seed)
        rows = [pair_row(random, k) for k in range(pairs)]
        cut = pairs * 4 // 5 // 3 * 3
        write_table(folder / "data/train-00000-of-00001.parquet", "default", rows[:cut])
        if rows[cut:]:
            write_table(folder / "data/test-00000-of-00001.parquet", "default", rows[cut:])
        ratings = _ratings(random, rows)
        write_table(folder / "ratings/ratings-00000-of-00001.parquet", "ratings", ratings)
        write_table(folder / "annotators/annotators-00000-of-00001.parquet", "annotators", _annotators(ratings))
        write_table(folder / "marks/marks-00000-of-00001.parquet", "marks", _marks(random, rows))
        lines = [
            dict(zip(("what", "reason", "message", "repaired"), parts, strict=True)) | {"file": "pairs.jsonl", "row": k}
            for k, parts in enumerate(REJECTED, 1)
        ]
        (folder / "rejected.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "manifest.json").write_text(json.dumps(manifest_for(pairs)))
        return folder

    return make


@pytest.fixture(scope="session")
def dataset(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dataset for all tests that only read."""
    return make_dataset(tmp_path_factory.mktemp("dataset"))

"""A dataset of six pairs, written by hand in the builder's layout: small, and easy to spoil on purpose."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from annotation.records import DIMENSIONS
from annotation.taxonomy import load_edit_tasks
from editfhf.card.metadata import render_croissant
from editfhf.card.page import render_card
from editfhf.features import make_arrow_schema
from editfhf.manifest import CONFIG_FOLDERS, MANIFEST_FORMAT, parse_manifest

WIDTH, HEIGHT = 64, 48
Tables = dict[str, dict[str, list[dict[str, Any]]]]

CORPUS = {
    "name": "Six edits",
    "version": "1.2.0",
    "licence": "CC BY 4.0",
    "description": "Six edits of four noise pictures.",
    "homepage": "https://example.org/six",
    "citation": "@misc{six, title={Six edits}}",
}
SPLIT_OF = {"s1": "train", "s2": "train", "s3": "validation", "s4": "test"}
SOURCES = ("s1", "s1", "s1", "s2", "s3", "s4")


def gaussian_map(disks: list[list[float]]) -> tuple[np.ndarray, float]:
    """The saliency map by its formula, pixel by pixel: 8-bit map, and peak."""
    sigma = HEIGHT / 40
    total = np.zeros((HEIGHT, WIDTH))
    for x, y in disks:
        dx = (np.arange(WIDTH) + 0.5 - x)[None, :]
        dy = (np.arange(HEIGHT) + 0.5 - y)[:, None]
        total += np.exp(-(dx**2 + dy**2) / (2 * sigma**2))
    peak = float(total.max())
    scaled = total / peak if peak else total
    return np.rint(scaled * 255).astype(np.uint8), peak


def encoded(pixels: np.ndarray, form: str = "PNG") -> dict[str, Any]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return {"bytes": stream.getvalue(), "path": None}


def photo(seed: int, form: str) -> dict[str, Any]:
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return encoded(pixels, form)


def tables() -> Tables:
    """Fresh rows of every config and split, consistent with one another."""
    made: Tables = {"default": {"train": [], "validation": [], "test": []}}
    made |= {config: {"train": []} for config in ("ratings", "annotators", "marks")}
    for number, source in enumerate(SOURCES):
        row, marks, ratings = _pair(number, source)
        made["default"][SPLIT_OF[source]].append(row)
        made["marks"]["train"] += marks
        made["ratings"]["train"] += ratings
    made["annotators"]["train"] = [_annotator(name) for name in ("A001", "A002", "A003")]
    return made


def _pair(number: int, source: str) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    pair_id, task = f"p{number}", list(load_edit_tasks())[number]
    split = SPLIT_OF[source]
    row: dict[str, Any] = {
        "pair_id": pair_id,
        "source_id": source,
        "source_image": photo(int(source[1:]), "JPEG"),
        "edited_image": photo(100 + number, "PNG"),
        "instruction": f"Do the thing number {number}",
        "task": number,
        "task_group": load_edit_tasks()[task].group,
        "editor": "editor | <b>",
        "licence": "CC0-1.0",
    }
    marks: list[dict[str, Any]] = []
    for kind, count in (("artifact", number % 3), ("failure", 1)):
        regions, points = [], []
        for index in range(count):
            region, made = _region(pair_id, kind, index, split)
            regions.append(region)
            marks += made
            points += [disk for mark in made for disk in mark["disks"]]
        grey, peak = gaussian_map(points)
        row |= {f"{kind}_saliency": encoded(grey), f"{kind}_peak": peak, f"{kind}_regions": regions}
    ratings = []
    for dimension, score in zip(DIMENSIONS, (50.0, 60.0 + number, 70.0), strict=True):
        row |= {dimension: score, f"{dimension}_ci95": 4.0, f"{dimension}_n": 2}
        ratings += [_rating(pair_id, rater, dimension, split) for rater in ("A001", "A002")]
    row["overall"] = 50.0**0.3 * (60.0 + number) ** 0.4 * 70.0**0.3
    return row, marks, ratings


def _region(pair_id: str, kind: str, index: int, split: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    region_id = f"{pair_id}-{kind}-{index}"
    box = [4.0 + 20 * index, 6.0, 20.0 + 20 * index, 30.0]
    shared = {
        "pair_id": pair_id, "kind": kind, "box": box, "flaw_type": "other", "severity": "minor", "status": "accepted",
        "region_id": region_id, "width": WIDTH, "height": HEIGHT, "split": split, "file": "annotations/regions.json",
        "row": 1,
    }  # fmt: skip
    marks = [
        {**shared, "annotator_id": name, "mark_id": f"{name}-{index}", "disks": [[box[0] + 5 + step, 12.0 + 3 * step]]}
        for step, name in enumerate(("A001", "A002"))
    ]
    region = {
        "region_id": region_id,
        "box": box,
        "disks": [disk for mark in marks for disk in mark["disks"]],
        "flaw_type": "other",
        "severity": "minor",
        "rationale": "The edge is doubled.",
        "annotators": ["A001", "A002"],
    }
    return region, marks


def _rating(pair_id: str, rater: str, dimension: str, split: str) -> dict[str, Any]:
    return {
        "pair_id": pair_id, "annotator_id": rater, "dimension": dimension, "score": 3.0, "rated_at": "", "z": 0.1,
        "status": "kept", "split": split, "file": "annotations/ratings.csv", "row": 2,
    }  # fmt: skip


def _annotator(name: str) -> dict[str, Any]:
    counts = ("regional_annotations", "boxes", "boxes_accepted", "disks", "rationales", "flags", "ratings", "outliers")
    return {"annotator_id": name, **dict.fromkeys(counts, 1), "outlier_share": 0.0, "excluded": False}


def write(root: Path, made: Tables | None = None, corpus: dict[str, Any] | None = None) -> Path:
    """Write the tables with their manifest, card and description; the digests always fit what was written."""
    made = tables() if made is None else made
    outputs = []
    for config, splits in made.items():
        for split, rows in splits.items():
            stem = split if config == "default" else config
            path = root / CONFIG_FOLDERS[config] / f"{stem}-00000-of-00001.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, schema=make_arrow_schema(config)), path, row_group_size=2)
            outputs.append(describe(root, path, len(rows)))
    (root / "rejected.jsonl").write_text(json.dumps(REJECTED) + "\n")
    outputs.append(describe(root, root / "rejected.jsonl", 1))
    manifest = _manifest(made, outputs, {**CORPUS, **(corpus or {})})
    (root / "README.md").write_text(render_card(parse_manifest(manifest)), encoding="utf-8")
    (root / "croissant.json").write_text(
        json.dumps(render_croissant(parse_manifest(manifest)), indent=1), encoding="utf-8"
    )
    manifest["outputs"] += [describe(root, root / name, None) for name in ("README.md", "croissant.json")]
    (root / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))
    return root


REJECTED = {
    "what": "pair", "file": "pairs.jsonl", "row": 7, "reason": "no_image", "message": "The picture is not there.",
    "pair_id": "p9", "item_id": None, "annotator_id": None, "repaired": False,
}  # fmt: skip


def describe(root: Path, path: Path, rows: int | None) -> dict[str, Any]:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return {"path": path.relative_to(root).as_posix(), "sha256": digest, "bytes": len(data), "rows": rows}


def _manifest(made: Tables, outputs: list[dict[str, Any]], corpus: dict[str, Any]) -> dict[str, Any]:
    splits = {
        split: {
            "pairs": len(rows),
            "sources": len({row["source_id"] for row in rows}),
            "shards": 1,
            "bytes": sum(out["bytes"] for out in outputs if out["path"].startswith(f"data/{split}-")),
        }
        for split, rows in made["default"].items()
    }
    options = {
        "saliency": {"sigma": "H/40", "profile": "gaussian"},
        "regions": {"min_support": 2, "iou": 0.5, "max_flags": 3, "reviewers": 3},
        "mos": {"method": "paper", "scale": [1.0, 5.0]},
        "split": {"train": 4.0, "validation": 1.0, "test": 1.0, "seed": 0},
    }
    return {
        "format": MANIFEST_FORMAT,
        "corpus": corpus,
        "versions": {"editfhf": "0.1.0", "pyarrow": pa.__version__},
        "options": options,
        "inputs": [],
        "images": {"files": 10, "bytes": 1, "digest": "0" * 64},
        "stages": [{"stage": "pairs", "in": 7, "out": 6, "set_aside": 1, "reasons": {"no_image": 1}}],
        "splits": splits,
        "scores": {
            "raters": 3, "ratings": 36, "ratings_by_status": {"kept": 36, "outlier": 0, "rater_excluded": 0},
            "outlier_share": 0.0, "expected_outlier_share": 0.012, "raters_excluded": 1,
            "raters_by_reason": {"constant": 1}, "scores_out_of_range": 0, "warnings": ["Only 2 ratings a pair."],
        },
        "rejected": {"total": 1, "by_reason": {"no_image": 1}},
        "outputs": outputs,
    }  # fmt: skip

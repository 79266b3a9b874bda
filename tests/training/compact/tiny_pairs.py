"""A few pairs of a photo with a painted square: rows of the table "default", small enough to train on in seconds."""

from __future__ import annotations

import io
from typing import Any

import cv2
import datasets
import numpy as np
from PIL import Image
from skimage import data

from annotation.records import DIMENSIONS, KINDS
from editfhf.dataset import make_dataset_features

HEIGHT, WIDTH = 80, 96


def make_rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Pairs of which every third is clean; the others have an artifact and a failure at places of their own."""
    photo = cv2.resize(data.astronaut(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return [_make_row(photo, index) for index in range(start, start + count)]


def make_dataset(rows: list[dict[str, Any]]) -> datasets.Dataset:
    """The rows with the features of a built dataset, as far as they have its columns."""
    features = {name: make_dataset_features()[name] for name in rows[0]}
    return datasets.Dataset.from_list(rows, features=datasets.Features(features))


def encode_png(image: np.ndarray) -> dict[str, Any]:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": None}


def _make_row(photo: np.ndarray, index: int) -> dict[str, Any]:
    edited = photo.copy()
    row: dict[str, Any] = {"pair_id": f"p{index}", "source_id": f"s{index}", "instruction": "Add a red square."}
    row["task"] = "object_add"
    clean = index % 3 == 0
    for kind, colour in zip(KINDS, ((220, 30, 30), (30, 60, 220)), strict=True):
        x, y = (17 * index + 40 * KINDS.index(kind)) % 70 + 5, (11 * index) % 50 + 5
        density = np.zeros((HEIGHT, WIDTH), np.uint8)
        regions = []
        if not clean:
            edited[y : y + 14, x : x + 14] = colour
            down, across = np.mgrid[:HEIGHT, :WIDTH]
            density = np.rint(255 * np.exp(-((across - x - 7) ** 2 + (down - y - 7) ** 2) / 32)).astype(np.uint8)
            regions = [_make_region(f"p{index}-{kind}", kind, (x, y, x + 14, y + 14))]
        row[f"{kind}_saliency"], row[f"{kind}_regions"] = encode_png(density), regions
    row |= dict.fromkeys(DIMENSIONS, 80.0 if clean else 30.0 + index)
    return row | {"source_image": encode_png(photo), "edited_image": encode_png(edited)}


def _make_region(name: str, kind: str, box: tuple[int, int, int, int]) -> dict[str, Any]:
    return {
        "region_id": name,
        "box": [float(each) for each in box],
        "disks": [[box[0] + 7.0, box[1] + 7.0]],
        "flaw_type": "color" if kind == "artifact" else "unintended_change",
        "severity": "severe",
        "rationale": "The square does not belong there.",
        "annotators": ["1", "2"],
    }

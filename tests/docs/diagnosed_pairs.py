"""Draw docs/images/diagnosed.jpg: pairs with what `editfhf diagnose` says, truth beside it where it is known.

python tests/docs/diagnosed_pairs.py DATASET PAIR_ID ... -- DATASET PAIR_ID ...
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import training
from annotation.records import KINDS
from editfhf.dataset import load

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, GAP, HEAD = 300, 220, 10, 40
COLUMNS = 2
COLOURS = {"artifact": "#e8590c", "failure": "#1c7ed6"}


def draw_truth(row: dict[str, Any]) -> Image.Image:
    """The edited image with the accepted regions of people."""
    picture = row["edited_image"].convert("RGB")
    draw = ImageDraw.Draw(picture)
    for kind in KINDS:
        for region in row[f"{kind}_regions"]:
            draw.rectangle(region["box"], outline=COLOURS[kind], width=max(2, picture.width // 150))
    return picture


def draw_maps(row: dict[str, Any]) -> tuple[Image.Image, str]:
    """The edited image with the maps of the compact agents, and their findings in a line."""
    edited = np.asarray(row["edited_image"].convert("RGB"))
    found = training.diagnose(row["source_image"].convert("RGB"), edited, row["instruction"])
    shown = edited.astype(np.float32)
    for kind in KINDS:
        strength = np.clip(found.maps.by_kind(kind), 0, 1)[..., None]
        colour = np.array([int(COLOURS[kind][at : at + 2], 16) for at in (1, 3, 5)])
        shown = shown * (1 - 0.7 * strength) + 0.7 * strength * colour
    picture = Image.fromarray(shown.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _, finding in found.labelled_findings():
        box = (finding.box.x0, finding.box.y0, finding.box.x1, finding.box.y1)
        draw.rectangle(box, outline=COLOURS[finding.kind], width=max(2, picture.width // 150))
    types = sorted({str(finding.flaw_type).replace("_", " ") for _, finding in found.labelled_findings()})
    return picture, ", ".join(types) or "no flaw found"


def main(words: list[str]) -> None:
    panels = []
    for group in " ".join(words).split(" -- "):
        dataset, *wanted = group.split()
        splits = load(dataset)
        rows = {row["pair_id"]: row for split in splits.values() for row in split if row["pair_id"] in set(wanted)}
        for pair_id in wanted:
            row = rows[pair_id]
            picture, says = draw_maps(row)
            panels.append((row["source_image"].convert("RGB"), draw_truth(row), picture, row["instruction"], says))
    lines = -(-len(panels) // COLUMNS)
    block = 3 * WIDTH + 4 * GAP
    sheet = Image.new("RGB", (COLUMNS * block, lines * (HEIGHT + HEAD + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for number, (*pictures, instruction, says) in enumerate(panels):
        left, top = (number % COLUMNS) * block + GAP, number // COLUMNS * (HEIGHT + HEAD + GAP)
        draw.text((left, top + 2), f"“{instruction[:95]}”", "#222", font)
        draw.text((left, top + 20), f"It says: {says[:100]}", "#777", font)
        for place, picture in enumerate(pictures):
            picture.thumbnail((WIDTH, HEIGHT))
            sheet.paste(picture, (left + place * (WIDTH + GAP), top + HEAD))
    sheet.save(ROOT / "docs" / "images" / "diagnosed.jpg", quality=60)


if __name__ == "__main__":
    main(sys.argv[1:])

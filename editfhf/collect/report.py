"""The page of a collection: counts of every step, and instances with the results of all editors."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from annotation.images import ImageError, decode_thumbnail, read_image_bytes
from annotation.rules import compute_overall
from editfhf.collect.edit import PlannedEdit, read_outcome
from editfhf.collect.folder import EDITS_FOLDER, PROMPTS_FILE, SCORES_FILE, read_counts, read_table
from mos import pages

MOST_SHOWN = 60
THUMBNAIL_SIDE = 200
_STYLE = (
    ".results{display:flex;flex-wrap:wrap;gap:12px}.results figure{margin:0;width:200px}.results img{max-width:100%}"
)


def write_collection_page(root: Path, path: Path) -> None:
    """Write a self-contained HTML page about a collection; `UserError` before its prompts were made."""
    rows = read_table(root, PROMPTS_FILE, "prompts")
    scores = {row["result"]: row for row in read_table(root, SCORES_FILE, "score")} if _has_scores(root) else {}
    html = pages.render_page(
        __package__ or "editfhf.collect",
        "report.html",
        style=pages.page_style(_STYLE),
        name=root.resolve().name,
        counts=read_counts(root),
        instances=len(rows),
        shown=[{**row, "images": _list_images(root, row, scores)} for row in rows[:MOST_SHOWN]],
    )
    pages.write_page(path, html)


def _has_scores(root: Path) -> bool:
    return (root / SCORES_FILE).is_file()


def _list_images(root: Path, row: Mapping[str, Any], scores: Mapping[str, Any]) -> list[dict[str, str]]:
    images = [{"title": "source", "note": row["licence"], "uri": _read_thumbnail(root, row["image"])}]
    for path in sorted((root / EDITS_FOLDER / row["instance_id"]).glob("*.json")):
        planned = PlannedEdit(row, path.stem)
        outcome = read_outcome(root, planned)
        uri = _read_thumbnail(root, f"{planned.path}.png") if outcome["status"] == "ok" else ""
        scored = scores.get(planned.path)
        overall = compute_overall(scored["scores"]) if scored else None
        note = f"overall {overall:.1f}" if overall is not None else f"{outcome['status']} {outcome['detail']}"
        images.append({"title": planned.editor, "note": note, "uri": uri})
    return images


def _read_thumbnail(root: Path, file: str) -> str:
    """A data URI; "" where the image cannot be read."""
    try:
        pixels = decode_thumbnail(read_image_bytes(root, file), max_side=THUMBNAIL_SIDE)
    except ImageError:
        return ""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()

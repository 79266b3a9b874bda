"""The page of a batch: what changed, how much, and why the others did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annotation.images import ImageError, decode_thumbnail, read_image_bytes
from mos import pages
from refiner.report.render_report import REPORT_FILE, STOP_TITLES, encode_data_uri
from refiner.run_folder import REFINED_FILE

THUMBNAIL_SIDE = 150

MOST_SHOWN = 300
"""Pairs with a picture on the page; the table has all."""


def write_summary_page(
    path: Path, summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], rejected: int, out: Path
) -> None:
    """Write the page of a batch: the pairs with the highest gains first."""

    def order(row: Mapping[str, Any]) -> tuple[float, str]:
        return -(row["evaluator"]["gain"] or 0.0) - 1e-6 * row["kept"], row["pair_id"]

    ordered = sorted(rows, key=order)
    shown = [
        {
            "row": row,
            "image": _read_thumbnail(out / row["folder"]) if number < MOST_SHOWN else "",
            "stop": STOP_TITLES[row["stop"]],
            "link": f"{row['folder']}/{REPORT_FILE}",
        }
        for number, row in enumerate(ordered)
    ]
    html = pages.render_page(
        __package__ or "refiner.batch",
        "summary.html",
        style=pages.page_style(),
        summary=summary,
        rows=shown,
        rejected=rejected,
        stops=[(STOP_TITLES[name], count) for name, count in summary["stops"].items()],
    )
    pages.write_page(path, html)


def _read_thumbnail(folder: Path) -> str:
    try:
        return encode_data_uri(
            decode_thumbnail(read_image_bytes(folder, REFINED_FILE), max_side=THUMBNAIL_SIDE), THUMBNAIL_SIDE
        )
    except ImageError:
        return ""

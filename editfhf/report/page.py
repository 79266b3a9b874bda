"""Render the report of a dataset as one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from annotation.records import DISK_RADIUS_PER_HEIGHT, KINDS
from annotation.taxonomy import load_flaw_definitions, load_task_groups
from editfhf.report.drawing import read_figure_stylesheet
from editfhf.report.figures import draw_figures
from editfhf.report.gallery import GalleryPair, read_gallery
from editfhf.report.statistics import (
    KIND_TITLES,
    SCORE_KEYS,
    SCORE_TITLES,
    DatasetStatistics,
    GroupStatistics,
    MeanEstimate,
    format_limit,
)
from mos import pages
from mos.words import format_decimal, format_identifier, format_percent

LABEL_EDGE_PERCENT = 90
"""Percent of the image from which on a label would be cut off at its right or lower side."""


def list_key_numbers(statistics: DatasetStatistics) -> list[tuple[str, str, str]]:
    """Key numbers: (value, name, note)."""
    total, scoring = statistics.total, statistics.scoring
    ratings = sum(sum(counts.values()) for counts in statistics.ratings.values())
    kept = sum(counts.get("kept", 0) for counts in statistics.ratings.values())
    excluded = sum(rater.excluded for rater in statistics.raters)
    artifact, failure = statistics.regions
    overall = statistics.scores[-1]
    splits = len(statistics.splits) - 1
    return [
        (f"{total.pairs:,}", "edited images", f"in {splits} split{'s' if splits != 1 else ''}"),
        (
            f"{total.sources:,}",
            "sources",
            f"{format_decimal(total.pairs / total.sources)} edits each" if total.sources else "",
        ),
        (f"{total.editors:,}", "editors", f"{total.tasks:,} tasks"),
        (f"{artifact.regions:,}", "artifacts", f"on {_format_part(artifact.pairs, total.pairs)} of images"),
        (f"{failure.regions:,}", "instruction failures", f"on {_format_part(failure.pairs, total.pairs)} of images"),
        (f"{statistics.clean:,}", "clean images", f"{_format_part(statistics.clean, total.pairs)} of all"),
        (f"{ratings:,}", "ratings", f"{_format_part(kept, ratings)} kept"),
        (f"{scoring.get('raters', len(statistics.raters)):,}", "raters", f"{excluded:,} excluded"),
        (
            format_decimal(overall.mean),
            "mean overall score",
            f"sd {format_decimal(overall.sd)}, {overall.missing:,} without",
        ),
    ]


def _format_part(part: int, whole: int) -> str:
    return format_percent(part / whole) if whole else "–"


def describe_screening(statistics: DatasetStatistics) -> str:
    """A sentence on how many honest raters the exclusion rule excludes by chance; empty if unknown."""
    rated = [rater for rater in statistics.raters if rater.ratings and rater.expected_share is not None]
    limit, expected = statistics.outlier_limit, statistics.expected_exclusions
    if not rated or limit is None or expected is None:
        return ""
    options = statistics.scoring["options"]
    paper = options["method"] == "paper"
    named = f"the rule of {format_limit(limit)}" if paper else f"the rule of BT.500 ({format_limit(limit)})"
    excluded = statistics.scoring.get("exclusions", sum(rater.excluded for rater in rated))
    where, happened = "", f"It excluded {excluded:,}"
    if options.get("exclusion_scope") == "dimension":
        where, happened = " from a dimension", f"It did so {excluded:,} times"
    share = sum((rater.expected_share or 0) * rater.ratings for rater in rated) / sum(rater.ratings for rater in rated)
    outliers = f"{format_percent(share, 1)} of their ratings would still be outliers"
    return (
        f"If all {len(rated):,} raters were equally careful, {outliers}, and {named} would exclude about "
        f"{format_decimal(expected)} of them{where} by chance, and more where careful raters differ. {happened}: an "
        "exclusion by itself does not show carelessness."
    )


def make_score_cells(group: GroupStatistics) -> list[dict[str, Any]]:
    """The score cells of a table row."""
    return [make_score_bar(score, group.scores[score]) for score in SCORE_KEYS]


def make_score_bar(score: str, value: MeanEstimate) -> dict[str, Any]:
    """A score as a point with an interval, in percent of a bar from 0 to 100."""
    mean, half = value.mean, value.ci95 or 0.0
    low, high = (0.0, 0.0) if mean is None else (_clamp_to_bar(mean - half), _clamp_to_bar(mean + half))
    return {
        "score": score,
        "name": SCORE_TITLES[score],
        "mean": mean,
        "ci95": value.ci95,
        "n": value.n,
        "at": None if mean is None else _clamp_to_bar(mean),
        "low": low,
        "width": round(high - low, 2),
    }


def _clamp_to_bar(value: float) -> float:
    return round(min(max(value, 0.0), 100.0), 2)


def make_pair_view(number: int, shown: GalleryPair) -> dict[str, Any]:
    """One pair of the gallery: texts, thumbnails, boxes in percent of the image, regions and scores."""
    row = shown.row
    regions = [
        _make_region_view(shown, kind, k, region)
        for kind in KINDS
        for k, region in enumerate(row[f"{kind}_regions"] or (), 1)
    ]
    kinds = [kind for kind in KINDS if row[f"{kind}_regions"]]
    return {
        "number": number,
        "pair_id": row["pair_id"],
        "instruction": row["instruction"],
        "editor": row["editor"],
        "task": row["task"],
        "group": load_task_groups().get(row["task_group"], row["task_group"]),
        "split": row["split"],
        "licence": row["licence"],
        "kinds": kinds or ["clean"],
        "counts": {kind: len(row[f"{kind}_regions"] or ()) for kind in KINDS},
        "flaws": sorted({region["flaw_type"] for region in regions if region["flaw_type"]}),
        "shown": shown,
        "regions": regions,
        "drawn": sorted(regions, key=lambda region: -region["place"][2] * region["place"][3]),
        "scores": _make_pair_bars(row),
    }


def _make_pair_bars(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        make_score_bar(score, MeanEstimate(row[score], row.get(f"{score}_ci95"), row.get(f"{score}_n") or 0))
        for score in SCORE_KEYS
    ]


def _make_region_view(shown: GalleryPair, kind: str, number: int, region: Mapping[str, Any]) -> dict[str, Any]:
    x0, y0, x1, y1 = region["box"]
    across, down = 100 / shown.width, 100 / shown.height
    radius = shown.height * DISK_RADIUS_PER_HEIGHT
    return {
        "label": f"{kind[0].upper()}{number}",
        "kind": kind,
        "flaw_type": region["flaw_type"] or "",
        "flaw": format_identifier(region["flaw_type"] or ""),
        "meaning": load_flaw_definitions()[kind].get(region["flaw_type"] or "", ""),  # type: ignore[index]
        "severity": region["severity"] or "",
        "rationale": region["rationale"] or "",
        "annotators": len(region["annotators"] or ()),
        "corner": (" right" if x0 * across > LABEL_EDGE_PERCENT else "")
        + (" low" if y0 * down > LABEL_EDGE_PERCENT else ""),
        "place": [round(value, 2) for value in (x0 * across, y0 * down, (x1 - x0) * across, (y1 - y0) * down)],
        "disks": [[round((x - radius) * across, 2), round((y - radius) * down, 2)] for x, y in region["disks"] or ()],
        "disk_size": [round(2 * radius * across, 2), round(2 * radius * down, 2)],
    }


def list_filter_choices(pairs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The choices of the gallery's filters."""
    return {
        "flaw": sorted({flaw for pair in pairs for flaw in pair["flaws"]}),
        "editor": sorted({pair["editor"] for pair in pairs}),
        "task": sorted({pair["task"] for pair in pairs}),
    }


GALLERY_SIZE = 24


def write_dataset_report(dataset: Path, statistics: DatasetStatistics, out: Path, gallery: int = GALLERY_SIZE) -> None:
    """Write the report of a dataset as one HTML file, which loads nothing from elsewhere.

    Parameters
    ----------
    dataset : Path
        Folder of the dataset.
    statistics : DatasetStatistics
        Statistics from `compute_statistics`.
    out : Path
        File to write. The same dataset and statistics give the same bytes.
    gallery : int
        Largest number of pairs in the gallery.

    Raises
    ------
    UserError
        A file of the dataset is broken.
    """
    pages.write_page(out, render_dataset_report(statistics, read_gallery(dataset, gallery)))


def render_dataset_report(statistics: DatasetStatistics, shown: Sequence[GalleryPair]) -> str:
    """Render the report.

    Parameters
    ----------
    statistics : DatasetStatistics
        Statistics of the dataset.
    shown : sequence of GalleryPair
        Pairs of the gallery.

    Returns
    -------
    str
        Text of the page. The template engine escapes every value.
    """
    from markupsafe import Markup

    script = _read_asset("report.js")
    pairs = [make_pair_view(number, pair) for number, pair in enumerate(shown, 1)]
    return pages.render_page(
        "editfhf.report",
        "report.html",
        filters={"cells": make_score_cells},
        SCORES=SCORE_KEYS,
        SCORE_NAMES=SCORE_TITLES,
        KIND_NAMES=KIND_TITLES,
        statistics=statistics,
        cards=list_key_numbers(statistics),
        screening=describe_screening(statistics),
        figures={name: Markup(drawing.svg(standalone=False)) for name, drawing in draw_figures(statistics).items()},
        pairs=pairs,
        choices=list_filter_choices(pairs),
        style=Markup(pages.read_theme() + read_figure_stylesheet() + _read_asset("report.css")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
    )


@cache
def _read_asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")

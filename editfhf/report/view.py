"""What the page shows, as plain values for its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.flaws import definitions
from annotation.records import DISK_RADIUS_PER_HEIGHT, KINDS
from annotation.tasks import groups as group_titles
from editfhf.figures.wording import SCORE_NAMES, decimal, percent, rule, words
from editfhf.report.pictures import Shown
from editfhf.statistics.records import SCORES, Estimate, Group, Statistics

EDGE = 90
"""Percent of the image from which on a label would be cut off at its right or lower side."""


def cards(statistics: Statistics) -> list[tuple[str, str, str]]:
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
            f"{decimal(total.pairs / total.sources)} edits each" if total.sources else "",
        ),
        (f"{total.editors:,}", "editors", f"{total.tasks:,} tasks"),
        (f"{artifact.regions:,}", "artifacts", f"on {_share(artifact.pairs, total.pairs)} of images"),
        (f"{failure.regions:,}", "instruction failures", f"on {_share(failure.pairs, total.pairs)} of images"),
        (f"{statistics.clean:,}", "clean images", f"{_share(statistics.clean, total.pairs)} of all"),
        (f"{ratings:,}", "ratings", f"{_share(kept, ratings)} kept"),
        (f"{scoring.get('raters', len(statistics.raters)):,}", "raters", f"{excluded:,} left out"),
        (decimal(overall.mean), "mean overall score", f"sd {decimal(overall.sd)}, {overall.missing:,} without"),
    ]


def _share(part: int, whole: int) -> str:
    return percent(part / whole, 0) if whole else "–"


def screening(statistics: Statistics) -> str:
    """One plain sentence on what the exclusion rule costs in honest raters; empty where it is not known."""
    rated = [rater for rater in statistics.raters if rater.ratings and rater.expected_share is not None]
    limit, expected = statistics.outlier_limit, statistics.expected_exclusions
    if not rated or limit is None or expected is None:
        return ""
    options = statistics.scoring["options"]
    paper = options["method"] == "paper"
    named = f"the rule of {rule(limit)}" if paper else f"the rule of BT.500 ({rule(limit)})"
    excluded = statistics.scoring.get("exclusions", sum(rater.excluded for rater in rated))
    where, happened = "", f"It left out {excluded:,}"
    if options.get("exclusion_scope") == "dimension":
        where, happened = " from a dimension", f"It did so {excluded:,} times"
    share = sum((rater.expected_share or 0) * rater.ratings for rater in rated) / sum(rater.ratings for rater in rated)
    return (
        f"If all {len(rated):,} raters were equally careful, {percent(share)} of their ratings would be outliers all "
        f"the same, and {named} would leave out about {decimal(expected)} of them{where} by chance, and more where "
        f"careful raters differ. {happened}: an exclusion by itself does not show carelessness."
    )


def score_cells(group: Group) -> list[dict[str, Any]]:
    """The score cells of a table row: mean, interval and their places on a bar from 0 to 100."""
    return [bar(score, group.scores[score]) for score in SCORES]


def bar(score: str, value: Estimate) -> dict[str, Any]:
    """A score as a point with an interval, in percent of a bar from 0 to 100."""
    mean, half = value.mean, value.ci95 or 0.0
    low, high = (0.0, 0.0) if mean is None else (_on_bar(mean - half), _on_bar(mean + half))
    return {
        "score": score,
        "name": SCORE_NAMES[score],
        "mean": mean,
        "ci95": value.ci95,
        "n": value.n,
        "at": None if mean is None else _on_bar(mean),
        "low": low,
        "width": round(high - low, 2),
    }


def _on_bar(value: float) -> float:
    return round(min(max(value, 0.0), 100.0), 2)


def pair(number: int, shown: Shown) -> dict[str, Any]:
    """One pair of the gallery: its texts, small pictures, boxes in percent of the image, regions and scores."""
    row = shown.row
    regions = [
        _region(shown, kind, k, region) for kind in KINDS for k, region in enumerate(row[f"{kind}_regions"] or (), 1)
    ]
    kinds = [kind for kind in KINDS if row[f"{kind}_regions"]]
    return {
        "number": number,
        "pair_id": row["pair_id"],
        "instruction": row["instruction"],
        "editor": row["editor"],
        "task": row["task"],
        "group": group_titles().get(row["task_group"], row["task_group"]),
        "split": row["split"],
        "licence": row["licence"],
        "kinds": kinds or ["clean"],
        "counts": {kind: len(row[f"{kind}_regions"] or ()) for kind in KINDS},
        "flaws": sorted({region["flaw_type"] for region in regions if region["flaw_type"]}),
        "shown": shown,
        "regions": regions,
        "drawn": sorted(regions, key=lambda region: -region["place"][2] * region["place"][3]),
        "scores": _scores(row),
    }


def _scores(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [bar(score, Estimate(row[score], row.get(f"{score}_ci95"), row.get(f"{score}_n") or 0)) for score in SCORES]


def _region(shown: Shown, kind: str, number: int, region: Mapping[str, Any]) -> dict[str, Any]:
    x0, y0, x1, y1 = region["box"]
    across, down = 100 / shown.width, 100 / shown.height
    radius = shown.height * DISK_RADIUS_PER_HEIGHT
    return {
        "label": f"{kind[0].upper()}{number}",
        "kind": kind,
        "flaw_type": region["flaw_type"] or "",
        "flaw": words(region["flaw_type"] or ""),
        "meaning": definitions()[kind].get(region["flaw_type"] or "", ""),  # type: ignore[index]
        "severity": region["severity"] or "",
        "rationale": region["rationale"] or "",
        "annotators": len(region["annotators"] or ()),
        "corner": (" right" if x0 * across > EDGE else "") + (" low" if y0 * down > EDGE else ""),
        "place": [round(value, 2) for value in (x0 * across, y0 * down, (x1 - x0) * across, (y1 - y0) * down)],
        "disks": [[round((x - radius) * across, 2), round((y - radius) * down, 2)] for x, y in region["disks"] or ()],
        "disk_size": [round(2 * radius * across, 2), round(2 * radius * down, 2)],
    }


def choices(pairs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What the filters of the gallery offer."""
    return {
        "flaw": sorted({flaw for pair in pairs for flaw in pair["flaws"]}),
        "editor": sorted({pair["editor"] for pair in pairs}),
        "task": sorted({pair["task"] for pair in pairs}),
    }

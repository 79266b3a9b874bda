"""What must hold within one row of the table "default"; pure functions of plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from annotation import flaws
from annotation.records import DIMENSIONS, KINDS, SEVERITIES, Kind
from annotation.tasks import tasks

Row = Mapping[str, Any]
# Exponents of Eq. 5, in the order of DIMENSIONS.
WEIGHTS = (0.3, 0.4, 0.3)


def check_row(row: Row) -> Iterator[str]:
    """What is wrong with ids, task, scores and regions, one sentence each; sizes are `check_geometry`'s."""
    for name in ("pair_id", "source_id", "instruction", "editor"):
        if not row[name]:
            yield f"{name} is empty"
    yield from _check_task(row)
    for kind in KINDS:
        yield from _check_regions(row, kind)
    for dimension in DIMENSIONS:
        yield from _check_score(row, dimension)
    yield from _check_overall(row)


def _check_task(row: Row) -> Iterator[str]:
    names = list(tasks())
    task = row["task"]
    if task is None or not 0 <= task < len(names):
        yield f"task is {task}: expected a class from 0 to {len(names) - 1}"
    elif row["task_group"] != tasks()[names[task]].group:
        yield f"task_group is {row['task_group']!r}, but {names[task]!r} belongs to {tasks()[names[task]].group!r}"


def _check_regions(row: Row, kind: Kind) -> Iterator[str]:
    regions = row[f"{kind}_regions"]
    if regions is None:
        yield f"{kind}_regions is null: expected a list"
        return
    ids = [region["region_id"] for region in regions]
    if len(set(ids)) != len(ids):
        yield f"{kind}_regions names a region twice"
    for region in regions:
        name = f"{kind} region {region['region_id']!r}"
        if not region["disks"]:
            yield f"{name} has no disk: expected at least one"
        if region["flaw_type"] not in (None, *flaws.flaw_types(kind)):
            yield f"{name} has the flaw type {region['flaw_type']!r}, which is not of the closed list"
        if region["severity"] not in (None, *SEVERITIES):
            yield f"{name} has the severity {region['severity']!r}: expected one of {', '.join(SEVERITIES)}"
        if not region["annotators"]:
            yield f"{name} is supported by nobody"


def check_geometry(row: Row, width: int, height: int) -> Iterator[str]:
    """Boxes inside the picture and not empty, disks at finite places."""
    for kind in KINDS:
        for region in row[f"{kind}_regions"] or ():
            yield from check_places(f"{kind} region {region['region_id']!r}", region, width, height)


def check_places(name: str, marked: Row, width: int, height: int) -> Iterator[str]:
    """Box and disks of one region or mark against the size of the picture, in pixels.

    A disk's centre may lie on the border.
    """
    x0, y0, x1, y1 = marked["box"]
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        yield f"{name} has the box {[x0, y0, x1, y1]}, which is empty or not inside the {width} x {height} picture"
    for x, y in marked["disks"]:
        if not (0 <= x <= width and 0 <= y <= height):
            yield f"{name} has a disk at {[x, y]}, outside of the {width} x {height} picture"


def _check_score(row: Row, dimension: str) -> Iterator[str]:
    score, half, count = row[dimension], row[f"{dimension}_ci95"], row[f"{dimension}_n"]
    if count is None or count < 0:
        yield f"{dimension}_n is {count}: expected a count"
    elif score is not None and count == 0:
        yield f"{dimension} is {score}, but no rating is behind it"
    if score is not None and not math.isfinite(score):
        yield f"{dimension} is {score}: expected a number or null"
    if half is not None and not 0 <= half < math.inf:
        yield f"{dimension}_ci95 is {half}: expected a half-width or null"
    if half is not None and score is None:
        yield f"{dimension} is null, but its interval is not"


def overall(scores: list[float | None]) -> float | None:
    """Eq. 5 of the paper: the weighted geometric mean of the three scores, a negative one counting as 0.

    >>> overall([1.0, 1.0, 1.0]), overall([-1.0, 50.0, 50.0])
    (1.0, 0.0)
    """
    if any(score is None for score in scores):
        return None
    return math.prod(max(0.0, score or 0.0) ** weight for score, weight in zip(scores, WEIGHTS, strict=True))


def _check_overall(row: Row) -> Iterator[str]:
    expected = overall([row[dimension] for dimension in DIMENSIONS])
    found = row["overall"]
    if (found is None) != (expected is None):
        yield f"overall is {found}, but the three scores give {expected}"
    # All four are stored as float32, with a relative error of 6e-8.
    elif found is not None and expected is not None and not math.isclose(found, expected, rel_tol=1e-5, abs_tol=1e-6):
        yield f"overall is {found:.6g}, but the three scores give {expected:.6g} (Eq. 5)"

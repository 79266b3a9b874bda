"""Stage 1: three people mark the flaws of a pair, each a little wrong in their own way; sometimes an expert reviews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from annotation.flaws import flaw_types
from annotation.records import DISK_RADIUS_PER_HEIGHT, SEVERITIES, Box, Disk, Kind, Mark
from editfhf.simulate.flaws.flaw import Flaw
from editfhf.simulate.scene import free_box

EDGE = 0.08
"""Largest shift of a box edge as a share of its side: two annotators then still overlap by (0.84 / 1.16)^2 > 0.5."""
MISSED, SPURIOUS, CONFUSED = 0.12, 0.15, 0.08


@dataclass(frozen=True, slots=True)
class Size:
    width: int
    height: int


def marks(
    flaws: Sequence[Flaw], size: Size, people: int, error: float, rng: np.random.Generator
) -> list[list[tuple[Mark, int | None]]]:
    """For each of `people`, their marks and the index of the flaw that each mark means (None: a spurious box).

    With error <= 1 every flaw is seen by at least two people (or by all, when there are fewer).
    """
    seen = _seen(len(flaws), people, error, rng)
    spurious: list[Box] = []
    return [
        [(_mark(flaw, f"{person + 1}-{i + 1}", size, error, rng), i) for i, flaw in enumerate(flaws) if seen[person, i]]
        + _spurious(flaws, spurious, f"{person + 1}-x", size, error, rng)
        for person in range(people)
    ]


def _seen(flaws: int, people: int, error: float, rng: np.random.Generator) -> np.ndarray:
    seen = rng.random((people, flaws)) >= MISSED * error
    if error <= 1:
        for i in range(flaws):
            blind = rng.permutation(np.flatnonzero(~seen[:, i]))
            seen[blind[: max(0, min(2, people) - int(seen[:, i].sum()))], i] = True
    return seen


def _mark(flaw: Flaw, mark_id: str, size: Size, error: float, rng: np.random.Generator) -> Mark:
    box = _jittered(flaw.box, EDGE * error, size, rng)
    radius = DISK_RADIUS_PER_HEIGHT * size.height
    disks = [
        _inside(d.x + rng.normal(0, radius / 4 * error), d.y + rng.normal(0, radius / 4 * error), box)
        for d in flaw.disks
    ]
    kept = [disk for disk in disks if rng.random() > 0.15 * error] or disks[:1]
    confused = rng.random() < CONFUSED * error
    flaw_type = str(rng.choice(flaw_types(flaw.kind))) if confused else flaw.flaw_type
    severity = flaw.severity
    if rng.random() < 0.2 * error:
        severity = SEVERITIES[int(np.clip(SEVERITIES.index(severity) + rng.choice((-1, 1)), 0, 2))]
    return Mark(mark_id, flaw.kind, box, tuple(kept), flaw_type, severity)


def _jittered(box: Box, share: float, size: Size, rng: np.random.Generator) -> Box:
    """The box with each edge moved by up to `share` of its side, inside the picture, to a hundredth of a pixel."""
    w, h = box.x1 - box.x0, box.y1 - box.y0
    x0, y0, x1, y1 = np.array(box) + rng.uniform(-share, share, 4) * (w, h, w, h)
    x0, x1 = np.clip((x0, x1), 0, size.width)
    y0, y1 = np.clip((y0, y1), 0, size.height)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return box
    return Box(*(round(float(edge), 2) for edge in (x0, y0, x1, y1)))


def _inside(x: float, y: float, box: Box) -> Disk:
    """The point, moved into the box if it is outside, to a hundredth of a pixel."""
    x, y = np.clip(x, box.x0 + 0.5, box.x1 - 0.5), np.clip(y, box.y0 + 0.5, box.y1 - 0.5)
    return Disk(round(float(x), 2), round(float(y), 2))


def _spurious(
    flaws: Sequence[Flaw], taken: list[Box], mark_id: str, size: Size, error: float, rng: np.random.Generator
) -> list[tuple[Mark, int | None]]:
    """Perhaps one box around nothing, away from every flaw and from everybody's other spurious boxes."""
    if rng.random() >= SPURIOUS * error:
        return []
    mark = unfounded([flaw.box for flaw in flaws] + taken, mark_id, size, rng)
    if mark is None:
        return []
    taken.append(mark.box)
    return [(mark, None)]


def unfounded(taken: list[Box], mark_id: str, size: Size, rng: np.random.Generator) -> Mark | None:
    """A box with one disk around nothing; None when the picture has no free place."""
    local = [box for box in taken if box.area < 0.5 * size.width * size.height]
    side = size.height * rng.uniform(0.14, 0.24)
    box = free_box(rng, size.height, size.width, (side, side * rng.uniform(0.8, 1.4)), local)
    if box is None:
        return None
    kind: Kind = "artifact" if rng.random() < 0.6 else "failure"
    disk = _inside(rng.uniform(box.x0, box.x1), rng.uniform(box.y0, box.y1), box)
    return Mark(mark_id, kind, box, (disk,), str(rng.choice(flaw_types(kind)[:-1])), "minor")


def expert_marks(flaws: Sequence[Flaw], size: Size, rng: np.random.Generator) -> list[Mark]:
    """The expert's marks, nearly exact; now and then the last of them is around nothing."""
    found = [
        replace(_mark(flaw, f"e-{i + 1}", size, 0.25, rng), flaw_type=flaw.flaw_type, severity=flaw.severity)
        for i, flaw in enumerate(flaws)
    ]
    extra = unfounded([flaw.box for flaw in flaws], "e-x", size, rng) if rng.random() < 0.25 else None
    return [*found, extra] if extra else found


def unrelated(results: list[dict[str, Any]], found: Sequence[Mark], rng: np.random.Generator) -> list[dict[str, Any]]:
    """The results as a hasty person leaves them: some relations have no label, some are not drawn at all.

    A relation is left out only where the box is plain without it: no other box of its kind holds the disk.
    """
    boxes = {mark.mark_id: mark for mark in found}
    kept = []
    for item in results:
        if item.get("type") != "relation":
            kept.append(item)
            continue
        fate = rng.random()
        own = boxes[item["to_id"]]
        alone = all(
            other is own or other.kind != own.kind or not any(other.box.contains(disk) for disk in own.disks)
            for other in found
        )
        if fate < 0.1 and alone:
            continue
        kept.append({**item, "labels": []} if fate < 0.25 else item)
    return kept

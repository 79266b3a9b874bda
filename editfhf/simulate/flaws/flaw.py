"""One injected flaw: where it is, what it is, and how it is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.records import DISK_RADIUS_PER_HEIGHT, Box, Disk, Kind, Severity

STRENGTH: dict[Severity, float] = {"minor": 0.3, "moderate": 0.65, "severe": 1.0}


@dataclass(frozen=True, slots=True)
class Flaw:
    kind: Kind
    flaw_type: str
    severity: Severity
    box: Box
    disks: tuple[Disk, ...]
    rationale: str


def disks(pixels: NDArray[np.bool_], box: Box, rng: np.random.Generator) -> tuple[Disk, ...]:
    """One to four points on the flawed pixels inside the box, about a disk's diameter or more apart."""
    x0, y0, x1, y1 = (int(v) for v in box)
    rows, columns = np.nonzero(pixels[y0:y1, x0:x1])
    if not rows.size:
        return (Disk((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2),)
    radius = DISK_RADIUS_PER_HEIGHT * pixels.shape[0]
    wanted = int(np.clip(box.area / (np.pi * (2 * radius) ** 2), 1, 4))
    chosen: list[Disk] = []
    for at in rng.integers(rows.size, size=24):
        disk = Disk(float(columns[at] + x0 + 0.5), float(rows[at] + y0 + 0.5))
        if all(np.hypot(disk.x - other.x, disk.y - other.y) >= 2 * radius for other in chosen):
            chosen.append(disk)
        if len(chosen) == wanted:
            break
    return tuple(chosen)

"""Agreement of annotators on boxes, from every mark that was drawn before consensus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from annotation.records import Kind
from editfhf.statistics.records import BoxAgreement
from editfhf.statistics.tables import coded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

IOU = 0.5
REPLACED = "superseded"
SUPPORTED = ("accepted", "flagged")


@dataclass(frozen=True, slots=True)
class _Couples:
    """Every two annotators who marked the same picture: their sittings (annotator on picture) and its picture."""

    first: Ints
    second: Ints

    def find(self, first: Ints, second: Ints, sittings: int) -> Ints:
        return np.searchsorted(self.first * sittings + self.second, first * sittings + second)


def agree(marks: pa.Table, kind: Kind) -> BoxAgreement:
    """Box F1 between annotators and the share of supported boxes, for one kind of region.

    Only pictures on which at least two annotators marked something count; marks that the same person replaced later
    do not.
    """
    by_status = Counter(marks.filter(pc.equal(marks["kind"], kind))["status"].to_pylist())
    current = marks.filter(pc.not_equal(marks["status"], REPLACED))
    of_kind = current["kind"].to_numpy() == kind
    boxes = int(np.count_nonzero(of_kind))
    supported = sum(by_status[status] for status in SUPPORTED)
    f1 = _couple_f1(current, of_kind)
    return BoxAgreement(
        kind=kind,
        boxes=boxes,
        couples=len(f1),
        f1=float(f1.mean()) if len(f1) else None,
        supported=supported / boxes if boxes else None,
        by_status={status: by_status[status] for status in sorted(by_status)},
    )


def _couple_f1(marks: pa.Table, of_kind: NDArray[np.bool_]) -> Floats:
    """F1 of every couple of annotators in which at least one drew a box of the kind."""
    if not len(marks):
        return np.empty(0)
    pair, _ = coded(marks["pair_id"])
    person, people = coded(marks["annotator_id"])
    sitting_keys, sitting = np.unique(pair * len(people) + person, return_inverse=True)
    couples = _Couples(*_joined(sitting_keys // len(people)))
    sittings = len(sitting_keys)

    corners = marks["box"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    box = np.asarray(corners, dtype=np.float64).reshape(-1, 4)[of_kind]
    sitting = sitting[of_kind]
    first, second = _matches(box, sitting, pair[of_kind])
    drawn = np.bincount(sitting, minlength=sittings)
    matched = np.bincount(couples.find(sitting[first], sitting[second], sittings), minlength=len(couples.first))
    total = drawn[couples.first] + drawn[couples.second]
    return np.asarray(2 * matched[total > 0] / total[total > 0], dtype=np.float64)


def _joined(groups: Ints) -> tuple[Ints, Ints]:
    """All couples of positions (first < second) within runs of equal values of a sorted array."""
    _, start, size = np.unique(groups, return_index=True, return_counts=True)
    end = np.repeat(start + size, size)
    partners = end - np.arange(len(groups)) - 1
    first = np.repeat(np.arange(len(groups)), partners)
    steps = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    return first, first + 1 + steps


def _matches(box: Floats, sitting: Ints, pair: Ints) -> tuple[Ints, Ints]:
    """One-to-one matches of boxes between sittings of one picture, best overlap first, IoU >= 0.5."""
    order = np.lexsort((sitting, pair))
    first, second = _joined(pair[order])
    first, second = order[first], order[second]
    other = sitting[first] != sitting[second]
    first, second = first[other], second[other]
    overlap = _iou(box[first], box[second])
    near = overlap >= IOU
    first, second, overlap = first[near], second[near], overlap[near]
    taken: set[tuple[int, int]] = set()
    kept = []
    for k in np.lexsort((second, first, -overlap)).tolist():
        ends = (int(first[k]), int(sitting[second[k]])), (int(second[k]), int(sitting[first[k]]))
        if taken.isdisjoint(ends):
            taken.update(ends)
            kept.append(k)
    return first[kept], second[kept]


def _iou(a: Floats, b: Floats) -> Floats:
    corner = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.maximum(corner, 0), axis=1)
    union = np.prod(np.maximum(a[:, 2:] - a[:, :2], 0), axis=1) + np.prod(np.maximum(b[:, 2:] - b[:, :2], 0), axis=1)
    union = union - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), dtype=np.float64)

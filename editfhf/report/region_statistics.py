"""Statistics of regions: accepted regions by type and place, and the agreement of annotators on boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from annotation.records import DISK_RADIUS_PER_HEIGHT, SEVERITIES, Kind
from annotation.taxonomy import list_flaw_types
from editfhf.report.read_tables import DatasetTables, encode_text_column, to_float_array
from editfhf.report.statistics import SALIENCY_GRID, BoxAgreement, CountSpread, RegionStatistics

_FloatArray = NDArray[np.float64]


def summarise_regions(tables: DatasetTables, kind: Kind) -> RegionStatistics:
    """Count the regions of one kind and average their maps."""
    column = tables.pairs[f"{kind}_regions"].combine_chunks()
    per_image = _list_lengths(column)
    regions = column.flatten()
    owners = np.repeat(np.arange(len(column)), per_image)
    texts = [text for text in regions.field("rationale").to_pylist() if text and text.strip()]
    return RegionStatistics(
        kind=kind,
        regions=len(regions),
        pairs=int(np.count_nonzero(per_image)),
        flaws=_count_flaws(kind, regions),
        by_group=_count_by_group(tables.pairs["task_group"].to_pylist(), per_image),
        per_image=_count_histogram(per_image),
        disks=_count_histogram(_list_lengths(regions.field("disks"))),
        rationale_characters=summarise_counts([len(text) for text in texts]),
        rationale_words=summarise_counts([len(text.split()) for text in texts]),
        saliency=_compute_mean_map(tables, kind, regions, owners),
    )


def count_regions_per_image(tables: DatasetTables, kind: Kind) -> NDArray[np.int64]:
    """Number of regions of one kind in every pair."""
    return _list_lengths(tables.pairs[f"{kind}_regions"].combine_chunks())


def summarise_counts(values: list[int]) -> CountSpread:
    """Mean, quartiles and range of counts."""
    if not values:
        return CountSpread(0, None, None, None, None, None, None)
    low, q1, median, q3, high = (float(q) for q in np.quantile(values, (0, 0.25, 0.5, 0.75, 1)))
    return CountSpread(len(values), float(np.mean(values)), low, q1, median, q3, high)


def average_gaussian_maps(
    disks: _FloatArray, sizes: _FloatArray, weights: _FloatArray, pairs: int, sigma: float = DISK_RADIUS_PER_HEIGHT / 2
) -> _FloatArray:
    """Mean over `pairs` images of their Gaussian maps on a grid, float64 [64, 64], rows from the top.

    disks: [n, 2] x, y in pixels; sizes: [n, 2] width, height of the image of each disk; weights: [n], one over the
    peak of that image's map; sigma in image heights. A map scaled to its known peak is linear in its disks, and a
    Gaussian is separable, so the mean over any number of images is one matrix product.
    """
    centres = (np.arange(SALIENCY_GRID) + 0.5) / SALIENCY_GRID
    width, height = sizes[:, 0], sizes[:, 1]
    across = np.exp(-0.5 * ((centres - (disks[:, 0] / width)[:, None]) / (sigma * height / width)[:, None]) ** 2)
    down = np.exp(-0.5 * ((centres - (disks[:, 1] / height)[:, None]) / sigma) ** 2)
    return np.asarray((down * weights[:, None]).T @ across / max(pairs, 1), dtype=np.float64)


def _compute_mean_map(
    tables: DatasetTables, kind: Kind, regions: pa.StructArray, owners: NDArray[np.int64]
) -> tuple[tuple[float, ...], ...]:
    column = regions.field("disks")
    disks = np.array(column.flatten().flatten().to_numpy(zero_copy_only=False), dtype=np.float64).reshape(-1, 2)
    owner = np.repeat(owners, _list_lengths(column))
    size = _read_image_sizes(tables)[owner]
    peak = to_float_array(tables.pairs[f"{kind}_peak"])[owner]
    known = (size > 0).all(axis=1) & (peak > 0)
    mean = average_gaussian_maps(disks[known], size[known], 1 / peak[known], len(tables.pairs))
    return tuple(tuple(round(float(value), 5) for value in row) for row in mean)


def _read_image_sizes(tables: DatasetTables) -> _FloatArray:
    """Width and height of the edited image of every pair, float64 [n, 2]; zeros where it has no mark."""
    marks = tables.marks
    sized = dict(
        zip(
            marks["pair_id"].to_pylist(),
            zip(marks["width"].to_pylist(), marks["height"].to_pylist(), strict=True),
            strict=True,
        )
    )
    rows = [sized.get(pair_id, (0, 0)) for pair_id in tables.pairs["pair_id"].to_pylist()]
    return np.array([(width or 0, height or 0) for width, height in rows], dtype=np.float64).reshape(-1, 2)


def _count_flaws(kind: Kind, regions: pa.StructArray) -> Mapping[str, Mapping[str, int]]:
    types = regions.field("flaw_type").fill_null("").to_pylist()
    severities = regions.field("severity").fill_null("").to_pylist()
    seen = Counter(zip(types, severities, strict=True))
    names = [*list_flaw_types(kind), *sorted(set(types) - set(list_flaw_types(kind)))]
    return {
        name: {severity: seen[name, severity] for severity in (*SEVERITIES, "") if seen[name, severity]}
        for name in names
    }


def _count_by_group(groups: list[str | None], lengths: NDArray[np.int64]) -> Mapping[str, int]:
    counted: Counter[str] = Counter()
    for group, length in zip(groups, lengths.tolist(), strict=True):
        counted[group or ""] += length
    return {group: counted[group] for group in sorted(counted)}


def _list_lengths(lists: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _count_histogram(lengths: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.bincount(lengths)) if len(lengths) else ()


_BoxArray = NDArray[np.float64]


_IndexArray = NDArray[np.int64]


MATCH_IOU = 0.5


REPLACED_STATUS = "superseded"


SUPPORTED_STATUSES = ("accepted", "flagged")


@dataclass(frozen=True, slots=True)
class _AnnotatorCouples:
    """Every two annotators who marked the same image, as their sittings; a sitting is one annotator on one image."""

    first: _IndexArray
    second: _IndexArray

    def find(self, first: _IndexArray, second: _IndexArray, sittings: int) -> _IndexArray:
        return np.searchsorted(self.first * sittings + self.second, first * sittings + second)


def compute_box_agreement(marks: pa.Table, kind: Kind) -> BoxAgreement:
    """Box F1 between annotators and the share of supported boxes, for one kind of region.

    Only images with marks of at least two annotators count. Marks that their annotator replaced later are ignored.
    """
    by_status = Counter(marks.filter(pc.equal(marks["kind"], kind))["status"].to_pylist())
    current = marks.filter(pc.not_equal(marks["status"], REPLACED_STATUS))
    of_kind = current["kind"].to_numpy() == kind
    boxes = int(np.count_nonzero(of_kind))
    supported = sum(by_status[status] for status in SUPPORTED_STATUSES)
    f1 = _compute_couple_f1(current, of_kind)
    return BoxAgreement(
        kind=kind,
        boxes=boxes,
        couples=len(f1),
        f1=float(f1.mean()) if len(f1) else None,
        supported=supported / boxes if boxes else None,
        by_status={status: by_status[status] for status in sorted(by_status)},
    )


def _compute_couple_f1(marks: pa.Table, of_kind: NDArray[np.bool_]) -> _BoxArray:
    """F1 of every couple of annotators in which at least one drew a box of the kind."""
    if not len(marks):
        return np.empty(0)
    pair, _ = encode_text_column(marks["pair_id"])
    person, people = encode_text_column(marks["annotator_id"])
    sitting_keys, sitting = np.unique(pair * len(people) + person, return_inverse=True)
    couples = _AnnotatorCouples(*_pair_positions(sitting_keys // len(people)))
    sittings = len(sitting_keys)

    corners = marks["box"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    box = np.asarray(corners, dtype=np.float64).reshape(-1, 4)[of_kind]
    sitting = sitting[of_kind]
    first, second = _match_boxes(box, sitting, pair[of_kind])
    drawn = np.bincount(sitting, minlength=sittings)
    matched = np.bincount(couples.find(sitting[first], sitting[second], sittings), minlength=len(couples.first))
    total = drawn[couples.first] + drawn[couples.second]
    return np.asarray(2 * matched[total > 0] / total[total > 0], dtype=np.float64)


def _pair_positions(groups: _IndexArray) -> tuple[_IndexArray, _IndexArray]:
    """All couples of positions (first < second) within runs of equal values of a sorted array."""
    _, start, size = np.unique(groups, return_index=True, return_counts=True)
    end = np.repeat(start + size, size)
    partners = end - np.arange(len(groups)) - 1
    first = np.repeat(np.arange(len(groups)), partners)
    steps = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    return first, first + 1 + steps


def _match_boxes(box: _BoxArray, sitting: _IndexArray, pair: _IndexArray) -> tuple[_IndexArray, _IndexArray]:
    """One-to-one matches of boxes between sittings of one image, best overlap first, IoU >= 0.5."""
    order = np.lexsort((sitting, pair))
    first, second = _pair_positions(pair[order])
    first, second = order[first], order[second]
    other = sitting[first] != sitting[second]
    first, second = first[other], second[other]
    overlap = _compute_box_iou(box[first], box[second])
    near = overlap >= MATCH_IOU
    first, second, overlap = first[near], second[near], overlap[near]
    taken: set[tuple[int, int]] = set()
    kept = []
    for k in np.lexsort((second, first, -overlap)).tolist():
        ends = (int(first[k]), int(sitting[second[k]])), (int(second[k]), int(sitting[first[k]]))
        if taken.isdisjoint(ends):
            taken.update(ends)
            kept.append(k)
    return first[kept], second[kept]


def _compute_box_iou(a: _BoxArray, b: _BoxArray) -> _BoxArray:
    corner = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.maximum(corner, 0), axis=1)
    union = np.prod(np.maximum(a[:, 2:] - a[:, :2], 0), axis=1) + np.prod(np.maximum(b[:, 2:] - b[:, :2], 0), axis=1)
    union = union - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), dtype=np.float64)

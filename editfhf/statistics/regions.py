"""Accepted regions: how many, of what type, where in the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from annotation.flaws import flaw_types
from annotation.records import DISK_RADIUS_PER_HEIGHT, SEVERITIES, Kind
from editfhf.statistics.records import GRID, Regions, Spread
from editfhf.statistics.tables import Tables, numbers

Floats = NDArray[np.float64]


def count(tables: Tables, kind: Kind) -> Regions:
    """Count the regions of one kind and average their maps."""
    column = tables.pairs[f"{kind}_regions"].combine_chunks()
    per_image = _lengths(column)
    regions = column.flatten()
    owners = np.repeat(np.arange(len(column)), per_image)
    texts = [text for text in regions.field("rationale").to_pylist() if text and text.strip()]
    return Regions(
        kind=kind,
        regions=len(regions),
        pairs=int(np.count_nonzero(per_image)),
        flaws=_flaws(kind, regions),
        by_group=_by_group(tables.pairs["task_group"].to_pylist(), per_image),
        per_image=_histogram(per_image),
        disks=_histogram(_lengths(regions.field("disks"))),
        rationale_characters=spread([len(text) for text in texts]),
        rationale_words=spread([len(text.split()) for text in texts]),
        saliency=_mean_map(tables, kind, regions, owners),
    )


def per_image(tables: Tables, kind: Kind) -> NDArray[np.int64]:
    """Number of regions of one kind in every pair."""
    return _lengths(tables.pairs[f"{kind}_regions"].combine_chunks())


def spread(values: list[int]) -> Spread:
    """Mean, quartiles and range of counts."""
    if not values:
        return Spread(0, None, None, None, None, None, None)
    low, q1, median, q3, high = (float(q) for q in np.quantile(values, (0, 0.25, 0.5, 0.75, 1)))
    return Spread(len(values), float(np.mean(values)), low, q1, median, q3, high)


def gaussian_mean(
    disks: Floats, sizes: Floats, weights: Floats, pairs: int, sigma: float = DISK_RADIUS_PER_HEIGHT / 2
) -> Floats:
    """Mean over `pairs` pictures of their Gaussian maps on a grid, float64 [64, 64], rows from the top.

    disks: [n, 2] x, y in pixels; sizes: [n, 2] width, height of the picture of each disk; weights: [n], one over the
    peak of that picture's map; sigma in picture heights.  A map that is scaled to its known peak is linear in its
    disks and a Gaussian is separable, so that the mean over any number of pictures is one matrix product.
    """
    centres = (np.arange(GRID) + 0.5) / GRID
    width, height = sizes[:, 0], sizes[:, 1]
    across = np.exp(-0.5 * ((centres - (disks[:, 0] / width)[:, None]) / (sigma * height / width)[:, None]) ** 2)
    down = np.exp(-0.5 * ((centres - (disks[:, 1] / height)[:, None]) / sigma) ** 2)
    return np.asarray((down * weights[:, None]).T @ across / max(pairs, 1), dtype=np.float64)


def _mean_map(
    tables: Tables, kind: Kind, regions: pa.StructArray, owners: NDArray[np.int64]
) -> tuple[tuple[float, ...], ...]:
    column = regions.field("disks")
    disks = np.array(column.flatten().flatten().to_numpy(zero_copy_only=False), dtype=np.float64).reshape(-1, 2)
    owner = np.repeat(owners, _lengths(column))
    size = _sizes(tables)[owner]
    peak = numbers(tables.pairs[f"{kind}_peak"])[owner]
    known = (size > 0).all(axis=1) & (peak > 0)
    mean = gaussian_mean(disks[known], size[known], 1 / peak[known], len(tables.pairs))
    return tuple(tuple(round(float(value), 5) for value in row) for row in mean)


def _sizes(tables: Tables) -> Floats:
    """Width and height of the picture of every pair, float64 [n, 2]; zeros where nobody marked it."""
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


def _flaws(kind: Kind, regions: pa.StructArray) -> Mapping[str, Mapping[str, int]]:
    types = regions.field("flaw_type").fill_null("").to_pylist()
    severities = regions.field("severity").fill_null("").to_pylist()
    seen = Counter(zip(types, severities, strict=True))
    names = [*flaw_types(kind), *sorted(set(types) - set(flaw_types(kind)))]
    return {
        name: {severity: seen[name, severity] for severity in (*SEVERITIES, "") if seen[name, severity]}
        for name in names
    }


def _by_group(groups: list[str | None], lengths: NDArray[np.int64]) -> Mapping[str, int]:
    counted: Counter[str] = Counter()
    for group, length in zip(groups, lengths.tolist(), strict=True):
        counted[group or ""] += length
    return {group: counted[group] for group in sorted(counted)}


def _lengths(lists: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _histogram(lengths: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.bincount(lengths)) if len(lengths) else ()

"""Frozen features of a dataset, computed once: folders of arrays, one for each 64 pairs.

The backbone never changes, so its features are computed before training and read from the disk in each epoch. An
interrupted run keeps the parts that it finished.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, KINDS, SEVERITIES, Region
from mos.console import Progress
from mos.errors import UserError
from mos.files import open_folder_replacement
from training.compact.flaw_classes import FLAW_CLASSES
from training.compact.network import BackboneSession
from training.compact.pair_inputs import HEIGHT, WIDTH, PairInputs, prepare_pair
from training.samples.pair_sample import PairSample, scale_array
from training.samples.read_samples import SampleSize, read_samples
from training.samples.transforms import may_flip_sample

PART_PAIRS = 64
MAP_ROWS, MAP_COLUMNS = HEIGHT // 4, WIDTH // 4
CACHE_VERSION = 3
BYTES_PER_PAIR = 2_000_000
"""Largest need of one pair on the disk: the features of two images, cues and maps in float16."""

FEATURE_ARRAYS = ("fine", "middle", "coarse")
_PAIR_ARRAYS = ("cues", "whole", "text", "maps", "scores", "may_flip", "box_counts")


@dataclass(frozen=True, slots=True, eq=False)
class CachedSplit:
    """The features and truths of one split.

    Attributes
    ----------
    pair_ids, source_ids : list of str
        Of each pair, in the order of the dataset.
    parts : list of dict
        Arrays of each part, opened in place; see `read_cached_pairs`.
    digest : str
        SHA-256 of all that decides the arrays.
    """

    pair_ids: list[str]
    source_ids: list[str]
    parts: list[Mapping[str, NDArray[Any]]]
    digest: str

    def __len__(self) -> int:
        return len(self.pair_ids)


def cache_split(
    rows: Any, folder: Path, backbone: BackboneSession, name: str, progress: Progress, threads: int = 1
) -> CachedSplit:
    """Compute the features of a split, or open those of an earlier run.

    Parameters
    ----------
    rows : datasets.Dataset
        The split.
    folder : Path
        Where the features are kept; a subfolder belongs to one dataset and backbone.
    backbone : BackboneSession
    name : str
        Name of the split, for messages.
    progress : Progress
    threads : int
        Threads that compute; the features do not depend on them.

    Raises
    ------
    UserError
        For an empty split, missing columns, rows that cannot be read, or too little disk space.
    """
    if not len(rows):
        raise UserError(f"The split {name!r} is empty: build the dataset with more pairs, or other split ratios.")
    digest = _digest_split(rows, backbone)
    home = folder / digest[:16]
    parts = [home / f"{start // PART_PAIRS:05d}" for start in range(0, len(rows), PART_PAIRS)]
    missing = [part for part in parts if not part.is_dir()]
    if missing:
        _require_space(folder, len(missing) * PART_PAIRS * BYTES_PER_PAIR)
        progress.begin(f"Features: {name}", len(rows))
        for number, part in enumerate(parts):
            start = number * PART_PAIRS
            count = min(PART_PAIRS, len(rows) - start)
            if part in missing:
                some = rows.select(range(start, start + count))
                samples = list(read_samples(some, size=SampleSize(HEIGHT, WIDTH), threads=threads))
                _write_part(part, samples, backbone, threads)
            progress.advance(count)
    opened: list[Mapping[str, NDArray[Any]]] = [_open_part(part) for part in parts]
    names: list[dict[str, Any]] = [orjson.loads((part / "pairs.json").read_bytes()) for part in parts]
    return CachedSplit(
        pair_ids=list(chain.from_iterable(each["pair_ids"] for each in names)),
        source_ids=list(chain.from_iterable(each["source_ids"] for each in names)),
        parts=opened,
        digest=digest,
    )


def read_cached_pairs(split: CachedSplit, indices: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Read some pairs of a cached split as arrays of a batch.

    Returns
    -------
    dict from str to ndarray
        float32 arrays: `before_*` and `after_*` of `fine`, `middle` and `coarse`; `cues`, `whole`, `text`, `maps`
        [N, 2, MAP_ROWS, MAP_COLUMNS], `scores` [N, 3] as shares of 100 (NaN where there is none), `may_flip` [N], and
        `boxes` [N, B, 7]: kind, x0, y0, x1, y1 in pixels of the network, flaw class, severity; -1 in rows without one.
    """
    found: dict[str, list[NDArray[Any]]] = {}
    boxes = []
    for index in indices:
        part, place = split.parts[index // PART_PAIRS], index % PART_PAIRS
        for name in FEATURE_ARRAYS:
            for side, values in zip(("before", "after"), part[name][place], strict=True):
                found.setdefault(f"{side}_{name}", []).append(values)
        for name in ("cues", "whole", "text", "maps", "scores", "may_flip"):
            found.setdefault(name, []).append(part[name][place])
        ends = np.cumsum(part["box_counts"][: place + 1])
        boxes.append(part["boxes"][ends[-1] - part["box_counts"][place] : ends[-1]])
    batch = {name: np.stack(values).astype(np.float32) for name, values in found.items()}
    most = max(1, max(map(len, boxes)))
    batch["boxes"] = np.full((len(boxes), most, 7), -1, np.float32)
    for row, some in enumerate(boxes):
        batch["boxes"][row, : len(some)] = some
    return batch


def _digest_split(rows: Any, backbone: BackboneSession) -> str:
    seen = hashlib.sha256(f"{CACHE_VERSION} {backbone.digest} {len(rows)} {rows._fingerprint}".encode())
    for column in ("pair_id", "instruction"):
        seen.update(orjson.dumps(list(rows[column])))
    return seen.hexdigest()


def _require_space(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"The features need up to {needed / 1e9:.1f} GB in {folder}, but only {free / 1e9:.1f} GB are free: make "
            "room, or choose another folder with cache=FOLDER."
        )


def _write_part(part: Path, samples: Sequence[PairSample], backbone: BackboneSession, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:  # OpenCV and onnxruntime work outside of Python's lock
        inputs = list(pool.map(lambda each: prepare_pair(each.source, each.edited, each.instruction), samples))
        features = list(pool.map(lambda each: backbone.compute_features(each.images), inputs))
    arrays: dict[str, NDArray[Any]] = {
        name: np.stack([each[index] for each in features]).astype(np.float16)
        for index, name in enumerate(FEATURE_ARRAYS)
    }
    rows = [list(_list_boxes(sample.regions)) for sample in samples]
    arrays |= _stack_inputs(inputs) | {
        "maps": np.stack([_scale_maps(sample) for sample in samples]).astype(np.float16),
        "scores": np.array([[_share_of_score(each.scores[name]) for name in DIMENSIONS] for each in samples]),
        "may_flip": np.array([may_flip_sample(sample) for sample in samples]),
        "box_counts": np.array([len(each) for each in rows], np.int32),
        "boxes": np.array([row for each in rows for row in each], np.float32).reshape(-1, 7),
    }
    part.parent.mkdir(parents=True, exist_ok=True)
    names = {"pair_ids": [each.pair_id for each in samples], "source_ids": [each.source_id for each in samples]}
    with open_folder_replacement(part) as work:
        for name, values in arrays.items():
            np.save(work / f"{name}.npy", values)
        (work / "pairs.json").write_bytes(orjson.dumps(names))


def _stack_inputs(inputs: Sequence[PairInputs]) -> dict[str, NDArray[Any]]:
    return {
        name: np.stack([getattr(each, name) for each in inputs]).astype(np.float16)
        for name in ("cues", "whole", "text")
    }


def _scale_maps(sample: PairSample) -> NDArray[Any]:
    return np.stack([scale_array(sample.maps[kind], MAP_ROWS, MAP_COLUMNS) for kind in KINDS])


def _share_of_score(value: float | None) -> float:
    return float("nan") if value is None else min(max(value / 100, 0.0), 1.0)


def _list_boxes(regions: Sequence[Region]) -> Iterator[tuple[float, ...]]:
    for region in regions:
        flaw = (region.kind, region.flaw_type)
        number = FLAW_CLASSES.index(flaw) if flaw in FLAW_CLASSES else -1
        severity = SEVERITIES.index(region.severity) if region.severity in SEVERITIES else -1
        yield KINDS.index(region.kind), *region.box, number, severity


def _open_part(part: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a part: features stay on the disk until they are read, the rest is read at once."""
    opened = {name: np.load(part / f"{name}.npy", mmap_mode="r") for name in FEATURE_ARRAYS}
    for name in (*_PAIR_ARRAYS, "boxes"):
        opened[name] = np.load(part / f"{name}.npy")
    return opened

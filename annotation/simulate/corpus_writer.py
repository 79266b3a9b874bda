"""Write a simulated corpus and its truth tables; any number of worker processes writes the same bytes.

Pairs are written in the order of their ids as they are simulated; memory does not grow with their number.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from annotation.records import DIMENSIONS
from annotation.simulate.annotations import SimulatedAnnotations, TruthRow
from annotation.simulate.options import SimulationOptions
from annotation.simulate.pair_files import SimulatedPair, simulate_source
from annotation.simulate.participants import SimulatedRater, make_rater_pool
from annotation.simulate.photos import Photo
from mos.errors import UserError
from mos.files import open_folder_replacement
from mos.processes import await_helpers_at_exit, end_with_parent

TRUE_REGION_TYPE = pa.struct(
    [
        ("kind", pa.string()),
        ("box", pa.list_(pa.float32(), 4)),
        ("disks", pa.list_(pa.list_(pa.float32()))),
        ("flaw_type", pa.string()),
        ("severity", pa.string()),
        ("rationale", pa.string()),
        ("found_by", pa.int32()),
        ("region_id", pa.string()),
        ("flags", pa.int32()),
    ]
)


UNFOUNDED_REGION_TYPE = pa.struct(
    [
        ("kind", pa.string()),
        ("box", pa.list_(pa.float32(), 4)),
        ("region_id", pa.string()),
        ("flags", pa.int32()),
    ]
)


TRUTH_SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("source_id", pa.string()),
        ("editor", pa.string()),
        ("task", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        *((dimension, pa.float64()) for dimension in DIMENSIONS),
        ("regions", pa.list_(TRUE_REGION_TYPE)),
        ("unfounded", pa.list_(UNFOUNDED_REGION_TYPE)),
        ("expert", pa.bool_()),
        ("rationales_final", pa.bool_()),
    ]
)


def make_truth_schema(settings: SimulationOptions) -> pa.Schema:
    """The columns of `truth.parquet`: seeds where pairs are rendered, paths where clean images are written."""
    schema = TRUTH_SCHEMA
    if settings.rendered:
        schema = schema.append(pa.field("rendering", pa.int64()))
    if settings.clean_images:
        schema = schema.append(pa.field("clean", pa.string()))
    return schema


TRUE_RATERS_SCHEMA = pa.schema(
    [
        ("annotator_id", pa.string()),
        ("careless", pa.bool_()),
        ("behaviour", pa.string()),
        ("bias", pa.float64()),
        ("inconsistency", pa.float64()),
    ]
)


SIMULATED_RATINGS_SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("annotator_id", pa.string()),
        ("dimension", pa.string()),
        ("score", pa.float64()),
        ("rated_at", pa.string()),
    ]
)


PAIRS_PER_ROW_GROUP = 500
"""Pairs per row group."""


class SimulatedCorpusWriter:
    """Writes the files of one corpus; a context manager that completes and closes them."""

    def __init__(self, root: Path, settings: SimulationOptions) -> None:
        self.root = root
        self._truth_schema = make_truth_schema(settings)
        (root / "annotations").mkdir(parents=True)
        self._pairs = (root / "pairs.jsonl").open("wb")
        self._exports: dict[str, IO[bytes]] = {}
        self._flags: IO[bytes] | None = None
        self._truth: list[TruthRow] = []
        self._ratings: list[tuple[str, str, str, float, str]] = []
        self._tables: dict[str, pq.ParquetWriter] = {}
        self.counts = {"pairs": 0, "regions": 0, "ratings": 0, "flags": 0}

    def __enter__(self) -> SimulatedCorpusWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        for stream in self._exports.values():
            stream.write(b"\n]\n")
            stream.close()
        for table in self._tables.values():
            table.close()
        if self._flags:
            self._flags.close()
        self._pairs.close()

    def add(self, line: bytes, annotations: SimulatedAnnotations) -> None:
        """Write one pair; pairs come in the order of their ids."""
        self._pairs.write(line + b"\n")
        for name, tasks in annotations.tasks.items():
            for task in tasks:
                self._append_export(name, task)
                self.counts["ratings"] += len(DIMENSIONS) * name.startswith("ratings")
        self._ratings += annotations.ratings
        self._add_flags(annotations.flags)
        self._truth.append(annotations.truth)
        self.counts["pairs"] += 1
        self.counts["regions"] += len(annotations.truth["regions"])
        self.counts["ratings"] += len(annotations.ratings)
        self.counts["flags"] += sum(row["flags"] for key in ("regions", "unfounded") for row in annotations.truth[key])
        if len(self._truth) == PAIRS_PER_ROW_GROUP:
            self._flush()

    def _append_export(self, name: str, task: bytes) -> None:
        stream = self._exports.get(name)
        if stream is None:
            stream = self._exports[name] = (self.root / "annotations" / f"{name}.json").open("wb")
            stream.write(b"[\n" + task)
        else:
            stream.write(b",\n" + task)

    def _add_flags(self, flags: Sequence[tuple[str, str, str]]) -> None:
        if not flags:
            return
        if self._flags is None:
            self._flags = (self.root / "annotations/flags.csv").open("wb")
            self._flags.write(b"pair_id,region_id,annotator_id\n")
        self._flags.writelines(",".join(row).encode() + b"\n" for row in flags)

    def _flush(self) -> None:
        if self._truth:
            schema = self._truth_schema
            self._table("truth.parquet", schema).write_table(pa.Table.from_pylist(self._truth, schema))
        if self._ratings:
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*self._ratings, strict=True), SIMULATED_RATINGS_SCHEMA, strict=True)
            ]
            self._table("annotations/ratings.parquet", SIMULATED_RATINGS_SCHEMA).write_table(
                pa.table(columns, schema=SIMULATED_RATINGS_SCHEMA)
            )
        self._truth, self._ratings = [], []

    def _table(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        if name not in self._tables:
            self._tables[name] = pq.ParquetWriter(self.root / name, schema, compression="zstd")
        return self._tables[name]


def write_true_raters(root: Path, raters: Sequence[SimulatedRater]) -> None:
    """Write `truth_raters.parquet`, the truth about every rater of the pool."""
    rows = [
        {
            "annotator_id": str(rater.user),
            "careless": rater.careless,
            "behaviour": rater.behaviour or "honest",
            "bias": rater.bias,
            "inconsistency": rater.inconsistency,
        }
        for rater in raters
    ]
    pq.write_table(pa.Table.from_pylist(rows, TRUE_RATERS_SCHEMA), root / "truth_raters.parquet", compression="zstd")


SOURCES_AHEAD = 4
"""Sources per worker that are simulated ahead: enough to keep workers busy, few enough to bound memory."""


def simulate_corpus(
    settings: SimulationOptions, photos: Sequence[Photo], corpus: Path, workers: int, advance: Callable[[int], None]
) -> dict[str, int]:
    """Write a simulated corpus.

    The corpus is written to a hidden folder in the same parent folder, which is renamed when it is complete.

    Parameters
    ----------
    settings : SimulationOptions
        Options of the corpus; the same options and photos give the same bytes.
    photos : sequence of Photo
        Source photographs: `list_packaged_photos()` or `list_folder_photos(folder)` of `annotation.simulate.photos`.
    corpus : Path
        Folder to create.
    workers : int
        Number of processes.
    advance : callable
        Called with the number of pairs that were finished.

    Returns
    -------
    dict of str to int
        Number of pairs, regions, ratings and flags.

    Raises
    ------
    UserError
        `corpus` exists and is not an empty folder.

    Examples
    --------
    ::

        from annotation.simulate.photos import list_packaged_photos

        options = annotation.SimulationOptions(pairs=12, height=96)
        annotation.simulate_corpus(options, list_packaged_photos(), Path("demo"), 1, lambda pairs: None)
    """
    refuse_occupied_corpus(corpus)
    with open_folder_replacement(corpus) as unfinished:
        return _write_corpus(unfinished, settings, photos, workers, advance)


def refuse_occupied_corpus(corpus: Path) -> None:
    """Raise UserError if the path exists and is not an empty folder."""
    if corpus.is_symlink() or (corpus.exists() and not corpus.is_dir()):
        raise UserError(f"{corpus} is not a folder: name a new folder for the corpus.")
    if corpus.exists() and any(corpus.iterdir()):
        raise UserError(f"{corpus} is not empty: name a new folder, or empty this one yourself.")


def _write_corpus(
    root: Path, settings: SimulationOptions, photos: Sequence[Photo], workers: int, advance: Callable[[int], None]
) -> dict[str, int]:
    (root / "corpus.yaml").write_text(
        yaml.safe_dump(_describe_corpus(settings), sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    write_true_raters(root, make_rater_pool(settings))
    with SimulatedCorpusWriter(root, settings) as writer:
        for pairs in _simulate_in_order(settings, photos, root, workers):
            for pair in pairs:
                writer.add(pair.line, pair.annotations)
            advance(len(pairs))
    return writer.counts


def _describe_corpus(settings: SimulationOptions) -> dict[str, str]:
    return {
        "name": "simulated-edits",
        "version": "1.0.0",
        "licence": "mixed, see the licence of each pair",
        "description": (
            f"SIMULATED corpus: real photos, scripted edits with injected flaws, simulated people; {settings.pairs} "
            f"pairs, seed {settings.seed}. The truth is in truth.parquet and truth_raters.parquet."
        ),
    }


def _simulate_in_order(
    settings: SimulationOptions, photos: Sequence[Photo], root: Path, workers: int
) -> Iterator[list[SimulatedPair]]:
    """The pairs of every source, in the order of sources."""
    if workers == 1:
        for index in range(settings.sources):
            yield simulate_source(settings, photos, root, index)
        return
    await_helpers_at_exit()
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    waiting: deque[Future[list[SimulatedPair]]] = deque()
    try:
        for index in range(settings.sources):
            waiting.append(executor.submit(simulate_source, settings, photos, root, index))
            if len(waiting) >= SOURCES_AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _prepare_worker() -> None:
    """Let the parent process handle interrupts, use one core, and end with the parent."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    end_with_parent()

"""A simulated corpus from start to end, with any number of worker processes and the same bytes."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import yaml

from editfhf.simulate.job import Done, make
from editfhf.simulate.photos import Photo
from editfhf.simulate.raters import pool
from editfhf.simulate.settings import Settings
from editfhf.simulate.writer import CorpusWriter, write_raters
from mos.errors import UserError

AHEAD = 4
"""Sources in flight per worker: enough to keep them busy, few enough to bound memory."""


def simulate(
    settings: Settings, photos: Sequence[Photo], corpus: Path, workers: int, advance: Callable[[int], None]
) -> dict[str, int]:
    """Write the corpus and give its counts (pairs, regions, ratings, flags).

    It grows in a hidden folder beside its name and takes its name when it is whole; `advance` hears of finished pairs.
    Raises UserError when `corpus` exists and is not an empty folder.
    """
    refuse_occupied(corpus)
    corpus.parent.mkdir(parents=True, exist_ok=True)
    growing = Path(tempfile.mkdtemp(prefix=f".{corpus.name}-", dir=corpus.parent))
    try:
        counts = _fill(growing, settings, photos, workers, advance)
        growing.chmod(0o755)
        growing.replace(corpus)
    except BaseException:
        shutil.rmtree(growing, ignore_errors=True)
        raise
    return counts


def refuse_occupied(corpus: Path) -> None:
    """Raise UserError unless the corpus is a free name or an empty folder."""
    if corpus.is_symlink() or (corpus.exists() and not corpus.is_dir()):
        raise UserError(f"{corpus} is not a folder: name a new folder for the corpus.")
    if corpus.exists() and any(corpus.iterdir()):
        raise UserError(f"{corpus} is not empty: name a new folder, or empty this one yourself.")


def _fill(
    root: Path, settings: Settings, photos: Sequence[Photo], workers: int, advance: Callable[[int], None]
) -> dict[str, int]:
    (root / "corpus.yaml").write_text(
        yaml.safe_dump(_about(settings), sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    write_raters(root, pool(settings))
    with CorpusWriter(root) as writer:
        for pairs in _in_order(settings, photos, root, workers):
            for done in pairs:
                writer.add(done.line, done.papers)
            advance(len(pairs))
    return writer.counts


def _about(settings: Settings) -> dict[str, str]:
    return {
        "name": "simulated-edits",
        "version": "1.0.0",
        "licence": "mixed, see the licence of each pair",
        "description": (
            f"SIMULATED corpus: real photos, scripted edits with injected flaws, simulated people; {settings.pairs} "
            f"pairs, seed {settings.seed}. The truth is in truth.parquet and truth_raters.parquet."
        ),
    }


def _in_order(settings: Settings, photos: Sequence[Photo], root: Path, workers: int) -> Iterator[list[Done]]:
    """The pairs of every source, in the order of sources whoever finishes first."""
    if workers == 1:
        for index in range(settings.sources):
            yield make(settings, photos, root, index)
        return
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_single_threaded)
    waiting: deque[Future[list[Done]]] = deque()
    try:
        for index in range(settings.sources):
            waiting.append(executor.submit(make, settings, photos, root, index))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _single_threaded() -> None:
    """A worker leaves the interrupt to the parent and its cores to the other workers."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)

"""`editfhf build` from end to end: look, prepare, shards, finish; and the same without writing anything."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from annotation.corpus import Corpus
from annotation.records import Rejection
from editfhf import executors
from editfhf.build import outputs, parquet, stages
from editfhf.build.context import ROUTINE, Context, Judge, Running, Silent, Summary, Watcher
from editfhf.build.finishing import Work, faults, finish, stage_counts
from editfhf.build.options import BuildOptions
from editfhf.build.preparing import look, prepare
from editfhf.build.sharding import hear_shards, make_shards, write_orders
from editfhf.build.spool import RejectionLog
from editfhf.build.workspace import Workspace, built_before, claim
from mos.errors import UserError

SAME = ("options", "versions", "inputs", "images")
CALLED = {"options": "the options", "versions": "the software", "inputs": "the corpus", "images": "the pictures"}


def build(
    corpus_root: Path,
    dataset: Path,
    options: BuildOptions | None = None,
    running: Running | None = None,
    watcher: Watcher | None = None,
) -> Summary:
    """Build the dataset of a corpus; run it again after any interruption and it goes on.

    Raises:
        UserError: the corpus cannot be used, the dataset folder must not be touched, nothing was left, or more was
            set aside than `running.max_rejected` allows.
    """
    corpus = Corpus.open(corpus_root)
    options, running = options or BuildOptions(), running or Running()
    with claim(dataset, corpus_root) as space:
        before = built_before(dataset)
        now = {"options": options.as_dict(), "versions": outputs.versions(), "inputs": read_inputs(corpus)}
        if before and not running.update:
            _refuse_change(dataset, before, now)
        only_looks = before is not None and not running.update and not space.shards.exists()
        try:
            space.prepare()
            with closing(RejectionLog(space.area / "rejections.sqlite")) as log:
                context = _context(corpus, space, options, running, watcher, log)
                work = _work(context, before, now)
                if work is not None:
                    return finish(context, work)
            return _up_to_date(space, before or {}, running)
        except BaseException:
            if only_looks:
                space.discard()
            raise


@dataclass(frozen=True)
class Preview:
    """What a build would do, and everything that it would set aside."""

    stages: list[dict[str, Any]]
    splits: dict[str, int]
    shards: int
    bytes: int
    rejections: list[Rejection]
    warnings: list[str]

    @property
    def faults(self) -> int:
        """How many of the rejections are somebody's mistake, and were not repaired."""
        return sum(not rejection.repaired and rejection.reason not in ROUTINE for rejection in self.rejections)


def preview(
    corpus_root: Path,
    options: BuildOptions | None = None,
    running: Running | None = None,
    watcher: Watcher | None = None,
) -> Preview:
    """Everything that `build` checks, without writing a dataset."""
    corpus = Corpus.open(corpus_root)
    options, running = options or BuildOptions(), running or Running()
    with TemporaryDirectory(prefix="editfhf-") as folder:
        space = Workspace(Path(folder))
        space.prepare()
        with (
            closing(RejectionLog(space.area / "rejections.sqlite")) as log,
            executors.pool(running.executor, running.workers, running.scheduler) as pool,
        ):
            context = _context(corpus, space, options, running, watcher, log)
            looked = look(context, pool)
            prepared = prepare(context, looked)
            write_orders(context, prepared.planned, prepared.people)
            hear_shards(context, pool, prepared.planned, prepared.reading.tally)
            counts = stage_counts(len(read_inputs(corpus)), prepared.reading.tally, prepared.scored)
            splits = list(prepared.split.values())
            return Preview(
                stages=stages.table(counts, log.counts()),
                splits={name: splits.count(name) for name in sorted(set(splits))},
                shards=len(prepared.planned),
                bytes=looked.images["bytes"],
                rejections=list(outputs.under_pseudonyms(log, prepared.people)),
                warnings=prepared.scored.result.summary["warnings"],
            )


def check_corpus(root: Path) -> list[Rejection]:
    """Everything that a build of the corpus would set aside."""
    return preview(root).rejections


def _context(
    corpus: Corpus,
    space: Workspace,
    options: BuildOptions,
    running: Running,
    watcher: Watcher | None,
    log: RejectionLog,
) -> Context:
    return Context(corpus, space, options, running, watcher or Silent(), log, Judge(log, running.strict))


def _work(context: Context, before: dict[str, Any] | None, now: dict[str, Any]) -> Work | None:
    """Everything up to the finished shards; None when the dataset is of this very corpus already."""
    running = context.running
    with executors.pool(running.executor, running.workers, running.scheduler) as pool:
        looked = look(context, pool)
        now["images"] = looked.images
        if before:
            unchanged = all(_same(before.get(name), now[name]) for name in SAME)
            if unchanged and _is_whole(context.space.dataset, before, by_content=running.update):
                return None
            if not running.update:
                _refuse_change(context.space.dataset, before, now)
        prepared = prepare(context, looked)
        write_orders(context, prepared.planned, prepared.people)
        shards = make_shards(context, pool, prepared.planned, before, prepared.reading.tally)
    return Work(now["inputs"], now["images"], prepared, shards)


def read_inputs(corpus: Corpus) -> list[dict[str, Any]]:
    """Path, size and digest of every file of the corpus that is not a picture."""

    def later(_: Rejection) -> None:
        """What is wrong with a file is said when it is read."""

    names = [name for group in corpus.files(later).values() for name in group]
    described = []
    for name in sorted({"corpus.yaml", "pairs.jsonl", *names}):
        path = corpus.root / name
        described.append({"path": name, "bytes": path.stat().st_size, "sha256": parquet.sha256(path)})
    return described


def _same(old: Any, new: Any) -> bool:
    return orjson.dumps(old, option=orjson.OPT_SORT_KEYS) == orjson.dumps(new, option=orjson.OPT_SORT_KEYS)


def _refuse_change(dataset: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name in SAME:
        if name in now and not _same(before.get(name), now[name]):
            raise UserError(
                f"{dataset} holds a dataset, and {CALLED[name]} changed since it was built. "
                "Pass --update to rebuild what changed, or choose another folder."
            )


def _is_whole(dataset: Path, before: Mapping[str, Any], by_content: bool) -> bool:
    """Whether every output is as it was written: of its size, and, for an update, of its digest.

    Raises:
        UserError: one is not, and nobody asked for an update, which would make it again.
    """
    for entry in before["outputs"]:
        path = dataset / entry["path"]
        whole = path.is_file() and path.stat().st_size == entry["bytes"]
        if by_content and not (whole and parquet.sha256(path) == entry["sha256"]):
            return False
        if not whole:
            raise UserError(f"{path} is missing or damaged. Pass --update to make it again.")
    return True


def _up_to_date(space: Workspace, before: Mapping[str, Any], running: Running) -> Summary:
    path = space.dataset / outputs.REJECTED
    bad = list(faults(path))
    if running.strict and bad:
        raise UserError(f"{bad[0]['file']}, row {bad[0]['row']}: {bad[0]['message']} (--strict)")
    if running.max_rejected is not None and len(bad) > running.max_rejected:
        allowed = f"--max-rejected {running.max_rejected}"
        raise UserError(f"{len(bad)} things were set aside, more than {allowed}. Every reason is in {path}.")
    space.discard()
    kept = sum(split["shards"] for split in before["splits"].values())
    return Summary(space.dataset, True, before["stages"], before["splits"], before["rejected"], 0, kept, warnings=[])

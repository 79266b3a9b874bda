"""What every stage of a build is handed: the corpus, where it works, the options, who watches, who takes rejections."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from annotation.corpus import Corpus
from annotation.records import Rejection
from editfhf import executors
from editfhf.build import pictures
from editfhf.build.options import BuildOptions
from editfhf.build.spool import RejectionLog
from editfhf.build.workspace import Workspace
from mos.errors import UserError

# Things set aside in the ordinary course of a campaign: no reason to stop a strict build, nor to count as rejected.
ROUTINE = frozenset({"cancelled", "not_final", "flagged", "pair_rejected", "superseded"})


class Watcher(Protocol):
    """Sees the progress of a build."""

    def begin(self, stage: str, total: int | None) -> None: ...
    def advance(self, count: int = 1) -> None: ...


class Silent:
    """Nobody watches."""

    def begin(self, stage: str, total: int | None) -> None:
        return

    def advance(self, count: int = 1) -> None:
        return


@dataclass(frozen=True)
class Running:
    """How a build is run: nothing here changes a byte of the dataset."""

    workers: int | None = None
    executor: executors.Kind = "local"
    scheduler: str | None = None
    strict: bool = False
    max_rejected: int | None = None
    update: bool = False
    cache: Path | None = field(default_factory=pictures.cache_file)


@dataclass(frozen=True)
class Summary:
    """What a build did, for whoever started it."""

    dataset: Path
    up_to_date: bool
    stages: list[dict[str, Any]]
    splits: dict[str, dict[str, int]]
    rejected: dict[str, Any]
    shards_made: int
    shards_kept: int
    warnings: list[str]


class Judge:
    """Takes every rejection; in a strict build the first that is somebody's mistake ends it."""

    def __init__(self, log: RejectionLog, strict: bool) -> None:
        self._log = log
        self._strict = strict

    def __call__(self, rejection: Rejection, named: bool = False) -> None:
        if self._strict and not rejection.repaired and rejection.reason not in ROUTINE:
            raise UserError(f"{rejection.file}, row {rejection.row}: {rejection.message} (--strict)")
        self._log.add([rejection], named)


@dataclass(frozen=True)
class Context:
    corpus: Corpus
    space: Workspace
    options: BuildOptions
    running: Running
    watcher: Watcher
    log: RejectionLog
    reject: Judge

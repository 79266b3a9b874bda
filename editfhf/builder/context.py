"""What every step of a build needs, how a build is run, and the summary of what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from annotation.corpus import Corpus
from editfhf import executors
from editfhf.builder.check_images import image_cache_path
from editfhf.builder.options import BuildOptions
from editfhf.builder.rejections import RejectionSink
from editfhf.builder.workspace import BuildWorkspace
from editfhf.display import format_html_table
from mos.console import Progress


@dataclass(frozen=True)
class BuildRunOptions:
    """How a build is run; nothing here changes a byte of the dataset.

    Parameters
    ----------
    workers
        Worker processes; all cores when None.
    executor, scheduler
        "local", or "dask" with the address of a scheduler.
    strict
        Raise at the first unexpected rejection.
    max_rejected
        Raise when there are more unexpected rejections.
    update
        Rebuild what changed in an existing dataset.
    cache
        File that remembers which images are good; None for no file.
    """

    workers: int | None = None
    executor: executors.ExecutorKind = "local"
    scheduler: str | None = None
    strict: bool = False
    max_rejected: int | None = None
    update: bool = False
    cache: Path | None = field(default_factory=image_cache_path)


@dataclass(frozen=True)
class BuildSummary:
    """What a build did.

    Attributes
    ----------
    dataset : Path
        Folder of the dataset.
    up_to_date : bool
        True when nothing had to be built.
    stages : list of dict
        One row per step: `stage` (name of the step), `in`, `out`, `set_aside` (count of rejections) and `reasons`.
    splits : dict
        Counts of pairs, sources, shards and bytes by split.
    rejected : dict
        `total` of the rejections, and counts `by_reason`.
    shards_made, shards_kept : int
        Shards that were written now, and shards of an earlier build that were reused.
    warnings : list of str
        Sentences for a person to check.
    """

    dataset: Path
    up_to_date: bool
    stages: list[dict[str, Any]]
    splits: dict[str, dict[str, int]]
    rejected: dict[str, Any]
    shards_made: int
    shards_kept: int
    warnings: list[str]

    def __repr__(self) -> str:
        pairs = sum(split["pairs"] for split in self.splits.values())
        splits = ", ".join(f"{name} {split['pairs']:,}" for name, split in self.splits.items())
        state = ", up to date" if self.up_to_date else ""
        return (
            f"BuildSummary({str(self.dataset)!r}: {pairs:,} pairs ({splits}), {self.rejected['total']:,} rejected, "
            f"{len(self.warnings)} warnings{state})"
        )

    def _repr_html_(self) -> str:
        rows = [
            (step["stage"], step["in"], step["out"], step["set_aside"], _format_reasons(step["reasons"]))
            for step in self.stages
        ]
        warnings = "".join(f"<li>{escape(warning)}</li>" for warning in self.warnings)
        table = format_html_table(("step", "in", "out", "rejected", "reasons"), rows)
        return f"<p>{escape(repr(self))}</p>{table}" + (f"<ul>{warnings}</ul>" if warnings else "")


def _format_reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())


@dataclass(frozen=True)
class BuildContext:
    """What every step of a build needs: corpus, working folder, options, progress, and where rejections go."""

    corpus: Corpus
    space: BuildWorkspace
    options: BuildOptions
    running: BuildRunOptions
    progress: Progress
    reject: RejectionSink

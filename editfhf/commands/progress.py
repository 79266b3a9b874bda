"""What a build shows: bars on stderr while it runs, a summary afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from editfhf.build import Preview, Silent, Summary, Watcher

SHOWN = 20


@contextmanager
def watching(quiet: bool) -> Iterator[Watcher]:
    """Somebody who watches a build: bars on stderr, or nobody."""
    if quiet:
        yield Silent()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<26}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = _Bars(progress)
        yield bars
        bars.close()


class _Bars:
    """One bar a stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, stage: str, total: int | None) -> None:
        self.close()
        self._task = self._progress.add_task(stage, total=total)

    def advance(self, count: int = 1) -> None:
        if self._task is not None:
            self._progress.advance(self._task, count)

    def close(self) -> None:
        if self._task is not None:
            task = self._progress.tasks[-1]
            done = task.total if task.total is not None else 1
            self._progress.update(self._task, total=done, completed=done)


def print_summary(summary: Summary, as_json: bool) -> None:
    """What was built, what was set aside and why, and what to look at."""
    if as_json:
        typer.echo(orjson.dumps({**asdict(summary), "dataset": str(summary.dataset)}).decode())
        return
    say = _plain()
    if summary.up_to_date:
        say(f"{summary.dataset} is up to date: same corpus, options and version.")
        return
    Console().print(_stages(summary.stages))
    splits = ", ".join(f"{name} {split['pairs']}" for name, split in summary.splits.items())
    say(f"Pairs by split: {splits}.  Shards: {summary.shards_made} made, {summary.shards_kept} kept.")
    for warning in summary.warnings:
        say(f"! {warning}")
    if summary.rejected["total"]:
        say(f"{summary.rejected['total']} set aside: see {summary.dataset / 'rejected.jsonl'}")
    say(f"Report:  {summary.dataset / 'report.html'}")
    say(f"Load it: datasets.load_dataset({str(summary.dataset)!r})")


def print_preview(found: Preview, dataset: Path, as_json: bool) -> None:
    """What a build would do."""
    if as_json:
        typer.echo(orjson.dumps(asdict(found)).decode())
        return
    say = _plain()
    Console().print(_stages(found.stages))
    splits = ", ".join(f"{name} {count}" for name, count in found.splits.items())
    say(f"Would write {found.shards} shards, about {found.bytes / 1e6:,.0f} MB of pictures, to {dataset}.")
    say(f"Pairs by split: {splits}.")
    for warning in found.warnings:
        say(f"! {warning}")
    for rejection in found.rejections[:SHOWN]:
        say(f"{rejection.file}, row {rejection.row}: {rejection.message}")
    if len(found.rejections) > SHOWN:
        say(f"... and {len(found.rejections) - SHOWN} more set aside (--json lists them all)")


def _plain() -> Callable[[str], None]:
    """Prints text as it is: paths and messages of a corpus may hold what would pass for markup."""
    return partial(Console().print, markup=False, highlight=False, soft_wrap=True)


def _stages(stages: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, justify in (("stage", "left"), ("in", "right"), ("out", "right"), ("set aside", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("why")
    for row in stages:
        reasons = ", ".join(f"{reason} {count}" for reason, count in row["reasons"].items())
        table.add_row(row["stage"], f"{row['in']:,}", f"{row['out']:,}", f"{row['set_aside']:,}", reasons)
    return table

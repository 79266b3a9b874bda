"""What a build shows: bars on stderr while it runs, a summary afterwards."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

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

from editfhf.build import Preview, Summary

SHOWN = 20


class Bars:
    """A watcher that draws one bar a stage."""

    def __init__(self, quiet: bool) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<26}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._close()
        self._progress.stop()

    def begin(self, stage: str, total: int | None) -> None:
        self._close()
        self._task = self._progress.add_task(stage, total=total)

    def advance(self, count: int = 1) -> None:
        if self._task is not None:
            self._progress.advance(self._task, count)

    def _close(self) -> None:
        if self._task is not None:
            task = self._progress.tasks[-1]
            done = task.total if task.total is not None else 1
            self._progress.update(self._task, total=done, completed=done)


def print_summary(summary: Summary, as_json: bool) -> None:
    """What was built, what was set aside and why, and what to look at."""
    if as_json:
        import orjson

        typer.echo(orjson.dumps({**asdict(summary), "dataset": str(summary.dataset)}).decode())
        return
    console = Console()
    if summary.up_to_date:
        console.print(f"[bold]{summary.dataset}[/] is up to date: same corpus, options and version.")
        return
    console.print(_stages(summary.stages))
    splits = ", ".join(f"{name} {split['pairs']}" for name, split in summary.splits.items())
    console.print(f"Pairs by split: {splits}.  Shards: {summary.shards_made} made, {summary.shards_kept} kept.")
    for warning in summary.warnings:
        console.print(f"[yellow]![/] {warning}")
    if summary.rejected["total"]:
        console.print(f"{summary.rejected['total']} set aside: see {summary.dataset / 'rejected.jsonl'}")
    console.print(f"Report:  {summary.dataset / 'report.html'}")
    console.print(f"Load it: datasets.load_dataset({str(summary.dataset)!r})", markup=False, highlight=False)


def print_preview(found: Preview, dataset: Path, as_json: bool) -> None:
    """What a build would do."""
    if as_json:
        import orjson

        typer.echo(orjson.dumps(asdict(found)).decode())
        return
    console = Console()
    console.print(_stages(found.stages))
    splits = ", ".join(f"{name} {count}" for name, count in found.splits.items())
    console.print(f"Would write {found.shards} shards, about {found.bytes / 1e6:,.0f} MB of pictures, to {dataset}.")
    console.print(f"Pairs by split: {splits}.")
    for warning in found.warnings:
        console.print(f"[yellow]![/] {warning}")
    for rejection in found.rejections[:SHOWN]:
        console.print(f"{rejection.file}, row {rejection.row}: {rejection.message}", markup=False, highlight=False)
    if len(found.rejections) > SHOWN:
        console.print(f"... and {len(found.rejections) - SHOWN} more set aside (--json lists them all)")


def _stages(stages: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, justify in (("stage", "left"), ("in", "right"), ("out", "right"), ("set aside", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("why")
    for row in stages:
        reasons = ", ".join(f"{reason} {count}" for reason, count in row["reasons"].items())
        table.add_row(row["stage"], f"{row['in']:,}", f"{row['out']:,}", f"{row['set_aside']:,}", reasons)
    return table

"""Print the summary and the preview of a build, as tables or JSON on stdout."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from editfhf.builder import BuildPreview, BuildSummary
from editfhf.dataset import describe_loading
from mos.console import make_console, print_json, print_line

MAX_REJECTIONS_SHOWN = 20


def print_build_summary(summary: BuildSummary, as_json: bool) -> None:
    """Print what was built, what was rejected and why, and where to look next."""
    if as_json:
        print_json({**asdict(summary), "dataset": str(summary.dataset)}, indent=False)
        return
    if summary.up_to_date:
        print_line(f"{summary.dataset} is up to date: same corpus, options and version.")
        return
    make_console().print(_step_table(summary.stages))
    splits = ", ".join(f"{name} {split['pairs']}" for name, split in summary.splits.items())
    print_line(f"Pairs by split: {splits}.  Shards: {summary.shards_made} made, {summary.shards_kept} kept.")
    for warning in summary.warnings:
        print_line(f"! {warning}")
    if summary.rejected["total"]:
        print_line(f"{summary.rejected['total']} rejected: see {summary.dataset / 'rejected.jsonl'}")
    print_line(f"Report:  {summary.dataset / 'report.html'}")
    print_line(f"Load it: {describe_loading(summary.dataset)}")


def print_build_preview(found: BuildPreview, dataset: Path, as_json: bool) -> None:
    """Print what a build would do."""
    if as_json:
        print_json(asdict(found), indent=False)
        return
    if found.problem is None:
        _print_planned_dataset(found, dataset)
    for warning in found.warnings:
        print_line(f"! {warning}")
    for rejection in found.rejections[:MAX_REJECTIONS_SHOWN]:
        print_line(f"{rejection.file}, row {rejection.row}: {rejection.message}")
    if len(found.rejections) > MAX_REJECTIONS_SHOWN:
        print_line(f"... and {len(found.rejections) - MAX_REJECTIONS_SHOWN} more rejections (--json lists them all)")


def _print_planned_dataset(found: BuildPreview, dataset: Path) -> None:
    make_console().print(_step_table(found.stages))
    splits = ", ".join(f"{name} {count}" for name, count in found.splits.items())
    print_line(f"Would write {found.shards} shards, about {found.bytes / 1e6:,.0f} MB of images, to {dataset}.")
    print_line(f"Pairs by split: {splits}.")


def _step_table(stages: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, justify in (("step", "left"), ("in", "right"), ("out", "right"), ("rejected", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("reasons")
    for row in stages:
        reasons = ", ".join(f"{reason} {count}" for reason, count in row["reasons"].items())
        table.add_row(row["stage"], f"{row['in']:,}", f"{row['out']:,}", f"{row['set_aside']:,}", reasons)
    return table

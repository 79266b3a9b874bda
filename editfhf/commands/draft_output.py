"""What `editfhf draft` shows: a bar with money and time left on stderr, tables or JSON on stdout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
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
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from editfhf.chat import Prices, Usage
from editfhf.drafting.checks import CHECKS, Issue
from editfhf.drafting.drafts_file import FOLDER, REJECTED, usage_row
from editfhf.drafting.estimate import Estimate
from editfhf.drafting.plan import Left
from editfhf.drafting.report import Report, Share, rows
from editfhf.drafting.requests import Asking
from editfhf.drafting.running import Summary, Watcher
from mos.errors import UserError

INTERRUPTED = 130
SHOWN = 50
WIDE = 150


@contextmanager
def watching(quiet: bool, money: bool = True) -> Iterator[Watcher]:
    """Somebody who watches a run: a bar on stderr, or nobody."""
    if quiet:
        yield _Nobody()
        return
    columns = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *([TextColumn("{task.fields[spent]}")] if money else []),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress)


class _Nobody:
    def begin(self, what: str, regions: int) -> None:
        return

    def advance(self, regions: int) -> None:
        return

    def spent(self, usage: Usage) -> None:
        return


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("Looking", total=None, spent="")

    def begin(self, what: str, regions: int) -> None:
        self._progress.reset(self._task, description=what, total=regions)

    def advance(self, regions: int) -> None:
        self._progress.advance(self._task, regions)

    def spent(self, usage: Usage) -> None:
        self._progress.update(self._task, spent=f"{money(usage)} spent")


def money(usage: Usage) -> str:
    """
    >>> money(Usage())
    '$0.00'
    """
    return "price unknown" if usage.cost is None else f"${usage.cost:,.2f}"


def print_estimate(found: Estimate, left: Left, asking: Asking, prices: Prices, batch: bool, as_json: bool) -> None:
    """What a run would ask about and cost."""
    factor = prices.batch_factor if batch else 1
    if as_json:
        data = {
            "regions": found.regions,
            "requests": found.requests,
            "bad_pictures": found.bad_pictures,
            "most": usage_row(found.most),
            "typical": usage_row(found.typical),
            "price_factor": float(factor),
            "model": asking.model,
            "prompt_version": asking.prompt.name,
            "left_out": _left_row(left),
        }
        typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
        return
    typer.echo(f"Would ask {asking.model} about {found.regions:,} regions in {found.requests:,} requests.")
    for name, usage in (("At most", found.most), ("Typically", found.typical)):
        cost = "price unknown" if usage.cost is None else f"${usage.cost * factor:,.2f}"
        typer.echo(f"{name}: {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, {cost}.")
    typer.echo("Replies that have to be asked for again, and thinking, cost more than what is typical.")
    if found.most.cost is None:
        typer.echo(f"The price of {asking.model} is not in the table: copy prices.yaml, add it, and name it: --prices.")
    if found.bad_pictures:
        typer.echo(f"{found.bad_pictures:,} regions cannot be asked about: a picture cannot be used.")
    _print_left(left)


def print_summary(summary: Summary, corpus: Path, as_json: bool) -> None:
    """What a run did."""
    tally = summary.tally
    if as_json:
        data = {
            "drafted": tally.drafted,
            "set_aside": dict(sorted(tally.set_aside.items())),
            "second_requests": tally.second_requests,
            "strays": tally.strays,
            "interrupted": tally.interrupted,
            "over_budget": tally.over_budget,
            "usage": usage_row(summary.usage),
            "left_out": _left_row(summary.left),
        }
        typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
        return
    typer.echo(f"{tally.drafted:,} regions drafted: {corpus / 'drafts.jsonl'}")
    if tally.set_aside:
        reasons = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in tally.set_aside.most_common())
        typer.echo(f"{tally.set_aside.total():,} set aside ({reasons}): {corpus / FOLDER / REJECTED}")
    if tally.strays:
        typer.echo(f"{tally.strays:,} entries about regions that were not asked about were passed over.")
    usage = summary.usage
    typer.echo(
        f"This corpus so far: {usage.requests:,} requests, {usage.input_tokens:,} tokens in "
        f"({usage.cached_tokens:,} cached), {usage.output_tokens:,} out, {money(usage)}."
    )
    _print_left(summary.left)


def leave(summary: Summary) -> None:
    """End with the status that a run deserves: a sentence when something is left to do."""
    tally = summary.tally
    if tally.interrupted:
        raise typer.Exit(INTERRUPTED)
    if tally.over_budget:
        raise UserError(f"Stopped before the budget: {tally.over_budget} Raise it and run the command again.")
    if tally.set_aside["failed"]:
        raise UserError(f"{tally.set_aside['failed']:,} regions got no answer. Run the command again to ask once more.")


def print_issues(drafts: int, issues: Sequence[Issue], as_json: bool) -> None:
    """Doubtful drafts as a table."""
    if as_json:
        data = {"drafts": drafts, "issues": [asdict(issue) for issue in issues]}
        typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
        return
    table = Table("Pair", "Region", "Check", "Reason")
    for issue in issues[:SHOWN]:
        # Text, not markup: ids come from outside.
        table.add_row(*(Text(word) for word in (issue.pair_id, issue.region_id, issue.check, issue.reason)))
    if issues:
        _console().print(table)
    if len(issues) > SHOWN:
        typer.echo(f"... and {len(issues) - SHOWN} more: see them with --json.")
    counts = Counter(issue.check for issue in issues)
    doubtful = len({(issue.pair_id, issue.region_id) for issue in issues})
    typer.echo(f"{doubtful:,} of {drafts:,} drafts are doubtful.")
    for check, meaning in CHECKS.items():
        if counts[check]:
            typer.echo(f"{check} {counts[check]:,}: {meaning}")


def print_report(report: Report, as_json: bool) -> None:
    """Drafts against final texts."""
    if as_json:
        typer.echo(orjson.dumps(report.as_dict(), option=orjson.OPT_INDENT_2).decode())
        return
    table = Table("Group", "Name", box=None, header_style="bold", pad_edge=False)
    for name in ("drafts", "final", "accepted as it was", "same text", "edit distance", "other type", "other severity"):
        table.add_column(name, justify="right")
    for group, row in rows(report):
        table.add_row(
            group.replace("_", " "),
            Text(row.name.replace("_", " ")),
            f"{row.drafts:,}",
            f"{row.decided:,}",
            *(_share(value) for value in (row.accepted, row.same_text)),
            "–" if row.mean_distance is None else f"{row.mean_distance:.2f}",
            *(_share(value) for value in (row.changed_type, row.changed_severity)),
        )
    _console().print(table)
    if not report.whole.decided:
        typer.echo("No region with a draft has a final text yet.")
    if report.gone:
        typer.echo(f"{report.gone:,} drafts are of regions that are not accepted any more.")


def _share(value: Share) -> str:
    if value.share is None:
        return "–"
    return f"{100 * value.share:.0f} % ({100 * value.low:.0f} to {100 * value.high:.0f})"


def _left_row(left: Left) -> dict[str, Any]:
    return {
        "unfinished_pairs": left.skipped.unfinished,
        "pairs_with_bad_pictures": left.skipped.bad_picture,
        "pairs_without_regions": left.skipped.without_regions,
        "with_text": left.texts,
        "with_draft": left.drafted,
        "set_aside_before": left.set_aside,
        "under_review": left.reviewed,
    }


def _print_left(left: Left) -> None:
    pairs = (
        (left.skipped.unfinished, "pairs are not marked and reviewed to the end"),
        (left.skipped.bad_picture, "pairs have a picture that cannot be used"),
        (left.texts, "regions have a text"),
        (left.drafted, "have a draft"),
        (left.reviewed, "are under review"),
        (left.set_aside, "were set aside before (--redo failed attempts them again)"),
    )
    said = [f"{count:,} {what}" for count, what in pairs if count]
    if said:
        typer.echo(f"Left out: {', '.join(said)}.")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)

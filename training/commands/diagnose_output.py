"""Print diagnoses as tables or JSON on stdout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.table import Table
from rich.text import Text

from annotation.records import KINDS
from mos.console import print_json, print_line, table_console
from mos.errors import UserError
from mos.words import format_decimal, format_identifier, format_quantity
from training.diagnosis.batch import REJECTED_FILE, BatchSummary
from training.diagnosis.result import DIAGNOSIS_FILES, Diagnosis, describe_finding, format_score

SHOWN_PAIRS = 5
"""Pairs of a batch that are listed."""


def print_diagnosis(diagnosis: Diagnosis, out: Path | None, as_json: bool) -> None:
    """Print scores and findings of one pair, and where its files are."""
    if as_json:
        print_json(diagnosis.as_dict())
        return
    console = table_console()
    scores = Table("Score", "0 to 100", box=None, header_style="bold", pad_edge=False)
    for score in diagnosis.scores:
        scores.add_row(format_identifier(score.dimension), Text(format_score(score)))
    scores.add_row(Text("overall", "bold"), Text(format_decimal(diagnosis.overall), "bold"))
    console.print(scores)
    print_line()
    if diagnosis.is_clean:
        print_line("No flaw found: neither map reaches its threshold.")
    else:
        counts = " and ".join(format_quantity(len(diagnosis.regions[kind]), f"{kind} region") for kind in KINDS)
        print_line(f"{counts}:")
        console.print(_list_findings(diagnosis))
    if out is not None:
        print_line(f"Written to {out}: {', '.join(DIAGNOSIS_FILES)}")


def _list_findings(diagnosis: Diagnosis) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "Box", "Flaw type", "Severity"):
        table.add_column(name, no_wrap=True)
    table.add_column("What is wrong", overflow="fold")
    for label, finding in diagnosis.labelled_findings():
        x0, y0, x1, y1 = (round(edge) for edge in finding.box)
        flaw_type = format_identifier(finding.flaw_type) if finding.flaw_type else "–"
        severity = finding.severity or "–"
        # Text, not markup: a rationale may come from a model.
        words = (label, f"{x0},{y0} to {x1},{y1}", flaw_type, severity, describe_finding(finding))
        table.add_row(*map(Text, words))
    return table


def print_batch(summary: BatchSummary, out: Path, as_json: bool) -> None:
    """Print the mean scores of a batch, its lowest pairs, and what was left out."""
    content = summary.as_dict()
    if as_json:
        print_json(content)
        return
    scores = Table("Score", "Mean", "Pairs", box=None, header_style="bold", pad_edge=False)
    for name, score in content["scores"].items():
        scores.add_row(format_identifier(name), format_decimal(score["mean"]), f"{score['count']:,}")
    console = table_console()
    console.print(scores)
    rows = sorted(summary.rows, key=lambda row: (row["overall"] is None, row["overall"] or 0.0, row["pair_id"]))
    table = Table("Lowest pairs", "Overall", "Artifacts", "Failures", box=None, header_style="bold", pad_edge=False)
    for row in rows[:SHOWN_PAIRS]:
        counts = [f"{row[f'{kind}_regions']:,}" for kind in KINDS]
        table.add_row(Text(row["pair_id"]), format_decimal(row["overall"]), *counts)
    if rows:
        print_line()
        console.print(table)
        print_line()
    kept = f", {summary.kept:,} of them by an earlier run" if summary.kept else ""
    print_line(f"{format_quantity(len(rows), 'pair')} diagnosed{kept}, {content['clean']:,} without a flaw: {out}")
    incomplete = sum(not row["complete"] for row in rows)
    if incomplete:
        print_line(f"{format_quantity(incomplete, 'pair')} lack an answer of an agent: run the command again.")
    if summary.rejections:
        print_line(f"{len(summary.rejections):,} rejected, with reasons: {out / REJECTED_FILE}")


def fail_below_limit(overall_scores: Iterable[tuple[str, float | None]], limit: float) -> None:
    """UserError if an overall score is lower than the limit, or missing: a guard that cannot see must not open.

    overall_scores: name of each image as the beginning of a sentence, and its score
    """
    failed = [
        f"{name} has no overall score" if overall is None else f"{name} has the overall score {overall:.1f}"
        for name, overall in overall_scores
        if overall is None or overall < limit
    ]
    if failed:
        more = f" ({len(failed) - 1:,} more are below or missing)" if len(failed) > 1 else ""
        raise UserError(f"{failed[0]}, but --fail-below asks for {limit:g}{more}.")

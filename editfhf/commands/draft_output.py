"""Print the results of `editfhf draft` as tables or JSON on stdout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from editfhf.chat import Prices, format_cost
from editfhf.cli import EXIT_INTERRUPTED
from editfhf.drafting.checks import DRAFT_CHECKS, DraftIssue
from editfhf.drafting.drafts_file import DRAFTING_FOLDER, REJECTED_DRAFTS_FILE, usage_json
from editfhf.drafting.plan import DraftCostEstimate, LeftOutRegions
from editfhf.drafting.report import DraftReport, WilsonShare, draft_report_rows
from editfhf.drafting.requests import DraftRequestOptions
from editfhf.drafting.run import DraftSummary
from mos.console import print_json, print_line, table_console
from mos.errors import UserError
from mos.rejections import ROW_REJECTION_KEYS, Rejection, rejection_as_dict
from mos.words import format_decimal, format_percent

MAX_ISSUES_SHOWN = 50


def print_draft_estimate(
    estimate: DraftCostEstimate,
    left: LeftOutRegions,
    request_options: DraftRequestOptions,
    prices: Prices,
    batch: bool,
    as_json: bool,
) -> None:
    """Print the estimate of a run."""
    factor = prices.batch_factor if batch else 1
    if as_json:
        data = {
            "regions": estimate.regions,
            "requests": estimate.requests,
            "bad_pictures": estimate.bad_images,
            "most": usage_json(estimate.maximum),
            "typical": usage_json(estimate.typical),
            "price_factor": float(factor),
            "model": request_options.model,
            "prompt_version": request_options.prompt.name,
            "left_out": _left_out_row(left),
        }
        print_json(data)
        return
    print_line(f"Would send {estimate.regions:,} regions in {estimate.requests:,} requests.")
    for name, usage in (("At most", estimate.maximum), ("Typically", estimate.typical)):
        cost = "price unknown" if usage.cost is None else f"${usage.cost * factor:,.2f}"
        print_line(f"{name}: {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, {cost}.")
    print_line("Repeated replies and reasoning tokens cost more than the typical estimate.")
    if estimate.maximum.cost is None:
        print_line(
            f"The price table has no {request_options.model}: add it to a copy of prices.yaml, and use --prices FILE."
        )
    if estimate.bad_images:
        print_line(f"{estimate.bad_images:,} regions are left out: an image cannot be used.")
    _print_left_out(left)


def print_draft_summary(summary: DraftSummary, corpus: Path, as_json: bool) -> None:
    """Print the summary of a run."""
    tally = summary.tally
    if as_json:
        data = {
            "drafted": tally.drafted,
            "set_aside": dict(sorted(tally.rejected.items())),
            "second_requests": tally.second_requests,
            "strays": tally.strays,
            "interrupted": tally.interrupted,
            "over_budget": tally.over_budget,
            "usage": usage_json(summary.usage),
            "left_out": _left_out_row(summary.left),
        }
        print_json(data)
        return
    print_line(f"{tally.drafted:,} regions drafted: {corpus / 'drafts.jsonl'}")
    if tally.rejected:
        reasons = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in tally.rejected.most_common())
        print_line(
            f"{tally.rejected.total():,} rejected ({reasons}): {corpus / DRAFTING_FOLDER / REJECTED_DRAFTS_FILE}"
        )
    if tally.strays:
        print_line(f"{tally.strays:,} entries about other regions were ignored.")
    usage = summary.usage
    print_line(
        f"This corpus so far: {usage.requests:,} requests, {usage.input_tokens:,} tokens in "
        f"({usage.cached_tokens:,} cached), {usage.output_tokens:,} out, {format_cost(usage)}."
    )
    _print_left_out(summary.left)


def exit_with_status(summary: DraftSummary) -> None:
    """Exit with a message if the run is not complete: 130 after a signal, 1 for the budget or failed requests."""
    tally = summary.tally
    if tally.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if tally.over_budget:
        raise UserError(f"Stopped by the budget: {tally.over_budget} Raise the limit and run the command again.")
    if tally.rejected["failed"]:
        raise UserError(f"{tally.rejected['failed']:,} regions got no answer. Run the command again to retry them.")


def print_draft_issues(drafts: int, issues: Sequence[DraftIssue], unused: Sequence[Rejection], as_json: bool) -> None:
    """Print doubtful drafts as a table, and the lines that nobody uses as sentences."""
    if as_json:
        lines = [rejection_as_dict(line, ROW_REJECTION_KEYS) for line in unused]
        data = {"drafts": drafts, "issues": [asdict(issue) for issue in issues], "unused": lines}
        print_json(data)
        return
    table = Table("Pair", "Region", "Check", "Reason")
    for issue in issues[:MAX_ISSUES_SHOWN]:
        # Text, not markup: ids are untrusted.
        table.add_row(*(Text(word) for word in (issue.pair_id, issue.region_id, issue.check, issue.reason)))
    if issues:
        table_console().print(table)
    if len(issues) > MAX_ISSUES_SHOWN:
        print_line(f"... and {len(issues) - MAX_ISSUES_SHOWN} more: see them with --json.")
    for line in unused[:MAX_ISSUES_SHOWN]:
        print_line(f"{line.file}, line {line.row}: {line.message}", to_stderr=True)
    if len(unused) > MAX_ISSUES_SHOWN:
        print_line(f"... and {len(unused) - MAX_ISSUES_SHOWN} more such lines: see them with --json.", to_stderr=True)
    counts = Counter(issue.check for issue in issues)
    doubtful = len({(issue.pair_id, issue.region_id) for issue in issues})
    print_line(f"{doubtful:,} of {drafts:,} drafts are doubtful.")
    for check, meaning in DRAFT_CHECKS.items():
        if counts[check]:
            print_line(f"{check} {counts[check]:,}: {meaning}")


def print_draft_report(report: DraftReport, as_json: bool) -> None:
    """Print the comparison of drafts with final texts."""
    if as_json:
        print_json(report.as_dict())
        return
    table = Table("Group", "Name", box=None, header_style="bold", pad_edge=False)
    for name in ("drafts", "final", "accepted unchanged", "same text", "edit distance", "other type", "other severity"):
        table.add_column(name, justify="right")
    for group, row in draft_report_rows(report):
        table.add_row(
            group.replace("_", " "),
            Text(row.name.replace("_", " ")),
            f"{row.drafts:,}",
            f"{row.decided:,}",
            *(_format_share(value) for value in (row.accepted, row.same_text)),
            format_decimal(row.mean_distance, 2),
            *(_format_share(value) for value in (row.changed_type, row.changed_severity)),
        )
    table_console().print(table)
    if not report.whole.decided:
        print_line("No region with a draft has a final text yet.")
    if report.gone:
        print_line(f"{report.gone:,} drafts are of regions that are no longer accepted.")


def _format_share(value: WilsonShare) -> str:
    if value.share is None:
        return "–"
    return f"{format_percent(value.share)} ({100 * value.low:.0f} to {100 * value.high:.0f})"


def _left_out_row(left: LeftOutRegions) -> dict[str, Any]:
    return {
        "unfinished_pairs": left.skipped.unfinished,
        "pairs_with_bad_pictures": left.skipped.bad_image,
        "pairs_without_regions": left.skipped.without_regions,
        "with_text": left.with_text,
        "with_draft": left.with_draft,
        "set_aside_before": left.rejected,
        "under_review": left.under_review,
    }


def _print_left_out(left: LeftOutRegions) -> None:
    counts = (
        (left.skipped.unfinished, "pairs whose regions are not final"),
        (left.skipped.bad_image, "pairs with an unusable image"),
        (left.with_text, "regions with a text"),
        (left.with_draft, "with a draft"),
        (left.under_review, "under review"),
        (left.rejected, "rejected before (--redo failed attempts them again)"),
    )
    listed = [f"{count:,} {description}" for count, description in counts if count]
    if listed:
        print_line(f"Left out: {', '.join(listed)}.")

"""`editfhf validate`: check a corpus or a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import make_console, print_json, print_line
from mos.words import escape_to_one_line

if TYPE_CHECKING:
    from editfhf.validation import ValidationReport


def run_validate(
    path: Annotated[Path, typer.Argument(help="A corpus, or a dataset that `editfhf build` wrote.")],
    deep: Annotated[bool, typer.Option("--deep", help="Also decode every image (slow).")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON on stdout.")] = False,
) -> None:
    """Check a corpus before it is built, or a dataset after it.

    A dataset: every file against its digest, every row against the other tables, and every saliency map against a
    map rendered again from the disks. A corpus: everything that a build would reject. Exit status 1 if there is an
    error.

    Examples:

        editfhf validate demo/corpus

        editfhf validate demo/dataset --deep --json
    """
    import editfhf

    report = editfhf.validate(path, deep=deep, progress=not json and sys.stderr.isatty())
    errors, findings = len(report.errors), report.findings
    if json:
        print_json([finding._asdict() for finding in findings])
    else:
        _print_findings(report)
        counts = f"{errors} errors, {len(findings) - errors} warnings." if findings else "no errors, no warnings."
        print_line(f"{path}: {counts}")
    if errors:
        raise typer.Exit(1)


def _print_findings(report: ValidationReport) -> None:
    if not report.findings:
        return
    from rich.table import Table
    from rich.text import Text

    from editfhf.validation import MAX_FINDINGS_SHOWN

    table = Table("Severity", "Where", "Message")
    for finding in report.findings[:MAX_FINDINGS_SHOWN]:
        # Text, not markup: names come from outside.
        colour = "red" if finding.severity == "error" else "yellow"
        message = Text(escape_to_one_line(finding.message))
        table.add_row(Text(finding.severity, colour), Text(escape_to_one_line(finding.where)), message)
    make_console().print(table)
    if len(report.findings) > MAX_FINDINGS_SHOWN:
        print_line(f"... and {len(report.findings) - MAX_FINDINGS_SHOWN} more: see them with --json.")

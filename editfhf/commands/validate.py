"""`editfhf validate`: is a corpus ready to be built, is a dataset what it says it is?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mos.errors import UserError
from mos.terminal import printable

if TYPE_CHECKING:
    from editfhf.validation import Issue

SHOWN = 50


def validate(
    path: Annotated[Path, typer.Argument(help="A corpus, or a dataset that `editfhf build` wrote.")],
    deep: Annotated[bool, typer.Option("--deep", help="Decode every image as well. Slow.")] = False,
    json: Annotated[bool, typer.Option("--json", help="All issues as JSON on stdout.")] = False,
) -> None:
    """Check a corpus before it is built, or a dataset after it.

    A dataset: every file against its digest, every row against the others, and every saliency map drawn again from
    the points. A corpus: everything that a build would set aside. Exit status 1 when there is an error.

    Examples:

        editfhf validate demo/corpus

        editfhf validate demo/dataset --deep --json
    """
    issues = _issues(path, deep)
    errors = sum(issue.severity == "error" for issue in issues)
    if json:
        import orjson

        typer.echo(orjson.dumps([issue._asdict() for issue in issues], option=orjson.OPT_INDENT_2).decode())
    else:
        _show(issues)
        typer.echo(f"{path}: {errors} errors, {len(issues) - errors} warnings." if issues else f"{path}: all is well.")
    if errors:
        raise typer.Exit(1)


def _issues(path: Path, deep: bool) -> Sequence[Issue]:
    if (path / "manifest.json").is_file():
        from editfhf.validation import check_dataset

        with _Counter("Checked rows") as counter:
            return check_dataset(path, deep=deep, progress=counter)
    if any((path / name).is_file() for name in ("corpus.yaml", "pairs.jsonl")):
        return _corpus_issues(path)
    raise UserError(
        f"{path} is neither a corpus nor a dataset: expected corpus.yaml and pairs.jsonl, or manifest.json, in it."
    )


def _corpus_issues(path: Path) -> list[Issue]:
    from editfhf.build import check_corpus
    from editfhf.build.context import ROUTINE
    from editfhf.validation import Issue

    issues = []
    for found in check_corpus(path):
        severity: Literal["warning", "error"] = "warning" if found.repaired or found.reason in ROUTINE else "error"
        issues.append(Issue(severity, f"{found.file} row {found.row}", f"{found.message} [{found.reason}]"))
    return issues


class _Counter:
    """A line on stderr that counts, where a person is watching."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._shown = sys.stderr.isatty()

    def __call__(self, rows: int) -> None:
        self._count += rows
        if self._shown:
            typer.echo(f"\r{self._what}: {self._count:,}", err=True, nl=False)

    def __enter__(self) -> _Counter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and self._count:
            typer.echo(err=True)


def _show(issues: Sequence[Issue]) -> None:
    if not issues:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "Where", "What")
    for issue in issues[:SHOWN]:
        # Text, not markup: names come from outside.
        colour = "red" if issue.severity == "error" else "yellow"
        table.add_row(Text(issue.severity, colour), Text(issue.where), Text(printable(issue.message)))
    Console().print(table)
    if len(issues) > SHOWN:
        typer.echo(f"... and {len(issues) - SHOWN} more: see them with --json.")

"""Tables and sentences for a terminal, JSON for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
import typer

from mos.terminal import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from mos.cli.source import Study

SHOWN = 20


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def notice(sentences: Sequence[str]) -> None:
    """Sentences for a person, on stderr, one a line."""
    for sentence in sentences:
        typer.echo(printable(sentence), err=True)


def show(table: pa.Table, title: str, shown: int = SHOWN, more: str = "--out FILE", longest: int = 60) -> None:
    """The first rows of a table on stdout, without columns that are empty; names are text, never markup."""
    import pyarrow as pa
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = table.select([name for name in table.column_names if table[name].null_count < max(len(table), 1)])
    drawn = Table(title=title, title_justify="left")
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
        drawn.add_column(Text(printable(name)), justify="right" if number else "left", overflow="fold")
    for row in table.slice(0, shown).to_pylist():
        drawn.add_row(*(Text(_cell(value, longest)) for value in row.values()))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=200)
    console.print(drawn)
    if len(table) > shown:
        typer.echo(f"... and {len(table) - shown} more rows: see them with {more} or --json.")


def _cell(value: object, longest: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))[:longest]


def provenance(study: Study, options: Mapping[str, Any]) -> dict[str, Any]:
    """How a result came about: the digests of the input, the scale, the resolved options."""
    ratings = study.ratings
    return {
        "input": {"name": study.name, "sha256": study.digests(), "ratings": len(ratings)},
        "scale": list(ratings.scale),
        "rows_set_aside": len(study.asides),
        "notes": study.notes,
        "options": dict(options),
    }


@contextmanager
def counting(what: str, total: int) -> Iterator[Any]:
    """A bar on stderr where a person is watching; gives a function to call with the number of steps done."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.advance(task, steps)

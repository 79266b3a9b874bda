"""The options of every command that say which table to read, and how."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mos.cli.loading import Study, load

__all__ = ["Study", "may_read_table", "reads_table"]


class Duplicates(StrEnum):
    error = "error"
    first = "first"
    last = "last"
    mean = "mean"
    repetition = "repetition"


class Missing(StrEnum):
    reject = "reject"
    drop = "drop"


_TABLES = Annotated[
    list[Path],
    typer.Argument(
        metavar="TABLE...", help="Ratings: .csv, .parquet, or Label Studio exports of scores (.json); one or more."
    ),
]
_ANY = Annotated[
    list[Path] | None, typer.Argument(metavar="[TABLE]...", help="Ratings of a pilot study, as for `score`.")
]
_PANEL = "Reading the table"


def _column(what: str, usual: str) -> Any:
    return Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help=f"Column of the {what}, unless {usual}.", rich_help_panel=_PANEL),
    ]


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "item": (_column("item", "image_id, pair_id, item or stimulus"), None),
    "rater": (_column("rater", "annotator_id, rater, subject or worker"), None),
    "dimension": (_column("dimension", "dimension; none is one"), None),
    "rating": (_column("rating", "score or rating"), None),
    "repetition": (_column("repetition", "repetition"), None),
    "scale": (
        Annotated[
            tuple[float, float] | None,
            typer.Option(
                metavar="LOW HIGH",
                help="Lowest and highest possible rating; from the data if not given.",
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
    "duplicates": (
        Annotated[
            Duplicates,
            typer.Option(help="What counts when a rater rated the same thing before.", rich_help_panel=_PANEL),
        ],
        Duplicates.error,
    ),
    "missing": (
        Annotated[
            Missing,
            typer.Option(help="A blank or NaN score is a bad row, or no rating: drop it.", rich_help_panel=_PANEL),
        ],
        Missing.reject,
    ),
    "rejected": (
        Annotated[
            Path | None,
            typer.Option(
                metavar="FILE",
                help="Set bad rows aside in this file (JSON lines, with reasons) and go on. Without it, one stops us.",
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
}


def reads_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument TABLE and the options to read it; it is called with the `Study` first."""
    return _reading(command, inspect.Parameter.empty)


def may_read_table(command: Callable[..., None]) -> Callable[..., None]:
    """The same where TABLE may be left out: then the command is called with None."""
    return _reading(command, None)


def _reading(command: Callable[..., None], default: Any) -> Callable[..., None]:
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=usual)
        for name, (kind, usual) in _OPTIONS.items()
    ]
    table = inspect.Parameter(
        "table",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=_TABLES if default is not None else _ANY,
        default=default,
    )
    kinds = inspect.get_annotations(command, eval_str=True)
    mine = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kinds[each.name]) for each in own]

    def run(table: list[Path] | None, **given: Any) -> None:
        reading = {name: given.pop(name) for name in _OPTIONS}
        command(_load(table, reading) if table else None, **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {each.name: each.annotation for each in [table, *mine, *shared]}
    run.__signature__ = inspect.Signature([table, *mine, *shared])  # type: ignore[attr-defined]
    return run


def _load(tables: list[Path], reading: dict[str, Any]) -> Study:
    roles = {"item": "item", "rater": "rater", "dimension": "dimension", "rating": "score", "repetition": "repetition"}
    names = {role: reading[option] for option, role in roles.items() if reading[option] is not None}
    return load(
        tables,
        names,
        scale=reading["scale"],
        duplicates=reading["duplicates"].value,
        missing=reading["missing"].value,
        rejected=reading["rejected"],
    )

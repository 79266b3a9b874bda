"""The table of ratings that a command works on, and the options that say how to read it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mos.cli.writing import write_rejected
from mos.errors import UserError
from mos.problem import Problem

if TYPE_CHECKING:
    import pyarrow as pa

    from mos.ratings import Ratings

READERS = "mos.readers"  # entry points: file suffix without its dot -> function from path to table and problems
HARMLESS = frozenset({"byte_order_mark"})


class Duplicates(StrEnum):
    error = "error"
    first = "first"
    last = "last"
    mean = "mean"
    repetition = "repetition"


class Missing(StrEnum):
    reject = "reject"
    drop = "drop"


@dataclass(frozen=True, slots=True)
class Study:
    """The ratings of a file, and what is to be known of the reading.

    table: as it was read, see `mos.reading.read_columns`
    problems: rows set aside, `row` counting as the file does
    notes: sentences for a person
    digest: SHA-256 of the file
    """

    path: Path
    table: pa.Table
    ratings: Ratings
    problems: list[Problem]
    notes: list[str]
    digest: str


_TABLE = Annotated[
    Path, typer.Argument(metavar="TABLE", help="Ratings: .csv, .parquet, or a Label Studio export of scores (.json).")
]
_ANY = Annotated[Path | None, typer.Argument(metavar="[TABLE]", help="Ratings of a pilot study, as for `score`.")]
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
        annotation=_TABLE if default is not None else _ANY,
        default=default,
    )
    kinds = inspect.get_annotations(command, eval_str=True)
    mine = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kinds[each.name]) for each in own]

    def run(table: Path | None, **given: Any) -> None:
        reading = {name: given.pop(name) for name in _OPTIONS}
        command(None if table is None else load(table, **reading), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {each.name: each.annotation for each in [table, *mine, *shared]}
    run.__signature__ = inspect.Signature([table, *mine, *shared])  # type: ignore[attr-defined]
    return run


def load(
    path: Path,
    *,
    item: str | None = None,
    rater: str | None = None,
    dimension: str | None = None,
    rating: str | None = None,
    repetition: str | None = None,
    scale: tuple[float, float] | None = None,
    duplicates: Duplicates = Duplicates.error,
    missing: Missing = Missing.reject,
    rejected: Path | None = None,
) -> Study:
    """Read and check a table; UserError naming the first bad rows unless there is a file to set them aside in."""
    from mos.table import code, complain, located

    named = {"item": item, "rater": rater, "dimension": dimension, "score": rating, "repetition": repetition}
    table, unsplit = _read(path, {role: name for role, name in named.items() if name is not None})
    if not len(table) and not unsplit:
        raise UserError(f"{path}: there are no ratings in it; expected one rating a row below the header.")
    kept: Any = "first" if duplicates is Duplicates.error else duplicates.value
    try:
        ratings, found = code(table, scale, duplicates=kept, missing=missing.value)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    problems = [*(p for p in unsplit if p.reason not in HARMLESS), *located(found, table)]
    harmful = [p for p in problems if p.reason not in _settled(duplicates)]
    if harmful and rejected is None:
        choose = ", say which of repeated ratings counts with --duplicates," if _repeated(harmful) else ""
        advice = f"Correct them{choose} or set them aside with --rejected FILE"
        raise UserError(f"{str(complain(harmful, path)).rstrip('.')}. {advice}.")
    if rejected is not None:
        write_rejected(rejected, path, problems)
    return Study(path, table, ratings, problems, _notes(ratings, scale, problems, rejected), _digest(path))


def _repeated(problems: Sequence[Problem]) -> bool:
    return any(problem.reason == "duplicate_rating" for problem in problems)


def _settled(duplicates: Duplicates) -> set[str]:
    """Reasons of rows that do not count because the person who runs the command said so."""
    return set() if duplicates is Duplicates.error else {"duplicate_rating", "averaged_rating"}


def _read(path: Path, names: dict[str, str]) -> tuple[pa.Table, list[Problem]]:
    from mos.reading import read_columns

    suffix = path.suffix.lower().removeprefix(".")
    further = {entry.name: entry for entry in entry_points(group=READERS)}
    if suffix not in further:
        return read_columns(path, names)
    if names:
        raise UserError(f"{path}: columns can be named for .csv and .parquet only; leave out --{next(iter(names))}.")
    return further[suffix].load()(path)


def _notes(
    ratings: Ratings, scale: tuple[float, float] | None, problems: Sequence[Problem], rejected: Path | None
) -> list[str]:
    notes = []
    if scale is None and len(ratings):
        low, high = ratings.scale
        notes.append(f"No --scale was given: taken from the data, {low:g} to {high:g}.")
    if ratings.dropped:
        notes.append(f"{ratings.dropped} rows without a score were dropped.")
    if problems:
        where = f"; see {rejected}" if rejected is not None else ""
        notes.append(f"{len(problems)} rows were set aside{where}.")
    return notes


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

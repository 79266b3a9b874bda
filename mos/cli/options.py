"""Options that the commands share: the method and its options, and the tables to read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mos.errors import UserError
from mos.load import ROLE_OF_COLUMN, RatingStudy, load_study

if TYPE_CHECKING:
    from mos.scoring.options import ScoringOptions
    from mos.scoring.result import ScoringResult


MethodOption = Annotated[str, typer.Option("--method", "-m", help="Scoring method; `editfhf mos methods` lists them.")]


SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Option of the method, e.g. max_passes=2 (repeatable)."),
]


ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite existing output files.")]


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


TableOutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the table to this file (.csv or .parquet).")
]


def resolve_method_options(method: str, given: Sequence[str] | None) -> ScoringOptions:
    """The options of the method; UserError for an unknown method or option."""
    from mos.methods import find_method

    return find_method(method).options.from_mapping(parse_assignments(given))


def parse_assignments(given: Sequence[str] | None) -> dict[str, Any]:
    """From name to value for texts NAME=VALUE; values are parsed as YAML (2, 0.05, true, text)."""
    import yaml

    from mos.plain_yaml import load_plain_yaml

    values = {}
    for entry in given or []:
        name, mark, value = entry.partition("=")
        if not mark or not name.strip():
            raise UserError(f"--set {entry[:60]}: expected NAME=VALUE, such as --set max_passes=2.")
        try:
            parsed = load_plain_yaml(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            parsed = None
        values[name.strip()] = value if parsed is None else parsed  # `null` is a choice of the option on_too_few
    return values


def score_study(study: RatingStudy, options: ScoringOptions) -> ScoringResult:
    """The result; shows a progress bar while a bootstrap runs."""
    from mos.cli.output import show_step_progress
    from mos.methods import score_ratings

    if options.interval == "bootstrap":
        with show_step_progress("Resampling raters", options.resamples) as progress:
            return score_ratings(study.ratings, options, progress=progress)
    return score_ratings(study.ratings, options)


def require_scores(study: RatingStudy, result: ScoringResult) -> None:
    """UserError if no item has a score."""
    if not result.summary["scores"]:
        few = f"no item has the {result.options['min_ratings']} ratings that a score needs."
        warnings = result.summary["warnings"]
        why = next((each for each in warnings if each.startswith("None of")), f"No scores: {few}")
        raise UserError(f"{study.name}: {why} `editfhf mos screen` lists what was excluded.")


class DuplicatePolicy(StrEnum):
    error = "error"
    first = "first"
    last = "last"
    mean = "mean"
    repetition = "repetition"


class MissingPolicy(StrEnum):
    reject = "reject"
    drop = "drop"


_REQUIRED_TABLES = Annotated[
    list[Path],
    typer.Argument(
        metavar="TABLE",
        help="Files of ratings: .csv, .parquet, or Label Studio exports of the scoring stage (.json).",
    ),
]


_OPTIONAL_TABLES = Annotated[
    list[Path] | None,
    typer.Argument(metavar="TABLE", help="Ratings of a pilot study (formats as for `score`)."),
]


_READING_PANEL = "Reading the table"


def _column_option(what: str, usual: str) -> Any:
    return Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help=f"Name of the {what} column (default: {usual}).", rich_help_panel=_READING_PANEL
        ),
    ]


_READING_OPTIONS: dict[str, tuple[Any, Any]] = {
    "item": (_column_option("item", "image_id, pair_id, item or stimulus"), None),
    "rater": (_column_option("rater", "annotator_id, rater, subject or worker"), None),
    "dimension": (_column_option("dimension", "dimension; if absent, all ratings share one dimension"), None),
    "rating": (_column_option("rating", "score or rating"), None),
    "repetition": (_column_option("repetition", "repetition; optional"), None),
    "scale": (
        Annotated[
            tuple[float, float] | None,
            typer.Option(
                metavar="LOW HIGH",
                help="Lowest and highest possible rating (default: the extremes of the data).",
                rich_help_panel=_READING_PANEL,
            ),
        ],
        None,
    ),
    "duplicates": (
        Annotated[
            DuplicatePolicy | None,
            typer.Option(
                help="Which rating counts if a rater rated the same thing more than once (default: error; last for "
                "Label Studio exports).",
                rich_help_panel=_READING_PANEL,
            ),
        ],
        None,
    ),
    "missing": (
        Annotated[
            MissingPolicy,
            typer.Option(
                help="Whether a blank or NaN score is an invalid row (reject) or no rating (drop).",
                rich_help_panel=_READING_PANEL,
            ),
        ],
        MissingPolicy.reject,
    ),
    "rejected": (
        Annotated[
            Path | None,
            typer.Option(
                metavar="FILE",
                help="Write invalid rows to this file (JSON lines with reasons) and continue. By default the first "
                "invalid row is an error.",
                rich_help_panel=_READING_PANEL,
            ),
        ],
        None,
    ),
}


def reads_table(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument TABLE and its reading options to a command, which gets a `RatingStudy` as first argument."""
    return _add_table_options(command, inspect.Parameter.empty)


def may_read_table(command: Callable[..., None]) -> Callable[..., None]:
    """As `reads_table`, but TABLE is optional: without it the command gets None."""
    return _add_table_options(command, None)


def _add_table_options(command: Callable[..., None], default: Any) -> Callable[..., None]:
    """The command with the signature that typer reads: TABLE, the command's options, the reading options."""
    options = list(inspect.signature(command).parameters.values())[1:]
    reading_options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=usual)
        for name, (kind, usual) in _READING_OPTIONS.items()
    ]
    table = inspect.Parameter(
        "table",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=_REQUIRED_TABLES if default is not None else _OPTIONAL_TABLES,
        default=default,
    )
    kinds = inspect.get_annotations(command, eval_str=True)
    own_options = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kinds[each.name]) for each in options]

    def run_command(table: list[Path] | None, **given: Any) -> None:
        reading = {name: given.pop(name) for name in _READING_OPTIONS}
        command(_load_tables(table, reading) if table else None, **given)

    parameters = [table, *own_options, *reading_options]
    run_command.__name__, run_command.__doc__ = command.__name__, command.__doc__
    run_command.__annotations__ = {each.name: each.annotation for each in parameters}
    run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run_command


def _load_tables(tables: list[Path], reading: dict[str, Any]) -> RatingStudy:
    return load_study(
        tables,
        {name: reading[name] for name in ROLE_OF_COLUMN if reading.get(name) is not None},
        scale=reading["scale"],
        duplicates=reading["duplicates"].value if reading["duplicates"] else None,
        missing=reading["missing"].value,
        rejected=reading["rejected"],
    )

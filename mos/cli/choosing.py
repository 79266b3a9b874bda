"""Which method, with which options, as a command line says it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from mos.cli.source import Study
    from mos.scoring.options import Options
    from mos.scoring.result import Result

Method = Annotated[str, typer.Option("--method", "-m", help="One of `editfhf mos methods`.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Option of the method, e.g. max_passes=2. May be repeated."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace outputs that exist.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write to FILE.csv or FILE.parquet.")]


def chosen(method: str, given: Sequence[str] | None) -> Options:
    """The options of the method; UserError for anything that it does not have."""
    from mos.methods import method as find

    return find(method).options.checked(assignments(given))


def assignments(given: Sequence[str] | None) -> dict[str, Any]:
    """name=value, every value read as YAML: 2, 0.05, true, text."""
    import yaml

    values = {}
    for entry in given or []:
        name, mark, value = entry.partition("=")
        if not mark or not name.strip():
            raise UserError(f"--set {entry[:60]}: expected NAME=VALUE, such as --set max_passes=2.")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            read = None
        values[name.strip()] = value if read is None else read  # `null` is a word of ours
    return values


def scored(study: Study, options: Options) -> Result:
    """The result, with a bar while a bootstrap runs; UserError where not a single score is left."""
    from mos.cli.showing import counting
    from mos.methods import score

    if options.interval == "bootstrap":
        with counting("Resampling raters", options.resamples) as progress:
            result = score(study.ratings, options, progress=progress)
    else:
        result = score(study.ratings, options)
    return result


def demand_scores(study: Study, result: Result) -> None:
    """UserError where not a single score is left."""
    if not result.summary["scores"]:
        few = f"no item has the {result.options['min_ratings']} ratings that a score needs."
        why = next((told for told in result.summary["warnings"] if told.startswith("None of")), f"No scores: {few}")
        raise UserError(f"{study.name}: {why} `editfhf mos screen` shows what was left out.")

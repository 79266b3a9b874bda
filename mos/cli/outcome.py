"""What the commands that score give: scores, ledger and raters, as files, as JSON, or on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mos.cli.choosing import demand_scores
from mos.cli.showing import notice, print_json, show
from mos.cli.writing import check_suffixes, provenance_path, refuse_existing, write_tables

if TYPE_CHECKING:
    from mos.cli.loading import Study
    from mos.scoring.result import Result

Ledger = Annotated[Path | None, typer.Option(metavar="FILE", help="Write what was left out and why (.csv, .parquet).")]
Raters = Annotated[Path | None, typer.Option(metavar="FILE", help="Write what became of every rater (.csv, .parquet).")]


class Outputs(NamedTuple):
    """Files that were asked for."""

    scores: Path | None
    ledger: Path | None
    raters: Path | None

    def check(self, force: bool) -> None:
        """UserError where one of them cannot be written, or is there already and may not be replaced."""
        check_suffixes(self)
        written = [path for path in self if path is not None]
        refuse_existing([*written, *([provenance_path(written[0])] if written else [])], force)


def give(study: Study, result: Result, made: dict[str, Any], outputs: Outputs, json: bool) -> None:
    """Write the files, then print the scores unless they were written.  UserError where there is not one."""
    made = made | {"unit": result.unit, "summary": result.summary}
    makers = (lambda: result.scores, result.ledger, lambda: result.raters)
    tables = {path: make() for path, make in zip(outputs, makers, strict=True) if path is not None}
    if tables:
        beside = write_tables(tables, made)
        notice([f"Wrote {', '.join(map(str, tables))} and {beside}."])
    demand_scores(study, result)
    if json:
        print_json(made | {"scores": result.scores.to_pylist()})
    elif outputs.scores is None:
        unit = "points, 0 to 100" if result.unit == "points" else "the scale of the ratings"
        show(result.scores, f"Scores by {result.options['method']} ({unit})")
    notice([*study.notes, *result.summary["warnings"]])

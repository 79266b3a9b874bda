"""The commands that score: `editfhf mos score`, `update`, `screen` and `methods`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mos.cli.options import (
    ForceOption,
    JsonOption,
    MethodOption,
    SetOption,
    TableOutOption,
    reads_table,
    require_scores,
    resolve_method_options,
    score_study,
)
from mos.cli.output import (
    check_table_suffixes,
    make_provenance,
    make_provenance_path,
    print_table,
    refuse_existing_files,
    write_result_tables,
)
from mos.console import print_json, print_notices
from mos.errors import UserError
from mos.load import RatingStudy, describe_ratings

if TYPE_CHECKING:
    from mos.scoring.result import ScoringResult
    from mos.study_file import StoredStudy


LedgerOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write every exclusion with its reason to this file (.csv, .parquet)."),
]


RatersOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the table of raters to this file (.csv or .parquet).")
]


class ScoreOutputs(NamedTuple):
    """The output files; None for those not requested."""

    scores: Path | None
    ledger: Path | None
    raters: Path | None

    def check(self, force: bool) -> None:
        """UserError if one of them cannot be written, or exists and `force` is off."""
        check_table_suffixes(self)
        written = [path for path in self if path is not None]
        refuse_existing_files([*written, *([make_provenance_path(written[0])] if written else [])], force)


def output_scores(
    study: RatingStudy, result: ScoringResult, made: dict[str, Any], outputs: ScoreOutputs, json: bool
) -> None:
    """Write the files, then print the scores unless they were written. UserError if no item has a score."""
    made = made | {"unit": result.unit, "summary": result.summary}
    makers: tuple[Callable[[], Any], ...] = (lambda: result.scores, result.ledger, lambda: result.raters)
    tables = {path: make() for path, make in zip(outputs, makers, strict=True) if path is not None}
    if tables:
        beside = write_result_tables(tables, made)
        print_notices([f"Wrote {', '.join(map(str, tables))} and {beside}."])
    require_scores(study, result)
    if json:
        print_json(made | {"scores": result.scores.to_pylist()})
    elif outputs.scores is None:
        unit = "points, 0 to 100" if result.unit == "points" else "the scale of the ratings"
        print_table(result.scores, f"Scores by {result.options['method']} ({unit})")
    print_notices([*study.notes, *result.summary["warnings"]])


@reads_table
def score_command(
    study: RatingStudy,
    method: MethodOption = "paper",
    set: SetOption = None,
    out: TableOutOption = None,
    ledger: LedgerOption = None,
    raters: RatersOption = None,
    json: JsonOption = False,
    force: ForceOption = False,
) -> None:
    """Score every item in every dimension, with intervals.

    The scores are printed, or written with --out together with a JSON file that records how they were computed.

    Examples:

        editfhf mos score ratings.csv --scale 1 5

        editfhf mos score ratings.csv --method bt500 --out scores.csv --ledger ledger.csv --raters raters.csv

        editfhf mos score ratings.parquet --set outlier_sigma=2.5 --set interval=bootstrap --json

        editfhf mos score study.csv --item clip --rater person --rating value --rejected rejected.jsonl
    """
    outputs = ScoreOutputs(out, ledger, raters)
    outputs.check(force)
    result = score_study(study, resolve_method_options(method, set))
    output_scores(study, result, make_provenance(study, result.options), outputs, json)


class KnownRatingPolicy(StrEnum):
    ERROR = "error"
    KEEP = "keep"
    REPLACE = "replace"


@reads_table
def update_command(
    study: RatingStudy,
    state: Annotated[Path, typer.Option(metavar="FILE", help="Where the study is kept; made when absent.")],
    known: Annotated[
        KnownRatingPolicy,
        typer.Option(help="A rating with another score than before: refuse, keep the first, take the new one."),
    ] = KnownRatingPolicy.ERROR,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the ratings of TABLE out instead.")] = False,
    method: Annotated[str | None, typer.Option("--method", "-m", help="For a new study; paper if not given.")] = None,
    set: SetOption = None,
    out: TableOutOption = None,
    ledger: LedgerOption = None,
    raters: RatersOption = None,
    json: JsonOption = False,
    force: ForceOption = False,
) -> None:
    """Add ratings to a study that is kept in a file, and score all of it: the same as scoring all at once.

    A table may come twice. The scale and the method are those with which the study began.

    Examples:

        editfhf mos update monday.csv --state study.parquet --scale 1 5 --method bt500

        editfhf mos update tuesday.csv --state study.parquet --out scores.csv --force

        editfhf mos update corrected.csv --state study.parquet --known replace

        editfhf mos update by_mistake.csv --state study.parquet --withdraw
    """
    from mos.study_file import save_study
    from mos.table import locate_rejections, rejections_error

    outputs = ScoreOutputs(out, ledger, raters)
    outputs.check(force)
    before = _open_stored_study(study, state, method, set)
    after, problems = before.remove(study.table) if withdraw else before.add(study.table, known.value)
    mine = {rejection.row for rejection in study.rejections}
    new = [problem for problem in locate_rejections(problems, study.table) if problem.row not in mine]
    if new:
        raise UserError(f"{str(rejections_error(new, study.paths[0])).rstrip('.')}. {state} is as it was.")
    result = after.result()
    save_study(after, state)
    # What looks wrong is told of the whole study, whose scale it is, and not of this table.
    of_table = describe_ratings(study.ratings, study.scale)
    notes = [note for note in study.notes if note not in of_table]
    study = replace(study, notes=[*describe_ratings(after.ratings, after.scale), *notes])
    made = make_provenance(study, result.options)
    made |= {"scale": list(after.ratings.scale), "state": {"name": state.name, "ratings": len(after)}}
    output_scores(study, result, made, outputs, json)


def _open_stored_study(study: RatingStudy, path: Path, method: str | None, given: list[str] | None) -> StoredStudy:
    """The study as it is so far; UserError where it began with other options than those given now."""
    from mos.study_file import StoredStudy, open_study

    if not path.exists():
        return StoredStudy.empty(resolve_method_options(method or "paper", given), study.scale)
    found = open_study(path)
    if method is not None or given:
        wanted = resolve_method_options(method or found.options.method, given)
        if wanted != found.options:
            raise UserError(f"{path} began with the method {found.options.method} and other options; start a new file.")
    if study.scale is not None and found.scale != study.scale:
        began = "no scale" if found.scale is None else f"the scale {found.scale[0]:g} to {found.scale[1]:g}"
        raise UserError(f"{path} began with {began}; leave out --scale, or start a new file.")
    return found


@reads_table
def screen_command(
    study: RatingStudy,
    method: MethodOption = "paper",
    set: SetOption = None,
    out: TableOutOption = None,
    json: JsonOption = False,
    force: ForceOption = False,
) -> None:
    """List the ratings and raters that a method excludes, with the rule, statistic, threshold and margin.

    Next to each rater's share of outliers is the share expected by chance among identical raters.

    Examples:

        editfhf mos screen ratings.csv

        editfhf mos screen ratings.csv --method correlation

        editfhf mos screen ratings.csv --method bt500 --set zero_variance=literal --out ledger.csv
    """
    check_table_suffixes([out])
    refuse_existing_files([out, *([make_provenance_path(out)] if out else [])], force)
    result = score_study(study, resolve_method_options(method, set))
    ledger = result.ledger()
    made = make_provenance(study, result.options) | {"summary": result.summary}
    if out is not None:
        print_notices([f"Wrote {out} and {write_result_tables({out: ledger}, made)}."])
    if json:
        print_json(made | {"raters": result.raters.to_pylist(), "ledger": ledger.to_pylist()})
    elif out is None:
        print_table(
            result.raters.sort_by([("excluded", "descending"), ("share", "descending")]), "Raters", 40, "--json"
        )
        print_table(ledger, "Exclusions")
    print_notices([*study.notes, *result.summary["warnings"]])


def methods_command(
    name: Annotated[str | None, typer.Argument(metavar="METHOD", help="Show the options of this method.")] = None,
    json: JsonOption = False,
) -> None:
    """List the scoring methods, or the options of one method with their defaults.

    An option is passed to the other commands as --set NAME=VALUE.

    Examples:

        editfhf mos methods

        editfhf mos methods paper
    """
    import pyarrow as pa

    from mos.methods import METHODS, find_method

    if name is None:
        rows = [{"method": each, "what it does": what} for each, what in METHODS.items()]
        title = "Methods; `editfhf mos methods METHOD` lists the options of one"
    else:
        options = find_method(name).options
        defaults = options.from_mapping({}).as_dict()
        described = options.model_json_schema()["properties"]
        rows = [
            {
                "option": option,
                "default": str(default).lower() if isinstance(default, bool) else str(default),
                "values": _describe_values(described[option]),
                "what it does": described[option].get("description", ""),
            }
            for option, default in defaults.items()
            if option != "method"
        ]
        title = f"Options of {name}, for --set NAME=VALUE"
    if json:
        print_json(rows)
    else:
        print_table(pa.table({key: [row[key] for row in rows] for key in rows[0]}), title, len(rows), longest=300)


def _describe_values(described: dict[str, object]) -> str:
    if "enum" in described:
        return " | ".join(map(str, described["enum"]))  # type: ignore[call-overload]
    if "anyOf" in described or described.get("type") in ("number", "integer"):
        return "number"
    return "true | false" if described.get("type") == "boolean" else str(described.get("type", ""))

"""The commands that analyse a study: `editfhf mos raters`, `agreement`, `compare` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos.cli.options import (
    ForceOption,
    JsonOption,
    MethodOption,
    SetOption,
    TableOutOption,
    parse_assignments,
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
from mos.console import print_json, print_line, print_notices
from mos.errors import UserError
from mos.load import RatingStudy

_PRINTED_COLUMNS = (
    "rater",
    "n",
    "share",
    "expected_share",
    "bias",
    "inconsistency",
    "share_high",
    "pearson",
    "spearman",
    "drift",
    "rank_influence",
    "excluded",
    "reason",
)


@reads_table
def raters_command(
    study: RatingStudy,
    method: MethodOption = "paper",
    set: SetOption = None,
    dimension_only: Annotated[
        str | None,
        typer.Option("--only", metavar="DIMENSION", help="Report on one dimension (default: all together)."),
    ] = None,
    out: TableOutOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Explain every column.")] = False,
    json: JsonOption = False,
    force: ForceOption = False,
) -> None:
    """Report on every rater: flags, bias, inconsistency, agreement with the others, scale use, drift, influence.

    --out writes all columns; the terminal shows the most important ones.

    Examples:

        editfhf mos raters ratings.csv --scale 1 5

        editfhf mos raters ratings.csv --method bt500 --out raters.csv

        editfhf mos raters ratings.csv --explain
    """
    from mos.raters import RATER_COLUMNS, advise_on_raters, report_raters
    from mos.table.describe import rating_times

    check_table_suffixes([out])
    refuse_existing_files([out, *([make_provenance_path(out)] if out else [])], force)
    options = resolve_method_options(method, set)
    result = score_study(study, options)
    times, note = rating_times(study.ratings, study.table)
    report = report_raters(study.ratings, result=result, times=times, dimension=dimension_only)
    made = make_provenance(study, result.options | {"dimension": dimension_only, "order": note})
    if out is not None:
        print_notices([f"Wrote {out} and {write_result_tables({out: report}, made)}."])
    if json:
        print_json(made | {"columns": RATER_COLUMNS, "raters": report.to_pylist(), "advice": advise_on_raters(report)})
    else:
        if out is None:
            printed = [name for name in _PRINTED_COLUMNS if name in report.column_names]
            print_table(report.select(printed), "Raters", 60)
        if explain:
            print_line("\n".join(f"{name}: {meaning}" for name, meaning in RATER_COLUMNS.items()))
    print_notices([*study.notes, note, *([] if json else advise_on_raters(report))])


@reads_table
def agreement_command(
    study: RatingStudy,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the resampling and the split halves.")] = 0,
    out: TableOutOption = None,
    json: JsonOption = False,
    force: ForceOption = False,
) -> None:
    """Measure the agreement of the raters in each dimension, with intervals.

    Krippendorff's alpha (interval, ordinal), six intraclass correlations, split-half rank correlation, the SOS
    parameter, and the standard deviations of items, raters and residuals.

    Examples:

        editfhf mos agreement ratings.csv --scale 1 5

        editfhf mos agreement ratings.csv --out agreement.csv
    """
    from mos.reliability import COEFFICIENT_MEANINGS, report_agreement

    check_table_suffixes([out])
    refuse_existing_files([out, *([make_provenance_path(out)] if out else [])], force)
    report = report_agreement(study.ratings, seed=seed)
    made = make_provenance(study, {"seed": seed})
    if out is not None:
        print_notices([f"Wrote {out} and {write_result_tables({out: report}, made)}."])
    if json:
        print_json(made | {"reading": COEFFICIENT_MEANINGS, "agreement": report.to_pylist()})
    elif out is None:
        print_table(report, "Agreement", len(report), longest=300)
        coefficients = dict.fromkeys(report["coefficient"].to_pylist())
        meanings = [f"{name}: {COEFFICIENT_MEANINGS[name]}" for name in coefficients if name in COEFFICIENT_MEANINGS]
        print_line("\n".join(meanings))
    print_notices(study.notes)


@reads_table
def compare_command(
    study: RatingStudy,
    methods: Annotated[str, typer.Option("--methods", help="Methods, separated by commas, or all.")] = "all",
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="METHOD.NAME=VALUE", help="Option of one of the methods (repeatable)."),
    ] = None,
    out: TableOutOption = None,
    json: JsonOption = False,
    force: ForceOption = False,
) -> None:
    """Compare methods: the differences in their ranks and scores, and the raters that each excludes.

    Scores in different units are aligned by least squares before they are compared. --out writes a row for each item
    with its score and rank by every method.

    Examples:

        editfhf mos compare ratings.csv

        editfhf mos compare ratings.csv --methods paper,mos,p910 --out side_by_side.csv

        editfhf mos compare ratings.csv --methods bt500,mos --set bt500.zero_variance=literal
    """
    from mos.comparison import compare_methods
    from mos.methods import METHODS, find_method

    check_table_suffixes([out])
    refuse_existing_files([out, *([make_provenance_path(out)] if out else [])], force)
    names = list(METHODS) if methods == "all" else list(dict.fromkeys(name.strip() for name in methods.split(",")))
    given = _group_by_method(set, names)
    chosen = [find_method(name).options.from_mapping(given[name]) for name in names]
    results = {options.method: score_study(study, options) for options in chosen}
    for result in results.values():
        require_scores(study, result)
    comparison = compare_methods(results)
    made = make_provenance(study, {name: result.options for name, result in results.items()})
    if out is not None:
        print_notices([f"Wrote {out} and {write_result_tables({out: comparison.items}, made)}."])
    if json:
        print_json(made | {"methods": comparison.methods.to_pylist(), "pairs": comparison.pairs.to_pylist()})
    else:
        print_table(comparison.methods, "Methods", len(comparison.methods))
        print_table(comparison.pairs, "Pairs of methods", 60, "--json")
    warnings = {name: result.summary["warnings"] for name, result in results.items()}
    print_notices(
        [*study.notes, *(f"{name}: {sentence}" for name, sentences in warnings.items() for sentence in sentences)]
    )


def _group_by_method(set: list[str] | None, names: list[str]) -> dict[str, dict[str, object]]:
    given: dict[str, dict[str, object]] = {name: {} for name in names}
    for key, value in parse_assignments(set).items():
        name, mark, option = key.partition(".")
        if not mark or name not in given:
            raise UserError(f"--set {key[:60]}: expected METHOD.NAME=VALUE with a method of {', '.join(names)}.")
        given[name][option] = value
    return given


@reads_table
def report_command(
    study: RatingStudy,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Write the page to this file (.html).")],
    method: MethodOption = "paper",
    set: SetOption = None,
    against: Annotated[
        str, typer.Option("--against", help="Methods to compare with, separated by commas, or none.")
    ] = "mos,bt500,p910",
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the resampling and the split halves.")] = 0,
    force: ForceOption = False,
) -> None:
    """Write one HTML page about the whole study: scores, screening, raters, agreement, methods, with plots.

    The page needs no network and no other file. This command needs matplotlib: pip install 'editfhf[plots]'.

    Examples:

        editfhf mos report ratings.csv --scale 1 5 --out study.html

        editfhf mos report ratings.csv --method bt500 --against mos,paper --out study.html
    """
    if out.suffix.lower() != ".html":
        raise UserError(f"{out}: expected a name that ends in .html.")
    refuse_existing_files([out], force)
    from mos.report import write_study_report

    others = [] if against == "none" else [name.strip() for name in against.split(",") if name.strip() != method]
    result = score_study(study, resolve_method_options(method, set))
    require_scores(study, result)
    compared = {name: score_study(study, resolve_method_options(name, None)) for name in others}
    made = make_provenance(study, result.options)
    write_study_report(out, study.table, result, compared, made, seed=seed)
    print_notices([f"Wrote {out}.", *study.notes, *result.summary["warnings"]])

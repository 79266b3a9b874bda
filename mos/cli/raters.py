"""`editfhf mos raters`."""

from __future__ import annotations

from typing import Annotated

import typer

from mos.cli.choosing import Force, Json, Method, Out, Set, chosen, scored
from mos.cli.showing import notice, print_json, provenance, show
from mos.cli.source import Study, reads_table
from mos.cli.writing import check_suffixes, provenance_path, refuse_existing, write_tables

_GLANCE = (
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
def raters(
    study: Study,
    method: Method = "paper",
    set: Set = None,
    dimension_only: Annotated[
        str | None, typer.Option("--only", metavar="DIMENSION", help="Look at one dimension.")
    ] = None,
    out: Out = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what every column means.")] = False,
    json: Json = False,
    force: Force = False,
) -> None:
    """Report on every rater: flags, bias, inconsistency, agreement with the others, scale use, drift, influence.

    --out writes all columns; the terminal shows the most telling ones.

    Examples:

        editfhf mos raters ratings.csv --scale 1 5

        editfhf mos raters ratings.csv --method bt500 --out raters.csv

        editfhf mos raters ratings.csv --explain
    """
    from mos.raters import COLUMNS, advice, report
    from mos.table.times import given_at

    check_suffixes([out])
    refuse_existing([out, *([provenance_path(out)] if out else [])], force)
    options = chosen(method, set)
    result = scored(study, options)
    times, note = given_at(study.ratings, study.table)
    found = report(study.ratings, result=result, times=times, dimension=dimension_only)
    made = provenance(study, result.options | {"dimension": dimension_only, "order": note})
    if out is not None:
        notice([f"Wrote {out} and {write_tables({out: found}, made)}."])
    if json:
        print_json(made | {"columns": COLUMNS, "raters": found.to_pylist(), "advice": advice(found)})
    else:
        if out is None:
            glance = [name for name in _GLANCE if name in found.column_names]
            show(found.select(glance), "Raters", 60)
        if explain:
            typer.echo("\n".join(f"{name}: {meaning}" for name, meaning in COLUMNS.items()))
    notice([*study.notes, note, *([] if json else advice(found))])

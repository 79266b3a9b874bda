"""`editfhf mos score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos.cli.choosing import Force, Json, Method, Out, Set, chosen, demand_scores, scored
from mos.cli.showing import notice, print_json, provenance, show
from mos.cli.source import Study, reads_table
from mos.cli.writing import check_suffixes, provenance_path, refuse_existing, write_tables


@reads_table
def score(
    study: Study,
    method: Method = "paper",
    set: Set = None,
    out: Out = None,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was left out and why (.csv, .parquet).")
    ] = None,
    raters: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what became of every rater (.csv, .parquet).")
    ] = None,
    json: Json = False,
    force: Force = False,
) -> None:
    """Score every item in every dimension, with intervals.

    Examples:

        editfhf mos score ratings.csv --scale 1 5

        editfhf mos score ratings.csv --method bt500 --out scores.csv --ledger ledger.csv --raters raters.csv

        editfhf mos score ratings.parquet --set outlier_sigma=2.5 --set interval=bootstrap --json

        editfhf mos score study.csv --item clip --rater person --rating value --rejected rejected.jsonl
    """
    outputs = [out, ledger, raters]
    check_suffixes(outputs)
    options = chosen(method, set)
    written = [path for path in outputs if path is not None]
    refuse_existing([*written, *([provenance_path(written[0])] if written else [])], force)
    result = scored(study, options)
    made = provenance(study, result.options) | {"unit": result.unit, "summary": result.summary}
    tables = {
        path: make()
        for path, make in (
            (out, lambda: result.scores),
            (ledger, result.ledger),
            (raters, lambda: result.raters),
        )
        if path is not None
    }
    if tables:
        beside = write_tables(tables, made)
        notice([f"Wrote {', '.join(map(str, tables))} and {beside}."])
    demand_scores(study, result)
    if json:
        print_json(made | {"scores": result.scores.to_pylist()})
    elif out is None:
        unit = "points, 0 to 100" if result.unit == "points" else "the scale of the ratings"
        show(result.scores, f"Scores by {method} ({unit})")
    notice([*study.notes, *result.summary["warnings"]])

"""`editfhf mos report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos.cli.choosing import Force, Method, Set, chosen, demand_scores, scored
from mos.cli.showing import notice, provenance
from mos.cli.source import Study, reads_table
from mos.cli.writing import refuse_existing
from mos.errors import UserError


@reads_table
def report(
    study: Study,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page, FILE.html.")],
    method: Method = "paper",
    set: Set = None,
    against: Annotated[
        str, typer.Option("--against", help="Methods to compare with, separated by commas; or none.")
    ] = "mos,bt500,p910",
    seed: Annotated[int, typer.Option(min=0, help="Seed of resampling and splitting.")] = 0,
    force: Force = False,
) -> None:
    """Write one page about the whole study: scores, screening, raters, agreement, methods, with plots.

    The page stands alone: it needs no network and no other file. Needs matplotlib: pip install 'editfhf[plots]'.

    Examples:

        editfhf mos report ratings.csv --scale 1 5 --out study.html

        editfhf mos report ratings.csv --method bt500 --against mos,paper --out study.html
    """
    if out.suffix.lower() != ".html":
        raise UserError(f"{out}: expected a name that ends in .html.")
    refuse_existing([out], force)
    from mos.report import write

    others = [] if against == "none" else [name.strip() for name in against.split(",") if name.strip() != method]
    result = scored(study, chosen(method, set))
    demand_scores(study, result)
    compared = {name: scored(study, chosen(name, None)) for name in others}
    made = provenance(study, result.options)
    write(out, study.table, result, compared, made, seed=seed)
    notice([f"Wrote {out}.", *study.notes, *result.summary["warnings"]])

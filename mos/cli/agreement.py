"""`editfhf mos agreement`."""

from __future__ import annotations

from typing import Annotated

import typer

from mos.cli.choosing import Force, Json, Out
from mos.cli.showing import notice, print_json, provenance, show
from mos.cli.source import Study, reads_table
from mos.cli.writing import check_suffixes, provenance_path, refuse_existing, write_tables


@reads_table
def agreement(
    study: Study,
    seed: Annotated[int, typer.Option(min=0, help="Seed of resampling and splitting.")] = 0,
    out: Out = None,
    json: Json = False,
    force: Force = False,
) -> None:
    """Say how well the raters agree, per dimension, with intervals.

    Krippendorff's alpha (interval, ordinal), the six intraclass correlations, split-half rank correlation, the SOS
    parameter, and the variances of items, raters and the rest.

    Examples:

        editfhf mos agreement ratings.csv --scale 1 5

        editfhf mos agreement ratings.csv --out agreement.csv
    """
    from mos.agreement import READING, table

    check_suffixes([out])
    refuse_existing([out, *([provenance_path(out)] if out else [])], force)
    found = table(study.ratings, seed=seed)
    made = provenance(study, {"seed": seed})
    if out is not None:
        notice([f"Wrote {out} and {write_tables({out: found}, made)}."])
    if json:
        print_json(made | {"reading": READING, "agreement": found.to_pylist()})
    elif out is None:
        show(found, "Agreement", len(found))
        met = dict.fromkeys(found["coefficient"].to_pylist())
        typer.echo("\n".join(f"{name}: {READING[name]}" for name in met if name in READING))
    notice(study.notes)

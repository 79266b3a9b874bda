"""`editfhf mos score`."""

from __future__ import annotations

from mos.cli.choosing import Force, Json, Method, Out, Set, chosen, scored
from mos.cli.outcome import Ledger, Outputs, Raters, give
from mos.cli.showing import provenance
from mos.cli.source import Study, reads_table


@reads_table
def score(
    study: Study,
    method: Method = "paper",
    set: Set = None,
    out: Out = None,
    ledger: Ledger = None,
    raters: Raters = None,
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
    outputs = Outputs(out, ledger, raters)
    outputs.check(force)
    result = scored(study, chosen(method, set))
    give(study, result, provenance(study, result.options), outputs, json)

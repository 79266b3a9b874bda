"""`editfhf mos screen`."""

from __future__ import annotations

from mos.cli.choosing import Force, Json, Method, Out, Set, chosen, scored
from mos.cli.showing import notice, print_json, provenance, show
from mos.cli.source import Study, reads_table
from mos.cli.writing import check_suffixes, provenance_path, refuse_existing, write_tables


@reads_table
def screen(
    study: Study,
    method: Method = "paper",
    set: Set = None,
    out: Out = None,
    json: Json = False,
    force: Force = False,
) -> None:
    """List the ratings and raters that a method leaves out: the rule, the figure, the threshold, the margin.

    Beside each rater's share of outliers stands the share that chance alone gives raters who are all alike.

    Examples:

        editfhf mos screen ratings.csv

        editfhf mos screen ratings.csv --method correlation

        editfhf mos screen ratings.csv --method bt500 --set zero_variance=literal --out ledger.csv
    """
    check_suffixes([out])
    refuse_existing([out, *([provenance_path(out)] if out else [])], force)
    result = scored(study, chosen(method, set))
    ledger = result.ledger()
    made = provenance(study, result.options) | {"summary": result.summary}
    if out is not None:
        notice([f"Wrote {out} and {write_tables({out: ledger}, made)}."])
    if json:
        print_json(made | {"raters": result.raters.to_pylist(), "ledger": ledger.to_pylist()})
    elif out is None:
        show(result.raters.sort_by([("excluded", "descending"), ("share", "descending")]), "Raters", 40, "--json")
        show(ledger, "Left out")
    notice([*study.notes, *result.summary["warnings"]])

"""`editfhf mos compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from mos.cli.choosing import Force, Json, Out, assignments, demand_scores, scored
from mos.cli.showing import notice, print_json, provenance, show
from mos.cli.source import Study, reads_table
from mos.cli.writing import check_suffixes, provenance_path, refuse_existing, write_tables
from mos.errors import UserError


@reads_table
def compare(
    study: Study,
    methods: Annotated[str, typer.Option("--methods", help="Names separated by commas, or all.")] = "all",
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="METHOD.NAME=VALUE", help="Option of one of the methods. May be repeated."),
    ] = None,
    out: Out = None,
    json: Json = False,
    force: Force = False,
) -> None:
    """Put methods side by side: how differently they rank and score the items, and whom they exclude.

    Scores of different units are brought together by least squares before they are subtracted. --out writes a row
    for each item with its score and rank by every method.

    Examples:

        editfhf mos compare ratings.csv

        editfhf mos compare ratings.csv --methods paper,mos,p910 --out side_by_side.csv

        editfhf mos compare ratings.csv --methods bt500,mos --set bt500.zero_variance=literal
    """
    from mos.comparison import compare as side_by_side
    from mos.methods import METHODS, method

    check_suffixes([out])
    refuse_existing([out, *([provenance_path(out)] if out else [])], force)
    names = list(METHODS) if methods == "all" else list(dict.fromkeys(name.strip() for name in methods.split(",")))
    given = _by_method(set, names)
    chosen = [method(name).options.checked(given[name]) for name in names]
    results = {options.method: scored(study, options) for options in chosen}
    for result in results.values():
        demand_scores(study, result)
    found = side_by_side(results)
    made = provenance(study, {name: result.options for name, result in results.items()})
    if out is not None:
        notice([f"Wrote {out} and {write_tables({out: found.items}, made)}."])
    if json:
        print_json(made | {"methods": found.methods.to_pylist(), "pairs": found.pairs.to_pylist()})
    else:
        show(found.methods, "Methods", len(found.methods))
        show(found.pairs, "Pairs of methods", 60, "--json")
    warnings = {name: result.summary["warnings"] for name, result in results.items()}
    notice([*study.notes, *(f"{name}: {sentence}" for name, told in warnings.items() for sentence in told)])


def _by_method(set: list[str] | None, names: list[str]) -> dict[str, dict[str, object]]:
    given: dict[str, dict[str, object]] = {name: {} for name in names}
    for key, value in assignments(set).items():
        name, mark, option = key.partition(".")
        if not mark or name not in given:
            raise UserError(f"--set {key[:60]}: expected METHOD.NAME=VALUE with a method of {', '.join(names)}.")
        given[name][option] = value
    return given

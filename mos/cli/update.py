"""`editfhf mos update`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.cli.choosing import Force, Json, Out, Set, chosen
from mos.cli.outcome import Ledger, Outputs, Raters, give
from mos.cli.showing import provenance
from mos.cli.source import Study, reads_table
from mos.errors import UserError

if TYPE_CHECKING:
    from mos.incremental import State


class Known(StrEnum):
    ERROR = "error"
    KEEP = "keep"
    REPLACE = "replace"


@reads_table
def update(
    study: Study,
    state: Annotated[Path, typer.Option(metavar="FILE", help="Where the study is kept; made when absent.")],
    known: Annotated[
        Known, typer.Option(help="A rating with another score than before: refuse, keep the first, take the new one.")
    ] = Known.ERROR,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the ratings of TABLE out instead.")] = False,
    method: Annotated[str | None, typer.Option("--method", "-m", help="For a new study; paper if not given.")] = None,
    set: Set = None,
    out: Out = None,
    ledger: Ledger = None,
    raters: Raters = None,
    json: Json = False,
    force: Force = False,
) -> None:
    """Add ratings to a study that is kept in a file, and score all of it: the same as scoring all at once.

    A table may come twice. The scale and the method are those with which the study began.

    Examples:

        editfhf mos update monday.csv --state study.parquet --scale 1 5 --method bt500

        editfhf mos update tuesday.csv --state study.parquet --out scores.csv --force

        editfhf mos update corrected.csv --state study.parquet --known replace

        editfhf mos update by_mistake.csv --state study.parquet --withdraw
    """
    from mos.incremental import save
    from mos.table import complain, located

    outputs = Outputs(out, ledger, raters)
    outputs.check(force)
    before = _begun(study, state, method, set)
    after, problems = before.remove(study.table) if withdraw else before.add(study.table, known.value)
    mine = {aside.problem.row for aside in study.asides}
    new = [problem for problem in located(problems, study.table) if problem.row not in mine]
    if new:
        raise UserError(f"{str(complain(new, study.paths[0])).rstrip('.')}. {state} is as it was.")
    result = after.result()
    save(after, state)
    made = provenance(study, result.options) | {"state": {"name": state.name, "ratings": len(after)}}
    give(study, result, made, outputs, json)


def _begun(study: Study, path: Path, method: str | None, given: list[str] | None) -> State:
    """The study as it is so far; UserError where it began with other options than those given now."""
    from mos.incremental import State, load

    if not path.exists():
        return State.empty(chosen(method or "paper", given), study.scale)
    found = load(path)
    if method is not None or given:
        wanted = chosen(method or found.options.method, given)
        if wanted != found.options:
            raise UserError(f"{path} began with the method {found.options.method} and other options; start a new file.")
    if study.scale is not None and found.scale != study.scale:
        began = "no scale" if found.scale is None else f"the scale {found.scale[0]:g} to {found.scale[1]:g}"
        raise UserError(f"{path} began with {began}; leave out --scale, or start a new file.")
    return found

"""`editfhf mos plan`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mos.cli.choosing import Json
from mos.cli.showing import notice, print_json, provenance, show
from mos.cli.source import Study, may_read_table
from mos.errors import UserError

if TYPE_CHECKING:
    from mos.planning import Pilot

_USUAL = "3,5,8,10,12,15,20,24,30,40,60"


@may_read_table
def plan(
    study: Study | None,
    sd: Annotated[float | None, typer.Option(help="Standard deviation of the ratings of one item.")] = None,
    half_width: Annotated[float | None, typer.Option(help="Wanted: intervals of +- this.")] = None,
    difference: Annotated[
        float | None, typer.Option(help="Wanted: to find a difference of this between items.")
    ] = None,
    power: Annotated[float, typer.Option(help="... with this probability.")] = 0.8,
    alpha: Annotated[
        float, typer.Option(help="Probability of finding one that is not there, over all comparisons.")
    ] = 0.05,
    comparisons: Annotated[int, typer.Option(min=1, help="How many pairs of items are compared (Bonferroni).")] = 1,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Different raters rate the two items.")] = False,
    sd_difference: Annotated[
        float | None, typer.Option(help="Standard deviation of one rater's difference between two items.")
    ] = None,
    icc: Annotated[float | None, typer.Option(help="Reliability of a single rater.")] = None,
    reliability: Annotated[float | None, typer.Option(help="Wanted: this reliability of the mean.")] = None,
    level: Annotated[float, typer.Option(help="Confidence of the intervals.")] = 0.95,
    assurance: Annotated[
        float | None, typer.Option(help="The half-width is to be met with this probability, not on average.")
    ] = None,
    raters: Annotated[str, typer.Option("--raters", help="Numbers of raters in the table.")] = _USUAL,
    json: Json = False,
) -> None:
    """Say how many raters a study needs for an interval, a power or a reliability; from figures, or from a pilot.

    With a TABLE of a pilot study what is not given is estimated from it, dimension by dimension.

    Examples:

        editfhf mos plan --sd 0.8 --half-width 0.3

        editfhf mos plan pilot.csv --half-width 0.3 --reliability 0.95

        editfhf mos plan --sd-difference 0.9 --difference 0.5 --comparisons 100

        editfhf mos plan --icc 0.57 --reliability 0.95
    """
    from mos.planning import Comparison, from_ratings, table

    if study is None and sd is None and sd_difference is None and icc is None:
        raise UserError("Expected a TABLE of a pilot study, or one of --sd, --sd-difference, --icc; see --help.")
    counts = _counts(raters)
    pilots: list[Pilot | None] = [None]
    if study is not None:
        pilots = [from_ratings(study.ratings, name) for name in study.ratings.dimensions.to_pylist()]
    plans = []
    for pilot in pilots:
        figures = _figures(pilot, sd, sd_difference, icc, unpaired)
        wanted = {"half_width": half_width, "difference": difference, "reliability": reliability}
        compared = Comparison(figures["compared"], not unpaired, alpha, comparisons) if figures["compared"] else None
        needs = list(_needs(figures, compared, wanted, power, level, assurance))
        found = {key: value for key, value in figures.items() if key != "compared"} | {"needs": needs}
        if figures["sd"] and compared is not None:
            rows = table(
                counts, figures["sd"], compared, difference=difference, single=figures["icc"], level=level, target=power
            )
            found["table"] = rows
        plans.append(found)
    _print(study, plans, json)


def _figures(
    pilot: Pilot | None, sd: float | None, sd_difference: float | None, icc: float | None, unpaired: bool
) -> dict[str, Any]:
    """What was given, else what the pilot has; the standard deviation that a comparison of items is about."""
    if pilot is not None:
        sd = pilot.sd if sd is None else sd
        sd_difference = pilot.sd_difference if sd_difference is None else sd_difference
        icc = pilot.consistency if icc is None and pilot.consistency > 0 else icc
    between = sd if unpaired else sd_difference
    if between is None and sd is not None:
        between = sd * 2**0.5  # as of raters whose two ratings have nothing in common: at the most
    return {
        "dimension": None if pilot is None else pilot.dimension,
        "sd": sd,
        "sd_difference": sd_difference,
        "icc": icc,
        "compared": between,
    }


def _needs(
    figures: dict[str, Any],
    compared: Any,
    wanted: dict[str, float | None],
    power: float,
    level: float,
    assurance: float | None,
) -> Iterator[dict[str, Any]]:
    from mos.planning import raters_for_half_width, raters_for_power, raters_for_reliability

    target = wanted["half_width"]
    if target is not None:
        _demand(figures["sd"], "--half-width", "--sd")
        count = raters_for_half_width(figures["sd"], target, level, assurance)
        sure = "" if assurance is None else f" with probability {assurance:g}"
        yield {"raters": count, "for": f"intervals of +-{target:g} at {100 * level:g} % confidence{sure}"}
    target = wanted["difference"]
    if target is not None:
        _demand(compared, "--difference", "--sd-difference or --sd")
        count = raters_for_power(compared, target, power)
        yield {"raters": count, "for": f"finding a difference of {target:g} between two items with power {power:g}"}
    target = wanted["reliability"]
    if target is not None:
        _demand(figures["icc"], "--reliability", "--icc")
        count = raters_for_reliability(figures["icc"], target)
        yield {"raters": count, "for": f"a reliability of {target:g} of the mean score"}


def _demand(known: object, option: str, needed: str) -> None:
    if known is None:
        raise UserError(f"{option} needs {needed}, or a pilot study in which raters agree better than by chance.")


def _counts(text: str) -> list[int]:
    try:
        counts = [int(entry) for entry in text.split(",")]
    except ValueError:
        raise UserError(f"--raters {text[:60]}: expected whole numbers separated by commas, such as 5,10,15.") from None
    return sorted(set(counts))


def _print(study: Study | None, plans: list[dict[str, Any]], json: bool) -> None:
    if json:
        rows = [{**found, "table": found["table"].to_pylist()} if "table" in found else found for found in plans]
        print_json(({} if study is None else provenance(study, {})) | {"plans": rows})
        return
    for found in plans:
        where = f"{found['dimension']}: " if found["dimension"] else ""
        known = ", ".join(
            f"{name} {found[key]:.3g}"
            for key, name in (("sd", "SD"), ("sd_difference", "SD of differences"), ("icc", "ICC of one rater"))
            if found[key] is not None
        )
        typer.echo(f"{where}{known}")
        for need in found["needs"]:
            typer.echo(f"{where}{need['raters']} raters for each item: {need['for']}.")
        if "table" in found:
            show(found["table"], f"{where}what a number of raters gives", len(found["table"]))
    notice([] if study is None else study.notes)

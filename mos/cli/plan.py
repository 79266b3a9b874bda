"""`editfhf mos plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from mos.cli.options import JsonOption, may_read_table
from mos.cli.output import make_provenance, print_table
from mos.console import print_json, print_line, print_notices
from mos.errors import UserError
from mos.load import RatingStudy

_DEFAULT_COUNTS = "3,5,8,10,12,15,20,24,30,40,60"


@may_read_table
def plan_command(
    study: RatingStudy | None,
    sd: Annotated[float | None, typer.Option(help="Standard deviation of the ratings of one item.")] = None,
    half_width: Annotated[
        float | None, typer.Option(help="Target half-width of the confidence interval of a score.")
    ] = None,
    difference: Annotated[float | None, typer.Option(help="Target difference between two items to detect.")] = None,
    power: Annotated[float, typer.Option(help="Power: probability of detecting the difference.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Significance level (family-wise, over all comparisons).")] = 0.05,
    comparisons: Annotated[int, typer.Option(min=1, help="Number of pairs of items compared (Bonferroni).")] = 1,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Different raters rate the two items.")] = False,
    sd_difference: Annotated[
        float | None, typer.Option(help="Standard deviation of one rater's difference between two items.")
    ] = None,
    icc: Annotated[float | None, typer.Option(help="Reliability of a single rater (intraclass correlation).")] = None,
    reliability: Annotated[float | None, typer.Option(help="Target reliability of the mean score.")] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    assurance: Annotated[
        float | None, typer.Option(help="Probability of meeting the half-width (default: met on average).")
    ] = None,
    raters: Annotated[
        str, typer.Option("--raters", help="Numbers of raters in the table, separated by commas.")
    ] = _DEFAULT_COUNTS,
    json: JsonOption = False,
) -> None:
    """Plan how many raters a study needs for an interval, a power or a reliability.

    Figures that are not given are estimated from TABLE, a pilot study, for each dimension.

    Examples:

        editfhf mos plan --sd 0.8 --half-width 0.3

        editfhf mos plan pilot.csv --half-width 0.3 --reliability 0.95

        editfhf mos plan --sd-difference 0.9 --difference 0.5 --comparisons 100

        editfhf mos plan --icc 0.57 --reliability 0.95
    """
    from mos.planning import PlanTargets, plan_study

    targets = PlanTargets(
        half_width=half_width,
        difference=difference,
        reliability=reliability,
        power=power,
        alpha=alpha,
        comparisons=comparisons,
        unpaired=unpaired,
        level=level,
        assurance=assurance,
    )
    ratings = None if study is None else study.ratings
    plan = plan_study(ratings, targets, sd=sd, sd_difference=sd_difference, icc=icc, counts=_parse_counts(raters))
    if json:
        made = {} if study is None else make_provenance(study, {})
        print_json(made | {"plans": [each.as_dict() for each in plan.dimensions]})
        return
    for each in plan.dimensions:
        print_line("\n".join(each.sentences()))
        if each.table is not None:
            prefix = f"{each.dimension}: " if each.dimension else ""
            print_table(each.table, f"{prefix}precision, power and reliability by number of raters", len(each.table))
    print_notices([] if study is None else study.notes)


def _parse_counts(text: str) -> list[int]:
    """The whole numbers in a text such as 5,10,15."""
    try:
        return [int(entry) for entry in text.split(",")]
    except ValueError:
        raise UserError(f"--raters {text[:60]}: expected whole numbers separated by commas, such as 5,10,15.") from None

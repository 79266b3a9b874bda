"""The page itself: one HTML file that needs no other and no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from mos import pages
from mos.agreement import READING, agreements, tabulate
from mos.comparison import compare
from mos.connectivity import report as connections
from mos.methods import METHODS
from mos.raters import COLUMNS, advice
from mos.raters import report as rater_report
from mos.ratings import Ratings
from mos.report.plots import drawn, of_dimension, of_study, unit_of
from mos.scoring.result import Result
from mos.table import completeness
from mos.table.times import given_at

if TYPE_CHECKING:
    from jinja2 import Environment

SHOWN = 200
_LONGEST = 80
_EXCLUDED = {"pooled": "raters excluded", "dimension": "exclusions of a rater from a dimension"}
_GLANCE = (
    "rater", "n", "share", "expected_share", "share_high", "share_p_holm", "bias", "inconsistency", "pearson",
    "spearman", "entropy", "repeats_excess", "drift", "rank_influence", "excluded", "reason",
)  # fmt: skip


def write(
    out: Path,
    table: pa.Table,
    result: Result,
    compared: Mapping[str, Result],
    made: Mapping[str, Any],
    seed: int = 0,
) -> None:
    """Write the page about the ratings of a result to the file `out`; see `render`."""
    out.write_text(render(table, result, compared, made, seed), encoding="utf-8", newline="\n")


def render(
    table: pa.Table, result: Result, compared: Mapping[str, Result], made: Mapping[str, Any], seed: int = 0
) -> str:
    """The text of the page.  The same study gives the same bytes.

    table: the one that was coded, for its times; compared: results of other methods, by name
    made: how the result came about, JSON values; seed: of resampling and splitting
    Every value is escaped by the template engine; names from the table stay text.
    """
    from markupsafe import Markup

    ratings = result.ratings
    found = agreements(ratings, seed=seed)
    times, order = given_at(ratings, table)
    raters = rater_report(ratings, result=result, times=times)
    figures = drawn(of_study(result, raters, _threshold(result)))
    for position, agreement in enumerate(found):
        figures |= drawn(of_dimension(result, compared, position, agreement))
    side_by_side = compare({result.options["method"]: result, **compared}) if compared else None
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=made["input"]["name"],
            method=result.options["method"],
            what=METHODS[result.options["method"]],
            unit=unit_of(result),
            tiles=_tiles(result),
            notes=[*made["notes"], *result.summary["warnings"], *_apart(ratings, result)],
            dimensions=ratings.dimensions.to_pylist(),
            figures={name: Markup(text) for name, text in figures.items()},
            scores=result.scores.slice(0, SHOWN),
            score_count=len(result.scores),
            filling=completeness(ratings),
            raters=raters.select(list(_GLANCE)).sort_by([("excluded", "descending"), ("share", "descending")]),
            columns=COLUMNS,
            advice=advice(raters),
            order=order,
            agreement=tabulate(found),
            reading=READING,
            comparison=side_by_side,
            ledger=result.ledger().slice(0, SHOWN),
            ledger_count=len(result.ledger()),
            made=orjson.dumps(made, option=orjson.OPT_INDENT_2).decode(),
            style=pages.style(),
        )
    )


def _threshold(result: Result) -> float | None:
    """The share of flagged ratings above which the method excludes a rater."""
    for option in ("max_outlier_share", "max_share"):
        if option in result.options and result.raters["share"].null_count < len(result.raters):
            return float(result.options[option])
    return None


def _tiles(result: Result) -> list[tuple[str, str, str]]:
    """Figure, what it is, and what to hold it against."""
    told = result.summary
    false = told["expected_false_exclusions"]
    by_chance = "" if false is None else f"{false:.1f} by chance, were all alike"
    removed = f"{100 * told['share_removed']:.1f} %"
    outliers = told["expected_outlier_share"]
    expected = "" if outliers is None else f"{100 * outliers:.1f} % outliers by chance"
    return [
        (f"{told['items']:,}", "items", f"{told['scores']:,} scores"),
        (f"{told['ratings']:,}", "ratings", ""),
        (f"{told['raters']:,}", "raters", ""),
        (f"{told['exclusions']:,}", _EXCLUDED[result.options.get("exclusion_scope", "dimension")], by_chance),
        (removed, "of the ratings left out", expected),
    ]


def _apart(ratings: Ratings, result: Result) -> list[str]:
    """What the graph of raters and items says against comparing scores, unless the summary has said it."""
    said = set(result.summary["warnings"])
    warnings = [each.warning for each in connections(ratings) if each.warning and result.unit == "points"]
    return [warning for warning in warnings if warning not in said]


def _environment() -> Environment:
    environment = pages.environment("mos.report")
    environment.filters["cell"] = _cell
    environment.filters["numeric"] = _numeric
    return environment


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(pages.printable(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _numeric(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)

"""The report page: one HTML file that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from mos import pages
from mos.comparison import compare_methods
from mos.connectivity import report_connectivity
from mos.display import format_cell, is_numeric_type
from mos.methods import METHODS
from mos.plots.results import describe_unit, plot_dimension, plot_study
from mos.plots.svg import figure_to_svg
from mos.raters import RATER_COLUMNS, advise_on_raters, report_raters
from mos.ratings import Ratings
from mos.reliability import COEFFICIENT_MEANINGS, measure_agreement, tabulate_agreement
from mos.scoring.result import ScoringResult
from mos.table import design_completeness
from mos.table.describe import rating_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_PAGE_ROWS = 200
_EXCLUSION_LABELS = {"pooled": "raters excluded", "dimension": "exclusions of a rater from a dimension"}
_GLANCE_COLUMNS = (
    "rater", "n", "share", "expected_share", "share_high", "share_p_holm", "bias", "inconsistency", "pearson",
    "spearman", "entropy", "repeats_excess", "drift", "rank_influence", "excluded", "reason",
)  # fmt: skip


def write_study_report(
    out: Path,
    table: pa.Table,
    result: ScoringResult,
    compared: Mapping[str, ScoringResult],
    made: Mapping[str, Any],
    seed: int = 0,
) -> None:
    """Write the report page of a study to a file.

    Parameters
    ----------
    out
        The HTML file.
    table, result, compared, made, seed
        See `render_study_report`.
    """
    pages.write_page(out, render_study_report(table, result, compared, made, seed))


def render_study_report(
    table: pa.Table,
    result: ScoringResult,
    compared: Mapping[str, ScoringResult],
    made: Mapping[str, Any],
    seed: int = 0,
) -> str:
    """Render the report page of a study; the same study gives the same bytes.

    Parameters
    ----------
    table
        The validated table of ratings, for its times.
    result
        The result that the page shows.
    compared
        Results of other methods, by name.
    made
        Provenance as JSON values, see `mos.cli.output.make_provenance`.
    seed
        Random seed of the resampling and the split halves.

    Returns
    -------
    str
        HTML; the template engine escapes every value, so that names from the table stay text.
    """
    from markupsafe import Markup

    ratings = result.ratings
    agreements = measure_agreement(ratings, seed=seed)
    times, order = rating_times(ratings, table)
    raters = report_raters(ratings, result=result, times=times)
    figures = _draw_figures(plot_study(result, raters))
    for position, agreement in enumerate(agreements):
        figures |= _draw_figures(plot_dimension(result, compared, position, agreement))
    side_by_side = compare_methods({result.options["method"]: result, **compared}) if compared else None
    return pages.render_page(
        "mos.report",
        "page.html",
        filters={"cell": format_cell, "numeric": is_numeric_type},
        title=made["input"]["name"],
        method=result.options["method"],
        what=METHODS[result.options["method"]],
        unit=describe_unit(result),
        tiles=_summary_tiles(result),
        notes=[*made["notes"], *result.summary["warnings"], *_new_connectivity_warnings(ratings, result)],
        dimensions=ratings.dimensions.to_pylist(),
        figures={name: Markup(text) for name, text in figures.items()},
        scores=result.scores.slice(0, MAX_PAGE_ROWS),
        score_count=len(result.scores),
        filling=design_completeness(ratings),
        raters=raters.select(list(_GLANCE_COLUMNS)).sort_by([("excluded", "descending"), ("share", "descending")]),
        columns=RATER_COLUMNS,
        advice=advise_on_raters(raters),
        order=order,
        agreement=tabulate_agreement(agreements),
        reading=COEFFICIENT_MEANINGS,
        comparison=side_by_side,
        ledger=result.ledger().slice(0, MAX_PAGE_ROWS),
        ledger_count=len(result.ledger()),
        made=orjson.dumps(made, option=orjson.OPT_INDENT_2).decode(),
        style=pages.page_style(),
    )


def _draw_figures(figures: Iterator[tuple[str, Figure]]) -> dict[str, str]:
    """SVG by name; each figure is released once it is drawn."""
    return {name: figure_to_svg(figure, name) for name, figure in figures}


def _summary_tiles(result: ScoringResult) -> list[tuple[str, str, str]]:
    """For each tile: the figure, its label, and a figure to compare it with."""
    summary = result.summary
    false_exclusions = summary["expected_false_exclusions"]
    by_chance = "" if false_exclusions is None else f"{false_exclusions:.1f} by chance if all were alike"
    removed = f"{100 * summary['share_removed']:.1f} %"
    excluded = _EXCLUSION_LABELS[result.options.get("exclusion_scope", "dimension")]
    outliers = summary["expected_outlier_share"]
    expected = "" if outliers is None else f"{100 * outliers:.1f} % outliers by chance"
    return [
        (f"{summary['items']:,}", "items", f"{summary['scores']:,} scores"),
        (f"{summary['ratings']:,}", "ratings", ""),
        (f"{summary['raters']:,}", "raters", ""),
        (f"{summary['exclusions']:,}", excluded, by_chance),
        (removed, "of the ratings left out", expected),
    ]


def _new_connectivity_warnings(ratings: Ratings, result: ScoringResult) -> list[str]:
    """Connectivity warnings that are not among those of the summary."""
    known = set(result.summary["warnings"])
    warnings = [part.warning for part in report_connectivity(ratings) if part.warning and result.unit == "points"]
    return [warning for warning in warnings if warning not in known]

"""Print statistics as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from editfhf.report.statistics import (
    KIND_TITLES,
    SCORE_KEYS,
    SCORE_TITLES,
    DatasetStatistics,
    format_estimate,
)
from mos.console import make_console
from mos.words import escape_to_one_line, format_decimal, format_identifier, format_percent

MAX_CONSOLE_ROWS = 20


def print_statistics(statistics: DatasetStatistics, console: Console | None = None) -> None:
    """Print every table to the console (stdout by default). Texts of the corpus are not interpreted as markup."""
    tables = (
        _splits_table,
        _build_steps_table,
        _scores_table,
        _regions_table,
        _editors_table,
        _task_groups_table,
        _rater_agreement_table,
        _box_agreement_table,
        _raters_table,
        _rejections_table,
    )
    made = [table for make in tables if (table := make(statistics)).row_count]
    corpus = statistics.corpus
    title = " ".join(str(corpus[key]) for key in ("name", "version") if corpus.get(key))
    (console or make_console()).print(Group(_make_plain_text(title, "bold"), *made))


def _make_plain_text(value: object, style: str = "") -> Text:
    shown = str(value).replace("\N{NO-BREAK SPACE}", " ")
    return Text(escape_to_one_line(shown), style)


def _make_table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> Table:
    """A table whose first `left` columns hold words and the others numbers."""
    found = list(rows)
    rest = f" (first {MAX_CONSOLE_ROWS} of {len(found):,}; all with --json)" if len(found) > MAX_CONSOLE_ROWS else ""
    table = Table(title=title + rest, title_justify="left", title_style="bold", header_style="dim")
    for k, name in enumerate(header):
        table.add_column(name, justify="left" if k < left else "right")
    for row in found[:MAX_CONSOLE_ROWS]:
        table.add_row(*(_make_plain_text(f"{cell:,}" if isinstance(cell, int) else cell) for cell in row))
    return table


def _splits_table(statistics: DatasetStatistics) -> Table:
    rows = [(split.split, split.pairs, split.sources, split.editors, split.tasks) for split in statistics.splits]
    return _make_table("Splits", ("", "images", "sources", "editors", "tasks"), rows)


def _build_steps_table(statistics: DatasetStatistics) -> Table:
    rows = [
        (
            format_identifier(s.stage),
            ", ".join(f"{format_identifier(r)} {n:,}" for r, n in s.reasons.items()),
            s.entered,
            s.left,
            s.set_aside,
        )
        for s in statistics.stages
    ]
    return _make_table("Steps", ("step", "reasons", "in", "out", "rejected"), rows, left=2)


def _scores_table(statistics: DatasetStatistics) -> Table:
    rows = [
        (
            SCORE_TITLES[s.score],
            s.n,
            s.missing,
            format_decimal(s.mean),
            format_decimal(s.sd),
            format_decimal(s.low),
            format_decimal(s.high),
        )
        for s in statistics.scores
    ]
    return _make_table("Mean opinion scores", ("", "images", "without", "mean", "sd", "lowest", "highest"), rows)


def _regions_table(statistics: DatasetStatistics) -> Table:
    pairs = max(statistics.total.pairs, 1)
    rows = [
        (
            KIND_TITLES[part.kind],
            ", ".join(f"{format_identifier(flaw)} {n:,}" for flaw, n in _find_frequent_flaws(part.flaws)),
            part.regions,
            format_decimal(part.regions / pairs, 2),
            format_percent(1 - part.pairs / pairs),
        )
        for part in statistics.regions
    ]
    title = f"Regions; {format_percent(statistics.clean / pairs)} of the images are clean"
    return _make_table(title, ("kind", "most frequent", "regions", "per image", "images without"), rows, left=2)


def _find_frequent_flaws(flaws: Any, most: int = 3) -> list[tuple[str, int]]:
    totals = [(flaw, sum(counts.values())) for flaw, counts in flaws.items()]
    return [found for found in sorted(totals, key=lambda item: -item[1])[:most] if found[1]]


def _editors_table(statistics: DatasetStatistics) -> Table:
    return _group_scores_table("Editors", statistics.editors)


def _task_groups_table(statistics: DatasetStatistics) -> Table:
    return _group_scores_table("Task groups", statistics.task_groups)


def _group_scores_table(title: str, groups: Sequence[Any]) -> Table:
    ordered = sorted(groups, key=lambda group: (-(group.scores["overall"].mean or -1e9), group.name))
    rows = [(g.group or g.name, g.pairs, *(format_estimate(g.scores[score]) for score in SCORE_KEYS)) for g in ordered]
    return _make_table(
        f"{title}, scores with 95 % intervals", ("", "images", *(SCORE_TITLES[s] for s in SCORE_KEYS)), rows
    )


def _rater_agreement_table(statistics: DatasetStatistics) -> Table:
    rows = [
        (
            SCORE_TITLES[a.dimension],
            a.ratings,
            a.n,
            format_decimal(a.spearman, 3),
            format_decimal(a.pearson, 3),
            format_decimal(a.alpha, 3),
        )
        for a in statistics.rater_agreement
        if a.n
    ]
    return _make_table("Agreement of raters", ("", "ratings", "n", "Spearman", "Pearson", "alpha"), rows, left=2)


def _box_agreement_table(statistics: DatasetStatistics) -> Table:
    rows = [
        (KIND_TITLES[b.kind], b.boxes, b.couples, format_decimal(b.f1, 3), format_percent(b.supported))
        for b in statistics.box_agreement
        if b.boxes
    ]
    return _make_table("Agreement of annotators on boxes", ("", "boxes", "couples", "F1", "supported"), rows)


def _raters_table(statistics: DatasetStatistics) -> Table:
    rated = [rater for rater in statistics.raters if rater.ratings]
    rated.sort(key=lambda rater: (-(rater.outlier_share or 0), rater.annotator_id))
    rows = [
        (
            r.annotator_id,
            "excluded" if r.excluded else "kept",
            r.ratings,
            "–" if r.outliers is None else r.outliers,
            format_percent(r.outlier_share, 1),
            format_percent(r.expected_share, 1),
        )
        for r in rated
    ]
    return _make_table(
        "Raters, most outliers first", ("", "", "ratings", "outliers", "share", "expected"), rows, left=2
    )


def _rejections_table(statistics: DatasetStatistics) -> Table:
    rows = [(format_identifier(r.reason), format_identifier(r.what), r.count, r.repaired) for r in statistics.rejected]
    return _make_table("Rejections", ("reason", "what", "count", "repaired"), rows, left=2)

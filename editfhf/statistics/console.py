"""Statistics as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from editfhf.figures.wording import KIND_NAMES, SCORE_NAMES, decimal, estimate, percent, words
from editfhf.statistics.records import SCORES, Statistics

MOST_ROWS = 20


def show(statistics: Statistics, console: Console | None = None) -> None:
    """Print every table to the console (stdout when None); texts of the corpus are never read as markup."""
    tables = (_splits, _stages, _scores, _regions, _editors, _groups, _agreement, _boxes, _raters, _rejected)
    made = [table for make in tables if (table := make(statistics)).row_count]
    corpus = statistics.corpus
    title = " ".join(str(corpus[key]) for key in ("name", "version") if corpus.get(key))
    (console or Console()).print(Group(_text(title, "bold"), *made))


def _text(value: object, style: str = "") -> Text:
    shown = str(value).replace("\N{NO-BREAK SPACE}", " ")
    return Text("".join(char if char.isprintable() else "?" for char in shown), style)


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> Table:
    """A table whose first `left` columns hold words and the others numbers."""
    found = list(rows)
    rest = f" (first {MOST_ROWS} of {len(found):,}; all with --json)" if len(found) > MOST_ROWS else ""
    table = Table(title=title + rest, title_justify="left", title_style="bold", header_style="dim")
    for k, name in enumerate(header):
        table.add_column(name, justify="left" if k < left else "right")
    for row in found[:MOST_ROWS]:
        table.add_row(*(_text(f"{cell:,}" if isinstance(cell, int) else cell) for cell in row))
    return table


def _splits(statistics: Statistics) -> Table:
    rows = [(split.split, split.pairs, split.sources, split.editors, split.tasks) for split in statistics.splits]
    return _table("Splits", ("", "images", "sources", "editors", "tasks"), rows)


def _stages(statistics: Statistics) -> Table:
    rows = [
        (words(s.stage), ", ".join(f"{words(r)} {n:,}" for r, n in s.reasons.items()), s.entered, s.left, s.set_aside)
        for s in statistics.stages
    ]
    return _table("Stages", ("stage", "why", "in", "out", "set aside"), rows, left=2)


def _scores(statistics: Statistics) -> Table:
    rows = [
        (SCORE_NAMES[s.score], s.n, s.missing, decimal(s.mean), decimal(s.sd), decimal(s.low), decimal(s.high))
        for s in statistics.scores
    ]
    return _table("Mean opinion scores", ("", "images", "without", "mean", "sd", "lowest", "highest"), rows)


def _regions(statistics: Statistics) -> Table:
    pairs = max(statistics.total.pairs, 1)
    rows = [
        (
            KIND_NAMES[part.kind],
            ", ".join(f"{words(flaw)} {n:,}" for flaw, n in _most_frequent(part.flaws)),
            part.regions,
            decimal(part.regions / pairs, 2),
            percent(1 - part.pairs / pairs, 0),
        )
        for part in statistics.regions
    ]
    title = f"Regions; {percent(statistics.clean / pairs, 0)} of the images are clean"
    return _table(title, ("kind", "most frequent", "regions", "per image", "images without"), rows, left=2)


def _most_frequent(flaws: Any, most: int = 3) -> list[tuple[str, int]]:
    totals = [(flaw, sum(counts.values())) for flaw, counts in flaws.items()]
    return [found for found in sorted(totals, key=lambda item: -item[1])[:most] if found[1]]


def _editors(statistics: Statistics) -> Table:
    return _by_group("Editors", statistics.editors)


def _groups(statistics: Statistics) -> Table:
    return _by_group("Task groups", statistics.task_groups)


def _by_group(title: str, groups: Sequence[Any]) -> Table:
    ordered = sorted(groups, key=lambda group: (-(group.scores["overall"].mean or -1e9), group.name))
    rows = [(g.group or g.name, g.pairs, *(estimate(g.scores[score]) for score in SCORES)) for g in ordered]
    return _table(f"{title}, scores with 95 % intervals", ("", "images", *(SCORE_NAMES[s] for s in SCORES)), rows)


def _agreement(statistics: Statistics) -> Table:
    rows = [
        (SCORE_NAMES[a.dimension], a.ratings, a.n, decimal(a.spearman, 3), decimal(a.pearson, 3), decimal(a.alpha, 3))
        for a in statistics.rater_agreement
        if a.n
    ]
    return _table("Agreement of raters", ("", "ratings", "n", "Spearman", "Pearson", "alpha"), rows, left=2)


def _boxes(statistics: Statistics) -> Table:
    rows = [
        (KIND_NAMES[b.kind], b.boxes, b.couples, decimal(b.f1, 3), percent(b.supported, 0))
        for b in statistics.box_agreement
        if b.boxes
    ]
    return _table("Agreement of annotators on boxes", ("", "boxes", "couples", "F1", "supported"), rows)


def _raters(statistics: Statistics) -> Table:
    rated = [rater for rater in statistics.raters if rater.ratings]
    rated.sort(key=lambda rater: (-(rater.outlier_share or 0), rater.annotator_id))
    rows = [
        (
            r.annotator_id,
            "left out" if r.excluded else "kept",
            r.ratings,
            "–" if r.outliers is None else r.outliers,
            percent(r.outlier_share),
            percent(r.expected_share),
        )
        for r in rated
    ]
    return _table("Raters, most outliers first", ("", "", "ratings", "outliers", "share", "expected"), rows, left=2)


def _rejected(statistics: Statistics) -> Table:
    rows = [(words(r.reason), words(r.what), r.count, r.repaired) for r in statistics.rejected]
    return _table("Set aside", ("reason", "what", "count", "repaired"), rows, left=2)

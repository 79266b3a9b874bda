"""A table of results: rows of agents, people and papers; every number with its interval, its n and what it is of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from training.metrics.results import MetricSummary

if TYPE_CHECKING:
    from training.tables.cases import ShownCase

Direction = Literal["up", "down"]

RowOrigin = Literal["measured", "ceiling", "unavailable", "paper"]
"""`measured`: an agent on this dataset. `ceiling`: people on this dataset. `unavailable`: an agent that cannot run
here. `paper`: what the paper reports of its own data."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of numbers.

    Attributes
    ----------
    key : str
        As in `TableRow.cells`.
    title : str
    better : {"up", "down"}
        Whether higher or lower values are better.
    meaning : str
        One sentence.
    chance : float
        Value of a guess, which shares of the ceiling leave out.
    percent : bool
        Whether the number is a share of something.
    """

    key: str
    title: str
    better: Direction
    meaning: str
    chance: float = 0.0
    percent: bool = False


@dataclass(frozen=True, slots=True)
class TableCell:
    """One number.

    Attributes
    ----------
    value, ci_low, ci_high : float
        NaN where undefined.
    count : int
        Number of pairs (or boxes) that it is a mean of; 0 where unknown.
    missing : int
        Number of pairs that could have had a value and have none.
    reasons : mapping
        Why values are missing, and how often.
    share : float
        Share of the human ceiling, see `share_of_ceiling`; NaN without a ceiling.
    """

    value: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    count: int = 0
    missing: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    share: float = math.nan

    def as_record(self) -> dict[str, Any]:
        """The cell as JSON has it; None for what is not defined."""
        numbers = {name: getattr(self, name) for name in ("value", "ci_low", "ci_high", "share")}
        known = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        return {**known, "n": self.count, "missing": self.missing, "reasons": dict(self.reasons)}


@dataclass(frozen=True, slots=True)
class TableRow:
    """One agent, or what stands for one.

    Attributes
    ----------
    name : str
    origin : {"measured", "ceiling", "unavailable", "paper"}
    cells : mapping from str to TableCell
        By the key of the column; a column that is missing has no number.
    agent : str
        Family, name, version and digest of the agent; "" for other rows.
    coverage : float
        Share of the pairs on which the agent gave a result; NaN for other rows.
    note : str
        One sentence, such as why there is no result.
    """

    name: str
    origin: RowOrigin
    cells: Mapping[str, TableCell]
    agent: str = ""
    coverage: float = math.nan
    note: str = ""

    def as_record(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {
            "name": self.name,
            "origin": self.origin,
            "agent": self.agent,
            "coverage": self.coverage if math.isfinite(self.coverage) else None,
            "note": self.note,
            "values": {key: cell.as_record() for key, cell in self.cells.items()},
        }


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of results; a notebook shows it.

    Attributes
    ----------
    key : str
        Short name, part of file names.
    title : str
    groups : mapping from str to tuple of TableColumn
        Columns by the title of their group.
    rows : tuple of TableRow
        Measured agents, people, agents that cannot run here, rows of the paper.
    provenance : mapping
        Dataset, digest of its manifest, split, preset, numbers, how intervals were computed.
    cases : tuple of ShownCase
        Pairs that the page shows as pictures; none unless they were asked for.
    lead : str
        What was measured, in one sentence.
    """

    key: str
    title: str
    groups: Mapping[str, tuple[TableColumn, ...]]
    rows: tuple[TableRow, ...]
    provenance: Mapping[str, Any]
    cases: tuple[ShownCase, ...] = ()
    lead: str = ""

    def find_row(self, name: str) -> TableRow:
        """The measured row of an agent."""
        return next(row for row in self.rows if row.name == name and row.origin == "measured")

    def as_record(self) -> dict[str, Any]:
        """The table as JSON has it."""
        return {
            "table": self.key,
            "title": self.title,
            "provenance": dict(self.provenance),
            "columns": [
                {"key": column.key, "group": group, "title": column.title, "better": column.better}
                for group, columns in self.groups.items()
                for column in columns
            ],
            "rows": [row.as_record() for row in self.rows],
        }

    def _repr_html_(self) -> str:
        from training.tables.table_files import format_table_html

        return format_table_html(self)


def make_cell(summary: MetricSummary) -> TableCell:
    """The cell of a mean over pairs."""
    return TableCell(
        summary.mean, summary.ci_low, summary.ci_high, summary.count, summary.missing, dict(summary.reasons)
    )


def share_of_ceiling(column: TableColumn, value: float, ceiling: float) -> float:
    """How much of what a person reaches a value is.

    Both values count from that of a guess: (value - chance) / (ceiling - chance). Where lower is better it is
    ceiling / value. NaN where the ceiling is no better than a guess.

    >>> auc = TableColumn("auc", "AUC", "up", "", chance=0.5)
    >>> share_of_ceiling(auc, 0.8, 0.9), share_of_ceiling(TableColumn("kld", "KLD", "down", ""), 2.0, 1.0)
    (0.75, 0.5)
    """
    if not (math.isfinite(value) and math.isfinite(ceiling)):
        return math.nan
    if column.better == "down":
        return ceiling / value if value > 0 else math.nan
    reach = ceiling - column.chance
    return round((value - column.chance) / reach, 12) if reach > 0 else math.nan


def name_columns(prefix: str, columns: Sequence[TableColumn]) -> tuple[TableColumn, ...]:
    """The columns of one group: their keys are "<prefix>.<key>"."""
    return tuple(replace(column, key=f"{prefix}.{column.key}") for column in columns)


def with_shares(
    rows: Sequence[TableRow], people: TableRow, groups: Mapping[str, Sequence[TableColumn]]
) -> tuple[TableRow, ...]:
    """The rows with the share of the ceiling in every cell for which people have a number."""
    columns = {column.key: column for columns in groups.values() for column in columns}

    def add_share(key: str, cell: TableCell) -> TableCell:
        ceiling = people.cells.get(key)
        if ceiling is None:
            return cell
        return replace(cell, share=share_of_ceiling(columns[key], cell.value, ceiling.value))

    return tuple(replace(row, cells={key: add_share(key, cell) for key, cell in row.cells.items()}) for row in rows)

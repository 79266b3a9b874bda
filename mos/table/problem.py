"""What is wrong with one row of a table of ratings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One row set aside, or read after a repair, and why.

    row: 0-based index in the table given to `mos.table.code`; for problems of `mos.table.read_columns`, which finds
        them before there is a table, the line of the file, counted from 1
    reason: a short stable code in snake_case
    message: what was expected, what came, what to do; never a person's id
    """

    row: int
    reason: str
    message: str

"""A Label Studio export of the scoring stage as the long table of ratings that `mos` works on."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from annotation.export import ratings, read_tasks
from annotation.records import Place, Rating, Rejection
from mos.errors import UserError
from mos.table.problem import Problem

# A skipped task is the ordinary course of a campaign, and a flag on a region is no rating.
ROUTINE = frozenset({"cancelled"})
NOT_RATINGS = frozenset({"flag"})


def read(path: Path) -> tuple[pa.Table, list[Problem]]:
    """Every number that an annotator gave a dimension: item (the pair), rater, dimension, score, rated_at, row.

    `row` counts the tasks of the export from 1.  What cannot be used is among the problems, with its task; tasks that
    a person skipped are not, and neither is what was used after a repair.
    Raises UserError for a file that cannot be read, that is no export, or that holds not a single rating.
    """
    problems: list[Problem] = []
    found: list[Rating] = []

    def reject(rejection: Rejection) -> None:
        if not (rejection.repaired or rejection.reason in ROUTINE or rejection.what in NOT_RATINGS):
            problems.append(Problem(rejection.row, rejection.reason, rejection.message))

    try:
        for row, task in read_tasks(path, path.name, reject):
            found += ratings(task, Place(path.name, row), reject)[0]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); expected a Label Studio export.") from None
    if not found:
        why = f" Its first problem: {problems[0].message}" if problems else ""
        raise UserError(f"{path}: expected a Label Studio export with ratings in it, but found none.{why}")
    return _table(found), problems


def _table(found: list[Rating]) -> pa.Table:
    return pa.table(
        {
            "item": pa.array([rating.pair_id for rating in found], pa.string()),
            "rater": pa.array([rating.annotator_id for rating in found], pa.string()),
            "dimension": pa.array([rating.dimension for rating in found], pa.string()),
            "score": pa.array([rating.score for rating in found], pa.float64()),
            "rated_at": pa.array([rating.rated_at for rating in found], pa.string()),
            "row": pa.array([rating.place.row for rating in found], pa.int64()),
        }
    )

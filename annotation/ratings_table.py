"""A Label Studio export of the scoring stage as the long table of ratings that `mos` works on."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from annotation.export import ratings, read_tasks
from annotation.records import Place, Rating, Rejection
from mos.errors import UserError
from mos.problem import Problem


def read(path: Path) -> tuple[pa.Table, list[Problem]]:
    """Every number that an annotator gave a dimension: item (the pair), rater, dimension, score, rated_at, row.

    `row` counts the tasks of the export from 1.  What cannot be used is among the problems, with its task.
    Raises UserError for a file that is no export, or one without a single rating.
    """
    problems: list[Problem] = []
    found: list[Rating] = []

    def reject(rejection: Rejection) -> None:
        problems.append(Problem(rejection.row, rejection.reason, rejection.message))

    for row, task in read_tasks(path, path.name, reject):
        found += ratings(task, Place(path.name, row), reject)[0]
    if not found:
        why = f" The first of {len(problems)} problems: {problems[0].message}" if problems else ""
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

"""Read a Label Studio export of the stage scoring into the long table of ratings that `mos` takes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from annotation.labelstudio.read_export import read_export_tasks
from annotation.labelstudio.read_ratings import read_latest_ratings
from annotation.records import Place, Rating, Rejection
from mos.errors import UserError

# Skipped tasks and earlier submissions are normal in a campaign, and a flag on a region is not a rating.
ROUTINE_REASONS = frozenset({"cancelled", "superseded"})
NON_RATING_KINDS = frozenset({"flag"})


def read_export_table(path: Path) -> tuple[pa.Table, list[Rejection]]:
    """Read the ratings of an export.

    Within a studio task the latest submission of each rater counts.  Where several tasks are about one pair,
    `mos.table.validate_ratings` takes the latest rating with `duplicates="last"`, as a build does.

    Parameters
    ----------
    path : Path
        JSON export of a project of the stage scoring.

    Returns
    -------
    table : pyarrow.Table
        One row per rating: item (the pair), rater, dimension, score, rated_at, and row (the task, counted from 1).
    rejections : list of Rejection
        Tasks and scores that cannot be used.  Skipped tasks, earlier submissions, flags and repaired inputs are not
        listed.

    Raises
    ------
    UserError
        The file cannot be read, is not an export, or holds no rating.
    """
    rejections: list[Rejection] = []
    ratings: list[Rating] = []

    def reject(rejection: Rejection) -> None:
        if not (rejection.repaired or rejection.reason in ROUTINE_REASONS or rejection.what in NON_RATING_KINDS):
            rejections.append(rejection)

    try:
        for row, task in read_export_tasks(path, path.name, reject):
            ratings += read_latest_ratings(task, Place(path.name, row), reject)[0]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); expected a Label Studio export.") from None
    if not ratings:
        reason = f" Its first problem: {rejections[0].message}" if rejections else ""
        raise UserError(f"{path}: expected a Label Studio export with ratings in it, but found none.{reason}")
    return _build_ratings_table(ratings), rejections


def _build_ratings_table(ratings: list[Rating]) -> pa.Table:
    return pa.table(
        {
            "item": pa.array([rating.pair_id for rating in ratings], pa.string()),
            "rater": pa.array([rating.annotator_id for rating in ratings], pa.string()),
            "dimension": pa.array([rating.dimension for rating in ratings], pa.string()),
            "score": pa.array([rating.score for rating in ratings], pa.float64()),
            "rated_at": pa.array([rating.rated_at for rating in ratings], pa.string()),
            "row": pa.array([rating.place.row for rating in ratings], pa.int64()),
        }
    )

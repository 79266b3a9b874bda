"""The long table of ratings: read from a file, checked row by row, and coded as integers.

mos.table.read_ratings_table(path)        a CSV or Parquet file -> the table, and rejected rows
mos.table.validate_ratings(table, scale)  the table -> Ratings, and rejected rows
"""

from mos.errors import require_choice
from mos.ratings import Ratings
from mos.rejections import Rejection
from mos.table.describe import design_completeness
from mos.table.duplicates import DuplicateHandling
from mos.table.read import read_ratings_table
from mos.table.validate import (
    MAX_DIMENSIONS,
    MissingHandling,
    ValidatedRows,
    locate_rejections,
    order_ratings,
    rejections_error,
    validate_ratings,
    validate_rows,
)

__all__ = [
    "MAX_DIMENSIONS",
    "DuplicateHandling",
    "MissingHandling",
    "Ratings",
    "Rejection",
    "ValidatedRows",
    "design_completeness",
    "locate_rejections",
    "order_ratings",
    "read_ratings_table",
    "rejections_error",
    "require_choice",
    "validate_ratings",
    "validate_rows",
]

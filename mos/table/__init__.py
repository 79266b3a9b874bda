"""The long table of ratings: read from a file, checked row by row, and coded as integers.

mos.table.read_columns(path)      a CSV or Parquet file -> the table, and rows that could not be split
mos.table.code(table, scale)      the table -> Ratings, and problems
"""

from mos.ratings import Ratings
from mos.table.duplicates import Duplicates
from mos.table.judging import (
    MAX_DIMENSIONS,
    Judged,
    Missing,
    code,
    complain,
    completeness,
    judge,
    located,
    one_of,
)
from mos.table.problem import Problem
from mos.table.reading import read_columns

__all__ = [
    "MAX_DIMENSIONS",
    "Duplicates",
    "Judged",
    "Missing",
    "Problem",
    "Ratings",
    "code",
    "complain",
    "completeness",
    "judge",
    "located",
    "one_of",
    "read_columns",
]

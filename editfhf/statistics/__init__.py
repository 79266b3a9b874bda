"""Numbers about a built dataset: counts, scores, agreement, losses.  `compute` is the way in."""

from editfhf.statistics.records import GRID, SCORE_BIN, SCORES, Statistics
from editfhf.statistics.whole import compute

__all__ = ["GRID", "SCORES", "SCORE_BIN", "Statistics", "compute"]

"""Statistics of a dataset and the page that shows them: `compute_statistics`, then `write_dataset_report`."""

from editfhf.report.compute import compute_statistics
from editfhf.report.page import GALLERY_SIZE, render_dataset_report, write_dataset_report
from editfhf.report.statistics import SALIENCY_GRID, SCORE_BIN_WIDTH, SCORE_KEYS, DatasetStatistics

__all__ = [
    "GALLERY_SIZE",
    "SALIENCY_GRID",
    "SCORE_BIN_WIDTH",
    "SCORE_KEYS",
    "DatasetStatistics",
    "compute_statistics",
    "render_dataset_report",
    "write_dataset_report",
]

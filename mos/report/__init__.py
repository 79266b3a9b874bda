"""The report page of a rating study: scores, raters, exclusions, agreement and methods."""

from mos.report.page import render_study_report, write_study_report

__all__ = ["render_study_report", "write_study_report"]

"""The table of raters: flags, bias, agreement, use of the scale, straight-lining, drift and influence of each rater."""

from __future__ import annotations

from mos.raters.advice import advise_on_raters
from mos.raters.report import RATER_COLUMNS, report_raters

__all__ = ["RATER_COLUMNS", "advise_on_raters", "report_raters"]

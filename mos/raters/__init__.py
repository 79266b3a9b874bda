"""How did every rater rate?  One row each: flags, bias, agreement, scale use, straight-lining, drift, influence."""

from __future__ import annotations

from mos.raters.attention import advice
from mos.raters.columns import COLUMNS
from mos.raters.overview import report

__all__ = ["COLUMNS", "advice", "report"]

"""Plots of ratings and scores: arrays in, matplotlib figures out, and figures as SVG; needs the extra `plots`."""

from mos.plots.halves import split_half_curve
from mos.plots.histograms import score_histograms
from mos.plots.intervals import score_intervals
from mos.plots.methods import method_scatter
from mos.plots.planning import planning_curve
from mos.plots.raters import bias_inconsistency
from mos.plots.residuals import residual_map
from mos.plots.ridge import rater_ridge
from mos.plots.shares import flagged_shares
from mos.plots.sos import sos_scatter
from mos.plots.svg import svg

__all__ = [
    "bias_inconsistency",
    "flagged_shares",
    "method_scatter",
    "planning_curve",
    "rater_ridge",
    "residual_map",
    "score_histograms",
    "score_intervals",
    "sos_scatter",
    "split_half_curve",
    "svg",
]

"""Plots of ratings and scores: from arrays to matplotlib figures, and from figures to SVG; needs the extra `plots`."""

from mos.plots.agreement import plot_planning_curve, plot_residual_map, plot_sos_scatter, plot_split_half_curve
from mos.plots.raters import plot_bias_inconsistency, plot_flagged_shares, plot_rater_ridge
from mos.plots.scores import plot_method_scatter, plot_score_histograms, plot_score_intervals
from mos.plots.svg import figure_to_svg

__all__ = [
    "figure_to_svg",
    "plot_bias_inconsistency",
    "plot_flagged_shares",
    "plot_method_scatter",
    "plot_planning_curve",
    "plot_rater_ridge",
    "plot_residual_map",
    "plot_score_histograms",
    "plot_score_intervals",
    "plot_sos_scatter",
    "plot_split_half_curve",
]

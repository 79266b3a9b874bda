"""How many raters a study needs, and what a number of raters can tell; from known figures or from a pilot."""

from mos.planning.pilot import Pilot, from_ratings
from mos.planning.power import Comparison, detectable_difference, power, raters_for_power
from mos.planning.precision import half_width, raters_for_half_width
from mos.planning.reliability import raters_for_reliability, reliability, single_rater_reliability
from mos.planning.search import MOST_RATERS
from mos.planning.tabulate import table

__all__ = [
    "MOST_RATERS",
    "Comparison",
    "Pilot",
    "detectable_difference",
    "from_ratings",
    "half_width",
    "power",
    "raters_for_half_width",
    "raters_for_power",
    "raters_for_reliability",
    "reliability",
    "single_rater_reliability",
    "table",
]

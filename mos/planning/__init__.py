"""Number of raters that a study needs, and what a number of raters gives; from known figures or from a pilot study."""

from mos.planning.pilot import PilotEstimate, estimate_pilot
from mos.planning.plan import (
    MAX_RATERS,
    compute_half_width,
    compute_reliability,
    compute_single_reliability,
    raters_for_half_width,
    raters_for_reliability,
)
from mos.planning.power import ItemComparison, compute_power, find_detectable_difference, raters_for_power
from mos.planning.study_plan import (
    PLANNED_COUNTS,
    DimensionPlan,
    PlanTargets,
    StudyPlan,
    plan_study,
    tabulate_plan,
)

__all__ = [
    "MAX_RATERS",
    "PLANNED_COUNTS",
    "DimensionPlan",
    "ItemComparison",
    "PilotEstimate",
    "PlanTargets",
    "StudyPlan",
    "compute_half_width",
    "compute_power",
    "compute_reliability",
    "compute_single_reliability",
    "estimate_pilot",
    "find_detectable_difference",
    "plan_study",
    "raters_for_half_width",
    "raters_for_power",
    "raters_for_reliability",
    "tabulate_plan",
]

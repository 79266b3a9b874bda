"""Agreement of the raters in each dimension, with intervals; time and memory are linear in the ratings.

`report_agreement` gives a table with one row for each dimension and coefficient, `measure_agreement` also the curves
and points of plots, and `COEFFICIENT_MEANINGS` one line for each coefficient on how to read it.
"""

from mos.reliability.alpha import krippendorff_alpha
from mos.reliability.coefficient import COEFFICIENT_MEANINGS, Coefficient
from mos.reliability.report import (
    AgreementReport,
    DimensionAgreement,
    measure_agreement,
    measure_dimension_agreement,
    report_agreement,
    tabulate_agreement,
)
from mos.reliability.split_half import spearman_brown

__all__ = [
    "COEFFICIENT_MEANINGS",
    "AgreementReport",
    "Coefficient",
    "DimensionAgreement",
    "krippendorff_alpha",
    "measure_agreement",
    "measure_dimension_agreement",
    "report_agreement",
    "spearman_brown",
    "tabulate_agreement",
]

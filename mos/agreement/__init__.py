"""How well the raters of a study agree, dimension by dimension, with intervals; linear in the ratings.

mos.agreement.table(ratings)          one row for each dimension and coefficient
mos.agreement.agreements(ratings)     the same, with the curves and the points for plots; `tabulate` makes the table
mos.agreement.READING["ICC(A,1)"]     how to read a coefficient, in a line
"""

from mos.agreement.alpha import alpha
from mos.agreement.coefficient import READING, Coefficient
from mos.agreement.split_half import spearman_brown
from mos.agreement.study import Agreement, agreement, agreements, table, tabulate

__all__ = [
    "READING",
    "Agreement",
    "Coefficient",
    "agreement",
    "agreements",
    "alpha",
    "spearman_brown",
    "table",
    "tabulate",
]

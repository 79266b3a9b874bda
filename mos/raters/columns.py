"""The columns of the table of raters: what each says, its unit, and how to read it."""

from __future__ import annotations

COLUMNS: dict[str, str] = {
    "rater": "Name of the rater.",
    "n": "Ratings given; a count.",
    "items": "Items rated at least once; a count.",
    "alone": "Ratings of items that no one else rated in the dimension; a count. They cannot be compared with "
    "anything.",
    "screened": "Ratings that screening looked at; a count. Differs from n where one dimension is shown of a result "
    "of several.",
    "flagged": "Ratings that screening counts against the rater; a count.",
    "share": "flagged / screened, 0 to 1.",
    "expected_share": "The share, 0 to 1, that chance alone would flag, were all raters alike and Gaussian.",
    "share_low": "Lower end of the null band: 95 % of raters who are like all others have a share in it; 0 to 1.",
    "share_high": "Upper end of the null band; a share above it is more than chance explains. Dimensions are taken "
    "as independent, so with several the band is somewhat too narrow.",
    "share_p": "Probability of at least this share by chance, Binomial(screened, expected_share); 0 to 1, small is "
    "bad.",
    "share_p_holm": "share_p adjusted for looking at so many raters (Holm); below 0.05 is hardly chance.",
    "excluded": "Whether the method sets the rater aside; null where no method was run.",
    "reason": "Why; null where the rater stays.",
    "bt500_p": "P of ITU-R BT.500: ratings far above the others' (2 S, or sqrt(20) S where ratings are not normal); "
    "a count.",
    "bt500_q": "Q of ITU-R BT.500: ratings far below; a count. P and Q both high is carelessness, one of them alone "
    "bias.",
    "bias": "Mean of rating - mean of the others, scale units; above 0 the rater is generous, below 0 strict.",
    "bias_low": "Lower end of the bias's 95 % interval (t, items as the unit of sampling), scale units.",
    "bias_high": "Upper end of the bias's 95 % interval, scale units.",
    "inconsistency": "SD of rating - mean of the others around the bias (of each dimension), scale units; contains "
    "the noise of the others' mean, so a rater like all others among n has sqrt(n / (n - 1)) of the true one.",
    "inconsistency_low": "Lower end of the inconsistency's 95 % interval (chi-square), scale units.",
    "inconsistency_high": "Upper end of the inconsistency's 95 % interval, scale units.",
    "pearson": "Pearson's r with the mean of the others, within dimensions, -1 to 1; compare it with the other "
    "raters'.",
    "spearman": "The same of ranks (Spearman), -1 to 1: how far the rater orders the items as the others do.",
    "levels": "Different scores used; a count. 1 is a rater who never discriminated.",
    "range_used": "(highest - lowest score given) / length of the scale, 0 to 1.",
    "entropy": "How evenly the scores in use are used, bits / most possible bits; 0 is always the same, 1 all alike "
    "often. More than 21 different scores are binned to ten.",
    "extremes": "Share of ratings at either end of the scale (of a finely divided scale, in its first or last "
    "tenth), 0 to 1.",
    "repeats": "Share of ratings equal to the rater's one before, in the dimension, 0 to 1.",
    "repeats_expected": "The same had the rater given these scores in random order, 0 to 1.",
    "repeats_excess": "repeats - repeats_expected; well above 0 AND above the other raters' is straight-lining. "
    "Where similar items follow each other, everyone is above 0: so without times, when the order is that of the "
    "table's rows.",
    "longest_run": "Most equal scores in a row, in one dimension; a count.",
    "longest_run_p": "Upper bound of the probability of such a run in random order, 0 to 1; tiny is straight-lining, "
    "unless similar items follow each other.",
    "alike": "Share of the items rated in all dimensions that got the same score in all, 0 to 1; null with one "
    "dimension.",
    "alike_expected": "The same were the rater's dimensions independent, 0 to 1. They never are: compare with other "
    "raters.",
    "drift": "Change of rating - mean of the others from the rater's first to last rating (slope), scale units a "
    "session; without times the order is that of the table's rows, which may say nothing about time.",
    "drift_low": "Lower end of the drift's 95 % interval (t), scale units; an interval without 0 means change.",
    "drift_high": "Upper end of the drift's 95 % interval, scale units.",
    "inconsistency_ratio": "Inconsistency in the second half over that in the first; above 1 the rater gets "
    "careless, below 1 learns.",
    "retests": "Items and dimensions that the rater rated again; a count.",
    "retest_difference": "Mean absolute difference between first and second rating of the same, scale units; 0 is "
    "best.",
    "retest_pearson": "Pearson's r between first and second rating, within dimensions, -1 to 1.",
    "retest_icc": "ICC(1,1) of first and second rating, up to 1: unlike r, a shift between them counts against it.",
    "rank_influence": "1 - Spearman's r between the items' plain means with and without the rater, mean over "
    "dimensions; 0 is none. Items that no one else rated are left out.",
    "largest_change": "Largest change of an item's plain mean when the rater's ratings are taken out, scale units.",
}

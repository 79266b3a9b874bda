"""The paper's method from ratings to mean opinion scores (section 3.2.3, equation 1).

1. A rating more than 2 standard deviations from the mean of its item and dimension is an outlier: removed.
2. A rater with more than 5 % outliers, all dimensions pooled, is excluded.
3. Each rater's remaining ratings of a dimension become z-scores.
4. An item's score is 100 (mean z + 3) / 6.

One pass: nothing is computed again after an exclusion. Options select the other readings of the text.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from mos._kernels import count_by_group
from mos._outliers import flag_outliers
from mos.ratings import Ratings
from mos.scoring.estimate import (
    RATER_EXCLUDED,
    RATING_KEPT,
    ChanceModel,
    RaterFlags,
    RatingStatus,
    ScoreEstimate,
    ScoreMeans,
    expected_flag_shares,
    rating_statuses,
)
from mos.scoring.exclusions import outlier_exclusions, rater_exclusions, unusable_rater_exclusions
from mos.scoring.normalise import (
    POINTS_PER_Z,
    NormalisedRatings,
    NormalisingOptions,
    average_z_scores,
    normalise_ratings,
    rater_statuses,
)
from mos.scoring.options import ExactDecimal


def exceeds_share(n: NDArray[Any], flagged: NDArray[Any], max_share: Fraction) -> NDArray[Any]:
    """Find the raters with a larger share of flagged ratings than `max_share`.

    Parameters
    ----------
    n, flagged : ndarray of int, shape (raters,)
        Ratings of each rater, and how many of them are flagged.
    max_share : Fraction
        In 0..1. The comparison is strict and in integers: a rater at exactly 5 % stays.

    Returns
    -------
    ndarray of bool, shape (raters,)
    """
    exceeds = [
        int(out) * max_share.denominator > max_share.numerator * int(count)
        for out, count in zip(flagged, n, strict=True)
    ]
    return np.array(exceeds, bool)


def outlier_probability(n: NDArray[Any], sigma: Fraction, ddof: int) -> NDArray[Any]:
    """Probability that one of n independent Gaussian ratings is flagged as an outlier.

    Parameters
    ----------
    n : ndarray of int, shape (groups,)
    sigma : Fraction
        Standard deviations from the mean that make an outlier.
    ddof : {0, 1}

    Returns
    -------
    ndarray of float64, shape (groups,)

    Notes
    -----
    The squared deviation of one of n normal draws from their mean, as a share of their sum of squares SS, is
    (n - 1)/n times a Beta(1/2, (n - 2)/2) variable (W. R. Thompson, Annals of Mathematical Statistics 6, 1935).
    A rating is flagged where that share > sigma^2 / (n - ddof).  Hence
    3.24 % at n = 15, and 0 up to n = 5 for 2 sigma, ddof 1.
    """
    sizes = np.flatnonzero(np.bincount(n))
    chances = np.zeros(sizes.max(initial=-1) + 1)
    chances[sizes] = _probability_by_size(sizes.astype(np.float64), sigma, ddof)
    values: NDArray[Any] = chances[n]
    return values


def _probability_by_size(n: NDArray[Any], sigma: Fraction, ddof: int) -> NDArray[Any]:
    from scipy.special import betainc

    reach = float(sigma**2) * n / np.maximum((n - ddof) * (n - 1), 1e-300)
    chance = 1 - betainc(0.5, np.maximum((n - 2) / 2, 1e-300), np.minimum(reach, 1))
    # Two ratings always lie on opposite sides of their mean at the same distance.
    return np.where(n < 2, 0.0, np.where(n == 2, (reach < 1).astype(float), chance))


def expected_false_exclusions(n: NDArray[Any], chance: NDArray[Any], max_share: Fraction) -> float:
    """Expected number of raters that `exceeds_share` excludes if all raters are alike and Gaussian.

    Parameters
    ----------
    n : ndarray of int, shape (raters,)
        Ratings of each rater.
    chance : ndarray of float64, shape (raters,)
        Mean probability that a rating of the rater is flagged; NaN without ratings.
    max_share : Fraction

    Returns
    -------
    float

    Notes
    -----
    The sum of P(Binomial(n, chance) > max_share n).  An approximation: a rater's ratings of one item in several
    dimensions are taken as independent, and the ratings of items with few and many raters as equally likely flagged.
    """
    from scipy.special import bdtrc

    allowed = np.array([max_share.numerator * int(count) // max_share.denominator for count in n], np.float64)
    rated = n > 0
    return float(bdtrc(allowed[rated], n[rated], chance[rated]).sum())


class PaperOptions(NormalisingOptions):
    """The choices that the text of the paper leaves open. The defaults are our reading."""

    method: Literal["paper"] = "paper"
    outlier_sigma: ExactDecimal = Field(
        ExactDecimal(2), gt=0, description="Standard deviations from the mean that make an outlier."
    )
    outlier_by: Literal["item", "rater", "all"] = Field(
        "item", description="Mean to compare with: of the item's ratings in the dimension, of the rater's, or of all."
    )
    outlier_ddof: Literal[0, 1] = Field(1, description="1: the sample deviation, as in BT.500; 0: the population's.")
    strict: bool = Field(True, description="Whether a rating exactly on the threshold stays.")
    max_passes: int = Field(
        1, ge=1, le=100, description="Passes: each looks for outliers among the ratings that are left."
    )
    remove_outliers: bool = Field(True, description="Whether the outliers of raters who stay are removed.")
    max_outlier_share: ExactDecimal = Field(
        ExactDecimal("0.05"), ge=0, le=1, description="A rater with a larger share of outliers is excluded."
    )
    exclusion_scope: Literal["pooled", "dimension"] = Field(
        "pooled", description="Shares over all dimensions exclude a rater from all; or dimension by dimension."
    )
    reflag_after_exclusion: bool = Field(
        False, description="Find the outliers of raters who stay again, among the ratings of these alone."
    )
    moments_from: Literal["retained", "all"] = Field(
        "retained", description="Which of a rater's ratings give the mean and deviation in z."
    )


class Outliers(NamedTuple):
    """row: [outliers] ascending; deviation: [outliers] standard deviations off the mean when it was found.

    rated: [groups] ratings of every item and dimension
    """

    row: NDArray[Any]
    deviation: NDArray[Any]
    rated: NDArray[Any]


class RaterExclusions(NamedTuple):
    """Raters that step 2 excludes.

    flags: outliers of every rater
    rating_count: [raters * dimensions] int64, ratings before outliers are removed
    excluded: [raters, dimensions] bool
    """

    flags: RaterFlags
    rating_count: NDArray[Any]
    excluded: NDArray[Any]


def estimate_paper(ratings: Ratings, options: PaperOptions) -> ScoreEstimate:
    """Estimate the score of every item in every dimension by the four steps above.

    Parameters
    ----------
    ratings : Ratings
    options : PaperOptions

    Returns
    -------
    ScoreEstimate
        In points; `value` is the z of every rating, also of a removed one.
    """
    outliers = _find_outliers(ratings, options)
    exclusions = _exclude_raters(ratings, outliers, options)
    removed = _choose_removed(ratings, outliers, exclusions, options)
    normalised = _normalise_raters(ratings, removed, exclusions, options)
    statuses = _decide_statuses(ratings, removed, exclusions, normalised)
    status = rating_statuses(ratings, statuses)
    means = _average_items(ratings, removed, normalised, statuses, status)

    return ScoreEstimate(
        unit="points",
        value=normalised.z,
        status=status,
        means=means,
        rated=outliers.rated,
        statuses=statuses,
        exclusion="outlier_share",
        by_dimension=options.exclusion_scope == "dimension",
        to_unit=(POINTS_PER_Z, 3 * POINTS_PER_Z),
        normalises=True,
        flags=exclusions.flags,
        null=partial(_chance_model, ratings, outliers.rated, exclusions.rating_count, options)
        if _has_chance_model(options)
        else None,
        decisions=partial(_exclusion_tables, ratings, removed, exclusions, normalised, options),
    )


def _find_outliers(ratings: Ratings, options: PaperOptions) -> Outliers:
    """Step 1: |s - mean| > sigma SD of the ratings of the same item and dimension."""
    group, groups = _outlier_groups(ratings, options)
    sigma, ddof = Fraction(options.outlier_sigma), options.outlier_ddof
    found = flag_outliers(ratings.score, group, groups, sigma, ddof, options.strict)
    by_item = options.outlier_by == "item"
    rated = found.moments.n if by_item else count_by_group(*_item_groups(ratings))
    outliers = Outliers(found.row, found.deviations(ratings.score, group, ddof), rated)
    return _flag_further(ratings, outliers, np.arange(len(ratings)), options) if options.max_passes > 1 else outliers


def _exclude_raters(ratings: Ratings, outliers: Outliers, options: PaperOptions) -> RaterExclusions:
    """Step 2: outliers / ratings > max_outlier_share, over all dimensions of a rater."""
    shape = len(ratings.raters), len(ratings.dimensions)
    key = ratings.rater_keys()
    rating_count = count_by_group(key, shape[0] * shape[1])
    flagged = np.bincount(key[outliers.row], minlength=len(rating_count))
    flags = RaterFlags(rating_count.reshape(shape).sum(axis=1), flagged.reshape(shape).sum(axis=1), outliers.row)
    limit = Fraction(options.max_outlier_share)
    if options.exclusion_scope == "dimension":
        return RaterExclusions(flags, rating_count, exceeds_share(rating_count, flagged, limit).reshape(shape))
    pooled = exceeds_share(flags.n, flags.flagged, limit)
    return RaterExclusions(flags, rating_count, np.repeat(pooled[:, None], shape[1], axis=1))


def _normalise_raters(
    ratings: Ratings, removed: Outliers, exclusions: RaterExclusions, options: PaperOptions
) -> NormalisedRatings:
    """Step 3: z = (s - mean) / SD of the ratings that the same rater retained in the same dimension."""
    left_out = removed.row if options.moments_from == "retained" else removed.row[:0]
    return normalise_ratings(ratings, exclusions.rating_count, left_out, options)


def _average_items(
    ratings: Ratings, removed: Outliers, normalised: NormalisedRatings, statuses: RatingStatus, status: NDArray[Any]
) -> ScoreMeans:
    """Step 4: 100 (mean z + 3) / 6 of the ratings that were kept."""
    trimmed = removed.row[statuses.rater[ratings.rater_keys()[removed.row]] == RATING_KEPT]
    return average_z_scores(normalised.z, *_item_groups(ratings), status == RATING_KEPT, trimmed)


def _item_groups(ratings: Ratings) -> tuple[NDArray[Any], int]:
    return ratings.groups(), len(ratings.items) * len(ratings.dimensions)


def _outlier_groups(ratings: Ratings, options: PaperOptions) -> tuple[NDArray[Any], int]:
    """[N] the group whose mean and deviation decide about each rating, and how many groups there are."""
    if options.outlier_by == "item":
        return _item_groups(ratings)
    if options.outlier_by == "rater":
        return ratings.rater_keys(), len(ratings.raters) * len(ratings.dimensions)
    return ratings.dimension, len(ratings.dimensions)


def _flag_further(ratings: Ratings, first: Outliers, rows: NDArray[Any], options: PaperOptions) -> Outliers:
    """The outliers of the first pass over ascending `rows`, and of further passes over the rows that are left."""
    group, groups = _outlier_groups(ratings, options)
    sigma, ddof = Fraction(options.outlier_sigma), options.outlier_ddof
    outliers = first
    for _ in range(options.max_passes - 1):
        left = np.setdiff1d(rows, outliers.row, assume_unique=True)
        score, own = ratings.score[left], group[left]
        found = flag_outliers(score, own, groups, sigma, ddof, options.strict)
        if not len(found.row):
            break
        outliers = _merge_outliers(outliers, left[found.row], found.deviations(score, own, ddof))
    return outliers


def _choose_removed(
    ratings: Ratings, outliers: Outliers, exclusions: RaterExclusions, options: PaperOptions
) -> Outliers:
    """The outliers that are removed: those of step 1, unless the options say otherwise."""
    removed = _reflag_outliers(ratings, outliers, exclusions, options) if options.reflag_after_exclusion else outliers
    return (
        removed if options.remove_outliers else removed._replace(row=removed.row[:0], deviation=removed.deviation[:0])
    )


def _reflag_outliers(ratings: Ratings, first: Outliers, exclusions: RaterExclusions, options: PaperOptions) -> Outliers:
    """The outliers of raters who stay, among the ratings of these alone; and the first ones of the excluded."""
    is_excluded = exclusions.excluded.ravel()[ratings.rater_keys()]
    rows = np.flatnonzero(~is_excluded)
    group, groups = _outlier_groups(ratings, options)
    score, own, ddof = ratings.score[rows], group[rows], options.outlier_ddof
    found = flag_outliers(score, own, groups, Fraction(options.outlier_sigma), ddof, options.strict)
    again = first._replace(row=rows[found.row], deviation=found.deviations(score, own, ddof))
    again = _flag_further(ratings, again, rows, options)
    of_excluded = is_excluded[first.row]
    return _merge_outliers(again, first.row[of_excluded], first.deviation[of_excluded])


def _merge_outliers(outliers: Outliers, row: NDArray[Any], deviation: NDArray[Any]) -> Outliers:
    row, deviation = np.append(outliers.row, row), np.append(outliers.deviation, deviation)
    order = np.argsort(row)
    return outliers._replace(row=row[order], deviation=deviation[order])


def _decide_statuses(
    ratings: Ratings, removed: Outliers, exclusions: RaterExclusions, normalised: NormalisedRatings
) -> RatingStatus:
    """Status of every rater in every dimension: kept, excluded, or without z-scores."""
    by_rater = rater_statuses(normalised)
    by_rater[exclusions.excluded.ravel()] = RATER_EXCLUDED
    rating_count = exclusions.rating_count
    retained = rating_count - np.bincount(ratings.rater_keys()[removed.row], minlength=len(rating_count))
    return RatingStatus(by_rater, removed.row, rating_count, retained)


def _has_chance_model(options: PaperOptions) -> bool:
    """Whether the false exclusions can be computed: only for one pass over the ratings of each item."""
    return options.outlier_by == "item" and options.max_passes == 1


def _chance_model(
    ratings: Ratings, rated: NDArray[Any], rating_count: NDArray[Any], options: PaperOptions
) -> ChanceModel:
    """Ratings flagged and raters excluded by chance if all raters are alike and Gaussian."""
    sigma, limit = Fraction(options.outlier_sigma), Fraction(options.max_outlier_share)
    chance = outlier_probability(rated, sigma, options.outlier_ddof)
    n = rating_count.reshape(len(ratings.raters), len(ratings.dimensions)).sum(axis=1)
    share = expected_flag_shares(ratings.rater, n, ratings.groups(), chance)
    if options.exclusion_scope == "dimension":
        by_key = expected_flag_shares(ratings.rater_keys(), rating_count, ratings.groups(), chance)
        return ChanceModel(chance, share, expected_false_exclusions(rating_count, by_key, limit))
    return ChanceModel(chance, share, expected_false_exclusions(n, share, limit))


def _exclusion_tables(
    ratings: Ratings,
    removed: Outliers,
    exclusions: RaterExclusions,
    normalised: NormalisedRatings,
    options: PaperOptions,
) -> list[pa.Table]:
    """The tables of the ledger: excluded raters, raters without z-scores, outliers."""
    limit = float(options.max_outlier_share)
    flags, rating_count, excluded = exclusions
    if options.exclusion_scope == "dimension":
        by_key = np.bincount(ratings.rater_keys()[flags.row], minlength=len(rating_count)).reshape(excluded.shape)
        rater, dimension = np.nonzero(excluded)
        share = by_key[excluded] / rating_count.reshape(excluded.shape)[excluded]
        raters = rater_exclusions(ratings, "outlier_share", share, limit, rater, dimension)
    else:
        rater = np.flatnonzero(excluded.any(axis=1))
        raters = rater_exclusions(ratings, "outlier_share", flags.flagged[rater] / flags.n[rater], limit, rater)
    return [
        raters,
        *unusable_rater_exclusions(ratings, normalised, rating_count, excluded.ravel(), options.z_ddof),
        outlier_exclusions(ratings, removed.row, removed.deviation, float(options.outlier_sigma)),
    ]

"""The paper's way from ratings to mean opinion scores, end to end (section 3.2.3, equation 1).

1. A rating more than 2 standard deviations from the mean of its item and dimension is an outlier: removed.
2. A rater with more than 5 % outliers, all dimensions pooled, is excluded.
3. Each rater's remaining ratings of a dimension become z-scores.
4. An item's score is 100 (mean z + 3) / 6.

One pass, nothing is computed again after an exclusion.  Where the prose can be read in other ways, an option does so.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from mos.moments import count_by
from mos.ratings import Ratings
from mos.scoring import ledger
from mos.scoring.estimate import KEPT, RATER_EXCLUDED, Estimate, Fates, Flags, Null, statuses
from mos.scoring.normalising import NormalisingOptions, fates_of_raters, normalised
from mos.scoring.options import Exact
from mos.scoring.scores import POINTS_PER_Z, Normalised, average
from mos.screening.chance import expected_exclusions, expected_shares, outlier_probability
from mos.screening.outliers import Outliers, flag_outliers
from mos.screening.shares import beyond


class PaperOptions(NormalisingOptions):
    """Our readings of the paper's prose, and the others."""

    method: Literal["paper"] = "paper"
    outlier_sigma: Exact = Field(Exact(2), gt=0, description="Standard deviations from the mean that make an outlier.")
    outlier_by: Literal["item", "rater", "all"] = Field(
        "item", description="Whose mean: of the item's ratings in the dimension, of the rater's, or of all of them."
    )
    outlier_ddof: Literal[0, 1] = Field(1, description="1: the sample deviation, as in BT.500; 0: the population's.")
    strict: bool = Field(True, description="Whether a rating exactly on the threshold stays.")
    max_passes: int = Field(1, ge=1, le=100, description="Look for outliers again among what is left, so many times.")
    remove_outliers: bool = Field(True, description="Whether the outliers of raters who stay are removed.")
    max_outlier_share: Exact = Field(
        Exact("0.05"), ge=0, le=1, description="A rater with a larger share of outliers is excluded."
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


OPTIONS = PaperOptions


class Outlying(NamedTuple):
    """Outliers as ascending rows [outliers], and by how many standard deviations each was off when it was found."""

    row: np.ndarray
    statistic: np.ndarray


def estimate(ratings: Ratings, options: PaperOptions) -> Estimate:
    """Score every item in every dimension; the value of a rating is its z, also that of a removed one."""
    shape = len(ratings.raters), len(ratings.dimensions)
    outlying, rated = _outliers(ratings, options)
    given = count_by(ratings.rater_keys(), shape[0] * shape[1])
    flags, excluded = _exclusions(ratings, given, outlying.row, options)
    if options.reflag_after_exclusion:
        outlying = _found_again(ratings, outlying, excluded, options)
    if not options.remove_outliers:
        outlying = Outlying(outlying.row[:0], outlying.statistic[:0])
    removed = outlying.row
    own = normalised(ratings, given, removed if options.moments_from == "retained" else removed[:0], options)

    fate = fates_of_raters(own)
    fate[excluded.ravel()] = RATER_EXCLUDED
    theirs = ratings.rater_keys()[removed]
    retained = given - np.bincount(theirs, minlength=len(given))
    fates = Fates(fate, removed, given, retained)
    status = statuses(ratings, fates)
    trimmed = removed[fate[theirs] == KEPT]
    means = average(own.z, ratings.groups(), len(rated), status == KEPT, trimmed)
    return Estimate(
        unit="points",
        value=own.z,
        status=status,
        means=means,
        rated=rated,
        fates=fates,
        exclusion="outlier_share",
        by_dimension=options.exclusion_scope == "dimension",
        to_unit=(POINTS_PER_Z, 3 * POINTS_PER_Z),
        normalises=True,
        flags=flags,
        null=partial(_null, ratings, rated, given, options) if _has_null(options) else None,
        decisions=partial(_decisions, ratings, outlying, flags, given, excluded, own, options),
    )


def _outliers(ratings: Ratings, options: PaperOptions, rows: np.ndarray | None = None) -> tuple[Outlying, np.ndarray]:
    """The outliers among ascending `rows` [rows], all where None, and the ratings of every item and dimension."""
    size = len(ratings.items) * len(ratings.dimensions)
    group, groups = {
        "item": lambda: (ratings.groups(), size),
        "rater": lambda: (ratings.rater_keys(), len(ratings.raters) * len(ratings.dimensions)),
        "all": lambda: (ratings.dimension, len(ratings.dimensions)),
    }[options.outlier_by]()
    score, group = (ratings.score, group) if rows is None else (ratings.score[rows], group[rows])
    sigma, ddof = Fraction(options.outlier_sigma), options.outlier_ddof
    found = flag_outliers(score, group, groups, sigma, ddof, options.strict)
    row, statistic = _off(score, group, found, ddof)
    for _ in range(options.max_passes - 1):
        left = np.delete(np.arange(len(score)), row)
        found_more = flag_outliers(score[left], group[left], groups, sigma, ddof, options.strict)
        more, their_statistic = _off(score[left], group[left], found_more, ddof)
        if not len(more):
            break
        row, statistic = np.append(row, left[more]), np.append(statistic, their_statistic)
        order = np.argsort(row)
        row, statistic = row[order], statistic[order]
    counted = options.outlier_by == "item" and rows is None
    rated = found.moments.n if counted else count_by(ratings.groups(), size)
    return Outlying(row if rows is None else rows[row], statistic), rated


def _off(score: np.ndarray, group: np.ndarray, found: Outliers, ddof: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the outliers, and by how many standard deviations of their group each is off its mean."""
    at = group[found.row]
    return found.row, np.abs(score[found.row] - found.moments.mean[at]) / found.moments.sd(ddof)[at]


def _exclusions(
    ratings: Ratings, given: np.ndarray, row: np.ndarray, options: PaperOptions
) -> tuple[Flags, np.ndarray]:
    """What is counted against raters, and [raters, dimensions] bool, who is excluded from what."""
    shape = len(ratings.raters), len(ratings.dimensions)
    by_key = np.bincount(ratings.rater_keys()[row], minlength=len(given))
    n, flagged = given.reshape(shape).sum(axis=1), by_key.reshape(shape).sum(axis=1)
    limit = Fraction(options.max_outlier_share)
    if options.exclusion_scope == "dimension":
        return Flags(n, flagged, row), beyond(given, by_key, limit).reshape(shape)
    return Flags(n, flagged, row), np.repeat(beyond(n, flagged, limit)[:, None], shape[1], axis=1)


def _found_again(ratings: Ratings, first: Outlying, excluded: np.ndarray, options: PaperOptions) -> Outlying:
    """The outliers of raters who stay, among the ratings of these alone; and the first ones of the excluded."""
    out = excluded.ravel()
    gone = out[ratings.rater_keys()[first.row]]
    again, _ = _outliers(ratings, options, np.flatnonzero(~out[ratings.rater_keys()]))
    row = np.append(first.row[gone], again.row)
    order = np.argsort(row)
    return Outlying(row[order], np.append(first.statistic[gone], again.statistic)[order])


def _has_null(options: PaperOptions) -> bool:
    """Whether it is known what chance alone would do: of one pass over the ratings of each item."""
    return options.outlier_by == "item" and options.max_passes == 1


def _null(ratings: Ratings, rated: np.ndarray, given: np.ndarray, options: PaperOptions) -> Null:
    sigma, limit = Fraction(options.outlier_sigma), Fraction(options.max_outlier_share)
    chance = outlier_probability(rated, sigma, options.outlier_ddof)
    n = given.reshape(len(ratings.raters), len(ratings.dimensions)).sum(axis=1)
    share = expected_shares(ratings.rater, n, ratings.groups(), chance)
    if options.exclusion_scope == "dimension":
        by_key = expected_shares(ratings.rater_keys(), given, ratings.groups(), chance)
        return Null(chance, share, expected_exclusions(given, by_key, limit))
    return Null(chance, share, expected_exclusions(n, share, limit))


def _decisions(
    ratings: Ratings,
    outlying: Outlying,
    flags: Flags,
    given: np.ndarray,
    excluded: np.ndarray,
    own: Normalised,
    options: PaperOptions,
) -> list[pa.Table]:
    limit = float(options.max_outlier_share)
    if options.exclusion_scope == "dimension":
        by_key = np.bincount(ratings.rater_keys()[flags.row], minlength=len(given)).reshape(excluded.shape)
        rater, dimension = np.nonzero(excluded)
        share = by_key[excluded] / given.reshape(excluded.shape)[excluded]
        raters = ledger.raters(ratings, "outlier_share", share, limit, rater, dimension)
    else:
        rater = np.flatnonzero(excluded.any(axis=1))
        raters = ledger.raters(ratings, "outlier_share", flags.flagged[rater] / flags.n[rater], limit, rater)
    return [
        raters,
        *ledger.unusable_raters(ratings, own, given, excluded.ravel(), options.z_ddof),
        ledger.outlying_ratings(ratings, outlying.row, outlying.statistic, float(options.outlier_sigma)),
    ]

"""Screening of raters by ITU-R BT.500's kurtosis rule, then the mean of the ratings of those who stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mos.arrow import numbers
from mos.moments import moments
from mos.ratings import Ratings
from mos.scoring import ledger
from mos.scoring.estimate import KEPT, RATER_EXCLUDED, Estimate, Fates, Flags, Null, statuses
from mos.scoring.means import plain_means
from mos.scoring.options import Exact, Options
from mos.screening import bt500
from mos.screening.bt500_chance import expected_rejections, flag_probability
from mos.screening.chance import expected_shares


class KurtosisOptions(Options):
    """How the rule is read."""

    ddof: Literal[0, 1] = Field(
        1, description="1: the sample deviation S of BT.500; 0: the population's, as in sureal."
    )
    zero_variance: Literal["skip", "literal"] = Field(
        "skip",
        description="Items on which all agree: skip them, or let each rating count to both P and Q, as the letter of "
        "the rule has it: then agreeing makes a rater look careless.",
    )
    denominator: Literal["own", "all"] = Field(
        "own", description="P + Q is divided by the rater's own ratings, or by all presentations, as in sureal."
    )
    max_share: Exact = Field(Exact("0.05"), ge=0, le=1, description="A rater with a larger share (P + Q) / n ...")
    max_balance: Exact = Field(
        Exact("0.3"), ge=0, le=1, description="... and a smaller balance |P - Q| / (P + Q) is rejected."
    )
    exclusion_scope: Literal["dimension", "pooled"] = Field(
        "dimension", description="Raters are screened in every dimension on its own, or over all of them."
    )
    pool_repetitions: bool = Field(
        False, description="Whether a rater's repeated ratings of an item are one presentation, as in sureal."
    )
    keep_if_all: bool = Field(False, description="Reject none where the rule would reject everybody, as in sureal.")


class Bt500Options(KurtosisOptions):
    """ITU-R BT.500-14, annex 1, A1-2.3.1."""

    method: Literal["bt500"] = "bt500"


OPTIONS = Bt500Options


@dataclass(frozen=True, eq=False, slots=True)
class Screened:
    """verdicts: of every rater and dimension, or of every rater where dimensions are pooled; excluded: [raters,
    dimensions] bool; pooled: whether they are; row: [flagged] rows that count to P or Q.
    """

    verdicts: bt500.Verdicts
    excluded: np.ndarray
    pooled: bool
    row: np.ndarray


def estimate(ratings: Ratings, options: Bt500Options) -> Estimate:
    """Mean of the ratings of every item and dimension by raters who are not rejected."""
    return screened_means(ratings, ratings.score, options)


def screened_means(ratings: Ratings, value: np.ndarray, options: KurtosisOptions) -> Estimate:
    """Screen the raters by `value` [N], the ratings or what was made of them, and average those of the others."""
    keys, groups = len(ratings.raters) * len(ratings.dimensions), len(ratings.items) * len(ratings.dimensions)
    found = screen(ratings, value, options)
    given = np.bincount(ratings.rater_keys(), minlength=keys)
    fate = np.where(found.excluded.ravel(), RATER_EXCLUDED, KEPT).astype(np.uint8)
    fates = Fates(fate, np.zeros(0, np.int64), given, given)
    status = statuses(ratings, fates)
    kept = None if not found.excluded.any() else status == KEPT
    inside = moments(value, ratings.groups(), groups, kept)
    rated = inside.n if kept is None else np.bincount(ratings.groups(), minlength=groups)
    shape = len(ratings.raters), len(ratings.dimensions)
    n = given.reshape(shape).sum(axis=1)
    flagged = np.bincount(ratings.rater[found.row], minlength=shape[0])
    return Estimate(
        unit="scale",
        value=value,
        status=status,
        means=plain_means(inside),
        rated=rated,
        fates=fates,
        exclusion="bt500",
        by_dimension=not found.pooled,
        flags=Flags(n, flagged, found.row),
        null=partial(_null, ratings, given, options),
        columns=partial(_columns, ratings, found),
        decisions=partial(_decisions, ratings, found, options),
    )


def screen(ratings: Ratings, value: np.ndarray, options: KurtosisOptions) -> Screened:
    """Apply the rule to `value` [N]; options as they are."""
    dimensions = len(ratings.dimensions)
    shape = len(ratings.raters), dimensions
    group, groups, _ = _presentations(ratings, options.pool_repetitions)
    flags = bt500.flag_ratings(value, group, groups, ddof=options.ddof, zero_variance=options.zero_variance)
    pooled = options.exclusion_scope == "pooled"
    key, raters = (ratings.rater, shape[0]) if pooled else (ratings.rater_keys(), shape[0] * dimensions)
    verdicts = bt500.judge_raters(
        key,
        raters,
        flags.high,
        flags.low,
        _shown(ratings, pooled) if options.denominator == "all" else None,
        Fraction(options.max_share),
        Fraction(options.max_balance),
    )
    rejected = verdicts.rejected[:, None] if pooled else verdicts.rejected.reshape(shape)
    rated = (verdicts.n > 0).reshape(rejected.shape)
    if options.keep_if_all:
        rejected = rejected & ~(rejected == rated).all(axis=0)
    excluded = np.repeat(rejected, dimensions, axis=1) if pooled else rejected
    return Screened(verdicts, excluded, pooled, np.flatnonzero(flags.high | flags.low))


def _presentations(ratings: Ratings, pool_repetitions: bool) -> tuple[np.ndarray, int, int]:
    """[N] which presentation a rating is of, how many there may be, and how many of an item in a dimension."""
    times = 1 if pool_repetitions else ratings.repetitions
    group, groups = ratings.groups(), len(ratings.items) * len(ratings.dimensions)
    if times == 1:
        return group, groups, 1
    return group.astype(np.int64) * times + ratings.repetition, groups * times, times


def _shown(ratings: Ratings, pooled: bool) -> np.ndarray:
    """How many presentations, every repetition one, there were for every rater, or for every rater and dimension."""
    group, groups, times = _presentations(ratings, pool_repetitions=False)
    there = np.zeros(groups, bool)
    there[group] = True
    dimensions, raters = len(ratings.dimensions), len(ratings.raters)
    shown = there.reshape(len(ratings.items), dimensions, times).sum(axis=(0, 2))
    return np.full(raters, shown.sum()) if pooled else np.tile(shown, raters)


def _null(ratings: Ratings, given: np.ndarray, options: KurtosisOptions) -> Null:
    group, groups, times = _presentations(ratings, options.pool_repetitions)
    size = np.bincount(group, minlength=groups)
    chance = flag_probability(size, options.ddof)
    shape = len(ratings.raters), len(ratings.dimensions)
    pooled = options.exclusion_scope == "pooled"
    seen = _shown(ratings, pooled) if options.denominator == "all" else None
    limits = Fraction(options.max_share), Fraction(options.max_balance), seen
    n = given.reshape(shape).sum(axis=1)
    share = expected_shares(ratings.rater, n, group, chance)
    by_key = share if pooled else expected_shares(ratings.rater_keys(), given, group, chance)
    expected = expected_rejections(n if pooled else given, by_key, *limits)
    if times > 1:
        per_item = size.reshape(-1, times)
        chance = (per_item * chance.reshape(-1, times)).sum(axis=1) / np.maximum(per_item.sum(axis=1), 1)
    return Null(chance, share, expected)


def _columns(ratings: Ratings, found: Screened) -> Mapping[str, pa.Array]:
    """p, q, and their balance, over all dimensions."""
    shape = len(ratings.raters), 1 if found.pooled else len(ratings.dimensions)
    p, q = (counts.reshape(shape).sum(axis=1) for counts in (found.verdicts.p, found.verdicts.q))
    flagged = p + q
    balance = np.abs(p - q) / np.maximum(flagged, 1)
    return {"p": numbers(p), "q": numbers(q), "balance": numbers(balance, flagged > 0)}


def _decisions(ratings: Ratings, found: Screened, options: KurtosisOptions) -> list[pa.Table]:
    """Two lines a rejection, since both figures decide."""
    shape = len(ratings.raters), 1 if found.pooled else len(ratings.dimensions)
    rejected = found.excluded[:, :1] if found.pooled else found.excluded
    rater, dimension = np.nonzero(rejected)
    where = (rater,) if found.pooled else (rater, dimension)
    return [
        ledger.raters(ratings, rule, figure.reshape(shape)[rejected], float(limit), *where)
        for rule, figure, limit in (
            ("bt500_share", found.verdicts.share, options.max_share),
            ("bt500_balance", found.verdicts.balance, options.max_balance),
        )
    ]

"""Which of a rater's ratings make up one scale, and what becomes of raters who use none."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import Field

from mos.errors import UserError
from mos.moments import Moments
from mos.ratings import Ratings
from mos.scoring.estimate import KEPT, RATER_CONSTANT, RATER_TOO_FEW
from mos.scoring.options import Options
from mos.scoring.scores import Normalised, normalise


class NormalisingOptions(Options):
    """How raters are normalised."""

    normalise_scope: Literal["dimension", "pooled"] = Field(
        "dimension", description="One mean and deviation for each rater and dimension, or for each rater."
    )
    z_ddof: Literal[0, 1] = Field(1, description="Divisor n - z_ddof of the standard deviation in z.")
    on_constant: Literal["drop", "zero", "error"] = Field(
        "drop", description="A rater whose ratings are all equal: leave out, count as z = 0, or refuse to go on."
    )

    def in_resamples(self) -> Self:
        """As of all methods; a rater who is constant only in a resample is left out of it."""
        options = super().in_resamples()
        return options.model_copy(update={"on_constant": "drop"}) if options.on_constant == "error" else options


def normalised(ratings: Ratings, given: np.ndarray, removed: np.ndarray, options: NormalisingOptions) -> Normalised:
    """z of every rating, by the mean and deviation of the rater's ratings but for the ascending rows `removed`.

    given: [raters * dimensions] ratings of each.
    What concerns raters is by rater and dimension, [raters * dimensions], whatever the scope.
    Raises UserError for a rater whose ratings are all equal, where the options want it.
    """
    dimensions, raters = len(ratings.dimensions), len(ratings.raters)
    pooled = options.normalise_scope == "pooled"
    key = ratings.rater if pooled else ratings.rater_keys()
    n = given.reshape(raters, dimensions).sum(axis=1) if pooled else given
    own = normalise(ratings.score, key, n, removed, options.z_ddof)
    if options.on_constant == "error" and own.constant.any():
        raise UserError(_constant(ratings, np.flatnonzero(own.constant), 1 if pooled else dimensions))
    if options.on_constant == "zero":
        own.z[own.constant[key]] = 0.0
        own = own._replace(constant=np.zeros_like(own.constant))
    if not pooled:
        return own
    spread = Moments(*(np.repeat(values, dimensions) for values in own.moments))
    return own._replace(
        constant=np.repeat(own.constant, dimensions), too_few=np.repeat(own.too_few, dimensions), moments=spread
    )


def _constant(ratings: Ratings, key: np.ndarray, dimensions: int) -> str:
    """Which raters are constant.  key: rater * dimensions + dimension of each case."""
    first, number = ratings.raters[int(key[0]) // dimensions].as_py(), len(np.unique(key // dimensions))
    everything = "everything" if dimensions == 1 else "everything in a dimension"
    return (
        f"{number} raters gave the same score to {everything}, the first being '{first[:60]}': expected ratings that "
        "differ; leave them out, or set on_constant to drop or zero."
    )


def fates_of_raters(own: Normalised) -> np.ndarray:
    """[raters * dimensions] uint8, positions in `mos.scoring.estimate.STATUSES`."""
    fate = np.full(len(own.constant), KEPT, np.uint8)
    fate[own.constant] = RATER_CONSTANT
    fate[own.too_few] = RATER_TOO_FEW
    return fate

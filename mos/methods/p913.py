"""Bias of every rater removed (ITU-T P.913, 12.4), then the mean; the raters may be screened in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mos.methods import mos
from mos.methods.bias import RaterBias, rater_bias, remove_bias
from mos.methods.bt500 import KurtosisOptions, screened_means
from mos.methods.rater_columns import by_dimension
from mos.ratings import Ratings
from mos.scoring.estimate import Estimate


class P913Options(KurtosisOptions):
    """Bias removal, and screening of what it leaves if asked for."""

    method: Literal["p913"] = "p913"
    screening: Literal["none", "bt500"] = Field(
        "none",
        description="Whether raters are then screened by the rule of BT.500, as in sureal's method of this name.",
    )


OPTIONS = P913Options


def estimate(ratings: Ratings, options: P913Options) -> Estimate:
    """Mean over the ratings of every item, each less its rater's bias in the dimension."""
    sizes = len(ratings.items) * len(ratings.dimensions), len(ratings.raters) * len(ratings.dimensions)
    bias = rater_bias(ratings.score, ratings.groups(), ratings.rater_keys(), *sizes)
    value = remove_bias(ratings.score, ratings.rater_keys(), bias.bias)
    columns = partial(_columns, ratings, bias, options.confidence)
    if options.screening == "none":
        return replace(mos.plain(ratings, value), columns=columns)
    found = screened_means(ratings, value, options)
    return replace(found, columns=lambda: {**found.columns(), **columns()})


def _columns(ratings: Ratings, bias: RaterBias, level: float) -> Mapping[str, pa.Array]:
    half = bias.interval(level)
    figures = {"bias": bias.bias, "bias_low": bias.bias - half, "bias_high": bias.bias + half}
    return by_dimension(ratings, {name: np.asarray(values) for name, values in figures.items()})

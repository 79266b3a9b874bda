"""Quality, bias and inconsistency estimated together (ITU-T P.910, Annex E): careless raters weigh little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mos.methods import mos
from mos.methods.bias import remove_bias
from mos.methods.projection import Projection, project_each
from mos.methods.rater_columns import by_dimension
from mos.moments import moments
from mos.ratings import Ratings
from mos.scoring.estimate import Estimate
from mos.scoring.options import Options
from mos.scoring.scores import Means


class P910Options(Options):
    """The alternating projection and its two standard errors."""

    method: Literal["p910"] = "p910"
    standard_error: Literal["residual", "weights"] = Field(
        "residual",
        description="Spread of an item's residuals over the root of n, as P.910's published results; or from the "
        "inconsistencies of the item's raters.",
    )
    guard: bool = Field(
        True,
        description="Keep one of few raters from taking over by a floor under the inconsistencies; false is P.910 to "
        "the letter.",
    )


OPTIONS = P910Options


def estimate(ratings: Ratings, options: P910Options) -> Estimate:
    """The quality of every item and dimension; the value of a rating is the rating less its rater's bias."""
    dimensions = len(ratings.dimensions)
    sizes = len(ratings.items), len(ratings.raters), dimensions
    found = project_each(ratings.score, ratings.item, ratings.rater, ratings.dimension, sizes, guard=options.guard)
    bias = np.stack([each.bias for each in found], axis=1).ravel() if found else np.zeros(0)
    value = remove_bias(ratings.score, ratings.rater_keys(), bias)
    plain = mos.plain(ratings, value)
    spread = moments(value, ratings.groups(), sizes[0] * dimensions)
    error = "se_residual" if options.standard_error == "residual" else "se_weights"
    means = Means(
        n=plain.means.n,
        mos=_stacked([each.quality for each in found]),
        sd=spread.sd(1),
        se=_stacked([getattr(each, error) for each in found]),
    )
    notes = [
        note for name, each in zip(ratings.dimensions.to_pylist(), found, strict=True) for note in _notes(name, each)
    ]
    return replace(plain, means=means, columns=partial(_columns, ratings, found, options.confidence), notes=notes)


def _stacked(by_dimension: list[np.ndarray]) -> np.ndarray:
    """[items * dimensions] from [items] of each dimension."""
    return np.stack(by_dimension, axis=1).ravel() if by_dimension else np.zeros(0)


def _notes(dimension: str, found: Projection) -> list[str]:
    notes = []
    if found.degenerate:
        notes.append(
            f"In {dimension} {found.floored.sum()} raters came so close to taking over the estimate that their "
            "inconsistency was held at a floor, as happens with few raters for each item; compare with the plain mean."
        )
    if found.pooled.any():
        notes.append(
            f"In {dimension} {found.pooled.sum()} raters gave fewer than 3 ratings and were given the inconsistency of "
            "all raters."
        )
    if not found.converged:
        notes.append(f"In {dimension} the estimate had not settled after {found.iterations} iterations.")
    return notes


def _columns(ratings: Ratings, found: list[Projection], level: float) -> Mapping[str, pa.Array]:
    rows = []
    for each in found:
        half, (low, high) = each.bias_interval(level), each.inconsistency_interval(level)
        rows.append([each.bias, each.bias - half, each.bias + half, each.inconsistency, low, high])
    names = ("bias", "bias_low", "bias_high", "inconsistency", "inconsistency_low", "inconsistency_high")
    return by_dimension(ratings, {name: _stacked([row[at] for row in rows]) for at, name in enumerate(names)})

"""From the probabilities of five levels to an expected level, and a monotone map to MOS points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from annotation.records import DIMENSIONS, Dimension
from editfhf.chat import FirstToken
from mos.errors import UserError
from mos.files import read_regular_file, replace_file
from training.agents.results import AgentFailure

LEVEL_WEIGHTS: Mapping[str, float] = {"1": 0.0, "2": 25.0, "3": 50.0, "4": 75.0, "5": 100.0}
"""Token of each level, bad to excellent, and its weight."""

LEAST_MASS = 0.5
"""Probability that the tokens of the levels must have together; below it the model does not answer in the format."""

WIDEST_BOUND = 2.0
"""Points that the expected level may be uncertain by, where a level is not among the tokens that the server gave."""

LEAST_PAIRS = 5


@dataclass(frozen=True, slots=True)
class LevelScore:
    """The expected level of one answer.

    Attributes
    ----------
    expected : float
        Sum of weight times probability over the levels, 0 to 100; the middle of `low` and `high`.
    low, high : float
        Bounds of it. They differ where a level is not among the tokens that the server gave.
    """

    expected: float
    low: float
    high: float


def score_levels(answer: FirstToken) -> LevelScore:
    """The expected level: the probabilities of the levels are divided by their sum.

    Raises
    ------
    AgentFailure
        With the status "unparsed": no logprobs, another token is more likely than all levels, or a level that is
        missing could change the score by more than `WIDEST_BOUND` points.

    Notes
    -----
    A token that is not listed is no more likely than the last one that is, and all of them together have the rest of
    the probability. The bounds give all that to the lowest, or to the highest, of the missing levels.
    """
    if not answer.alternatives:
        raise AgentFailure("The server gave no logprobs: start it with them, or choose another model.", "unparsed")
    masses = dict.fromkeys(LEVEL_WEIGHTS, 0.0)
    for each in answer.alternatives:
        if (level := each.token.strip()) in masses:
            masses[level] += math.exp(each.logprob)
    known = math.fsum(masses.values())
    if known < LEAST_MASS:
        raise AgentFailure(f"The levels have the probability {known:.2f} together: expected 0.5 or more.", "unparsed")
    expected = math.fsum(LEVEL_WEIGHTS[level] * mass for level, mass in masses.items()) / known
    missing = [LEVEL_WEIGHTS[level] for level, mass in masses.items() if not mass]
    rest = max(0.0, 1.0 - math.fsum(math.exp(each.logprob) for each in answer.alternatives))
    most = min(rest, len(missing) * math.exp(min(each.logprob for each in answer.alternatives)))
    shift = most / (known + most)
    low = min([expected, *(expected + shift * (weight - expected) for weight in missing)])
    high = max([expected, *(expected + shift * (weight - expected) for weight in missing)])
    if high - low > WIDEST_BOUND:
        raise AgentFailure(
            f"A level is not among the tokens that the server gave, and the score could be {low:.1f} to {high:.1f}.",
            "unparsed",
        )
    return LevelScore((low + high) / 2, low, high)


class LevelMap(BaseModel):
    """A monotone map from expected levels to MOS points: straight lines between knots, constant outside.

    levels, points: the knots, 0 to 100, neither decreasing; sd: standard deviation of the truth around it, on pairs
    that it was not fitted to; pairs: how many
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    levels: tuple[float, ...] = Field(min_length=1, max_length=100_000)
    points: tuple[float, ...]
    sd: float = Field(ge=0)
    pairs: int

    @model_validator(mode="after")
    def _check_monotone(self) -> LevelMap:
        ordered = all(np.all(np.diff(values) >= 0) for values in (self.levels, self.points))
        if len(self.levels) != len(self.points) or not ordered or not all(0 <= each <= 100 for each in self.points):
            raise ValueError("levels and points must be equally many and not decrease, points within 0 to 100")
        return self

    def apply(self, level: float) -> float:
        """MOS points of an expected level."""
        return float(np.interp(level, self.levels, self.points))


class LevelCalibration(BaseModel):
    """The maps of one model with one prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    prompt_version: str
    maps: Mapping[Dimension, LevelMap]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        content = self.model_dump(mode="json")
        replace_file(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    @classmethod
    def read(cls, path: Path) -> LevelCalibration:
        """Read what `save` wrote; `UserError` for anything else."""
        try:
            found = cls.model_validate_json(read_regular_file(path))
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): expected a file of train levels.") from None
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]["msg"]
            raise UserError(f"{path} is no file of editfhf train levels ({problem}): make it again.") from None
        if set(found.maps) != set(DIMENSIONS):
            raise UserError(f"{path} does not have all three dimensions: make it again with editfhf train levels.")
        return found


def fit_level_map(rows: Sequence[tuple[float, float, str]]) -> LevelMap:
    """Fit a map by isotonic regression.

    Parameters
    ----------
    rows : sequence of (level, points, source)
        Expected level and mean opinion score of each pair; a score outside of 0 to 100 counts as the nearest bound.
        The standard deviation comes from five folds of sources, each predicted by a map of the others.

    Raises
    ------
    UserError
        For fewer than five pairs, or pairs of one source.
    """
    groups = [source for _, _, source in rows]
    x = np.array([level for level, _, _ in rows], np.float64)
    y = np.clip(np.array([points for _, points, _ in rows], np.float64), 0.0, 100.0)
    names = sorted(set(groups))
    if len(x) < LEAST_PAIRS or len(names) < 2:
        raise UserError(f"A map needs {LEAST_PAIRS} scored pairs of 2 sources, but got {len(x)} of {len(names)}.")
    fold = np.array([names.index(name) % min(5, len(names)) for name in groups])
    errors = np.empty(len(x))
    for number in range(fold.max() + 1):
        out = fold == number
        errors[out] = y[out] - np.interp(x[out], *_fit_knots(x[~out], y[~out]))
    knots, heights = _fit_knots(x, y)
    sd = float(np.sqrt(np.mean(errors**2)))
    return LevelMap(levels=tuple(knots.tolist()), points=tuple(heights.tolist()), sd=sd, pairs=len(x))


def _fit_knots(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The knots of the isotonic regression; equal levels are one, weighted by their number."""
    from scipy.optimize import isotonic_regression

    levels, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=y) / counts
    return levels, np.clip(isotonic_regression(means, weights=counts).x, 0.0, 100.0)

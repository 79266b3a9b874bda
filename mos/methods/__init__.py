"""The scoring methods by name. The module of a method is imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from mos.errors import UserError
from mos.ratings import Ratings
from mos.scoring.assemble import assemble_result
from mos.scoring.estimate import ScoreEstimate
from mos.scoring.options import ScoringOptions
from mos.scoring.result import ScoringResult
from mos.words import did_you_mean

METHODS = {
    "paper": "remove outliers beyond 2 sigma, exclude raters with more than 5 %, mean of z-scores on 0 to 100",
    "mos": "mean of all ratings",
    "zscore": "mean of z-scores on 0 to 100, without screening",
    "bt500": "exclude raters by the kurtosis rule of ITU-R BT.500, mean",
    "correlation": "exclude raters with a low correlation with the mean (ITU-R BT.500-14), mean",
    "p913": "remove every rater's bias (ITU-T P.913, 12.4), mean",
    "p910": "estimate quality, bias and inconsistency together (ITU-T P.910, Annex E)",
}


class ScoringMethod(NamedTuple):
    """A scoring method.

    Attributes
    ----------
    name : str
        One of `METHODS`.
    options : type
        Class of its options.
    estimate : callable
        Pure function from `Ratings` and options to a `ScoreEstimate`.
    """

    name: str
    options: type[ScoringOptions]
    estimate: Callable[[Ratings, Any], ScoreEstimate]


def find_method(name: str) -> ScoringMethod:
    """Find a scoring method.

    Parameters
    ----------
    name : str
        One of `METHODS`.

    Returns
    -------
    ScoringMethod

    Raises
    ------
    UserError
        For an unknown name.
    """
    if not isinstance(name, str) or name not in METHODS:
        hint = did_you_mean(str(name), METHODS)
        raise UserError(f"Unknown method '{str(name)[:60]}'.{hint} Expected one of {', '.join(METHODS)}.")
    module = import_module(f"mos.methods.{name}")
    title = name.capitalize()
    return ScoringMethod(name, getattr(module, f"{title}Options"), getattr(module, f"estimate_{name}"))


def score_ratings(
    ratings: Ratings,
    by: str | ScoringOptions = "paper",
    given: Mapping[str, Any] | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> ScoringResult:
    """Score every item in every dimension.

    Parameters
    ----------
    ratings : Ratings
    by : str or ScoringOptions
        Name of a method, one of `METHODS`, or the options of a method.
    given : mapping, optional
        Options by name, when `by` is a name.
    progress : callable, optional
        Called with 1 after every resample of a bootstrap.

    Returns
    -------
    ScoringResult
        Scores, the status of every rating and rater, and the reason of every exclusion.

    Raises
    ------
    UserError
        For an unknown method or option, an invalid value, or options in both `by` and `given`.
    """
    if isinstance(by, ScoringOptions) and given:
        raise UserError(
            f"Options of the method {by.method} were given twice: as a whole, and {', '.join(given)} again."
        )
    options = by if isinstance(by, ScoringOptions) else find_method(by).options.from_mapping(given or {})
    return assemble_result(ratings, options, find_method(options.method).estimate, progress)

"""The ways from coded ratings to mean opinion scores, by name.  A method is imported when it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from mos.errors import UserError
from mos.ratings import Ratings
from mos.scoring.assembly import assemble
from mos.scoring.estimate import Estimate
from mos.scoring.options import Options
from mos.scoring.result import Result

METHODS = {
    "paper": "remove outliers beyond 2 sigma, exclude raters with more than 5 %, mean of z-scores on 0 to 100",
    "mos": "mean of all ratings",
    "zscore": "mean of z-scores on 0 to 100, nobody screened",
    "bt500": "exclude raters by the kurtosis rule of ITU-R BT.500, mean",
    "correlation": "exclude raters who correlate too little with the mean, as in ITU-R BT.500-14, mean",
    "p913": "remove every rater's bias (ITU-T P.913, 12.4), mean",
    "p910": "estimate quality, bias and inconsistency together (ITU-T P.910, Annex E)",
}


class Method(NamedTuple):
    """options: the class of its options; estimate: the pure function from ratings and options."""

    name: str
    options: type[Options]
    estimate: Callable[[Ratings, Any], Estimate]


def method(name: str) -> Method:
    """The method called `name`; UserError for an unknown one."""
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1)
        meant = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(f"Unknown method '{name[:60]}'.{meant} Expected one of {', '.join(METHODS)}.")
    module = import_module(f"mos.methods.{name}")
    return Method(name, module.OPTIONS, module.estimate)


def score(
    ratings: Ratings,
    by: str | Options = "paper",
    given: Mapping[str, Any] | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Score every item in every dimension, keeping for each rating and rater what became of it and why.

    by: name of a method, one of `METHODS`, or its options; given: options by name, when `by` is a name
    progress: called with 1 after every resample of a bootstrap
    Raises UserError for an unknown method or option, a value that the option cannot have, or options given twice.
    """
    if isinstance(by, Options) and given:
        raise UserError(
            f"Options of the method {by.method} were given twice: as a whole, and {', '.join(given)} again."
        )
    options = by if isinstance(by, Options) else method(by).options.checked(given or {})
    return assemble(ratings, options, method(options.method).estimate, progress)

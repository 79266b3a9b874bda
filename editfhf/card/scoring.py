"""How ratings became scores, for the card: the method, a table of its options, and what its scores compare with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from mos.errors import UserError
from mos.methods import METHODS, find_method
from mos.methods.p910 import P910Options
from mos.methods.p913 import P913Options
from mos.scoring.normalise import NormalisingOptions
from mos.scoring.options import ScoringOptions

_PANEL = "A score is the opinion of the raters of this study on the scale that they were given"


class ScoringSettings(NamedTuple):
    """The options of the method that made the scores, and the scale of its ratings, lowest and highest."""

    options: ScoringOptions
    scale: tuple[float, float]


class OptionRow(NamedTuple):
    """One option: its name, its value as text, and what it does."""

    option: str
    value: str
    meaning: str


def read_scoring_settings(section: Mapping[str, Any]) -> ScoringSettings | None:
    """The scoring settings of a manifest.

    Parameters
    ----------
    section
        The options `mos` of the manifest.

    Returns
    -------
    ScoringSettings or None
        None if it names no method, or has options that the method does not have.
    """
    try:
        low, high = section["scale"]
        given = {name: value for name, value in section.items() if name != "scale"}
        options = find_method(str(section["method"])).options.from_mapping(given)
        return ScoringSettings(options, (float(low), float(high)))
    except (KeyError, TypeError, ValueError, UserError):
        return None


def describe_method(settings: ScoringSettings | None) -> str:
    """The method in two sentences: what it does, and how its values become scores from 0 to 100."""
    if settings is None:
        return "The manifest does not name the method that made scores of ratings."
    options, (low, high) = settings
    if isinstance(options, NormalisingOptions):
        mapping = "A mean z-score z becomes the score 100 (z + 3) / 6."
    else:
        mapping = f"Scores on the scale of the ratings, {low:g} to {high:g}, are mapped linearly to 0 to 100."
    return f"Method `{options.method}`: {METHODS[options.method]}. {mapping}"


def list_scoring_options(settings: ScoringSettings) -> list[OptionRow]:
    """Every option of the method but `method`, with the value that was used and its description."""
    values, fields = settings.options.as_dict(), type(settings.options).model_fields
    return [
        OptionRow(name, _format_value(values[name]), field.description or "")
        for name, field in fields.items()
        if name != "method"
    ]


def describe_score_limits(settings: ScoringSettings | None, outside: int) -> str:
    """What scores can and cannot be compared with.

    Parameters
    ----------
    settings
        Of the dataset.
    outside
        Number of scores outside of 0 to 100.
    """
    clipped = settings is not None and settings.options.clip
    beyond = f"can be below 0 or above 100 ({outside:,} here {'were, and were clipped' if clipped else 'are'})"
    match settings:
        case None:
            return f"A score {beyond}; whether scores of two datasets can be compared depends on their methods."
        case ScoringSettings(options=NormalisingOptions()):
            return (
                "A score is relative to the raters and the images of this study (z-scores): scores of two datasets "
                f"are not on one scale, and a score {beyond}."
            )
        case ScoringSettings(options=P913Options() | P910Options()):
            return f"{_PANEL}, without their estimated biases: another panel has another zero, and a score {beyond}."
        case _:
            return f"{_PANEL}: another panel may be more severe or milder."


def _format_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

"""The one error class a user ever sees.

It lives in the lowest package so that every room of the house can raise it and the command line can turn it
into one sentence and exit status 1, without a traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any


def require_choice(name: str, value: str, known: Sequence[str]) -> None:
    """UserError where the choice `name` is not one of those `known`."""
    if value not in known:
        raise UserError(f"{name} must be one of {', '.join(known)}; got '{value}'.")


def require_number(name: str, value: Any) -> None:
    """UserError where `value` is not a number; True and False are none."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise UserError(f"{name} must be a number; got {repr(value)[:60]}.")


def require_count(name: str, value: Any, least: int) -> None:
    """UserError where `value` is not a whole number from `least` on."""
    require_number(name, value)
    if value != value // 1 or value < least:
        raise UserError(f"{name} must be a whole number, {least} or more; got {value}.")


class UserError(Exception):
    """A mistake in the user's data or environment.

    The message is the whole story: what was expected, what came, in which file and row, and what to do.
    """

"""Call an agent or editor that may crash or hang: what comes back is its answer or one sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mos.errors import UserError
from mos.words import escape_to_one_line

T = TypeVar("T")

_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class CallOutcome(Generic[T]):
    """What a call gave.

    Attributes
    ----------
    value : object or None
        The answer; None where there is none.
    detail : str
        One sentence why there is no answer; "" if there is one.
    seconds : float
        Wall-clock time of the call.
    """

    value: T | None
    detail: str
    seconds: float


def call_with_limit(function: Callable[[], T], seconds: float) -> CallOutcome[T]:
    """Call a function and wait for its answer at most a given time.

    Parameters
    ----------
    function : callable
        It is called in another thread. One that hangs goes on there: a thread cannot be ended from outside.
    seconds : float
        How long to wait.

    Returns
    -------
    CallOutcome

    Raises
    ------
    UserError
        If the function raises it: something that the user must correct, such as a missing key.
    KeyboardInterrupt
        If the user interrupts the wait.
    """
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(function())
        except BaseException as error:
            errors.append(error)

    start = time.perf_counter()
    thread = threading.Thread(target=run, daemon=True, name="editfhf-call")
    thread.start()
    thread.join(min(seconds, threading.TIMEOUT_MAX))
    elapsed = time.perf_counter() - start
    if errors:
        if isinstance(errors[0], UserError):
            raise errors[0]
        return CallOutcome(None, describe_crash(errors[0]), elapsed)
    if not answers:
        return CallOutcome(None, f"No answer within {seconds:g} s.", elapsed)
    return CallOutcome(answers[0], "", elapsed)


def describe_crash(error: BaseException) -> str:
    """One printable sentence about an exception of foreign code, shortened."""
    text = escape_to_one_line(str(error)).strip()
    told = f"It raised {type(error).__name__}: {text}" if text else f"It raised {type(error).__name__}."
    return told if len(told) <= _LONGEST_DETAIL else f"{told[: _LONGEST_DETAIL - 1]}…"

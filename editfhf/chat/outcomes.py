"""What became of a request.  A message says it in our own words: no text of a model, a server or a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel

from editfhf.chat.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """key: of the request.  usage: what its answers cost when they were paid for.  message: one sentence, or empty."""

    key: str
    usage: Usage = field(default_factory=Usage)
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(_Outcome):
    """A reply that fits the model of the request.

    value: the reply, checked; text: as it came; cached: nothing was sent for it this time
    served_by: the model's name as the server gave it
    repaired: whether it needed the second round in which the model is told what was wrong
    """

    reason: ClassVar[str] = "answer"

    value: BaseModel = field(repr=False)
    text: str = field(repr=False)
    cached: bool
    served_by: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(_Outcome):
    """The model declined to answer."""

    reason: ClassVar[str] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated(_Outcome):
    """The reply reached `max_output_tokens`."""

    reason: ClassVar[str] = "truncated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered(_Outcome):
    """A content filter of the server stopped the request or the reply."""

    reason: ClassVar[str] = "filtered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid(_Outcome):
    """The reply does not fit the model of the request, not even after the model was told what is wrong."""

    reason: ClassVar[str] = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(_Outcome):
    """No reply came; nothing is kept, and the same request may be asked again.

    status: of the last HTTP answer; 0 when there was none
    """

    reason: ClassVar[str] = "failed"

    status: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverBudget(_Outcome):
    """Nothing was sent: at its worst the request would have passed a limit of the budget."""

    reason: ClassVar[str] = "over_budget"


Outcome = Answer | Refused | Truncated | Filtered | Invalid | Failed | OverBudget


class Stopped(Exception):
    """`Chat.drain` was called before the request was sent."""

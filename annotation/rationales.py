"""When reviewers of one region agree on one text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from annotation.records import Rationale, Severity
from annotation.text import collapsed

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Where the reviewers of one region stand: the current text, who agrees with it, and whether that settles it.

    `flaw_type` and `severity` are the most common among those who agree.
    """

    text: str | None
    flaw_type: str | None
    severity: Severity | None
    agreeing: int
    reviewers: int
    final: bool


def in_time(statements: Iterable[Rationale]) -> list[Rationale]:
    """The statements by time, then by place; equal ones by content, so that no order of files matters."""
    return sorted(statements, key=_order)


def _order(one: Rationale) -> tuple[object, ...]:
    said = tuple(word or "" for word in (one.text, one.verdict, one.flaw_type, one.severity))
    return one.at, one.place, one.annotator_id, one.region_id, said


def agreement(statements: Sequence[Rationale], reviewers: int) -> Agreement:
    """Where the reviewers stand after all statements about one region.

    Each text becomes the current one; a bare `agree` agrees with the text that is current at that moment.  Of each
    reviewer the latest statement counts.  Final when `reviewers` different people stand by the current text (composed
    form, runs of blanks as one).
    """
    current: str | None = None
    latest: dict[str, tuple[str, Rationale]] = {}
    people: set[str] = set()
    for statement in in_time(statements):
        people.add(statement.annotator_id)
        if statement.text is not None:
            current = statement.text
        if current is not None:
            # Taken out first, so that the dictionary's order is the order of the latest statements.
            latest.pop(statement.annotator_id, None)
            latest[statement.annotator_id] = (collapsed(current), statement)
    agreeing = [one for text, one in latest.values() if current is not None and text == collapsed(current)]
    return Agreement(
        text=current,
        flaw_type=most_common_latest([one.flaw_type for one in agreeing]),
        severity=most_common_latest([one.severity for one in agreeing]),
        agreeing=len(agreeing),
        reviewers=len(people),
        final=len(agreeing) >= reviewers,
    )


def most_common_latest(words: Sequence[Word | None]) -> Word | None:
    """The most common word, of equally common ones that which comes last; None when there is none.

    >>> most_common_latest(["face", None, "body"])
    'body'
    """
    said = [word for word in words if word is not None]
    return max(reversed(said), key=said.count) if said else None


def most_common_listed(words: Sequence[Word | None], listed: Sequence[str]) -> Word | None:
    """The most common listed word, of equally common ones that which comes first in the list; None without any.

    >>> most_common_listed(["severe", "minor"], ["minor", "moderate", "severe"])
    'minor'
    """
    said = [word for word in words if word is not None and word in listed]
    distinct = dict.fromkeys(said)
    if len(distinct) < 2:
        return said[0] if said else None
    return min(distinct, key=lambda word: (-said.count(word), listed.index(word)))

"""Decide when the reviewers of one region agree on one text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from annotation.records import Rationale, Severity
from annotation.text import collapse_blanks

WordT = TypeVar("WordT", bound=str)


@dataclass(frozen=True, slots=True)
class TextAgreement:
    """Agreement of the reviewers of one region on its text.

    Parameters
    ----------
    text : str or None
        The current text; None when no reviewer stated one.
    flaw_type, severity : str or None
        The most common ones among the reviewers who agree, of equally common ones the latest.
    agreeing : int
        Reviewers who agree with the current text.
    reviewers : int
        Reviewers who made any statement.
    final : bool
        Whether enough reviewers agree.
    """

    text: str | None
    flaw_type: str | None
    severity: Severity | None
    agreeing: int
    reviewers: int
    final: bool


class StatedText(NamedTuple):
    """One reviewer's statement with the full text that it supports."""

    reviewer: str
    text: str
    flaw_type: str | None
    severity: Severity | None


def decide_agreement(stated: Sequence[StatedText], needed: int) -> TextAgreement:
    """Decide whether the reviewers of one region agree.

    Parameters
    ----------
    stated : sequence of StatedText
        Statements in the order of time.  The last one has the current text; of each reviewer the latest one counts.
    needed : int
        Reviewers who must agree with the current text.  Texts are compared in composed form (NFC), with runs of
        blanks as one.

    Returns
    -------
    TextAgreement

    Examples
    --------
    >>> stated = [StatedText(name, "Six fingers.", "hand_foot", "severe") for name in ("ann", "bob")]
    >>> agreement = decide_agreement(stated, 3)
    >>> agreement.agreeing, agreement.final
    (2, False)
    """
    latest: dict[str, StatedText] = {}
    for statement in stated:
        # Removed first, so that the dictionary is in the order of the latest statements.
        latest.pop(statement.reviewer, None)
        latest[statement.reviewer] = statement
    current = stated[-1].text if stated else None
    agreeing = [
        statement
        for statement in latest.values()
        if current is not None and collapse_blanks(statement.text) == collapse_blanks(current)
    ]
    return TextAgreement(
        text=current,
        flaw_type=most_common_latest([statement.flaw_type for statement in agreeing]),
        severity=most_common_latest([statement.severity for statement in agreeing]),
        agreeing=len(agreeing),
        reviewers=len(latest),
        final=len(agreeing) >= needed,
    )


def sort_statements(statements: Iterable[Rationale]) -> list[Rationale]:
    """Sort statements by time, then place, then content, so that the order of files does not matter."""
    return sorted(statements, key=_statement_sort_key)


def _statement_sort_key(statement: Rationale) -> tuple[object, ...]:
    content = (statement.text, statement.verdict, statement.flaw_type, statement.severity)
    key = tuple(value or "" for value in content)
    return statement.at, statement.place, statement.annotator_id, statement.region_id, key


def compute_text_agreement(statements: Sequence[Rationale], reviewers: int) -> TextAgreement:
    """Compute the agreement from all statements about one region, by `decide_agreement`.

    Each text becomes the current one.  An `agree` without a text agrees with the text that is current at that time, and
    does not count while there is none.

    Parameters
    ----------
    statements : sequence of Rationale
        The statements about one region, in any order.
    reviewers : int
        Reviewers who must agree.

    Returns
    -------
    TextAgreement
    """
    current: str | None = None
    stated = []
    for statement in sort_statements(statements):
        current = current if statement.text is None else statement.text
        if current is not None:
            stated.append(StatedText(statement.annotator_id, current, statement.flaw_type, statement.severity))
    participants = {statement.annotator_id for statement in statements}
    return replace(decide_agreement(stated, reviewers), reviewers=len(participants))


def most_common_latest(words: Sequence[WordT | None]) -> WordT | None:
    """The most common word, of equally common ones the last; None without any.

    >>> most_common_latest(["face", None, "body"])
    'body'
    """
    given = [word for word in words if word is not None]
    return max(reversed(given), key=given.count) if given else None


def most_common_listed(words: Sequence[WordT | None], listed: Sequence[str]) -> WordT | None:
    """The most common listed word, of equally common ones the first of the list; None without any.

    >>> most_common_listed(["severe", "minor"], ["minor", "moderate", "severe"])
    'minor'
    """
    given = [word for word in words if word is not None and word in listed]
    distinct = dict.fromkeys(given)
    if len(distinct) < 2:
        return given[0] if given else None
    return min(distinct, key=lambda word: (-given.count(word), listed.index(word)))

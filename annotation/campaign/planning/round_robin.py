"""The round robin of one region's text, as a state machine without clocks or names of its own.

Reviewer A, then B, then C sees the current text; each agrees or revises; a revision becomes the current text, and the
others must now agree with it.  Where the design is silent, these are the rules:

- **What a reviewer stands by** is what they said last: their own text, or the text that they saw and agreed with.
  Texts are compared as `annotation.text.collapsed` gives them; an unchanged text is an agreement.
- **Final** is the first text that `needed` different reviewers stand by at one time.
- **An agreement with an outdated text** counts for that text alone: it does not move the current text, and its author
  is asked about the current one.  If the author had already answered the current one, it is a change of mind: the older
  text becomes the current one again, as a new revision.  So does an agreed text whose writer is no reviewer any more.
- **Two answers at once**: a revision of an outdated text becomes the current text, for the later word wins; the earlier
  text stays among the revisions, and its author is asked about the later one.
- **An answer without text** (an agreement with an empty draft, a cleared text) says nothing and takes nothing back.
- **Escalated**: after `limit` rounds, or when nobody is left to ask, the expert's text is the result.  A round is one
  word of each reviewer: `limit * len(reviewers)` words that changed something (a resubmission of the same words does
  not count).  So every review ends after at most that many answers, whatever they are.
- **Final stays final**: a word after the end is kept as `late`, one of a person who is no reviewer as `foreign`, the
  expert's before the escalation as `early`.  None of these counts, and none is lost.

The turns that count, each with the text that its author stood by (as an export has them), give the same verdict under
`annotation.rationales.agreement`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from annotation.rationales import most_common_latest
from annotation.records import Severity
from annotation.text import collapsed
from mos.errors import UserError

Status = Literal["open", "final", "escalated", "settled"]
Fate = Literal["agreed", "revised", "outdated", "empty", "late", "foreign", "early", "settled"]

COUNTED: tuple[Fate, ...] = ("agreed", "revised", "outdated")
"""Fates of the words that reviewers stand by: what an export of stage 2 holds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One person's word on one region: `seen` is the text that was shown ("" when there was none).

    `text` is the person's own, None to agree with `seen`.  `at` is the ISO time, compared as text.
    """

    reviewer: str
    seen: str
    text: str | None
    flaw_type: str | None
    severity: Severity | None
    at: str

    @property
    def said(self) -> str:
        """The text that the person stands by."""
        return self.seen if self.text is None else self.text


class Entry(NamedTuple):
    """A turn and what became of it: nothing that anybody said leaves the history."""

    turn: Turn
    fate: Fate


@dataclass(frozen=True, slots=True)
class Revision:
    """A text that was the current one; `author` and `at` are None for the draft."""

    text: str
    author: str | None
    at: str | None


@dataclass(frozen=True, slots=True)
class Review:
    """One region's text on its way.

    revisions: every text that was the current one, the draft first; the last is the current one
    history: every turn in the order in which it was taken up
    standing: of each reviewer the latest turn that counts, the latest last
    answered: reviewers who have had their say on the current revision
    words: how many turns changed something, at most `limit * len(reviewers)`
    status: open, final (the reviewers agree), escalated (the expert is to decide), settled (the expert has)
    """

    reviewers: tuple[str, ...]
    limit: int
    needed: int
    revisions: tuple[Revision, ...]
    history: tuple[Entry, ...] = ()
    standing: tuple[Turn, ...] = ()
    answered: frozenset[str] = frozenset()
    words: int = 0
    status: Status = "open"

    @property
    def current(self) -> str:
        """The text to show next; "" when nobody has written one."""
        return self.revisions[-1].text

    @property
    def result(self) -> Turn | None:
        """The turn with which the review ended, whose `said` is the final text; None before the end."""
        if self.status == "settled":
            return next(turn for turn, fate in self.history if fate == "settled")
        return self.standing[-1] if self.status == "final" else None

    @property
    def agreeing(self) -> tuple[Turn, ...]:
        """What those said who stand by the current text (or the final one), the latest last."""
        last = self.result.said if self.status == "final" and self.result else self.current
        return _standing_by(self.standing, last)

    @property
    def flaw_type(self) -> str | None:
        """The expert's, else the most common among those who agree."""
        turns = [self.result] if self.status == "settled" and self.result else self.agreeing
        return most_common_latest([turn.flaw_type for turn in turns])

    @property
    def severity(self) -> Severity | None:
        """The expert's, else the most common among those who agree."""
        turns = [self.result] if self.status == "settled" and self.result else self.agreeing
        return most_common_latest([turn.severity for turn in turns])

    @property
    def counted(self) -> tuple[Turn, ...]:
        """The reviewers' turns that count, in their order."""
        return tuple(turn for turn, fate in self.history if fate in COUNTED)


class PairTurn(NamedTuple):
    """The next task of a pair: who gets it, and the ids of the regions that it shows."""

    reviewer: str
    regions: tuple[str, ...]


def begin(draft: str | None, reviewers: Sequence[str], limit: int = 3, needed: int = 3) -> Review:
    """A review in which nobody has said anything; without a draft the first reviewer writes the text.

    `reviewers` in the order in which they are asked.  `UserError` when they are fewer than `needed` or not distinct,
    when one alone would do, or without a round.
    """
    if needed < 2:
        raise UserError(f"Expected at least 2 reviewers who must agree, got {needed}: nobody reviews alone.")
    if limit < 1:
        raise UserError(f"Expected at least 1 round before a text goes to the expert, got {limit}.")
    if len(set(reviewers)) != len(reviewers) or len(reviewers) < needed:
        names = ", ".join(reviewers) or "nobody"
        raise UserError(f"Expected at least {needed} different reviewers of one text, got {names}. Assign more people.")
    return Review(tuple(reviewers), limit, needed, (Revision(draft or "", None, None),))


def answer(state: Review, turn: Turn) -> Review:
    """The review after a reviewer's turn; the same turn a second time changes nothing."""
    if any(turn == entry.turn for entry in state.history):
        return state
    if turn.reviewer not in state.reviewers:
        return _kept(state, turn, "foreign")
    if state.status != "open":
        return _kept(state, turn, "late")
    return _ended(_taken(state, turn))


def settle(state: Review, turn: Turn) -> Review:
    """The review after the expert's turn: an escalated one is settled with the expert's text (None: the shown)."""
    if any(turn == entry.turn for entry in state.history):
        return state
    if state.status != "escalated":
        return _kept(state, turn, "early" if state.status == "open" else "late")
    if not collapsed(turn.said):
        return _kept(state, turn, "empty")
    return replace(_kept(state, turn, "settled"), status="settled")


def replay(
    draft: str | None,
    reviewers: Sequence[str],
    turns: Iterable[Turn],
    expert: Iterable[Turn] = (),
    limit: int = 3,
    needed: int = 3,
) -> Review:
    """The review after all turns of reviewers and of the expert, in the order of their times.

    Neither order nor repetition in the arguments matters; at equal times, the order of the reviewers decides.
    """
    state = begin(draft, reviewers, limit, needed)
    place = {name: index for index, name in enumerate(reviewers)}
    words = [(_order(turn, place.get(turn.reviewer, len(place)), False), turn) for turn in turns]
    words += [(_order(turn, 0, True), turn) for turn in expert]
    for (_, of_expert, *_), turn in sorted(words, key=lambda word: word[0]):
        state = settle(state, turn) if of_expert else answer(state, turn)
    return state


def waiting(state: Review) -> tuple[str, ...]:
    """Reviewers who are still to answer the current revision, in the order in which they are asked.

    The one after the revision's author comes first.  Who has answered it, or stands by its text already, is not asked.
    """
    if state.status != "open":
        return ()
    author = state.revisions[-1].author
    start = 0 if author is None else state.reviewers.index(author) + 1
    heard = _heard(state)
    return tuple(name for name in state.reviewers[start:] + state.reviewers[:start] if name not in heard)


def next_reviewer(state: Review) -> str | None:
    """Who is asked about the current text; None once the review has ended."""
    return next(iter(waiting(state)), None)


def pair_turn(states: Mapping[str, Review]) -> PairTurn | None:
    """The next task of a pair, given its reviews by region id; None when no region waits for a reviewer.

    The reviewer who can answer most regions gets all of them at once; of several the one who comes first after the
    reviewer who spoke last.  Tasks per pair of 9 regions and share of regions that go to the expert, simulated with 3
    reviewers who agree with each text independently at a given rate, and 3 rounds (or 2):

        agree      50 %         60 %         70 %         80 %         90 %         95 %
        tasks      8.9 (6.0)    8.5 (6.0)    7.5 (5.9)    6.4 (5.5)    4.9 (4.7)    4.1 (4.1)
        expert     22 % (41)    9 % (27)     3 % (14)     0.8 % (6)    0.0 % (1)    0.0 % (0.3)
    """
    asked: dict[str, list[str]] = {}
    for region, state in states.items():
        for name in waiting(state):
            asked.setdefault(name, []).append(region)
    if not asked:
        return None
    order = list(dict.fromkeys(name for state in states.values() for name in state.reviewers))
    spoken = [(turn.at, order.index(turn.reviewer)) for state in states.values() for turn in state.standing]
    after = max(spoken)[1] + 1 if spoken else 0
    rota = order[after:] + order[:after]
    best = max((name for name in rota if name in asked), key=lambda name: len(asked[name]))
    return PairTurn(best, tuple(asked[best]))


def _taken(state: Review, turn: Turn) -> Review:
    """An open review after a word of one of its reviewers, before anybody looks whether it has ended."""
    fate = _fate(state, turn)
    heard = turn.reviewer in _heard(state)
    before = next((one for one in state.standing if one.reviewer == turn.reviewer), None)
    again = before is not None and collapsed(before.said) == collapsed(turn.said)
    changes = fate == "revised" or (not heard if fate == "empty" else not again)
    state = replace(_kept(state, turn, fate), words=state.words + changes)
    if fate != "empty":
        others = tuple(one for one in state.standing if one is not before)
        state = replace(state, standing=(*others, turn))
    if fate == "revised":
        revision = Revision(turn.said, turn.reviewer, turn.at)
        return replace(state, revisions=(*state.revisions, revision), answered=frozenset({turn.reviewer}))
    return state if fate == "outdated" else replace(state, answered=state.answered | {turn.reviewer})


def _fate(state: Review, turn: Turn) -> Fate:
    """What a reviewer's word is to an open review."""
    said = collapsed(turn.said)
    if not said:
        return "empty"
    if said == collapsed(state.current):
        return "agreed"
    unchanged = said == collapsed(turn.seen) and any(said == collapsed(one.text) for one in state.revisions)
    return "outdated" if unchanged and turn.reviewer not in _heard(state) else "revised"


def _ended(state: Review) -> Review:
    """The review with the status that its last turn gave it: only the text said last can have become final."""
    if len(_standing_by(state.standing, state.history[-1].turn.said)) >= state.needed:
        return replace(state, status="final")
    if state.words >= state.limit * len(state.reviewers) or not waiting(state):
        return replace(state, status="escalated")
    return state


def _heard(state: Review) -> Collection[str]:
    """Reviewers who have answered the current revision or stand by its text from before."""
    return state.answered | {turn.reviewer for turn in _standing_by(state.standing, state.current)}


def _standing_by(standing: Iterable[Turn], text: str) -> tuple[Turn, ...]:
    same = collapsed(text)
    return tuple(turn for turn in standing if collapsed(turn.said) == same)


def _kept(state: Review, turn: Turn, fate: Fate) -> Review:
    return replace(state, history=(*state.history, Entry(turn, fate)))


def _order(turn: Turn, place: int, of_expert: bool) -> tuple[str, bool, int, str, str, str, str, str]:
    return (
        turn.at,
        of_expert,
        place,
        turn.reviewer,
        turn.seen,
        "" if turn.text is None else f"={turn.text}",
        turn.flaw_type or "",
        turn.severity or "",
    )

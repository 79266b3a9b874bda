"""The round robin of one region's text: a pure state machine.

Reviewer A, then B, then C sees the current text; each agrees or revises; a revision becomes the current text, and the
others must now agree with it.  The rules in detail:

- **A reviewer's text** is that of their latest turn: their own text, or the shown text that they agreed with.  Texts
  are compared as `annotation.text.collapse_blanks` gives them; an unchanged text is an agreement.
- **Final** is the first text that `needed` different reviewers have at one time.
- **An agreement with an outdated text** counts only for that text: the current text stays, and the reviewer is asked
  about it.  If they had answered the current text before, they changed their mind: the older text becomes the current
  one again, as a new revision.  So does an agreed text whose author is no longer a reviewer.
- **Two answers at once**: a revision of an outdated text becomes the current text, because the later answer wins; the
  earlier text stays among the revisions, and its author is asked about the later one.
- **An answer without text** (an agreement with an empty draft, a cleared text) changes nothing.
- **Escalated**: after `limit` rounds, or when no reviewer is left to ask, the expert decides.  A round is one turn of
  each reviewer, so a review ends after `limit * len(reviewers)` turns that changed something; submitting the same text
  again does not count.
- **Final stays final**: a turn after the end is kept as `late`, one of a person who is no reviewer as `foreign`, the
  expert's before the escalation as `early`.  None of these counts, and none is lost.

`annotation.rationales.decide_agreement` decides whether the turns that count make a text final, here and for an export,
which holds these turns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from annotation.campaign.model import ReviewEntry, ReviewTurn, TextReview, TextRevision, TurnStatus, turns_with_text
from annotation.text import collapse_blanks
from mos.errors import UserError


class PairTurn(NamedTuple):
    """The next task of a pair: who gets it, and the ids of the regions that it shows."""

    reviewer: str
    regions: tuple[str, ...]


def begin_review(draft: str | None, reviewers: Sequence[str], limit: int = 3, needed: int = 3) -> TextReview:
    """Begin a review without turns; without a draft the first reviewer writes the text.

    Parameters
    ----------
    draft
        The text to begin with, None for none.
    reviewers
        Reviewers in the order in which they are asked.
    limit
        Rounds before the text goes to the expert, at least 1.
    needed
        Number of reviewers who must agree, at least 2.

    Raises
    ------
    UserError
        The reviewers are fewer than `needed` or not distinct, or `limit` or `needed` is too low.
    """
    if needed < 2:
        raise UserError(f"Expected at least 2 reviewers who must agree, got {needed}. One reviewer cannot agree alone.")
    if limit < 1:
        raise UserError(f"Expected at least 1 round before a text goes to the expert, got {limit}.")
    if len(set(reviewers)) != len(reviewers) or len(reviewers) < needed:
        names = ", ".join(reviewers) or "nobody"
        raise UserError(f"Expected at least {needed} different reviewers of one text, got {names}. Add reviewers.")
    return TextReview(tuple(reviewers), limit, needed, (TextRevision(draft or "", None, None),))


def apply_reviewer_turn(state: TextReview, turn: ReviewTurn) -> TextReview:
    """The review after a reviewer's turn; the same turn a second time changes nothing."""
    if any(turn == entry.turn for entry in state.history):
        return state
    if turn.reviewer not in state.reviewers:
        return _append_to_history(state, turn, "foreign")
    if state.status != "open":
        return _append_to_history(state, turn, "late")
    return _update_status(_take_turn(state, turn))


def apply_expert_turn(state: TextReview, turn: ReviewTurn) -> TextReview:
    """The review after the expert's turn, which settles an escalated one with its text (None: the shown text)."""
    if any(turn == entry.turn for entry in state.history):
        return state
    if state.status != "escalated":
        return _append_to_history(state, turn, "early" if state.status == "open" else "late")
    if not collapse_blanks(turn.said):
        return _append_to_history(state, turn, "empty")
    return replace(_append_to_history(state, turn, "settled"), status="settled")


def replay_review(
    draft: str | None,
    reviewers: Sequence[str],
    turns: Iterable[ReviewTurn],
    expert: Iterable[ReviewTurn] = (),
    limit: int = 3,
    needed: int = 3,
) -> TextReview:
    """The review after all turns of the reviewers and of the expert, applied in the order of their times.

    Order and repetition in the arguments do not matter; at equal times, the order of the reviewers decides.
    """
    state = begin_review(draft, reviewers, limit, needed)
    place = {name: index for index, name in enumerate(reviewers)}
    ordered = [(_turn_order(turn, place.get(turn.reviewer, len(place)), False), turn) for turn in turns]
    ordered += [(_turn_order(turn, 0, True), turn) for turn in expert]
    for (_, of_expert, *_), turn in sorted(ordered, key=lambda item: item[0]):
        state = apply_expert_turn(state, turn) if of_expert else apply_reviewer_turn(state, turn)
    return state


def waiting_reviewers(state: TextReview) -> tuple[str, ...]:
    """Reviewers who must still answer the current revision, in the order in which they are asked.

    The reviewer after the revision's author comes first.  Reviewers who answered it, or have its text already, are not
    asked.
    """
    if state.status != "open":
        return ()
    author = state.revisions[-1].author
    start = 0 if author is None else state.reviewers.index(author) + 1
    answered = _answered_reviewers(state)
    return tuple(name for name in state.reviewers[start:] + state.reviewers[:start] if name not in answered)


def next_reviewer(state: TextReview) -> str | None:
    """The reviewer who is asked about the current text; None once the review has ended."""
    return next(iter(waiting_reviewers(state)), None)


def next_pair_turn(states: Mapping[str, TextReview]) -> PairTurn | None:
    """The next task of a pair, given its reviews by region id; None when no region waits for a reviewer.

    The reviewer who can answer most regions gets all of them at once; of several, the first one after the reviewer who
    answered last.  Tasks per pair of 9 regions, and share of regions that go to the expert, simulated with 3 reviewers
    who agree with each text independently at a given rate, and 3 rounds (or 2):

        agree      50 %         60 %         70 %         80 %         90 %         95 %
        tasks      8.9 (6.0)    8.5 (6.0)    7.5 (5.9)    6.4 (5.5)    4.9 (4.7)    4.1 (4.1)
        expert     22 % (41)    9 % (27)     3 % (14)     0.8 % (6)    0.0 % (1)    0.0 % (0.3)
    """
    asked: dict[str, list[str]] = {}
    for region, state in states.items():
        for name in waiting_reviewers(state):
            asked.setdefault(name, []).append(region)
    if not asked:
        return None
    order = list(dict.fromkeys(name for state in states.values() for name in state.reviewers))
    answered = [(turn.at, order.index(turn.reviewer)) for state in states.values() for turn in state.standing]
    after = max(answered)[1] + 1 if answered else 0
    rotated = order[after:] + order[:after]
    best = max((name for name in rotated if name in asked), key=lambda name: len(asked[name]))
    return PairTurn(best, tuple(asked[best]))


def _take_turn(state: TextReview, turn: ReviewTurn) -> TextReview:
    """An open review after a turn of one of its reviewers, with its status not yet updated."""
    status = _turn_status(state, turn)
    answered = turn.reviewer in _answered_reviewers(state)
    before = next((one for one in state.standing if one.reviewer == turn.reviewer), None)
    repeated = before is not None and collapse_blanks(before.said) == collapse_blanks(turn.said)
    changes = status == "revised" or (not answered if status == "empty" else not repeated)
    state = replace(_append_to_history(state, turn, status), words=state.words + changes)
    if status != "empty":
        others = tuple(one for one in state.standing if one is not before)
        state = replace(state, standing=(*others, turn))
    if status == "revised":
        revision = TextRevision(turn.said, turn.reviewer, turn.at)
        return replace(state, revisions=(*state.revisions, revision), answered=frozenset({turn.reviewer}))
    return state if status == "outdated" else replace(state, answered=state.answered | {turn.reviewer})


def _turn_status(state: TextReview, turn: ReviewTurn) -> TurnStatus:
    """The status of a reviewer's turn in an open review."""
    text = collapse_blanks(turn.said)
    if not text:
        return "empty"
    if text == collapse_blanks(state.current):
        return "agreed"
    unchanged = text == collapse_blanks(turn.seen) and any(text == collapse_blanks(one.text) for one in state.revisions)
    return "outdated" if unchanged and turn.reviewer not in _answered_reviewers(state) else "revised"


def _update_status(state: TextReview) -> TextReview:
    """The review with the status after its last turn: only the latest text can have become final."""
    if state.verdict.final:
        return replace(state, status="final")
    if state.words >= state.limit * len(state.reviewers) or not waiting_reviewers(state):
        return replace(state, status="escalated")
    return state


def _answered_reviewers(state: TextReview) -> Collection[str]:
    """Reviewers who answered the current revision, or had its text before."""
    return state.answered | {turn.reviewer for turn in turns_with_text(state.standing, state.current)}


def _append_to_history(state: TextReview, turn: ReviewTurn, status: TurnStatus) -> TextReview:
    return replace(state, history=(*state.history, ReviewEntry(turn, status)))


def _turn_order(turn: ReviewTurn, place: int, of_expert: bool) -> tuple[str, bool, int, str, str, str, str, str]:
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

"""The round robin of one text: who is asked, what counts, when it ends, and that nobody's word is lost."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from annotation.campaign.model import ReviewTurn, TextReview
from annotation.campaign.planning.round_robin import (
    apply_expert_turn,
    apply_reviewer_turn,
    begin_review,
    next_pair_turn,
    next_reviewer,
    replay_review,
    waiting_reviewers,
)
from annotation.rationales import compute_text_agreement
from annotation.records import Place, Rationale
from annotation.text import collapse_blanks
from mos.errors import UserError

PEOPLE = ("a", "b", "c")
TEXTS = ("T1", "T2", " T1 ", "T3", "", "  ")


def turn(who: str, seen: str, text: str | None = None, at: int = 0, flaw: str | None = None) -> ReviewTurn:
    return ReviewTurn(who, seen, text, flaw, None, f"2026-01-01T00:00:00.{at:06}Z")


def played(
    *turns: ReviewTurn, draft: str = "D", people: tuple[str, ...] = PEOPLE, limit: int = 3, needed: int = 3
) -> TextReview:
    return replay_review(draft, people, turns, limit=limit, needed=needed)


def exported(state: TextReview) -> list[Rationale]:
    """The turns that count as stage 2 exports them: the submitted text, whether predicted or typed."""
    return [
        Rationale(
            "p", "r", one.reviewer, None, None, one.said, one.flaw_type, one.severity, None, one.at, Place("x", row)
        )
        for row, one in enumerate(state.counted)
    ]


class TestInTurn:
    def test_three_who_agree_make_the_draft_final(self) -> None:
        state = begin_review("D", PEOPLE)
        for at, who in enumerate(PEOPLE):
            assert next_reviewer(state) == who
            assert state.status == "open"
            state = apply_reviewer_turn(state, turn(who, "D", at=at))
        assert (state.status, next_reviewer(state)) == ("final", None)
        assert state.result == turn("c", "D", at=2)

    def test_a_revision_is_shown_to_the_other_two(self) -> None:
        state = played(turn("a", "D", at=1), turn("b", "D", "T", at=2))
        assert (state.current, waiting_reviewers(state)) == ("T", ("c", "a"))
        state = apply_reviewer_turn(apply_reviewer_turn(state, turn("c", "T", at=3)), turn("a", "T", at=4))
        assert state.status == "final"
        assert [one.reviewer for one in state.agreeing] == ["b", "c", "a"]
        assert [(one.text, one.author) for one in state.revisions] == [("D", None), ("T", "b")]

    @pytest.mark.parametrize("draft", [None, "", " \n"])
    def test_without_a_draft_the_first_reviewer_writes_the_text(self, draft: str | None) -> None:
        state = begin_review(draft, PEOPLE)
        assert next_reviewer(state) == "a"
        state = apply_reviewer_turn(state, turn("a", state.current, "T", at=1))
        assert (state.current, waiting_reviewers(state)) == ("T", ("b", "c"))

    def test_nobody_can_agree_with_nothing(self) -> None:
        state = played(*(turn(who, "", at=at) for at, who in enumerate(PEOPLE)), draft="")
        assert (state.status, [fate for _, fate in state.history]) == ("escalated", ["empty"] * 3)

    def test_a_text_typed_unchanged_is_an_agreement(self) -> None:
        state = played(turn("a", "D e\u0301", "D  \u00e9 ", at=1), draft="D e\u0301")
        assert (state.history[0].status, len(state.revisions)) == ("agreed", 1)

    def test_flaw_type_is_the_most_common_of_those_who_agree(self) -> None:
        state = played(
            turn("a", "D", None, 1, "face"), turn("b", "D", None, 2, "body"), turn("c", "D", None, 3, "body")
        )
        assert (state.flaw_type, state.severity) == ("body", None)


class TestTwoAtOnce:
    def test_of_two_revisions_of_one_text_the_later_is_shown_and_the_earlier_kept(self) -> None:
        state = played(turn("a", "D", "A's", at=1), turn("b", "D", "B's", at=2))
        assert [one.text for one in state.revisions] == ["D", "A's", "B's"]
        assert waiting_reviewers(state) == ("c", "a")

    def test_agreement_with_an_outdated_text_does_not_count_for_the_current_one(self) -> None:
        state = played(turn("a", "D", at=1), turn("b", "D", "T", at=2), turn("c", "D", at=3))
        assert (state.history[-1].status, state.current) == ("outdated", "T")
        assert waiting_reviewers(state) == ("c", "a")
        assert played(*state.counted, turn("a", "T", at=4)).status == "open"
        assert played(*state.counted, turn("a", "T", at=4), turn("c", "T", at=5)).status == "final"

    def test_unless_the_texts_are_identical(self) -> None:
        state = played(turn("a", "D", at=1), turn("b", "D", "T", at=2), turn("c", "T", "D", at=3))
        assert [one.text for one in state.revisions] == ["D", "T", "D"]
        # a stood by that text all the time, so that b alone is asked; b's agreement with the draft of long ago counts
        assert waiting_reviewers(state) == ("b",)
        assert apply_reviewer_turn(state, turn("b", "D", at=4)).status == "final"

    def test_when_the_author_goes_back_to_the_text_that_the_others_stand_by_it_is_final(self) -> None:
        state = played(turn("a", "D", at=1), turn("b", "D", "T", at=2), turn("c", "D", at=3), turn("b", "D", at=4))
        assert (state.status, state.result) == ("final", turn("b", "D", at=4))

    def test_a_change_of_mind_counts_and_the_others_look_again(self) -> None:
        state = played(turn("a", "D", at=1), turn("b", "D", at=2), turn("a", "D", "T", at=3))
        assert (state.current, waiting_reviewers(state)) == ("T", ("b", "c"))

    def test_whoever_takes_an_agreement_back_brings_the_older_text_back(self) -> None:
        state = played(turn("a", "D", "T", at=1), turn("b", "T", at=2), turn("b", "D", at=3))
        assert (state.history[-1].status, state.current, waiting_reviewers(state)) == ("revised", "D", ("c", "a"))

    def test_a_text_whose_writer_has_left_lives_on_in_those_who_agreed(self) -> None:
        state = played(turn("x", "D", "X's", at=1), turn("a", "X's", at=2))
        assert [entry.status for entry in state.history] == ["foreign", "revised"]
        assert (state.current, waiting_reviewers(state)) == ("X's", ("b", "c"))


class TestTheEnd:
    def test_after_the_rounds_the_expert_decides(self) -> None:
        state = begin_review("D", PEOPLE, limit=2)
        for at in range(6):
            assert state.status == "open"
            state = apply_reviewer_turn(state, turn(PEOPLE[at % 3], state.current, f"T{at}", at))
        assert (state.status, state.result, next_reviewer(state)) == ("escalated", None, None)
        state = apply_expert_turn(state, turn("e", "T5", "E", at=9, flaw="face"))
        assert (state.status, state.flaw_type) == ("settled", "face")
        assert state.result is not None
        assert state.result.said == "E"

    def test_the_expert_may_take_the_current_text_but_not_nothing(self) -> None:
        state = played(*(turn(who, "", at=at) for at, who in enumerate(PEOPLE)), draft="")
        state = apply_expert_turn(state, turn("e", "", at=5))
        assert (state.status, state.history[-1].status) == ("escalated", "empty")
        assert apply_expert_turn(state, turn("e", "X", at=6)).status == "settled"

    def test_final_stays_final_and_what_comes_later_is_kept(self) -> None:
        state = played(*(turn(who, "D", at=at) for at, who in enumerate(PEOPLE)))
        state = apply_reviewer_turn(state, turn("a", "D", "T", at=7))
        state = apply_expert_turn(state, turn("e", "D", "E", at=8))
        assert state.status == "final"
        assert [(entry.turn.said, entry.status) for entry in state.history[3:]] == [("T", "late"), ("E", "late")]
        assert state.result == turn("c", "D", at=2)

    def test_the_expert_does_not_speak_before_the_reviewers_have(self) -> None:
        state = replay_review("D", PEOPLE, [turn("a", "D", at=1)], [turn("e", "D", "E", at=2)])
        assert (state.status, state.history[-1].status) == ("open", "early")

    def test_resubmitting_the_same_words_uses_up_no_round(self) -> None:
        state = played(*(turn("a", "D", at=at) for at in range(20)))
        assert (state.status, state.words, len(state.history)) == ("open", 1, 20)

    def test_at_equal_times_the_expert_comes_after_the_reviewers(self) -> None:
        state = replay_review("", PEOPLE, [turn(who, "") for who in PEOPLE], [turn("e", "", "E")])
        assert state.status == "settled"


@pytest.mark.parametrize(
    ("people", "limit", "needed", "said"),
    [
        (("a", "b"), 3, 3, "at least 3 different reviewers of one text, got a, b"),
        (("a", "b", "a"), 3, 3, "at least 3 different"),
        ((), 3, 2, "got nobody"),
        (("a",), 3, 1, "One reviewer cannot agree alone"),
        (PEOPLE, 0, 3, "at least 1 round"),
    ],
)
def test_too_few_reviewers_or_rounds(people: tuple[str, ...], limit: int, needed: int, said: str) -> None:
    with pytest.raises(UserError, match=said):
        begin_review("D", people, limit, needed)


ANYTHING = st.builds(
    turn,
    st.sampled_from(["a", "b", "c", "d", "x"]),
    st.sampled_from(TEXTS),
    st.none() | st.sampled_from(TEXTS),
    st.integers(0, 9),
    st.sampled_from([None, "face", "body"]),
)


@settings(max_examples=400)
@given(st.lists(ANYTHING, max_size=14), st.sampled_from(TEXTS), st.integers(2, 4), st.integers(1, 4))
def test_the_verdict_is_that_of_the_exported_statements(turns: list, draft: str, needed: int, limit: int) -> None:
    """At every moment, by `annotation.rationales.compute_text_agreement`, which was written without this machine."""
    state = begin_review(draft, ("a", "b", "c", "d"), limit, needed)
    for at, one in enumerate(turns):
        state = apply_reviewer_turn(state, turn(one.reviewer, one.seen, one.text, at, one.flaw_type))
        stand = compute_text_agreement(exported(state), needed)
        assert stand.final == (state.status == "final")
        if stand.final:
            assert state.result is not None
            assert (stand.text, stand.agreeing) == (state.result.said, len(state.agreeing))
            assert (stand.flaw_type, stand.severity) == (state.flaw_type, state.severity)


@given(
    st.lists(ANYTHING, max_size=8).flatmap(lambda turns: st.tuples(st.just(turns), st.permutations(turns))),
    st.lists(ANYTHING, max_size=3),
)
def test_replay_knows_neither_order_nor_repetition(case: tuple[list, list], expert: list) -> None:
    turns, other = case
    assert replay_review("T1", PEOPLE, other + turns, expert[::-1] + expert) == replay_review(
        "T1", PEOPLE, turns, expert
    )


@given(st.lists(ANYTHING, max_size=8), st.permutations("abcdx"))
def test_names_of_reviewers_do_not_matter(turns: list, names: list) -> None:
    new = dict(zip("abcdx", names, strict=True))
    # one foreigner: of several, equal times leave the order of what never counts to their names
    turns = [one for one in turns if one.reviewer != "d"]
    renamed = [turn(new[one.reviewer], one.seen, one.text, int(one.at[-7:-1]), one.flaw_type) for one in turns]
    state, other = replay_review("D", PEOPLE, turns), replay_review("D", [new[name] for name in PEOPLE], renamed)
    assert (state.status, state.current, state.words) == (other.status, other.current, other.words)
    assert [new[name] for name in waiting_reviewers(state)] == list(waiting_reviewers(other))


@given(st.lists(st.sampled_from([*TEXTS, None]), min_size=9, max_size=9), st.integers(1, 3), st.sampled_from(TEXTS))
def test_asked_in_turn_every_review_ends_within_its_rounds(answers: list, limit: int, draft: str) -> None:
    state = begin_review(draft, PEOPLE, limit)
    for at in range(3 * limit):
        who = next_reviewer(state)
        if who is None:
            break
        state = apply_reviewer_turn(state, turn(who, state.current, answers[at], at))
    assert state.status in ("final", "escalated")


class Office(RuleBasedStateMachine):
    """Reviewers who open tasks, answer them late, edit what they submitted, and others who should not be there."""

    @initialize(draft=st.sampled_from(TEXTS), limit=st.integers(1, 4), needed=st.integers(2, 3))
    def start(self, draft: str, limit: int, needed: int) -> None:
        self.draft, self.limit, self.needed = draft, limit, needed
        self.state = begin_review(draft, PEOPLE, limit, needed)
        self.said: list[ReviewTurn] = []
        self.expert: list[ReviewTurn] = []
        self.answered: set[tuple[str, int]] = set()

    def say(self, who: str, seen: str, text: str | None) -> None:
        one = turn(who, seen, text, len(self.said) + len(self.expert))
        revision, current, before = len(self.state.revisions), self.state.current, self.state
        self.said.append(one)
        self.state = apply_reviewer_turn(self.state, one)
        if before.status == "open" and who in PEOPLE and collapse_blanks(seen) == collapse_blanks(current):
            self.answered.add((who, revision))

    @precondition(lambda self: self.state.status == "open")
    @rule(text=st.none() | st.sampled_from(TEXTS))
    def the_asked_one_answers(self, text: str | None) -> None:
        who = next_reviewer(self.state)
        assert who is not None
        words = self.state.words
        self.say(who, self.state.current, text)
        assert self.state.words == words + 1

    @rule(who=st.sampled_from("abc"), old=st.integers(0, 5), text=st.none() | st.sampled_from(TEXTS))
    def somebody_answers_what_they_saw_long_ago(self, who: str, old: int, text: str | None) -> None:
        self.say(who, self.state.revisions[old % len(self.state.revisions)].text, text)

    @rule(text=st.none() | st.sampled_from(TEXTS))
    def a_stranger_answers(self, text: str | None) -> None:
        before = self.state
        self.say("x", self.state.current, text)
        assert (self.state.current, self.state.standing, self.state.words) == (
            before.current,
            before.standing,
            before.words,
        )

    @precondition(lambda self: self.said)
    @rule(which=st.integers(0, 50))
    def a_turn_is_delivered_twice(self, which: int) -> None:
        assert apply_reviewer_turn(self.state, self.said[which % len(self.said)]) == self.state

    @rule(text=st.none() | st.sampled_from(TEXTS))
    def the_expert_answers(self, text: str | None) -> None:
        one = turn("e", self.state.current, text, len(self.said) + len(self.expert))
        self.expert.append(one)
        self.state = apply_expert_turn(self.state, one)

    @invariant()
    def no_text_is_final_without_as_many_agreements_on_that_identical_text(self) -> None:
        if self.state.status != "final":
            return
        assert self.state.result is not None
        latest = {one.reviewer: one for one in self.state.counted}
        same = [one for one in latest.values() if collapse_blanks(one.said) == collapse_blanks(self.state.result.said)]
        assert len(same) >= self.needed
        assert {one.reviewer for one in same} <= set(PEOPLE)
        assert collapse_blanks(self.state.result.said)

    @invariant()
    def nobodys_word_is_lost(self) -> None:
        kept = Counter(entry.turn for entry in self.state.history)
        assert kept == Counter([*self.said, *self.expert])

    @invariant()
    def every_revision_keeps_its_author_and_time(self) -> None:
        shown = {(one.text, one.author, one.at) for one in self.state.revisions[1:]}
        assert shown == {(one.said, one.reviewer, one.at) for one, fate in self.state.history if fate == "revised"}

    @invariant()
    def nobody_is_asked_twice_about_one_revision(self) -> None:
        revision = len(self.state.revisions)
        assert not {(who, revision) for who in waiting_reviewers(self.state)} & self.answered

    @invariant()
    def an_open_review_asks_somebody_and_is_within_its_rounds(self) -> None:
        assert self.state.words <= self.limit * len(PEOPLE)
        assert (self.state.status == "open") == (next_reviewer(self.state) is not None)

    @invariant()
    def the_record_alone_gives_the_same_state(self) -> None:
        assert replay_review(self.draft, PEOPLE, self.said, self.expert, self.limit, self.needed) == self.state


class TestOffice(Office.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def task_by_task(regions: int, rate: float, limit: int, seed: int) -> tuple[int, int, int]:
    """Tasks of one pair, its regions that went to the expert, and the words said, in a simulation."""
    rng = random.Random(seed)
    states = {str(region): begin_review("D", PEOPLE, limit) for region in range(regions)}
    tasks = 0
    while (task := next_pair_turn(states)) is not None:
        tasks += 1
        for region in task.regions:
            state = states[region]
            text = None if rng.random() < rate else f"{tasks} {region}"
            states[region] = apply_reviewer_turn(state, turn(task.reviewer, state.current, text, tasks))
    gone = [state for state in states.values() if state.status == "escalated"]
    return tasks, len(gone), sum(state.words for state in states.values())


class TestPair:
    def test_the_first_task_shows_all_regions_to_the_first_reviewer(self) -> None:
        assert next_pair_turn({"r": begin_review("D", PEOPLE), "s": begin_review("D", PEOPLE)}) == ("a", ("r", "s"))

    def test_whoever_can_answer_most_regions_comes_next(self) -> None:
        first = played(turn("a", "D", at=1), turn("b", "D", "T", at=2))
        second = played(turn("a", "D", at=1), turn("b", "D", at=2))
        assert next_pair_turn({"r": first, "s": second}) == ("c", ("r", "s"))
        assert next_pair_turn({"r": first}) == ("c", ("r",))

    def test_of_equals_the_one_after_whoever_spoke_last(self) -> None:
        state = played(turn("c", "D", at=1))
        assert next_pair_turn({"r": state}) == ("a", ("r",))
        assert next_pair_turn({"r": played(turn("a", "D", at=1), turn("b", "D", "T", at=2))}) == ("c", ("r",))

    def test_what_has_ended_is_not_shown(self) -> None:
        final = played(*(turn(who, "D", at=at) for at, who in enumerate(PEOPLE)))
        assert next_pair_turn({"r": final, "s": begin_review("D", PEOPLE)}) == ("a", ("s",))
        assert next_pair_turn({"r": final}) is None
        assert next_pair_turn({}) is None

    def test_where_all_agree_three_tasks_do_for_any_number_of_regions(self) -> None:
        assert task_by_task(9, 1.0, 3, 0) == (3, 0, 27)

    @given(st.integers(1, 6), st.sampled_from([0.0, 0.3, 0.7, 0.9]), st.integers(1, 3), st.integers(0, 99))
    @settings(max_examples=50)
    def test_a_pair_ends(self, regions: int, rate: float, limit: int, seed: int) -> None:
        tasks, _, words = task_by_task(regions, rate, limit, seed)
        assert tasks <= words <= 3 * limit * regions

    @pytest.mark.parametrize("rate", [0.6, 0.8])
    def test_mean_length_of_one_text_is_what_renewal_theory_says(self, rate: float) -> None:
        """One word, then two agreements in a row: 1 + 1/p + 1/p^2 words, when the rounds do not run out."""
        runs = [task_by_task(1, rate, 30, seed)[2] for seed in range(2000)]
        assert sum(runs) / len(runs) == pytest.approx(1 + 1 / rate + 1 / rate**2, rel=0.05)

    @pytest.mark.parametrize(("rate", "tasks"), [(0.5, 8.9), (0.8, 6.4), (0.95, 4.1)])
    def test_nine_regions_take_as_few_tasks_as_the_documentation_says(self, rate: float, tasks: float) -> None:
        runs = [task_by_task(9, rate, 3, seed)[0] for seed in range(150)]
        assert sum(runs) / len(runs) == pytest.approx(tasks, rel=0.06)

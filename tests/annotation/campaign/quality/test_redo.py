"""Tasks to do again: each reason with its figure and threshold, and none without a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from annotation.campaign.model import CountedAnswer
from annotation.campaign.options import RedoOptions
from annotation.campaign.quality.redo import find_tasks_to_redo, hasty_threshold
from annotation.records import DIMENSIONS, Box, Disk, Mark

OPTIONS = RedoOptions()


def mark(at: float = 0.0) -> Mark:
    return Mark("m", "artifact", Box(at, at, at + 20, at + 20), (Disk(at + 10, at + 10),))


def drew(person: str, *marks: Mark, pair: str = "p", seconds: float | None = None, round: int = 0) -> CountedAnswer:
    return CountedAnswer("regional", pair, person, round, "2026-01-01", seconds, marks)


def rated(number: int, *scores: float, person: str = "rater", seconds: float | None = None) -> CountedAnswer:
    given = dict(zip(DIMENSIONS, scores, strict=True))
    return CountedAnswer("scoring", f"p{number:03}", person, 0, f"2026-01-01T00:{number:02}", seconds, None, given)


def reasons(*answers: CountedAnswer, options: RedoOptions = OPTIONS) -> list[tuple[str, str]]:
    return [(one.person_id, one.reason) for one in find_tasks_to_redo(answers, options)]


class TestFaults:
    def test_what_was_drawn_and_does_not_count_is_a_reason_of_its_own(self) -> None:
        answer = replace(drew("a", mark()), faults=("kinds_mixed", "box_without_disk", "kinds_mixed"))
        found = find_tasks_to_redo([answer, drew("b", mark())], OPTIONS)
        assert [(one.person_id, one.reason, one.figure) for one in found] == [
            ("a", "box_without_disk", 1),
            ("a", "kinds_mixed", 2),
        ]
        assert found[0].sentence == "1 box has no disk and does not count."
        assert found[1].sentence.endswith("are the flaws artifacts or failures?")

    @pytest.mark.parametrize("fault", ["box_without_disk", "disk_without_box", "kinds_mixed"])
    def test_the_second_answer_is_left_as_it_is(self, fault: str) -> None:
        assert reasons(replace(drew("a", mark(), round=1), faults=(fault,))) == []
        assert reasons(replace(drew("a", mark()), faults=(fault,)), drew("a", mark(), round=1)) == []


class TestAlone:
    def test_who_agrees_with_nobody_while_the_others_agree(self) -> None:
        [redo] = find_tasks_to_redo([drew("a", mark()), drew("b", mark(1)), drew("c", mark(100))], OPTIONS)
        assert redo[:5] == ("regional", "p", "c", 0, "alone")
        assert (redo.figure, redo.threshold) == (0, 0.1)
        assert "agree with no other person's (F1 at most 0.00 at IoU 0.3), but the 2 others agree" in redo.sentence

    def test_not_where_all_three_differ(self) -> None:
        assert reasons(drew("a", mark()), drew("b", mark(50)), drew("c", mark(100))) == []

    def test_not_where_the_others_saw_nothing(self) -> None:
        assert reasons(drew("a"), drew("b"), drew("c", mark(100))) == []

    def test_not_against_one_other(self) -> None:
        assert reasons(drew("a", mark()), drew("b", mark(100))) == []

    def test_not_who_agrees_in_part(self) -> None:
        assert reasons(drew("a", mark(), mark(40)), drew("b", mark(), mark(40)), drew("c", mark(), mark(200))) == []

    def test_thresholds_are_options(self) -> None:
        team = [drew("a", mark(), mark(40)), drew("b", mark(), mark(40)), drew("c", mark(), mark(200))]
        assert reasons(*team, options=RedoOptions(alone_below=0.6)) == [("c", "alone")]

    def test_other_pairs_are_other_matters(self) -> None:
        assert reasons(drew("a", mark()), drew("b", mark()), drew("c", mark(100), pair="q")) == []


class TestEmpty:
    def test_who_drew_nothing_where_all_others_drew(self) -> None:
        [redo] = find_tasks_to_redo([drew("a", mark()), drew("b", mark(90)), drew("c")], OPTIONS)
        assert (redo.person_id, redo.reason, redo.figure, redo.threshold) == ("c", "empty", 0, 1)
        assert redo.sentence == "No region is drawn, but each of the 2 others drew at least one."

    def test_not_with_company(self) -> None:
        assert reasons(drew("a", mark()), drew("b"), drew("c")) == []


class TestHasty:
    USUAL = tuple(rated(i, 1 + i / 50, 2, 3, seconds=50.0 + i) for i in range(40))

    def test_far_below_the_usual_time(self) -> None:
        quick = rated(41, 5, 5, 5, person="quick", seconds=3)
        [redo] = find_tasks_to_redo([*self.USUAL, quick], OPTIONS)
        assert (redo.person_id, redo.reason, redo.figure) == ("quick", "hasty", 3)
        assert redo.threshold == pytest.approx(0.2 * 69)
        assert redo.sentence == "It took 3 s; the median is 69 s."

    @pytest.mark.parametrize("seconds", [None, 0.0, -1.0, float("nan"), float("inf"), 14.0])
    def test_not_where_the_time_is_unknown_or_fair(self, seconds: float | None) -> None:
        assert reasons(*self.USUAL, rated(41, 5, 5, 5, person="quick", seconds=seconds)) == []

    def test_not_while_few_times_are_known(self) -> None:
        assert reasons(*self.USUAL[:15], rated(41, 5, 5, 5, person="quick", seconds=1)) == []

    def test_an_empty_answer_is_compared_with_other_empty_ones(self) -> None:
        long = [drew(f"a{i}", mark(), pair=f"p{i}", seconds=100) for i in range(30)]
        short = [drew(f"b{i}", pair=f"q{i}", seconds=10) for i in range(30)]
        assert reasons(*long, *short) == []
        assert reasons(*long, *short, drew("c", mark(), pair="r", seconds=10)) == [("c", "hasty")]

    @given(st.lists(st.floats(0.1, 1e5), min_size=1, max_size=50))
    def test_the_threshold_takes_scipys_deviation(self, times: list[float]) -> None:
        seconds = np.array(times)
        spread = median_abs_deviation(np.log(seconds), scale="normal")
        by_spread = np.exp(np.median(np.log(seconds)) - 3 * spread)
        # scipy's constant has more digits
        assert hasty_threshold(seconds, OPTIONS) == pytest.approx(min(0.2 * np.median(seconds), by_spread), rel=1e-3)

    def test_hardly_anybody_whose_times_are_as_people_s_are(self) -> None:
        seconds = np.random.default_rng(0).lognormal(4, 0.6, 5000)
        assert (seconds < hasty_threshold(seconds, OPTIONS)).mean() < 0.003


class TestSameScores:
    def test_every_task_of_a_long_run(self) -> None:
        run = [rated(i, 3, 3, 3) for i in range(6)]
        found = find_tasks_to_redo([*run, rated(7, 1, 2, 3), rated(8, 3, 3, 3)], OPTIONS)
        assert [one.pair_id for one in found] == [f"p00{i}" for i in range(6)]
        assert {(one.reason, one.figure, one.threshold) for one in found} == {("same_scores", 6, 6)}

    def test_not_where_another_answer_lies_between_or_the_run_is_short(self) -> None:
        answers = [rated(i, 3, 3, 3) for i in range(10)]
        answers[5] = rated(5, 3, 3, 3.01)
        assert reasons(*answers) == []

    def test_runs_are_each_persons_own(self) -> None:
        assert reasons(*[rated(i, 3, 3, 3, person=f"r{i % 2}") for i in range(10)]) == []


class TestTheList:
    def test_what_was_done_again_is_left_as_it_is(self) -> None:
        team = [drew("a", mark()), drew("b", mark()), drew("c", mark(100)), drew("c", mark(100), round=1)]
        assert reasons(*team) == []
        assert reasons(*team, options=RedoOptions(rounds=2)) == [("c", "alone")]
        assert reasons(*team[:3], options=RedoOptions(rounds=0)) == []

    def test_the_latest_round_is_the_one_compared(self) -> None:
        assert reasons(drew("a", mark()), drew("b", mark()), drew("c", mark(100)), drew("c", mark(), round=1)) == []

    def test_a_task_has_an_entry_for_each_reason(self) -> None:
        usual = [drew(f"u{i}", mark(), pair=f"q{i}", seconds=60) for i in range(30)]
        team = [drew("a", mark(), seconds=60), drew("b", mark(), seconds=60), drew("c", mark(100), seconds=2)]
        assert reasons(*usual, *team) == [("c", "alone"), ("c", "hasty")]

    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans(), st.floats(1, 100)), max_size=40),
        st.randoms(use_true_random=False),
    )
    @settings(max_examples=40)
    def test_no_order_matters(self, drawn: list[tuple[int, int, bool, float]], random) -> None:  # type: ignore[no-untyped-def]
        answers = [
            replace(
                drew(f"a{person}", *([mark(50 * person)] if some else []), pair=f"p{pair}", seconds=time), at=f"{i:02}"
            )
            for i, (person, pair, some, time) in enumerate(drawn)
        ]
        expected = find_tasks_to_redo(answers, RedoOptions(least_times=5))
        random.shuffle(answers)
        assert find_tasks_to_redo(answers, RedoOptions(least_times=5)) == expected

    @given(st.integers(1, 4), st.integers(1, 5))
    def test_people_who_agree_do_nothing_again(self, people: int, pairs: int) -> None:
        team = [drew(f"a{i}", mark(), mark(50), pair=f"p{j}", seconds=60) for i in range(people) for j in range(pairs)]
        assert find_tasks_to_redo(team, OPTIONS) == []

"""Qualification: figures against scipy's assignment and correlation, the verdict, and attempts one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr

from annotation.campaign.gold.qualification import (
    AttemptResult,
    CandidateStatus,
    candidate_status,
    gold_rank_correlation,
    judge_attempt,
)
from annotation.campaign.gold_file import check_gold_sets
from annotation.campaign.model import GoldTask, PairAnswer
from annotation.campaign.options import QualificationOptions
from annotation.records import DIMENSIONS, KINDS, Box, Dimension, Disk, Kind, Mark
from mos.errors import UserError

OPTIONS = QualificationOptions()
HEIGHT = 200  # a radius of 10 pixels


def mark(kind: Kind = "artifact", at: float = 0.0, size: float = 20.0) -> Mark:
    """A square at (at, at) with its disk in the middle."""
    return Mark("m", kind, Box(at, at, at + size, at + size), (Disk(at + size / 2, at + size / 2),))


def scores(value: float) -> dict[Dimension, float]:
    return dict.fromkeys(DIMENSIONS, value)


def regions(number: int = 5, first: int = 0) -> list[GoldTask]:
    return [GoldTask(f"g{first + i}", HEIGHT, PairAnswer((mark(at=30.0 * i),))) for i in range(number)]


def scored(number: int = 6) -> list[GoldTask]:
    return [GoldTask(f"s{i}", HEIGHT, PairAnswer(None, scores(i))) for i in range(number)]


def truths(tasks: list[GoldTask]) -> dict[str, PairAnswer]:
    return {task.pair_id: task.truth for task in tasks}


def figure(verdict: AttemptResult, name: str) -> float | None:
    return next(one.value for one in verdict.figures if one.name == name)


marks = st.lists(
    st.builds(mark, st.sampled_from(KINDS), st.integers(0, 6).map(lambda at: 5.0 * at), st.sampled_from([10.0, 20.0])),
    max_size=5,
).map(tuple)


class TestFigures:
    @given(st.lists(st.tuples(marks, marks), min_size=1, max_size=4))
    def test_box_f1_counts_the_pairs_of_the_best_assignment(self, pictures: list[tuple[tuple[Mark, ...], ...]]) -> None:
        gold = [GoldTask(f"g{i}", HEIGHT, PairAnswer(own)) for i, (own, _) in enumerate(pictures)]
        answers = {f"g{i}": PairAnswer(other) for i, (_, other) in enumerate(pictures)}
        verdict = judge_attempt("ann", gold, answers, OPTIONS)
        for kind in KINDS:
            hits = boxes = 0
            for one, other in pictures:
                own, theirs = ([m.box for m in side if m.kind == kind] for side in (one, other))
                boxes += len(own) + len(theirs)
                if own and theirs:
                    fits = np.array([[a.iou(b) >= 0.5 for b in theirs] for a in own])
                    hits += fits[linear_sum_assignment(fits, maximize=True)].sum()
            expected = pytest.approx(2 * hits / boxes) if boxes else None
            assert figure(verdict, f"box_f1_{kind}") == expected

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=12))
    def test_rank_correlation_is_spearmans_with_ties(self, rated: list[tuple[int, int]]) -> None:
        gold, own = zip(*rated, strict=True)
        found = gold_rank_correlation(gold, own)
        if len(set(gold)) == 1:
            assert found is None
        elif len(set(own)) == 1:
            assert found == 0
        else:
            assert found == pytest.approx(spearmanr(gold, own).statistic)

    def test_fewer_than_three_scores_have_no_rank_correlation(self) -> None:
        assert gold_rank_correlation([1, 2], [1, 2]) is None

    @pytest.mark.parametrize(("factor", "hits"), [(1.0, 0.0), (2.0, 1.0)])
    def test_disks_hit_within_so_many_twentieths_of_the_height(self, factor: float, hits: float) -> None:
        gold = [GoldTask("g", HEIGHT, PairAnswer((mark(),)))]
        answer = PairAnswer((Mark("m", "artifact", Box(0, 0, 50, 50), (Disk(25, 10 + 10 * 1.2),)),))
        options = QualificationOptions(disk_reach=factor)
        assert figure(judge_attempt("ann", gold, {"g": answer}, options), "disk_hits") == hits

    def test_without_disks_where_gold_has_some_nothing_hits(self) -> None:
        gold = regions()
        verdict = judge_attempt("ann", gold, {task.pair_id: PairAnswer(()) for task in gold}, OPTIONS)
        assert figure(verdict, "disk_hits") == figure(verdict, "box_f1_artifact") == 0
        assert figure(verdict, "box_f1_failure") is None
        assert verdict.outcome == "failed"

    def test_boxes_drawn_on_clean_pictures_count_against(self) -> None:
        gold = [*regions(1), GoldTask("clean", HEIGHT, PairAnswer(()))]
        answers = truths(gold) | {"clean": PairAnswer((mark(), mark(at=50)))}
        assert figure(judge_attempt("ann", gold, answers, OPTIONS), "box_f1_artifact") == pytest.approx(2 * 1 / (1 + 3))


class TestTheVerdict:
    @given(st.lists(marks, min_size=1, max_size=5))
    def test_who_says_what_gold_says_passes(self, pictures: list[tuple[Mark, ...]]) -> None:
        gold = [GoldTask(f"g{i}", HEIGHT, PairAnswer(own, scores(i))) for i, own in enumerate(pictures)]
        verdict = judge_attempt("ann", gold, truths(gold), OPTIONS)
        assert verdict.passed
        assert verdict.sentences == ()
        assert all(one.value is None or one.value == pytest.approx(1) for one in verdict.figures)

    def test_every_figure_has_its_threshold_and_a_sentence_on_what_failed(self) -> None:
        gold = [*regions(), *scored()]
        answers = truths(gold) | {f"s{i}": PairAnswer(None, {**scores(i), DIMENSIONS[0]: -i}) for i in range(6)}
        verdict = judge_attempt("ann", gold, answers, OPTIONS)
        assert verdict.outcome == "failed"
        assert [one.threshold for one in verdict.figures] == [0.5, 0.5, 0.7, 0.4, 0.4, 0.4]
        assert verdict.sentences == (
            "Scores of perceptual_quality: rank correlation -1.00 with gold on 6 tasks; expected at least 0.4.",
        )

    def test_the_threshold_itself_passes(self) -> None:
        gold = regions(4)
        half = {
            task.pair_id: (task.truth if i < 2 else PairAnswer((mark("artifact", 150),))) for i, task in enumerate(gold)
        }
        assert figure(judge_attempt("ann", gold, half, OPTIONS), "box_f1_artifact") == 0.5
        assert judge_attempt("ann", gold, half, QualificationOptions(min_disk_hits=0.5)).passed

    def test_raters_are_judged_by_scores_alone_and_annotators_by_regions_alone(self) -> None:
        by_scores = judge_attempt("ann", scored(), truths(scored()), OPTIONS)
        assert {one.name for one in by_scores.figures if one.value is not None} == {f"rank_{d}" for d in DIMENSIONS}
        by_regions = judge_attempt("ann", regions(), truths(regions()), OPTIONS)
        assert {one.name for one in by_regions.figures if one.value is not None} == {"box_f1_artifact", "disk_hits"}

    def test_pending_until_enough_is_answered_whole(self) -> None:
        gold = [*regions(3), *scored(3)]
        answers = truths(gold)
        halfway = answers | {"s1": PairAnswer(None, {DIMENSIONS[0]: 1.0})}
        verdict = judge_attempt("ann", gold, halfway, OPTIONS)
        assert (verdict.outcome, verdict.answered, verdict.asked) == ("pending", 5, 6)
        assert verdict.sentences == ("5 of 6 gold tasks are answered.",)
        assert judge_attempt("ann", gold, halfway, QualificationOptions(answered=0.8)).outcome == "passed"
        assert judge_attempt("ann", gold, {}, OPTIONS).outcome == "pending"

    def test_answers_to_other_pairs_change_nothing(self) -> None:
        more = truths(regions()) | {"other": PairAnswer((mark("failure"),))}
        assert judge_attempt("ann", regions(), more, OPTIONS) == judge_attempt(
            "ann", regions(), truths(regions()), OPTIONS
        )

    @given(st.permutations(range(6)), st.lists(marks, min_size=6, max_size=6), st.lists(marks, min_size=6, max_size=6))
    @settings(max_examples=30)
    def test_the_order_of_tasks_and_answers_changes_nothing(self, order, own, other) -> None:  # type: ignore[no-untyped-def]
        gold = [GoldTask(f"g{i}", HEIGHT, PairAnswer(own[i], scores(i % 3))) for i in range(6)]
        answers = {f"g{i}": PairAnswer(other[i], scores(i)) for i in range(6)}
        shuffled = {f"g{i}": answers[f"g{i}"] for i in order}
        assert judge_attempt("ann", [gold[i] for i in order], shuffled, OPTIONS) == judge_attempt(
            "ann", gold, answers, OPTIONS
        )


class TestAttempts:
    TRAINING = ("t0", "t1")
    SETS = (regions(5), regions(5, 10), regions(5, 20))

    def at(
        self, answers: dict[int, dict[str, PairAnswer]], trained: tuple[str, ...] = TRAINING, **more: int
    ) -> CandidateStatus:
        return candidate_status("ann", self.TRAINING, trained, self.SETS, answers, OPTIONS, **more)

    def failing(self, attempt: int) -> dict[str, PairAnswer]:
        return {task.pair_id: PairAnswer(()) for task in self.SETS[attempt]}

    def test_training_comes_first(self) -> None:
        assert self.at({}, ("t0",)) == CandidateStatus("ann", "training", None, ("t1",))

    def test_then_the_first_gold_set_until_all_of_it_is_answered(self) -> None:
        begun = self.at({0: {"g1": self.SETS[0][1].truth}})
        assert (begun.phase, begun.attempt, begun.todo) == ("gold", 0, ("g0", "g2", "g3", "g4"))
        assert self.at({0: truths(self.SETS[0])}).phase == "passed"

    def test_who_failed_gets_another_set_and_then_no_more(self) -> None:
        again = self.at({0: self.failing(0)})
        assert (again.phase, again.attempt, again.todo) == ("gold", 1, ("g10", "g11", "g12", "g13", "g14"))
        assert [verdict.outcome for verdict in again.verdicts] == ["failed", "pending"]
        assert self.at({0: self.failing(0), 1: truths(self.SETS[1])}).phase == "passed"
        lost = self.at({0: self.failing(0), 1: self.failing(1), 2: truths(self.SETS[2])})
        assert (lost.phase, lost.attempt, lost.todo) == ("failed", 1, ())

    def test_qualifying_again_asks_for_a_new_set_whatever_was_passed(self) -> None:
        passed = {0: truths(self.SETS[0])}
        again = self.at(passed, trained=(), since=1)
        assert (again.phase, again.attempt) == ("gold", 1)
        assert self.at(passed | {1: truths(self.SETS[1])}, since=1).phase == "passed"
        assert self.at(passed, since=3) == CandidateStatus("ann", "failed", None, ())


class TestGoldThatCannotTell:
    @pytest.mark.parametrize(
        ("sets", "message"),
        [
            ([], "at least one set"),
            ([regions(5), regions(5)], "'g0' occurs more than once"),
            ([regions(4)], "Gold set 0: expected at least 5 tasks with regions, got 4"),
            (
                [regions(5), scored(3)],
                "Gold set 1: expected at least 5 tasks with a score of perceptual_quality, got 3",
            ),
            ([[GoldTask(f"g{i}", 9, PairAnswer()) for i in range(5)]], "regions or gold scores, got neither"),
            ([[GoldTask(f"g{i}", 9, PairAnswer(())) for i in range(5)]], "at least one task with a flaw"),
            ([[GoldTask(f"g{i}", 9, PairAnswer(None, scores(3))) for i in range(5)]], "are 3. Add better and worse"),
        ],
    )
    def test_is_refused(self, sets: list[list[GoldTask]], message: str) -> None:
        with pytest.raises(UserError, match=message):
            check_gold_sets(sets, OPTIONS)

    def test_the_rest_is_fine(self) -> None:
        check_gold_sets([regions(), scored()], OPTIONS)

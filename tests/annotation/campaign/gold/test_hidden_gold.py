"""Hidden gold: sprinkled without a pattern, and a running score with scipy's Wilson interval."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from annotation.campaign.gold.hidden_gold import agrees_with_gold, insert_gold, running_gold_score, wilson_interval
from annotation.campaign.model import GoldTask, PairAnswer
from annotation.campaign.options import GoldOptions
from annotation.records import DIMENSIONS, Box, Dimension, Disk, Mark
from mos.errors import UserError

OPTIONS = GoldOptions()
rates = st.floats(0, 0.5)
counts = st.integers(0, 60)


def names(prefix: str, number: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(number)]


def mixed(work: Sequence[str], gold: Sequence[str], rate: float, person: str = "ann", seed: int = 0) -> tuple[str, ...]:
    return insert_gold(work, gold, rate, person_id=person, stage="scoring", seed=seed)


def mark(at: float = 0.0) -> Mark:
    return Mark("m", "artifact", Box(at, at, at + 20, at + 20), (Disk(at + 10, at + 10),))


def scores(value: float) -> dict[Dimension, float]:
    return dict.fromkeys(DIMENSIONS, value)


class TestSprinkling:
    @given(counts, counts, rates, st.integers(0, 9))
    def test_the_work_stays_in_its_order_with_gold_apart_in_between(
        self, n: int, m: int, rate: float, seed: int
    ) -> None:
        work, gold = names("w", n), names("g", m)
        order = mixed(work, gold, rate, seed=seed)
        assert [pair for pair in order if pair in work] == work
        hidden = [pair for pair in order if pair in gold]
        assert len(hidden) == len(set(hidden)) == len(order) - n
        assert not any(one in gold and other in gold for one, other in pairwise(order))
        assert not order or order[0] in work

    @given(counts, rates, st.integers(0, 9))
    def test_as_often_as_the_rate_says(self, n: int, rate: float, seed: int) -> None:
        order = mixed(names("w", n), names("g", 60), rate, seed=seed)
        assert abs(len(order) - n - n * rate) <= 1

    @given(counts, counts, rates)
    def test_work_that_is_added_moves_nothing(self, n: int, more: int, rate: float) -> None:
        gold = names("g", 20)
        before, after = mixed(names("w", n), gold, rate), mixed(names("w", n + more), gold, rate)
        assert after[: len(before)] == before

    @given(st.permutations(names("g", 8)))
    def test_the_order_of_the_gold_does_not_matter(self, gold: list[str]) -> None:
        assert mixed(names("w", 80), gold, 0.1) == mixed(names("w", 80), names("g", 8), 0.1)

    def test_people_get_other_gold_at_other_places(self) -> None:
        orders = {person: mixed(names("w", 100), names("g", 30), 0.1, person) for person in names("p", 10)}
        places = {tuple(i for i, pair in enumerate(order) if pair[0] == "g") for order in orders.values()}
        firsts = {next(pair for pair in order if pair[0] == "g") for order in orders.values()}
        assert len(places) == 10
        assert len(firsts) > 3

    def test_gaps_are_of_many_lengths(self) -> None:
        order = mixed(names("w", 1000), names("g", 100), 0.1)
        places = [i for i, pair in enumerate(order) if pair[0] == "g"]
        assert len({after - before for before, after in pairwise(places)}) > 10

    def test_a_rate_above_a_half_or_gold_among_the_work_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"from 0 to 0.5, got 0.6"):
            mixed(["w"], ["g"], 0.6)
        with pytest.raises(UserError, match="'w' is ordinary work too"):
            mixed(["w"], ["w"], 0.1)


class TestAgreeingWithGold:
    TRUTH = GoldTask("g", 200, PairAnswer((mark(), mark(50)), scores(3)))

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (PairAnswer((mark(), mark(50)), scores(3)), True),
            (PairAnswer((mark(),), scores(4)), True),  # F1 2/3, one point apart
            (PairAnswer((mark(), mark(90), mark(120)), scores(3)), False),  # F1 0.4
            (PairAnswer((), scores(3)), False),
            (PairAnswer((mark(), mark(50)), scores(4.1)), False),
            (PairAnswer(None, scores(3)), False),
            (PairAnswer((mark(), mark(50)), {}), False),
        ],
    )
    def test_takes_boxes_and_scores(self, answer: PairAnswer, expected: bool) -> None:
        assert agrees_with_gold(self.TRUTH, answer, OPTIONS) is expected

    def test_nothing_is_to_be_drawn_on_a_clean_picture(self) -> None:
        clean = GoldTask("g", 200, PairAnswer(()))
        assert agrees_with_gold(clean, PairAnswer(()), OPTIONS)
        assert not agrees_with_gold(clean, PairAnswer((mark(),)), OPTIONS)


GOLD = {f"g{i}": GoldTask(f"g{i}", 200, PairAnswer(())) for i in range(60)}


class TestTheRunningScore:
    def answers(self, fine: Sequence[bool]) -> list[tuple[str, PairAnswer]]:
        return [(f"g{i}", PairAnswer(() if good else (mark(),))) for i, good in enumerate(fine)]

    @given(st.integers(0, 50), st.integers(0, 50), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
    def test_the_interval_is_wilsons(self, successes: int, failures: int, level: float) -> None:
        n = successes + failures
        if n == 0:
            assert wilson_interval(0, 0, level) == (0, 1)
            return
        expected = binomtest(successes, n).proportion_ci(level, method="wilson")
        assert wilson_interval(successes, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)

    @given(st.lists(st.booleans(), max_size=50))
    def test_only_the_latest_tasks_count(self, fine: list[bool]) -> None:
        found = running_gold_score("ann", GOLD, self.answers(fine), OPTIONS)
        window = fine[-20:]
        assert (found.n, found.agreed) == (len(window), sum(window))
        assert found.share == (sum(window) / len(window) if window else None)
        assert (found.low, found.high) == wilson_interval(sum(window), len(window), 0.95)
        assert found.flagged == (found.high < 0.6)
        assert (found.sentence is None) == (not found.flagged)

    def test_a_few_misses_flag_nobody_and_many_do(self) -> None:
        assert not running_gold_score("ann", GOLD, self.answers([False] * 2), OPTIONS).flagged
        assert running_gold_score("ann", GOLD, self.answers([False] * 3), OPTIONS).flagged
        bad = running_gold_score("ann", GOLD, self.answers([False] * 15 + [True] * 5), OPTIONS)
        assert bad.sentence == (
            "5 of the last 20 hidden gold tasks agree with gold: at most 47 %, expected at least 60 %."
        )

    def test_a_corrected_answer_replaces_the_first_and_other_pairs_do_not_count(self) -> None:
        said = [("g0", PairAnswer((mark(),))), ("ordinary", PairAnswer((mark(),))), ("g0", PairAnswer(()))]
        found = running_gold_score("ann", GOLD, said, OPTIONS)
        assert (found.n, found.agreed) == (1, 1)

"""Ratings in batches of any size and order, corrected and withdrawn: the result is that of one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mos.errors import UserError
from mos.methods import METHODS
from mos.rejections import Rejection
from mos.study_file import StoredStudy, decode_study, encode_study
from tests.mos.incremental.growing import SCALE, Key, assert_equal, in_full, options, outcome, study, table

# A design in which screening can fire: nine raters and more, the first of them careless.
START = study(6, 9, 2, seed=1, fill=0.8)
PAPER = options("paper")


def rows(ratings: dict[Key, float]) -> list[tuple[str, str, str, float]]:
    return [(*key, value) for key, value in ratings.items()]


def state_of(ratings: dict[Key, float]) -> StoredStudy:
    return StoredStudy.empty(PAPER, SCALE).add(table(rows(ratings)))[0]


rating = st.tuples(
    st.sampled_from([f"item{number:02d}" for number in range(7)] + ["a new item", "é"]),
    st.sampled_from([f"rater{number:02d}" for number in range(10)] + ["0"]),
    st.sampled_from(["dimension0", "dimension1", "another"]),
    st.integers(2, 10).map(lambda halves: halves / 2),
)
change = st.tuples(st.sampled_from(["keep", "replace", "remove"]), st.lists(rating, min_size=1, max_size=40))


def apply(known: dict[Key, float], kind: str, batch: list[tuple[str, str, str, float]]) -> None:
    for item, rater, dimension, score in batch:
        key = item, rater, dimension
        if kind == "remove":
            known.pop(key, None)
        elif kind == "replace" or key not in known:
            known[key] = score


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=15, deadline=None)
@given(st.booleans(), st.lists(change, min_size=1, max_size=6))
def test_the_result_is_that_of_all_ratings_at_once(
    name: str, from_start: bool, changes: list[tuple[str, list[tuple[str, str, str, float]]]]
) -> None:
    by = options(name)
    known = dict(START) if from_start else {}
    state, _ = StoredStudy.empty(by, SCALE).add(table(rows(known)))
    for kind, batch in changes:
        apply(known, kind, batch)
        state, _ = state.remove(table(batch)) if kind == "remove" else state.add(table(batch), kind)  # type: ignore[arg-type]
        state = decode_study(encode_study(state))
        assert len(state) == len(known)
        assert_equal(outcome(state.result), in_full(known, by))


@settings(max_examples=30, deadline=None)
@given(st.lists(change, min_size=1, max_size=5), st.booleans(), st.sampled_from([None, ["dimension0", "dimension1"]]))
def test_ratings_that_are_put_in_are_those_of_the_whole_study_validated_again(
    changes: list[tuple[str, list[tuple[str, str, str, float]]]], repeated: bool, dimensions: list[str] | None
) -> None:
    def batch(rows: list[tuple[str, str, str, float]], number: int) -> pa.Table:
        return table([(*row, f"{10 - number}.0") for row in rows] if repeated else rows)

    def outcomes() -> Iterator[tuple[bytes, list[Rejection]]]:
        state = StoredStudy.empty(PAPER, SCALE, dimensions)
        for number, (kind, ratings) in enumerate(changes):
            rows = batch(ratings, number)
            state, problems = state.remove(rows) if kind == "remove" else state.add(rows, kind)  # type: ignore[arg-type]
            yield encode_study(state), problems

    put_in = list(outcomes())
    with mock.patch("mos.study_file.merge_ratings", lambda *_: None):
        assert list(outcomes()) == put_in


@pytest.mark.parametrize(
    "given",
    [
        {"outlier_by": "rater"},
        {"max_passes": 5, "exclusion_scope": "dimension"},
        {"reflag_after_exclusion": True, "strict": False, "outlier_ddof": 0, "outlier_sigma": 1.5},
        {"on_too_few": "raise"},
        {"on_constant": "error"},
        {"interval": "bootstrap", "resamples": 100, "seed": 3},
    ],
)
def test_options_are_heeded(given: dict[str, object]) -> None:
    by = options("paper", **given)
    state = StoredStudy.empty(by, SCALE)
    known: dict[Key, float] = {}
    every = rows(START)
    for start in range(0, len(every), 30):
        apply(known, "keep", every[start : start + 30])
        state, _ = state.add(table(every[start : start + 30]))
        assert_equal(outcome(state.result), in_full(known, by, seed=start))


def test_thousands_of_small_batches_leave_no_trace() -> None:
    every = rows(study(30, 15, 3, seed=2))
    every = [every[at] for at in np.random.default_rng(0).permutation(len(every)).tolist()]
    state, batches = StoredStudy.empty(PAPER, SCALE), 0
    for at, row in enumerate(every):
        again = [("keep", row)] if at % 3 else [("keep", row), ("replace", (*row[:3], 1.25)), ("replace", row)]
        for policy, one in again:
            state, _ = state.add(table([one]), policy)  # type: ignore[arg-type]
            batches += 1
    assert batches > 2000
    known = {row[:3]: row[3] for row in every}
    assert encode_study(state) == encode_study(state_of(known))
    for name in METHODS:
        by = options(name)
        assert_equal(replace(state, options=by).result(), in_full(known, by))


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(40)), st.lists(st.integers(1, 12), min_size=40, max_size=40))
def test_neither_order_nor_size_of_batches_matters(order: Sequence[int], sizes: list[int]) -> None:
    every = rows(START)[:40]
    state, start = StoredStudy.empty(PAPER, SCALE), 0
    for size in sizes:
        state, _ = state.add(table([every[at] for at in order[start : start + size]]))
        start += size
    assert encode_study(state) == encode_study(StoredStudy.empty(PAPER, SCALE).add(table(every))[0])


def reason(state: StoredStudy, rater: str) -> str | None:
    raters = state.result().raters
    return dict(zip(raters["rater"].to_pylist(), raters["reason"].to_pylist(), strict=True))[rater]


def test_a_rater_crosses_the_border_of_5_percent_both_ways() -> None:
    # Ten raters who alternate between 3 and 3.5, and one who does so too, but for a five, which is an outlier.
    others = {(f"i{i:02d}", f"r{r}", "d"): 3.0 + (i + r) % 2 * 0.5 for i in range(40) for r in range(10)}
    mine: dict[Key, float] = {(f"i{i:02d}", "x", "d"): 3.0 + i % 2 * 0.5 for i in range(40)}
    first, later = rows(mine)[:20], rows(mine)[20:]
    state, _ = state_of(others).add(table([("i00", "x", "d", 5.0), *first[1:]]))
    assert reason(state, "x") is None  # 1 of 20 is exactly 5 %
    state, _ = state.add(table([("i01", "x", "d", 5.0)]), "replace")
    assert reason(state, "x") == "outlier_share"  # 2 of 20
    state, _ = state.add(table(later))
    assert reason(state, "x") is None  # 2 of 40
    state, _ = state.remove(table([("i39", "x", "d", None)]))
    assert reason(state, "x") == "outlier_share"  # 2 of 39
    state, _ = state.add(table(first[:2]), "replace")
    assert reason(state, "x") is None
    del mine["i39", "x", "d"]
    assert_equal(state.result(), in_full(others | mine, PAPER))


def test_a_constant_rater_has_no_scale_until_a_rating_differs() -> None:
    state = state_of({**START, **{(f"item{i:02d}", "constant", "dimension0"): 3.0 for i in range(5)}})
    assert reason(state, "constant") == "constant"
    state, _ = state.add(table([("item05", "constant", "dimension0", 3.5)]))
    assert reason(state, "constant") is None


class TestKnownRatings:
    def test_a_batch_may_come_twice(self) -> None:
        state = state_of(START)
        again, problems = state.add(table(rows(START) + rows(START)))
        assert not problems
        assert encode_study(again) == encode_study(state)

    def test_another_score_is_refused_and_nothing_is_added(self) -> None:
        first, second = rows(START)[:2]
        state = state_of(START)
        batch = table([("new", "r", "dimension0", 3.0), (*first[:3], 6 - first[3] + 0.25), (*second[:3], 1.25)])
        message = "2 rate what the same rater rated before, with another score: row 2, 3. Nothing was added"
        with pytest.raises(UserError, match=message):
            state.add(batch)
        with pytest.raises(UserError, match="row 8, 9"):
            state.add(batch.append_column("row", pa.array([7, 8, 9])))
        assert len(state) == len(START)

    def test_the_one_there_is_can_be_kept(self) -> None:
        state = state_of({("i", "r", "d"): 3.0})
        state, problems = state.add(table([("i", "r", "d", 4.0), ("j", "r", "d", 4.0)]), "keep")
        assert state.ratings.score.tolist() == [3.0, 4.0]
        assert [(problem.row, problem.reason) for problem in problems] == [(0, "known_rating")]

    def test_a_correction_replaces_it(self) -> None:
        state = state_of({("i", "r", "d"): 3.0})
        state, problems = state.add(table([("i", "r", "d", 4.0)]), "replace")
        assert (state.ratings.score.tolist(), problems) == ([4.0], [])

    @pytest.mark.parametrize(("policy", "score"), [("keep", 3.0), ("replace", 5.0)])
    def test_within_a_batch_they_count_as_if_each_came_alone(self, policy: str, score: float) -> None:
        batch = [("i", "r", "d", value) for value in (3.0, 4.0, 3.0, 5.0)]
        together, problems = StoredStudy.empty(PAPER, SCALE).add(table(batch), policy)  # type: ignore[arg-type]
        alone = StoredStudy.empty(PAPER, SCALE)
        for row in batch:
            alone, _ = alone.add(table([row]), policy)  # type: ignore[arg-type]
        assert together.ratings.score.tolist() == alone.ratings.score.tolist() == [score]
        assert [problem.row for problem in problems] == ([1, 3] if policy == "keep" else [])
        with pytest.raises(UserError, match="row 2, 4"):
            StoredStudy.empty(PAPER, SCALE).add(table(batch))

    def test_a_state_does_not_change(self) -> None:
        state = state_of(START)
        before = encode_study(state)
        state.add(table([(*rows(START)[0][:3], 1.25)]), "replace")
        state.remove(table(rows(START)[:5]))
        assert encode_study(state) == before

    def test_a_misspelt_policy_is_told(self) -> None:
        with pytest.raises(UserError, match="on_known must be one of error, keep, replace; got 'skip'"):
            StoredStudy.empty(PAPER, SCALE).add(table([]), "skip")  # type: ignore[arg-type]


class TestWithdrawnRatings:
    def test_nothing_of_a_rater_stays(self) -> None:
        state = state_of(START)
        more, _ = state.add(table([("item00", "leaver", "only theirs", 4.0), ("theirs", "leaver", "dimension0", 1.0)]))
        back, problems = more.remove(pa.table({"item": ["item00", "theirs"], "rater": ["leaver"] * 2,
                                               "dimension": ["only theirs", "dimension0"]}))  # fmt: skip
        assert not problems
        assert b"leaver" not in encode_study(back)
        assert encode_study(back) == encode_study(state)

    def test_all_ratings_can_go(self) -> None:
        state, problems = state_of(START).remove(table(rows(START)))
        assert not problems
        assert encode_study(state) == encode_study(StoredStudy.empty(PAPER, SCALE))

    def test_what_is_not_there_is_a_problem(self) -> None:
        state = state_of({("i", "r", "d"): 3.0, ("i", "s", "e"): 3.0})
        unknown = [("i", "r", "e", None), ("new", "r", "d", None), ("i", "r", "d", None), (None, "r", "d", None)]
        left, problems = state.remove(table(unknown))
        assert [(problem.row, problem.reason) for problem in problems] == [
            (0, "unknown_rating"),
            (1, "unknown_rating"),
            (3, "missing_item"),
        ]
        assert len(left) == 1
        assert len(left.remove(table(unknown))[1]) == 4


class TestNames:
    def test_bad_rows_are_problems_and_leave_no_names(self) -> None:
        batch = [("i", "r", "d", 3.0), ("out of scale", "r", "d", 9.0), ("i", "no score", "d", None)]
        state, problems = StoredStudy.empty(PAPER, SCALE).add(table(batch))
        assert [problem.reason for problem in problems] == ["out_of_scale", "missing_score"]
        assert (state.ratings.items.to_pylist(), state.ratings.raters.to_pylist()) == (["i"], ["r"])

    def test_dimensions_that_were_given_stay_and_others_are_refused(self) -> None:
        state = StoredStudy.empty(PAPER, SCALE, ["quality", "harmony"])
        state, problems = state.add(table([("i", "r", "quality", 3.0), ("i", "r", "qualty", 3.0)]))
        assert [problem.reason for problem in problems] == ["unknown_dimension"]
        state, problems = state.remove(table([("i", "r", "qualty", None), ("i", "r", "quality", None)]))
        assert [problem.reason for problem in problems] == ["unknown_dimension"]
        assert decode_study(encode_study(state)).ratings.dimensions.to_pylist() == [
            "harmony",
            "quality",
        ]

    def test_too_many_dimensions_in_all_are_refused(self) -> None:
        state, _ = StoredStudy.empty(PAPER, SCALE).add(table([("i", "r", f"d{at}", 3.0) for at in range(900)]))
        with pytest.raises(UserError, match="1800 different values"):
            state.add(table([("i", "r", f"e{at}", 3.0) for at in range(900)]))

    def test_names_are_compared_without_spaces_and_in_their_own_spelling(self) -> None:
        state = state_of({("caf\u00e9", "12", "d"): 3.0})
        same, problems = state.add(table([(" caf\u00e9", "12 ", "d", 3.0)]))
        assert (len(same), problems) == (1, [])
        other, problems = state.add(table([("cafe\u0301", "012", "d", 3.0)]))
        assert (len(other), problems) == (2, [])

    def test_without_a_scale_it_is_that_of_the_ratings(self) -> None:
        state = StoredStudy.empty(PAPER, None)
        for score, scale in ((3.0, (3.0, 3.0)), (70.0, (3.0, 70.0))):
            state, _ = state.add(table([(f"i{score}", "r", "d", score)]))
            assert state.ratings.scale == scale
        state, _ = state.remove(table([("i3.0", "r", "d", None)]))
        assert state.ratings.scale == (70.0, 70.0)

    @pytest.mark.parametrize("scale", [(5.0, 1.0), (1.0, np.inf), (np.nan, 5.0)])
    def test_an_impossible_scale_is_refused(self, scale: tuple[float, float]) -> None:
        with pytest.raises(UserError, match="The scale must go from a lower to a higher number"):
            StoredStudy.empty(PAPER, scale)


class TestRepetitions:
    def test_they_are_ordered_as_numbers_whichever_comes_first(self) -> None:
        batch = [("i", "r", "d", float(score), name) for score, name in ((1, "10"), (2, "9.0"), (3, "1234567"))]
        one, _ = StoredStudy.empty(PAPER, SCALE).add(table(batch))
        other = StoredStudy.empty(PAPER, SCALE)
        for row in [*batch, ("i", "r", "d", 4.0, "1234568")]:
            other, _ = other.add(table([row]))
        other, _ = other.remove(table([("i", "r", "d", None, "1234568.0")]))
        assert one.ratings.score.tolist() == [2.0, 1.0, 3.0]
        assert one.table["repetition"].to_pylist() == ["9", "10", "1234567"]
        assert encode_study(one) == encode_study(other) == encode_study(decode_study(encode_study(one)))

    def test_they_may_have_names(self) -> None:
        state, _ = StoredStudy.empty(PAPER, SCALE).add(table([("i", "r", "d", 3.0, "morning")]))
        state, _ = state.add(table([("i", "r", "d", 4.0, "evening")]))
        assert state.ratings.score.tolist() == [4.0, 3.0]
        assert state.ratings.repetitions == 2

    @pytest.mark.parametrize(
        ("first", "second", "told"),
        [("1", None, "none after numbers"), (None, "1", "numbers after none"), ("1", "a", "names after numbers")],
    )
    def test_they_must_be_told_apart_in_one_way(self, first: str | None, second: str | None, told: str) -> None:
        def batch(name: str | None) -> pa.Table:
            return table([("i", "r", "d", 3.0, *([] if name is None else [name]))])

        state, _ = StoredStudy.empty(PAPER, SCALE).add(batch(first))
        for work in (state.add, state.remove):
            with pytest.raises(UserError, match=f"got {told}: change the column"):
                work(batch(second))
        emptied, _ = state.remove(batch(first))
        assert len(emptied.add(batch(second))[0]) == 1

    def test_numbers_and_names_in_one_table_are_refused(self) -> None:
        batch = [("i", "r", "d", 3.0, "1"), ("i", "r", "d", 3.0, "b")]
        with pytest.raises(UserError, match="got mixed"):
            StoredStudy.empty(PAPER, SCALE).add(table(batch))


def test_a_state_without_ratings_has_a_result() -> None:
    for state in (StoredStudy.empty(PAPER, SCALE), state_of(START).remove(table(rows(START)))[0]):
        assert state.result().scores.num_rows == 0

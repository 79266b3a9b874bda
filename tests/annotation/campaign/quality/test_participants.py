"""Quality while the campaign runs: agreement of annotators against a raster and consensus, raters by `mos` itself."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.campaign.quality.participants import (
    COMPARISON_IOUS,
    annotator_agreements,
    compare_annotators,
    latest_annotations,
    screen_campaign_raters,
)
from annotation.consensus import resolve_regions
from annotation.records import (
    DIMENSIONS,
    KINDS,
    Box,
    Disk,
    Kind,
    Mark,
    PairSubmissions,
    Place,
    Rating,
    RegionalAnnotation,
)
from annotation.rules import AnnotationRules
from mos.methods import METHODS
from mos.raters import RATER_COLUMNS

PLACE = Place("annotations/regions.json", 1)
SCALE = (1.0, 5.0)


def mark(kind: Kind = "artifact", at: float = 0.0, size: float = 20.0, name: str = "m") -> Mark:
    return Mark(name, kind, Box(at, at, at + size, at + size), (Disk(at + size / 2, at + size / 2),))


def annotation(person: str, *marks: Mark, pair: str = "p", at: str = "2026-01-01") -> RegionalAnnotation:
    return RegionalAnnotation(pair, person, marks, at, PLACE)


def outcome(*annotations: RegionalAnnotation, expert: tuple[RegionalAnnotation, ...] = ()):  # type: ignore[no-untyped-def]
    def refuse(rejection: object) -> None:
        raise AssertionError(rejection)

    return resolve_regions("p", PairSubmissions(annotations, expert), AnnotationRules(), refuse)


marks = st.lists(
    st.builds(mark, st.sampled_from(KINDS), st.integers(0, 12).map(lambda at: 5.0 * at), st.sampled_from([10.0, 20.0])),
    max_size=4,
)
teams = st.lists(marks, min_size=2, max_size=4).map(
    lambda people: [annotation(f"ann{i}", *drawn) for i, drawn in enumerate(people)]
)


def raster(drawn: tuple[Mark, ...], kind: Kind, height: int) -> np.ndarray:
    """Bool [400, 400]: quarter pixels within a disk."""
    grid = np.arange(-10, 90, 0.25) + 0.125
    covered = np.zeros((len(grid), len(grid)), dtype=bool)
    for x, y in (disk for one in drawn if one.kind == kind for disk in one.disks):
        covered |= (grid[None, :] - x) ** 2 + (grid[:, None] - y) ** 2 <= (height / 20) ** 2
    return covered


class TestAgreementOnAPair:
    def test_says_at_which_overlap_two_people_agree(self) -> None:
        drawn = [annotation("a", mark(), mark(at=100)), annotation("b", mark(at=4), mark(at=100))]
        [found] = compare_annotators(drawn, {"p": 100})
        assert (found.first, found.second) == ("a", "b")
        assert mark().box.iou(mark(at=4).box) == pytest.approx(256 / 544)
        assert found.f1 == (1, 0.5, 0.5)

    @given(teams)
    @settings(max_examples=25)
    def test_disks_overlap_as_on_a_raster(self, team: list[RegionalAnnotation]) -> None:
        for found, (one, other) in zip(compare_annotators(team, {"p": 160}), combinations(team, 2), strict=True):
            sides = [[raster(each.marks, kind, 160) for kind in KINDS] for each in (one, other)]
            shared = sum((a & b).sum() for a, b in zip(*sides, strict=True))
            either = sum((a | b).sum() for a, b in zip(*sides, strict=True))
            assert found.disk_overlap == (pytest.approx(shared / either, abs=0.03) if either else None)

    def test_two_who_saw_no_flaw_have_no_figure(self) -> None:
        [found] = compare_annotators([annotation("a"), annotation("b")], {"p": 100})
        assert found.f1 == (None, None, None)
        assert found.disk_overlap is None

    def test_who_is_alone_on_a_pair_is_compared_with_nobody(self) -> None:
        assert (
            compare_annotators([annotation("a", mark()), annotation("b", mark(), pair="q")], {"p": 100, "q": 100}) == []
        )

    def test_the_latest_submission_counts(self) -> None:
        early, late = annotation("a", mark(at=50)), annotation("a", mark(), at="2026-01-02")
        assert latest_annotations([late, early]) == [late]
        [found] = compare_annotators([late, annotation("b", mark()), early], {"p": 100})
        assert found.f1 == (1, 1, 1)

    @given(teams, st.randoms(use_true_random=False))
    @settings(max_examples=30)
    def test_no_order_matters(self, team: list[RegionalAnnotation], random) -> None:  # type: ignore[no-untyped-def]
        expected = compare_annotators(team, {"p": 100})
        random.shuffle(team)
        assert compare_annotators(team, {"p": 100}) == expected


class TestAgreementOfAPerson:
    def test_counts_of_all_pairs_and_partners_are_added_up(self) -> None:
        team = [
            annotation("a", mark(), mark(at=40)),
            annotation("b", mark()),
            annotation("c", mark(at=60)),
            annotation("a", mark("failure"), pair="q"),
            annotation("b", mark("failure"), pair="q"),
        ]
        rows = {
            row.person_id: row for row in annotator_agreements(team, compare_annotators(team, {"p": 100, "q": 100}), {})
        }
        a = rows["a"]
        assert (a.pairs, a.comparisons) == (2, 3)
        assert a.f1[COMPARISON_IOUS.index(0.5)] == pytest.approx(2 * (1 + 0 + 1) / ((2 + 1) + (2 + 1) + (1 + 1)))
        assert rows["c"].f1 == (0, 0, 0)
        assert (a.precision, a.recall) == (None, None)

    def test_consistency_with_what_was_accepted(self) -> None:
        team = [annotation("a", mark(), mark(at=60)), annotation("b", mark(at=1)), annotation("c", mark(at=100))]
        accepted = {"p": outcome(*team)}
        rows = {
            row.person_id: row for row in annotator_agreements(team, compare_annotators(team, {"p": 100}), accepted)
        }
        assert (rows["a"].precision, rows["a"].recall) == (0.5, 1)
        assert (rows["b"].precision, rows["b"].recall) == (1, 1)
        assert (rows["c"].precision, rows["c"].recall) == (0, 0)

    def test_the_experts_own_marks_do_not_count_for_them_as_annotator(self) -> None:
        team = [annotation("a", mark(at=60)), annotation("b", mark())]
        review = annotation("a", mark(name="e"), at="2026-01-09")
        rows = annotator_agreements(team, compare_annotators(team, {"p": 100}), {"p": outcome(*team, expert=(review,))})
        assert [(row.precision, row.recall) for row in rows] == [(0, 0), (1, 1)]

    @given(teams)
    @settings(max_examples=40)
    def test_marks_and_accepted_ones_add_up_to_those_of_the_consensus(self, team: list[RegionalAnnotation]) -> None:
        found = outcome(*team)
        rows = annotator_agreements(team, compare_annotators(team, {"p": 100}), {"p": found})
        assert [row.person_id for row in rows] == [one.annotator_id for one in team]
        assert sum(row.marks for row in rows) == len(found.marks)
        assert sum(row.found for row in rows) == sum(len(region.annotators) for region in found.regions)
        assert all(row.accepted >= row.found and row.regions == len(found.regions) for row in rows)


def rated(score: float, pair: str, person: str, at: str = "2026-01-01T00:00:00.000000Z") -> list[Rating]:
    return [Rating(pair, person, dimension, score, at, PLACE) for dimension in DIMENSIONS]


def study(pairs: int, people: int, careless: int = 0) -> list[Rating]:
    """Ratings by people of whom the first `careless` ones rate at random, one pair a minute."""
    rng = np.random.default_rng(7)
    quality = rng.uniform(1.5, 4.5, pairs)
    found = []
    for i, person in np.ndindex(pairs, people):
        score = rng.uniform(1, 5) if person < careless else quality[i] + rng.normal(0, 0.3)
        at = f"2026-01-{1 + i // 60:02}T10:{i % 60:02}:00.000000Z"
        found += rated(float(np.clip(score, 1, 5)), f"p{i}", f"r{person:02}", at)
    return found


class TestScreeningOfRaters:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("pairs", [0, 1, 2])
    @pytest.mark.parametrize("people", [1, 2, 3])
    def test_with_hardly_any_ratings_it_knows_little_and_does_not_fail(
        self, method: str, pairs: int, people: int
    ) -> None:
        found = screen_campaign_raters(study(pairs, people), SCALE, method)
        assert found.advice == ()
        assert found.raters.num_rows == (people if pairs else 0)
        assert found.raters.column_names == list(RATER_COLUMNS)
        assert found.problems == ()

    def test_a_careless_rater_is_named_and_excluded(self) -> None:
        found = screen_campaign_raters(study(80, 15, careless=1), SCALE)
        assert any("'r00'" in sentence for sentence in found.advice)
        assert not any("'r03'" in sentence for sentence in found.advice)
        assert found.raters.filter(found.raters["excluded"])["rater"].to_pylist()[:1] == ["r00"]
        assert found.raters.schema.metadata == {b"sequence": b"times"}

    @given(st.randoms(use_true_random=False))
    @settings(max_examples=5)
    def test_the_order_of_ratings_does_not_matter(self, random) -> None:  # type: ignore[no-untyped-def]
        ratings = study(12, 6, careless=1)
        expected = screen_campaign_raters(ratings, SCALE)
        random.shuffle(ratings)
        found = screen_campaign_raters(ratings, SCALE)
        assert found.raters.equals(expected.raters)
        assert found.advice == expected.advice

    def test_a_later_rating_replaces_an_earlier_one_which_is_reported(self) -> None:
        early = rated(1, "p", "a")
        late = rated(5, "p", "a", "2026-01-02T00:00:00.000000Z")
        found = screen_campaign_raters([*late, *early, *rated(5, "p", "b")], SCALE, "mos")
        assert found.result.scores["mos"].to_pylist() == [5, 5, 5]
        assert len(found.problems) == 3

    def test_a_score_out_of_scale_does_not_count_and_is_reported(self) -> None:
        found = screen_campaign_raters([*rated(9, "p", "a"), *rated(3, "p", "b")], SCALE, "mos")
        assert {problem.reason for problem in found.problems} == {"out_of_scale"}
        assert found.result.scores["n"].to_pylist() == [1, 1, 1]

    def test_without_all_times_it_says_that_the_order_is_that_of_rows(self) -> None:
        found = screen_campaign_raters([*rated(3, "p", "a", ""), *rated(4, "p", "b")], SCALE)
        assert found.raters.schema.metadata == {b"sequence": b"rows"}

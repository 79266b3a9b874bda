"""Every policy on cases computed by hand."""

from __future__ import annotations

import math

import pytest

from mos.errors import UserError
from refiner.benchmark.means import Aggregation, compute_mean
from refiner.benchmark.policies import Policy
from refiner.benchmark.suites import KRIS_GROUPS, find_suite, name_column
from refiner.benchmark.verdicts import JudgedRun
from tests.refiner.benchmark.judged_runs import gedit_scores, judge_by_hand

GEDIT = judge_by_hand(
    "gedit",
    [
        ("a", "add", gedit_scores(9, 4)),  # sqrt(36) = 6
        ("b", "add", gedit_scores(4, 4)),  # 4
        ("c", "tone", gedit_scores(8, 2)),  # 4
        ("d", "tone", gedit_scores(9, 9)),  # its quality is unparsed: E sqrt(9 U), U uniform on 0 to 10
        ("e", "tone", gedit_scores(9, 9)),  # the judge failed
    ],
    {("d", "gedit_quality"): "unparsed", ("e", "gedit_semantics"): "error"},
)
GUESSED = 3 * sum(math.sqrt(number) for number in range(11)) / 11

KRIS = judge_by_hand(
    "kris",
    [
        ("k", "color_change", {"consistency": 5, "instruction_following": 3, "image_quality": 1}),  # 100, 50, 0
        (
            "l",
            "physics",
            {"consistency": 2, "instruction_following": 4, "knowledge_plausibility": 3, "image_quality": 5},
        ),  # 25, 75, 50, 100; consistency was refused
    ],
    {("l", "kris_consistency"): "refused"},
)

IMGEDIT_SCORES = {"instruction_adherence": 2, "editing_quality": 5, "detail_preservation": 4}
IMGEDIT = judge_by_hand(
    "imgedit",
    [("i", "add", IMGEDIT_SCORES), ("j", "remove", {**IMGEDIT_SCORES, "instruction_adherence": 5}),
     ("k", "remove", IMGEDIT_SCORES)],
    {("k", "imgedit"): "refused"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("run", "policy", "aggregation", "expected"),
    [
        (GEDIT, "exclude", "official", (5 + 4) / 2),
        (GEDIT, "exclude", "samples", 14 / 3),
        (GEDIT, "zero", "official", (5 + 4 / 3) / 2),
        (GEDIT, "zero", "samples", 14 / 5),
        (GEDIT, "official", "official", (5 + (4 + GUESSED) / 2) / 2),
        (GEDIT, "lmms-eval", "official", (14 + GUESSED + 0) / 5),
        (KRIS, "exclude", "official", 50.0),
        (KRIS, "zero", "official", 150 / 7),
        (KRIS, "official", "official", (150 + 225) / 6),
        (KRIS, "official", "columns", (50 + 75) / 2),
        (KRIS, "lmms-eval", "official", (150 + 225) / 6),
        (IMGEDIT, "exclude", "official", (2 + 14 / 3) / 2),
        (IMGEDIT, "zero", "official", (2 + (14 / 3 + 1) / 2) / 2),
        (IMGEDIT, "official", "official", (2 + 14 / 3) / 2),
        (IMGEDIT, "lmms-eval", "official", (11 / 3 + 14 / 3 + 0) / 3),
    ],
)
def test_every_policy_gives_what_its_rules_give_by_hand(
    run: JudgedRun, policy: Policy, aggregation: Aggregation, expected: float
) -> None:
    assert compute_mean(run, policy, aggregation).value == pytest.approx(expected, abs=1e-9)


def test_fail_names_the_first_sample_without_a_score() -> None:
    with pytest.raises(UserError, match="'d' has no score for gedit_quality"):
        compute_mean(GEDIT, "fail")


def test_coverage_counts_what_was_judged_whatever_the_policy_fills_in() -> None:
    policies: tuple[Policy, ...] = ("exclude", "zero", "lmms-eval")
    for policy in policies:
        mean = compute_mean(GEDIT, policy)
        assert (mean.judged, mean.total, mean.coverage) == (3, 5, 0.6)


def test_the_interval_holds_the_mean_and_is_one_point_for_equal_samples() -> None:
    mean = compute_mean(GEDIT, "exclude", "samples")
    assert mean.ci_low <= mean.value <= mean.ci_high
    assert mean.ci_low < mean.ci_high
    equal = compute_mean(judge_by_hand("gedit", [(name, "add", gedit_scores(4, 9)) for name in "abc"]))
    assert [equal.ci_low, equal.ci_high] == pytest.approx([6, 6])


def test_the_twenty_categories_of_kris_are_in_one_kind_of_knowledge_each() -> None:
    named = [category for categories in KRIS_GROUPS.values() for category in categories]
    assert len(named) == len(set(named)) == 20
    assert name_column(find_suite("kris"), "temporal_prediction") == "factual"

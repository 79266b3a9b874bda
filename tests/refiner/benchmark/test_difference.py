"""Planted causes of a gap are found, alone and two together, and the parts sum to the gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mos.errors import UserError
from refiner.benchmark.difference import CAUSES, GapSplit, split_gap
from refiner.benchmark.policies import POLICIES, Policy
from refiner.benchmark.verdicts import JudgedRun
from tests.refiner.benchmark.judged_runs import change_verdicts, gedit_scores, judge_by_hand

NAMES = [f"s{number}" for number in range(24)]
FAILED = {("s23", "gedit_quality"): "error"}
BASE = judge_by_hand(
    "gedit",
    [(name, "add" if place % 2 else "tone", gedit_scores(3 + place % 4, 5)) for place, name in enumerate(NAMES)],
    FAILED,
)

PLANTED: dict[str, Callable[[JudgedRun], JudgedRun]] = {
    "policy": lambda run: run,
    "missing samples": lambda run: replace(
        run, verdicts=tuple(one for one in run.verdicts if one.sample_id not in NAMES[:3])
    ),
    "source files": lambda run: change_verdicts(run, NAMES[3:6], 1.0, source_digest="other"),
    "results": lambda run: change_verdicts(run, NAMES[6:9], 1.5, result_digest="other"),
    "judge": lambda run: change_verdicts(run, NAMES[9:12], 0.5, judge="other"),
    "prompt": lambda run: change_verdicts(run, NAMES[12:15], 0.75, prompt="other"),
    "preprocessing": lambda run: change_verdicts(run, NAMES[15:18], -0.5, transform="other"),
    "sampling noise": lambda run: change_verdicts(run, NAMES[18:21], 0.25),
}


def split_planted(*causes: str) -> GapSplit:
    run = BASE
    for cause in causes:
        run = PLANTED[cause](run)
    policies: tuple[Policy, Policy] = ("exclude", "zero" if "policy" in causes else "exclude")
    return split_gap(BASE, run, policies)


def test_a_cause_is_planted_for_each_that_is_known() -> None:
    assert set(PLANTED) == set(CAUSES)


@pytest.mark.parametrize("causes", [*combinations(CAUSES, 1), *combinations(CAUSES, 2)], ids="+".join)
def test_planted_causes_are_those_that_are_named(causes: tuple[str, ...]) -> None:
    split = split_planted(*causes)
    assert {part.causes for part in split.parts} == {(cause,) for cause in causes}
    assert all(part.amount != 0 for part in split.parts)
    assert sum(part.amount for part in split.parts) == pytest.approx(split.gap, abs=1e-9)


def test_two_causes_on_the_same_samples_stay_one_part() -> None:
    run = change_verdicts(BASE, NAMES, 1.0, judge="other", prompt="other")
    (part,) = split_gap(BASE, run).parts
    assert (part.name, part.samples) == ("judge + prompt", 23)


def test_equal_runs_have_no_gap_and_no_part() -> None:
    split = split_gap(BASE, BASE)
    assert (split.gap, split.parts, split.paired_low, split.paired_high) == (0.0, (), 0.0, 0.0)


def test_runs_of_two_benchmarks_are_refused() -> None:
    with pytest.raises(UserError, match="one benchmark"):
        split_gap(BASE, replace(BASE, receipt={"benchmark": "kris", "editor": "e"}))


@settings(max_examples=40, deadline=None)
@given(
    lost=st.sets(st.sampled_from(NAMES), max_size=20),
    changed=st.sets(st.sampled_from(NAMES)),
    amount=st.floats(-2, 2),
    policies=st.tuples(*[st.sampled_from([policy for policy in POLICIES if policy != "fail"])] * 2),
)
def test_the_parts_sum_to_the_gap_whatever_differs(
    lost: set[str], changed: set[str], amount: float, policies: tuple[Policy, Policy]
) -> None:
    run = change_verdicts(BASE, sorted(changed), amount, judge="other")
    run = replace(run, verdicts=tuple(one for one in run.verdicts if one.sample_id not in lost))
    split = split_gap(BASE, run, policies)
    assert sum(part.amount for part in split.parts) == pytest.approx(split.gap, abs=1e-9)

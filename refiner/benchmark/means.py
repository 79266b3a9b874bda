"""Means of a benchmark with intervals and coverage."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from refiner.benchmark.policies import Policy, SampleOutcome, compute_outcomes
from refiner.benchmark.suites import Suite, find_suite, name_column
from refiner.benchmark.verdicts import JudgedRun
from training.metrics.results import bootstrap_over_sources

Aggregation = Literal["official", "columns", "samples"]
"""`official`: as the benchmark says. `columns`: the plain mean of the columns, as in table 1 of the paper. `samples`:
the mean of all samples."""


@dataclass(frozen=True, slots=True)
class BenchmarkMean:
    """A mean under one policy.

    Attributes
    ----------
    value, ci_low, ci_high : float
        NaN where undefined.
    count : int
        Samples that have a value.
    judged : int
        Samples of which every question has a score.
    total : int
        Samples that were to be judged.
    """

    value: float
    ci_low: float
    ci_high: float
    count: int
    judged: int
    total: int

    @property
    def coverage(self) -> float:
        """Share of the samples that were judged; NaN without samples."""
        return self.judged / self.total if self.total else math.nan


def choose_aggregation(policy: Policy, aggregation: Aggregation) -> Aggregation:
    """The aggregation under a policy: that of lmms-eval is the mean of the samples."""
    return "samples" if policy == "lmms-eval" else aggregation


def weigh_outcomes(suite: Suite, outcomes: Sequence[SampleOutcome], aggregation: Aggregation) -> list[float]:
    """The weight of every single value of each outcome in the mean; outcomes without a value have weight 0.

    The mean is the sum of weight times value over all values of all outcomes.
    """
    columns = [_name_part(suite, outcome, aggregation) for outcome in outcomes]
    counts: Counter[str] = Counter()
    for column, outcome in zip(columns, outcomes, strict=True):
        counts[column] += len(outcome.values)
    parts = sum(count > 0 for count in counts.values())
    return [
        1.0 / (parts * counts[column]) if outcome.values else 0.0
        for column, outcome in zip(columns, outcomes, strict=True)
    ]


def average_outcomes(suite: Suite, outcomes: Sequence[SampleOutcome], aggregation: Aggregation) -> float:
    """The mean of outcomes; NaN if none has a value."""
    if not any(outcome.values for outcome in outcomes):
        return math.nan
    weights = weigh_outcomes(suite, outcomes, aggregation)
    return math.fsum(
        weight * value for weight, outcome in zip(weights, outcomes, strict=True) for value in outcome.values
    )


def compute_mean(run: JudgedRun, policy: Policy = "exclude", aggregation: Aggregation = "official") -> BenchmarkMean:
    """The mean of a run, with an interval by a bootstrap over sources.

    Raises
    ------
    UserError
        Under the policy "fail", where a sample has not all of its scores.
    """
    suite = find_suite(str(run.receipt.get("benchmark")))
    return summarise_outcomes(suite, compute_outcomes(run, policy), choose_aggregation(policy, aggregation))


def summarise_outcomes(suite: Suite, outcomes: Sequence[SampleOutcome], aggregation: Aggregation) -> BenchmarkMean:
    """The mean of outcomes, with an interval by a bootstrap over sources."""
    known = [outcome for outcome in outcomes if outcome.values]
    low, high = bootstrap_over_sources(
        lambda rows: average_outcomes(suite, [known[row] for row in rows], aggregation),
        [outcome.sample.source_id for outcome in known],
        replicates=400,
    )
    judged = sum(outcome.judged for outcome in outcomes)
    mean = average_outcomes(suite, known, aggregation)
    return BenchmarkMean(mean, low, high, len(known), judged, len(outcomes))


def _name_part(suite: Suite, outcome: SampleOutcome, aggregation: Aggregation) -> str:
    """The part of the mean that an outcome belongs to; all parts count the same."""
    if aggregation == "columns":
        return name_column(suite, outcome.sample.group)
    return outcome.sample.group if aggregation == "official" and suite.by_group else ""

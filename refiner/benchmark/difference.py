"""Why the means of two runs differ: an exact split of the gap by cause.

The split uses only what the receipts say. Causes that act on the same sample cannot be told apart without judging it
again, so that they are one part, such as "judge + prompt"; nothing is divided by a rule of thumb. The parts sum to the
gap.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mos.errors import UserError
from refiner.benchmark.means import Aggregation, average_outcomes, choose_aggregation, weigh_outcomes
from refiner.benchmark.policies import Policy, SampleOutcome, compute_outcomes
from refiner.benchmark.suites import Suite, find_suite
from refiner.benchmark.verdicts import JudgedRun, Verdict
from training.metrics.results import bootstrap_over_sources

CAUSES = ("policy", "missing samples", "source files", "results", "judge", "prompt", "preprocessing", "sampling noise")

SAME_RECEIPTS = ("sampling noise",)
"""Another value with the same receipts: the judge did not say the same twice."""


@dataclass(frozen=True, slots=True)
class GapPart:
    """One part of a gap.

    Attributes
    ----------
    causes : tuple of str
        Of `CAUSES`; several where they act on the same samples.
    amount : float
        Of the second mean minus the first.
    samples : int
        Number of samples concerned.
    """

    causes: tuple[str, ...]
    amount: float
    samples: int

    @property
    def name(self) -> str:
        """The causes in words."""
        return " + ".join(self.causes)


@dataclass(frozen=True, slots=True)
class GapSplit:
    """The gap of two means and its parts.

    Attributes
    ----------
    first, second : float
        The two means.
    parts : tuple of GapPart
    paired_low, paired_high : float
        95 % interval of the gap on the samples that both have, by a bootstrap over sources; NaN below two sources.
    """

    first: float
    second: float
    parts: tuple[GapPart, ...]
    paired_low: float
    paired_high: float

    @property
    def gap(self) -> float:
        """The second mean minus the first."""
        return self.second - self.first


def split_gap(
    first: JudgedRun,
    second: JudgedRun,
    policies: tuple[Policy, Policy] = ("exclude", "exclude"),
    aggregation: Aggregation = "official",
) -> GapSplit:
    """Split the gap of two means by cause.

    Parameters
    ----------
    first, second : JudgedRun
        Of one benchmark.
    policies : tuple of two policies
        Of the first and of the second mean.
    aggregation : str

    Returns
    -------
    GapSplit
        Policy: the first run under both policies. Missing samples: what the means change by leaving out what only one
        run has. The rest is the weighted difference of each common sample, by what its receipts say differs.

    Raises
    ------
    UserError
        For runs of two benchmarks, or without a common sample.
    """
    names = [str(run.receipt.get("benchmark")) for run in (first, second)]
    if names[0] != names[1]:
        raise UserError(f"Expected two runs of one benchmark, but got {names[0]!r} and {names[1]!r}.")
    suite = find_suite(names[0])
    before = compute_outcomes(first, policies[0])
    switched, after = compute_outcomes(first, policies[1]), compute_outcomes(second, policies[1])
    start = average_outcomes(suite, before, choose_aggregation(policies[0], aggregation))
    used = choose_aggregation(policies[1], aggregation)
    common = _list_common(switched, after)
    if not common or not any(outcome.values for outcome in before):
        raise UserError("The two runs have no sample with a value in common.")
    end = average_outcomes(suite, after, used)
    middle = average_outcomes(suite, switched, used)
    shared = [_select(outcomes, common) for outcomes in (switched, after)]
    means = [average_outcomes(suite, outcomes, used) for outcomes in shared]
    alone = sum(bool(one.values) for one in (*switched, *after)) - 2 * len(common)
    parts = []
    if policies[0] != policies[1]:
        changed = sum(one.values != other.values for one, other in zip(before, switched, strict=True))
        parts.append(GapPart(("policy",), middle - start, changed))
    if alone:
        parts.append(GapPart(("missing samples",), math.fsum([means[0], -middle, end, -means[1]]), alone))
    parts = _join_parts([*parts, *_split_common(suite, shared, used, _find_causes(first, second))])
    low, high = _bound_paired_gap(suite, shared, used)
    return GapSplit(start, end, tuple(parts), low, high)


def _join_parts(parts: Sequence[GapPart]) -> list[GapPart]:
    """The parts with those of the same causes joined, in the order of `CAUSES`."""
    joined: dict[tuple[str, ...], list[GapPart]] = defaultdict(list)
    for part in parts:
        joined[part.causes].append(part)
    ordered = sorted(joined, key=lambda causes: [CAUSES.index(cause) for cause in causes])
    return [
        GapPart(causes, math.fsum(one.amount for one in joined[causes]), sum(one.samples for one in joined[causes]))
        for causes in ordered
    ]


def _list_common(first: Sequence[SampleOutcome], second: Sequence[SampleOutcome]) -> list[str]:
    known = {outcome.sample.sample_id for outcome in second if outcome.values}
    return [outcome.sample.sample_id for outcome in first if outcome.values and outcome.sample.sample_id in known]


def _select(outcomes: Sequence[SampleOutcome], names: Sequence[str]) -> list[SampleOutcome]:
    by_name = {outcome.sample.sample_id: outcome for outcome in outcomes}
    return [by_name[name] for name in names]


def _split_common(
    suite: Suite,
    shared: Sequence[Sequence[SampleOutcome]],
    aggregation: Aggregation,
    causes: Mapping[str, tuple[str, ...]],
) -> list[GapPart]:
    sums = [_weigh_samples(suite, outcomes, aggregation) for outcomes in shared]
    amounts: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for outcome, other, before, after in zip(*shared, *sums, strict=True):
        # A value that a policy filled in on one side only stands for a sample that was not judged there.
        alike = outcome.judged == other.judged
        cause = causes.get(outcome.sample.sample_id, SAME_RECEIPTS) if alike else ("missing samples",)
        # A sample with the same receipts and the same value has nothing to explain.
        if before != after or cause != SAME_RECEIPTS:
            amounts[cause].append(after - before)
    return [GapPart(names, math.fsum(found), len(found)) for names, found in amounts.items()]


def _weigh_samples(suite: Suite, outcomes: Sequence[SampleOutcome], aggregation: Aggregation) -> list[float]:
    weights = weigh_outcomes(suite, outcomes, aggregation)
    return [weight * math.fsum(outcome.values) for weight, outcome in zip(weights, outcomes, strict=True)]


def _find_causes(first: JudgedRun, second: JudgedRun) -> dict[str, tuple[str, ...]]:
    """What the receipts of each sample say differs; "sampling noise" where nothing does."""
    facts = [_collect_facts(run.verdicts) for run in (first, second)]
    return {
        name: tuple(cause for cause in before if before[cause] != facts[1][name][cause]) or SAME_RECEIPTS
        for name, before in facts[0].items()
        if name in facts[1]
    }


def _collect_facts(verdicts: Sequence[Verdict]) -> dict[str, dict[str, frozenset[str]]]:
    by_sample: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_sample[verdict.sample_id].append(verdict)
    return {
        name: {
            "source files": frozenset(one.source_digest for one in found),
            "results": frozenset(one.result_digest for one in found),
            "judge": frozenset(one.judge for one in found),
            "prompt": frozenset(f"{one.question} {one.prompt}" for one in found),
            "preprocessing": frozenset(one.transform for one in found),
        }
        for name, found in by_sample.items()
    }


def _bound_paired_gap(
    suite: Suite, shared: Sequence[Sequence[SampleOutcome]], aggregation: Aggregation
) -> tuple[float, float]:
    first, second = shared
    return bootstrap_over_sources(
        lambda rows: (
            average_outcomes(suite, [second[row] for row in rows], aggregation)
            - average_outcomes(suite, [first[row] for row in rows], aggregation)
        ),
        [outcome.sample.source_id for outcome in first],
        replicates=400,
    )

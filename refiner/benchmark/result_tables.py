"""Tables of judged runs: the band of all policies, and the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mos.errors import UserError
from refiner.benchmark.means import Aggregation, choose_aggregation, summarise_outcomes
from refiner.benchmark.policies import POLICIES, POLICY_MEANINGS, Policy, compute_outcomes
from refiner.benchmark.suites import Suite, find_suite, name_column
from refiner.benchmark.verdicts import JudgedRun
from training.tables.result_table import ResultTable, TableCell, TableColumn, TableRow

ALL = "mean"
BAND = tuple(policy for policy in POLICIES if policy != "fail")


def make_leaderboard(
    runs: Sequence[JudgedRun], policy: Policy = "exclude", aggregation: Aggregation = "official"
) -> ResultTable:
    """A row a run: its means under all policies, and under one policy for each group.

    Parameters
    ----------
    runs : sequence of JudgedRun
        Of one benchmark.
    policy, aggregation
        Of the columns by group.

    Raises
    ------
    UserError
        For runs of several benchmarks or none; under the policy "fail", where a sample has no score.
    """
    names = {str(run.receipt.get("benchmark")) for run in runs}
    if len(names) != 1:
        raise UserError(f"Expected runs of one benchmark, but got {', '.join(sorted(names)) or 'none'}.")
    suite = find_suite(names.pop())
    parts = list(dict.fromkeys(name_column(suite, sample.group) for run in runs for sample in run.samples))
    groups = {
        f"Mean by policy, {aggregation}": tuple(
            TableColumn(f"policy.{name}", name, "up", POLICY_MEANINGS[name]) for name in BAND
        ),
        "Other means": tuple(
            TableColumn(f"aggregation.{name}", name, "up", f"Policy {policy}.") for name in ("official", "columns")
        ),
        f"By group, {policy}": tuple(TableColumn(f"part.{part}", part, "up", f"Samples of {part}.") for part in parts),
    }
    rows = tuple(_make_row(suite, run, policy, aggregation, parts) for run in runs)
    return ResultTable(f"benchmark-{suite.name}", suite.title, groups, rows, _describe(suite, runs, policy))


def _make_row(suite: Suite, run: JudgedRun, policy: Policy, aggregation: Aggregation, parts: Sequence[str]) -> TableRow:
    chosen = compute_outcomes(run, policy)
    cells: dict[str, TableCell] = {}
    for name in BAND:
        cells[f"policy.{name}"] = _make_cell(
            suite, compute_outcomes(run, name), choose_aggregation(name, aggregation)
        )  # fmt: skip
    for kind in ("official", "columns"):
        cells[f"aggregation.{kind}"] = _make_cell(suite, chosen, kind)
    for part in parts:
        here = [outcome for outcome in chosen if name_column(suite, outcome.sample.group) == part]
        cells[f"part.{part}"] = _make_cell(suite, here, choose_aggregation(policy, aggregation))
    judged = sum(outcome.judged for outcome in chosen)
    judges = ", ".join(sorted({verdict.judge for verdict in run.verdicts}))
    coverage = judged / len(chosen) if chosen else 0.0
    return TableRow(str(run.receipt.get("editor")), "measured", cells, "", coverage, f"judged by {judges or 'nobody'}")


def _make_cell(suite: Suite, outcomes: Sequence[Any], aggregation: Any) -> TableCell:
    mean = summarise_outcomes(suite, outcomes, aggregation)
    return TableCell(mean.value, mean.ci_low, mean.ci_high, mean.count, mean.total - mean.count)


def _describe(suite: Suite, runs: Sequence[JudgedRun], policy: Policy) -> Mapping[str, Any]:
    prompts = sorted({verdict.prompt for run in runs for verdict in run.verdicts if verdict.prompt})
    return {
        "benchmark": suite.title,
        "policy of the groups": policy,
        "samples": max(len(run.samples) for run in runs),
        "prompts": ", ".join(prompts),
        "intervals": "95 %, bootstrap over sources",
    }

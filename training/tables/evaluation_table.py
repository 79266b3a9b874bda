"""Table 4 of the paper on any dataset: how well the scores of agents follow those of people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.records import DIMENSIONS
from annotation.rules import compute_overall
from mos.console import Progress, show_progress
from mos.ranks import spearman_correlation
from mos.rejections import Rejection
from mos.reliability.coefficient import ItemBootstrap, central_interval
from mos.words import format_identifier
from training.agents.protocols import Evaluation
from training.agents.results import combine_scores
from training.metrics.correlation import correlation_metrics, fit_logistic, pearson_correlation
from training.metrics.results import bootstrap_over_sources
from training.samples.pair_sample import PairSample
from training.tables.agent_records import AgentRecord, describe_failures
from training.tables.cases import ShownCase, show_score_cases
from training.tables.ceiling import OVERALL, RaterScores, leave_raters_out
from training.tables.dataset_split import DEFAULT_SPLIT, DatasetSplit, open_dataset_split
from training.tables.named_agents import open_named_agents
from training.tables.paper_rows import list_paper_rows
from training.tables.result_table import (
    ResultTable,
    TableCell,
    TableColumn,
    TableRow,
    name_columns,
    with_shares,
)
from training.tables.run_agents import NamedAgent, run_agents

SCORED = (*DIMENSIONS, OVERALL)

SCORE_COLUMNS = (
    TableColumn("srcc", "SRCC", "up", "Correlation of the ranks."),
    TableColumn(
        "krcc", "KRCC", "up", "Kendall's tau-b: pairs of images in the right order, less those in the wrong one."
    ),
    TableColumn("plcc", "PLCC", "up", "Correlation of the scores as they are."),
    TableColumn("plcc_logistic4", "PLCC fitted", "up", "The same after a monotonic logistic curve with 4 parameters."),
)

REPLICATES = 400
"""Resamples of sources for an interval of a correlation."""

PEOPLE_REPLICATES = 100
"""The same of people, where every resample correlates every rater."""

PEOPLE = "one rater"

NO_TRUTH = "The pair has no mean opinion score."


def measure_evaluation(
    dataset: str | Path,
    agents: Sequence[str] = (),
    *,
    split: str = DEFAULT_SPLIT,
    out: str | Path | None = None,
    limit: int | None = None,
    pictures: bool = False,
    progress: bool = False,
) -> ResultTable:
    """Measure evaluation agents on a dataset: table 4 of the paper.

    Parameters
    ----------
    dataset : str or Path
        A folder that `editfhf build` wrote, or a repository on the Hub.
    agents : sequence of str
        Names of evaluation agents, see `list_agents`; all that need no server by default.
    split : str
        "train", "validation" or "test".
    out : str or Path, optional
        Folder for the scores of each pair. A second call with the same folder asks only what is new.
    limit : int, optional
        Use the first pairs of the split only.
    pictures : bool
        Also choose the pairs whose rank is closest to and furthest from that by people.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    ResultTable
        For each dimension and the overall score SRCC, KRCC and PLCC, with the ceiling of one rater.

    Raises
    ------
    UserError
        For an unknown dataset, split or agent.

    Examples
    --------
    >>> table = training.measure_evaluation("dataset", ["ssim", "psnr"])                 # doctest: +SKIP
    >>> table.find_row("ssim").cells["visual_consistency.srcc"].value                    # doctest: +SKIP
    0.42
    """
    data = open_dataset_split(dataset, split, limit)
    named, missing = open_named_agents("evaluation", agents, data, None if out is None else Path(out), {})
    with show_progress(not progress) as bars:
        rejections = run_agents(data, named, measure_scores, bars)
        table = make_evaluation_table(data, named, missing, rejections, bars)
        return table if not pictures else replace(table, cases=_show_best_agent(data, named, table))


def measure_scores(agent: Evaluation, sample: PairSample) -> Mapping[str, Any]:
    """Run an evaluation agent on a pair: `scores` has value and status for each dimension, and the overall score."""
    scores = agent.evaluate(sample.source, sample.edited, sample.instruction)
    by_dimension = {score.dimension: score for score in scores}
    lacking = [dimension for dimension in DIMENSIONS if dimension not in by_dimension]
    if lacking:
        raise ValueError(f"The agent gave no score of {', '.join(lacking)}.")
    found: dict[str, Any] = {
        score.dimension: {"value": score.value, "status": score.status, "detail": score.detail[:500]}
        for score in scores
    }
    overall = combine_scores(scores)
    found[OVERALL] = {"value": overall, "status": "ok" if overall is not None else "error", "detail": ""}
    return {"scores": found}


def make_evaluation_table(
    split: DatasetSplit,
    agents: Sequence[NamedAgent],
    missing: Sequence[TableRow],
    rejections: Sequence[Rejection],
    progress: Progress,
) -> ResultTable:
    """Make the table of what was measured, with people beside it."""
    unreadable = {rejection.pair_id for rejection in rejections}
    truth = _read_truth(split)
    pairs = [pair_id for pair_id in split.pair_ids if pair_id not in unreadable]
    sources = split.source_of
    groups = {
        (format_identifier(name) if name != OVERALL else "Overall score"): name_columns(name, SCORE_COLUMNS)
        for name in SCORED
    }
    progress.begin("Correlating scores", len(agents) + 1)
    rows = []
    for agent in agents:
        rows.append(_make_agent_row(agent, pairs, sources, truth))
        progress.advance()
    people = make_rater_row(leave_raters_out(split.load_table("ratings"), sources))
    progress.advance()
    return ResultTable(
        "evaluation",
        "Table 4: scores",
        groups,
        (*with_shares(rows, people, groups), people, *missing, *list_paper_rows("evaluation")),
        split.describe(len(unreadable))
        | {
            "intervals": f"95 %, percentiles of {REPLICATES} resamples of sources",
            "pairs_with_scores": sum(value is not None for value in truth[OVERALL].values()),
        },
        lead=split.lead,
    )


def _show_best_agent(split: DatasetSplit, agents: Sequence[NamedAgent], table: ResultTable) -> tuple[ShownCase, ...]:
    """Cases of the agent whose overall scores have the highest SRCC."""
    found = {agent.name: table.find_row(agent.name).cells[f"{OVERALL}.srcc"].value for agent in agents}
    known = [agent for agent in agents if math.isfinite(found[agent.name])]
    if not known:
        return ()
    best = max(known, key=lambda agent: found[agent.name])
    return show_score_cases(split, best, _read_truth(split)[OVERALL], OVERALL)


def _read_truth(split: DatasetSplit) -> dict[str, dict[str, float | None]]:
    """Mean opinion scores by dimension and pair."""
    truth: dict[str, dict[str, float | None]] = {name: {} for name in SCORED}
    rows = split.rows.select_columns(["pair_id", *(name for name in SCORED if name in split.rows.column_names)])
    for row in rows:
        scores = {name: _read_score(row.get(name)) for name in DIMENSIONS}
        for name, value in scores.items():
            truth[name][row["pair_id"]] = value
        truth[OVERALL][row["pair_id"]] = compute_overall(scores)
    return truth


def _read_score(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _make_agent_row(
    agent: NamedAgent,
    pairs: Sequence[str],
    sources: Mapping[str, str],
    truth: Mapping[str, Mapping[str, float | None]],
) -> TableRow:
    records = agent.records.select_pairs(pairs)
    cells: dict[str, TableCell] = {}
    for name in SCORED:
        rated = [record for record in records if truth[name][record["pair_id"]] is not None]
        given = np.array([_score_of(record, name) for record in rated], np.float64)
        wanted = np.array([truth[name][record["pair_id"]] for record in rated], np.float64)
        of_source = [sources[record["pair_id"]] for record in rated]
        cells |= {f"{name}.{key}": cell for key, cell in correlate_scores(given, wanted, of_source).items()}
    answered = sum(_score_of(record, OVERALL) == _score_of(record, OVERALL) for record in records)
    coverage = answered / len(pairs) if pairs else math.nan
    return TableRow(agent.name, "measured", cells, str(agent.agent.identity), coverage, _describe_statuses(records))


def _score_of(record: AgentRecord, name: str) -> float:
    value = record["scores"][name]["value"] if record["status"] == "ok" else None
    return math.nan if value is None else float(value)


def _describe_statuses(records: Sequence[AgentRecord]) -> str:
    """What agents did not score, by status; "" if all is well."""
    counts = Counter(
        record["scores"][name]["status"]
        for record in records
        if record["status"] == "ok"
        for name in DIMENSIONS
        if record["scores"][name]["status"] != "ok"
    )
    parts = [describe_failures(records)] if any(record["status"] != "ok" for record in records) else []
    parts += [f"{count} scores are {status}" for status, count in sorted(counts.items())]
    return "; ".join(parts)


def correlate_scores(
    given: NDArray[np.float64], truth: NDArray[np.float64], sources: Sequence[str]
) -> dict[str, TableCell]:
    """Correlations of an agent's scores [n] with those of people, with intervals by a bootstrap over sources.

    NaN where the agent gave no score: such pairs are missing. The curve is fitted once, not in every resample.
    """
    found = correlation_metrics(given, truth)
    known = np.flatnonzero(np.isfinite(given))
    x, y = given[known], truth[known]
    of_source = [sources[place] for place in known]
    cells = {}
    for column in SCORE_COLUMNS:
        value = found[column.key]
        low = high = math.nan
        if math.isfinite(value):
            low, high = bootstrap_over_sources(_statistic_of(column.key, x, y), of_source, replicates=REPLICATES)
        reason = found.reasons.get(column.key)
        missing = len(given) - len(known)
        reasons = {"The agent gave no score.": missing} if missing else {}
        cells[column.key] = TableCell(value, low, high, len(known), missing, reasons | ({reason: 1} if reason else {}))
    return cells


def _statistic_of(key: str, x: NDArray[Any], y: NDArray[Any]) -> Callable[[NDArray[Any]], float]:
    """The correlation of the rows of a resample; NaN where all of one side are equal."""
    if key == "plcc_logistic4":
        curve = fit_logistic(x, y, 4)
        x = x if curve is None else curve.values

    def correlate(rows: NDArray[Any]) -> float:
        first, second = x[rows], y[rows]
        if np.ptp(first) == 0 or np.ptp(second) == 0:
            return math.nan
        if key == "srcc":
            return spearman_correlation(first, second)
        if key == "krcc":
            from scipy.stats import kendalltau

            return float(kendalltau(first, second).statistic)
        return pearson_correlation(first, second)

    return correlate


def make_rater_row(scores: Mapping[str, Sequence[RaterScores]]) -> TableRow:
    """The ceiling: the mean over raters of the correlation of one rater with the mean of the others.

    The interval is of resampled sources, in which each rater's correlation is computed anew.
    """
    cells: dict[str, TableCell] = {}
    for name, raters in scores.items():
        usable = [each for each in raters if len(each.own) > 4 and np.ptp(each.own) > 0 and np.ptp(each.others) > 0]
        if usable:
            cells |= {f"{name}.{key}": cell for key, cell in _average_raters(usable).items()}
    count = max((len(raters) for raters in scores.values()), default=0)
    note = f"Each of {count} raters against the mean of the others; a mean over raters." if count else "No ratings."
    return TableRow(PEOPLE, "ceiling", cells, note=note)


def _average_raters(raters: Sequence[RaterScores]) -> dict[str, TableCell]:
    numbers = {source: number for number, source in enumerate(dict.fromkeys(s for r in raters for s in r.source_ids))}
    codes = [np.array([numbers[source] for source in each.source_ids]) for each in raters]
    measures = {
        column.key: [_statistic_of(column.key, each.own, each.others) for each in raters] for column in SCORE_COLUMNS
    }
    resampled: dict[str, list[float]] = {key: [] for key in measures}
    bootstrap = ItemBootstrap(PEOPLE_REPLICATES)
    for weights in bootstrap.weights(len(numbers)) if len(numbers) > 1 else ():
        for drawn in weights.astype(np.int64):
            rows = [np.repeat(np.arange(len(of_row)), drawn[of_row]) for of_row in codes]
            for key, of_rater in measures.items():
                resampled[key].append(_mean_correlation(of_rater, rows))
    everything = [np.arange(len(of_row)) for of_row in codes]
    count = sum(map(len, codes))
    return {
        key: TableCell(
            _mean_correlation(of_rater, everything),
            *central_interval(np.array(resampled[key], np.float64), bootstrap.level),
            count,
        )
        for key, of_rater in measures.items()
    }


def _mean_correlation(measures: Sequence[Callable[[NDArray[Any]], float]], rows: Sequence[NDArray[Any]]) -> float:
    """The mean over the raters for whom it is defined."""
    found = [measure(each) for measure, each in zip(measures, rows, strict=True) if len(each) > 1]
    known = [value for value in found if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan

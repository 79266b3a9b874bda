"""Table 3 of the paper on any dataset: do agents name the flaw in a box as people do, and say the same of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from annotation.records import KINDS, Region
from annotation.taxonomy import list_flaw_types
from mos.console import Progress, show_progress
from mos.rejections import Rejection
from training.agents.protocols import Reasoning
from training.agents.results import Finding
from training.metrics.regions import flaw_type_metrics
from training.metrics.results import MetricResult, bootstrap_over_sources, summarise_metrics
from training.metrics.text import compare_texts
from training.samples.pair_sample import PairSample
from training.tables.agent_records import describe_failures
from training.tables.ceiling import TypeAgreement, measure_type_agreement
from training.tables.dataset_split import DEFAULT_SPLIT, DatasetSplit, open_dataset_split
from training.tables.named_agents import open_named_agents
from training.tables.paper_rows import list_paper_rows
from training.tables.perception_table import KIND_TITLES
from training.tables.result_table import (
    ResultTable,
    TableCell,
    TableColumn,
    TableRow,
    make_cell,
    name_columns,
    with_shares,
)
from training.tables.run_agents import NamedAgent, run_agents

REASONING_COLUMNS = (
    TableColumn(
        "accuracy", "Accuracy", "up", "Share of boxes with the right flaw type; no answer is wrong.", percent=True
    ),
    TableColumn("balanced_accuracy", "Balanced", "up", "The same, every flaw type counted alike.", percent=True),
    TableColumn("chance", "Most common", "up", "Accuracy of always naming the most common type.", percent=True),
    TableColumn("rougeL", "ROUGE-L", "up", "Longest common sequence of words of both rationales."),
    TableColumn("meteor", "METEOR", "up", "Words in common, by stem and in order."),
)

_TYPE_METRICS = ("accuracy", "balanced_accuracy")
_TEXT_METRICS = ("rougeL", "meteor")

REPLICATES = 400

PEOPLE = "two annotators"


def measure_reasoning(
    dataset: str | Path,
    agents: Sequence[str],
    *,
    split: str = DEFAULT_SPLIT,
    out: str | Path | None = None,
    limit: int | None = None,
    progress: bool = False,
) -> ResultTable:
    """Measure reasoning agents on the true boxes of a dataset: table 3 of the paper.

    Parameters
    ----------
    dataset : str or Path
        A folder that `editfhf build` wrote, or a repository on the Hub.
    agents : sequence of str
        Names of reasoning agents, see `list_agents`.
    split, out, limit, progress
        As of `measure_perception`.

    Returns
    -------
    ResultTable
        For both kinds accuracy of the flaw type, plain and balanced, and similarity of the rationales; with the share
        of boxes on which two annotators name the same type.

    Raises
    ------
    UserError
        For an unknown dataset, split or agent.

    Examples
    --------
    >>> table = training.measure_reasoning("dataset", ["compact"])                    # doctest: +SKIP
    >>> table.find_row("compact").cells["artifact.accuracy"].value                    # doctest: +SKIP
    0.63
    """
    data = open_dataset_split(dataset, split, limit)
    named, missing = open_named_agents("reasoning", agents, data, None if out is None else Path(out), {})
    with show_progress(not progress) as bars:
        rejections = run_agents(data, named, measure_findings, bars)
        return make_reasoning_table(data, named, missing, rejections, bars)


def measure_findings(agent: Reasoning, sample: PairSample) -> Mapping[str, Any]:
    """Ask a reasoning agent about the true boxes of a pair: `findings` has its answer and the truth for each."""
    regions = list(sample.regions)
    boxes = [(region.kind, region.box) for region in regions]
    findings = agent.diagnose_boxes(sample.source, sample.edited, sample.instruction, boxes) if boxes else []
    if len(findings) != len(regions):
        raise ValueError(f"Expected one finding for each of {len(regions)} boxes, but got {len(findings)}.")
    return {"findings": [_describe(finding, region) for finding, region in zip(findings, regions, strict=True)]}


def _describe(finding: Finding, region: Region) -> dict[str, Any]:
    given = finding.rationale if finding.status == "ok" and finding.rationale else None
    texts: dict[str, float | None] = {}
    if region.rationale:
        measured = compare_texts([given], [region.rationale])[0]
        texts = {name: _as_number(measured.get(name)) for name in _TEXT_METRICS}
    return {
        "kind": region.kind,
        "status": finding.status,
        "flaw_type": finding.flaw_type,
        "true_flaw_type": region.flaw_type,
        "texts": texts,
    }


def _as_number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def make_reasoning_table(
    split: DatasetSplit,
    agents: Sequence[NamedAgent],
    missing: Sequence[TableRow],
    rejections: Sequence[Rejection],
    progress: Progress,
) -> ResultTable:
    """Make the table of what was measured, with people beside it."""
    unreadable = {rejection.pair_id for rejection in rejections}
    pairs = [pair_id for pair_id in split.pair_ids if pair_id not in unreadable]
    progress.begin("Measuring people", None)
    people = make_type_row(measure_type_agreement(split.load_table("marks"), split.source_of, split.rules.iou))
    groups = {title: name_columns(kind, REASONING_COLUMNS) for kind, title in KIND_TITLES.items()}
    rows = [_make_agent_row(agent, pairs) for agent in agents]
    return ResultTable(
        "reasoning",
        "Table 3: what the flaws are",
        groups,
        (*with_shares(rows, people, groups), people, *missing, *_list_paper_rows()),
        split.describe(len(unreadable))
        | {"boxes": "the true ones", "intervals": f"95 %, percentiles of {REPLICATES} resamples of sources"},
        lead=split.lead,
    )


def _list_paper_rows() -> list[TableRow]:
    """The rows of the paper with accuracies as shares; it does not say which ROUGE it means."""
    renamed = {f"{kind}.rouge": f"{kind}.rougeL" for kind in KINDS}
    rows = []
    for row in list_paper_rows("reasoning", renamed):
        cells = {
            key: TableCell(cell.value / 100) if key.endswith(".accuracy") else cell for key, cell in row.cells.items()
        }
        rows.append(TableRow(row.name, row.origin, cells, note=row.note))
    return rows


def _make_agent_row(agent: NamedAgent, pairs: Sequence[str]) -> TableRow:
    records = agent.records.select_pairs(pairs)
    cells: dict[str, TableCell] = {}
    asked = answers = 0
    for kind in KINDS:
        types: list[tuple[str | None, str, str]] = []
        texts: list[tuple[MetricResult, str]] = []
        for record in records:
            for finding in record.get("findings", ()) if record["status"] == "ok" else ():
                if finding["kind"] != kind:
                    continue
                asked, answers = asked + 1, answers + (finding["status"] == "ok")
                if finding["true_flaw_type"] in list_flaw_types(kind):
                    types.append((finding["flaw_type"], finding["true_flaw_type"], record["source_id"]))
                if finding["texts"]:
                    texts.append((_text_result(finding["texts"]), record["source_id"]))
        cells |= {f"{kind}.{name}": cell for name, cell in _summarise_types(types).items()}
        if texts:
            summaries = summarise_metrics([result for result, _ in texts], [source for _, source in texts])
            cells |= {f"{kind}.{name}": make_cell(summary) for name, summary in summaries.items()}
    coverage = answers / asked if asked else math.nan
    return TableRow(agent.name, "measured", cells, str(agent.agent.identity), coverage, describe_failures(records))


def _text_result(texts: Mapping[str, float | None]) -> MetricResult:
    values = {name: math.nan if value is None else value for name, value in texts.items()}
    return MetricResult(values, reasons={name: "There is no text." for name, value in texts.items() if value is None})


def _summarise_types(rows: Sequence[tuple[str | None, str, str]]) -> dict[str, TableCell]:
    """rows: given type, true type, source"""
    if not rows:
        return {}
    given, truth, sources = ([row[place] for row in rows] for place in range(3))
    found = flaw_type_metrics(given, [str(each) for each in truth])
    cells = {"chance": TableCell(found["chance"], count=len(rows))}
    for name in _TYPE_METRICS:

        def measure(drawn: Any, name: str = name) -> float:
            picked = [rows[place] for place in drawn]
            return flaw_type_metrics([row[0] for row in picked], [row[1] for row in picked])[name]

        low, high = bootstrap_over_sources(measure, sources, replicates=REPLICATES)
        cells[name] = TableCell(found[name], low, high, len(rows), 0, {})
    return cells


def make_type_row(agreements: Sequence[TypeAgreement]) -> TableRow:
    """The ceiling: the share of boxes on which two annotators name the same flaw type."""
    cells: dict[str, TableCell] = {}
    for kind in KINDS:
        of_kind = [each for each in agreements if each.kind == kind]
        agreeing = np.array([each.agreeing for each in of_kind], np.float64)
        compared = np.array([each.compared for each in of_kind], np.float64)
        if not len(of_kind):
            continue

        def measure(drawn: Any, agreeing: Any = agreeing, compared: Any = compared) -> float:
            return float(agreeing[drawn].sum() / compared[drawn].sum())

        low, high = bootstrap_over_sources(measure, [each.source_id for each in of_kind], replicates=REPLICATES)
        value = float(agreeing.sum() / compared.sum())
        cells[f"{kind}.accuracy"] = TableCell(value, low, high, int(compared.sum()))
    note = (
        "Flaw types that two annotators give to boxes of one object." if cells else "No flaw types of two annotators."
    )
    return TableRow(PEOPLE, "ceiling", cells, note=note)

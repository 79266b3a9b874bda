"""Table 2 of the paper on any dataset: how well agents find where flaws are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from annotation.records import KINDS, Kind
from mos.console import Progress, show_progress
from mos.rejections import Rejection
from mos.reliability.coefficient import ItemBootstrap, central_interval
from training.metrics.regions import DEFAULT_IOUS
from training.metrics.results import MetricResult, number_sources, summarise_metrics
from training.metrics.saliency import find_saliency_preset
from training.tables.agent_records import AgentRecord, describe_failures
from training.tables.cases import show_map_cases
from training.tables.ceiling import PersonResult, measure_annotators
from training.tables.dataset_split import DEFAULT_SPLIT, DatasetSplit, open_dataset_split
from training.tables.named_agents import ASKED_AGENTS, open_named_agents
from training.tables.paper_rows import list_paper_rows
from training.tables.perception_records import measure_maps
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

KIND_TITLES: Mapping[Kind, str] = {"artifact": "Artifact region", "failure": "Editing failure region"}

MAP_COLUMNS = (
    TableColumn("auc_judd", "AUC-Judd", "up", "Chance that a marked pixel lies above another one.", chance=0.5),
    TableColumn("nss", "NSS", "up", "Mean of the standardised map at marked pixels."),
    TableColumn("cc", "CC", "up", "Correlation of the map with the people's."),
    TableColumn("sim", "SIM", "up", "Share of mass that both maps have in common."),
    TableColumn("kld", "KLD", "down", "Divergence of the map from the people's, in nats."),
    TableColumn("mse", "MSE", "down", "Mean squared error over all images, clean ones too."),
    TableColumn("alarm", "False alarms", "down", "Share of clean images with a value of 0.5 or more.", percent=True),
)

BOX_COLUMNS = (
    TableColumn("precision@0.5", "Precision at IoU 0.5", "up", "Share of the map's boxes that match a true one."),
    TableColumn("recall@0.5", "Recall at IoU 0.5", "up", "Share of the true boxes that are found."),
    *(
        TableColumn(f"f1@{iou:g}", f"F1 at IoU {iou:g}", "up", "Harmonic mean of precision and recall of boxes.")
        for iou in DEFAULT_IOUS
    ),
)

PEOPLE = "one annotator"

NO_MAP = "The agent gave no map."
NO_MARK = "One side has no mark of this kind."


def measure_perception(
    dataset: str | Path,
    agents: Sequence[str] = (),
    *,
    split: str = DEFAULT_SPLIT,
    preset: str = "mit",
    out: str | Path | None = None,
    limit: int | None = None,
    pictures: bool = False,
    progress: bool = False,
) -> ResultTable:
    """Measure perception agents on a dataset: table 2 of the paper.

    Parameters
    ----------
    dataset : str or Path
        A folder that `editfhf build` wrote, or a repository on the Hub.
    agents : sequence of str
        Names of perception agents, see `list_agents`; all that need no server by default.
    split : str
        "train", "validation" or "test".
    preset : str
        Details of the metrics, see `saliency_metrics`.
    out : str or Path, optional
        Folder for what was measured on each pair. A second call with the same folder measures only what is new.
    limit : int, optional
        Use the first pairs of the split only.
    pictures : bool
        Also choose the best, median and worst pairs, and run the agents on them once more for their maps.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    ResultTable
        For both kinds the metrics of maps and of their boxes, with the ceiling of one annotator.

    Raises
    ------
    UserError
        For an unknown dataset, split, agent or preset.

    Examples
    --------
    >>> table = training.measure_perception("dataset", ["centre", "difference"])     # doctest: +SKIP
    >>> table.find_row("difference").cells["artifact.cc"].value                      # doctest: +SKIP
    0.31
    """
    find_saliency_preset(preset)
    data = open_dataset_split(dataset, split, limit)
    folder = None if out is None else Path(out)
    named, missing = open_named_agents("perception", agents, data, folder, {"preset": preset})
    with show_progress(not progress) as bars:
        rejections = run_agents(
            data, named, lambda agent, sample: measure_maps(agent, sample, preset, data.sigma), bars
        )
        table = make_perception_table(data, named, missing, preset, rejections, bars)
        free = [agent for agent in named if agent.name not in ASKED_AGENTS]  # maps of the others would cost again
        return replace(table, cases=show_map_cases(data, free)) if pictures else table


def make_perception_table(
    split: DatasetSplit,
    agents: Sequence[NamedAgent],
    missing: Sequence[TableRow],
    preset: str,
    rejections: Sequence[Rejection],
    progress: Progress,
) -> ResultTable:
    """Make the table of what was measured, with people beside it."""
    unreadable = {rejection.pair_id for rejection in rejections}
    pairs = [pair_id for pair_id in split.pair_ids if pair_id not in unreadable]
    progress.begin("Measuring people", None)
    people = make_annotator_row(
        measure_annotators(
            split.load_table("marks"), split.source_of, rules=split.rules, sigma=split.sigma, preset=preset
        )
    )
    groups = {title: name_columns(kind, MAP_COLUMNS) for kind, title in KIND_TITLES.items()}
    groups |= {f"{title}: boxes": name_columns(kind, BOX_COLUMNS) for kind, title in KIND_TITLES.items()}
    rows = [_make_agent_row(agent, pairs) for agent in agents]
    return ResultTable(
        "perception",
        "Table 2: where the flaws are",
        groups,
        (*with_shares(rows, people, groups), people, *missing, *list_paper_rows("perception")),
        split.describe(len(unreadable))
        | {
            "preset": preset,
            "positives": "union of the disks of accepted regions",
            "sigma": f"{split.sigma.value:g} {split.sigma.unit}",
            "intervals": "95 %, percentiles of 1,000 resamples of sources",
        },
        lead=split.lead,
    )


def _make_agent_row(agent: NamedAgent, pairs: Sequence[str]) -> TableRow:
    records = agent.records.select_pairs(pairs)
    answered = [record for record in records if record["status"] == "ok"]
    cells: dict[str, TableCell] = {}
    for kind in KINDS:
        cells |= {f"{kind}.{name}": cell for name, cell in summarise_maps(kind, records).items()}
        counts = [record["kinds"][kind]["boxes"] for record in answered]
        sources = [record["source_id"] for record in answered]
        cells |= {f"{kind}.{name}": cell for name, cell in summarise_boxes(counts, sources).items()}
    coverage = len(answered) / len(pairs) if pairs else math.nan
    return TableRow(agent.name, "measured", cells, str(agent.agent.identity), coverage, describe_failures(records))


def summarise_maps(kind: Kind, records: Sequence[AgentRecord]) -> dict[str, TableCell]:
    """Means over pairs by name of the metric; a metric of regions leaves out clean images, and one of them the others.

    What an agent failed on is missing, with its reason: it is neither 0 nor left out in silence.
    """
    cells = {}
    for column in MAP_COLUMNS:
        results, sources = [], []
        for record in records:
            values: Mapping[str, float | None] = {column.key: None}
            reasons: Mapping[str, str] = {column.key: NO_MAP}
            if record["status"] == "ok":
                values, reasons = (record["kinds"][kind][part] for part in ("values", "reasons"))
            if column.key in values:
                results.append(_make_result(column.key, values[column.key], reasons.get(column.key, "")))
                sources.append(record["source_id"])
        if any(NO_MAP not in result.reasons.values() for result in results):
            cells[column.key] = make_cell(summarise_metrics(results, sources)[column.key])
    return cells


def _make_result(name: str, value: float | None, reason: str) -> MetricResult:
    if value is None:
        return MetricResult({name: math.nan}, reasons={name: reason})
    return MetricResult({name: value})


def summarise_boxes(counts: Sequence[Mapping[str, Sequence[int]]], sources: Sequence[str]) -> dict[str, TableCell]:
    """Precision, recall and F1 of boxes whose counts are added up, with intervals by a bootstrap over sources.

    counts: of each image, for each overlap, matches, predicted and true boxes
    """
    if not counts:
        return {}
    codes = number_sources(sources)
    cells = {}
    for column in BOX_COLUMNS:
        measure, _, iou = column.key.partition("@")
        matches, found, wanted = np.array([each[iou] for each in counts], np.float64).T
        above = 2 * matches if measure == "f1" else matches
        below = {"precision": found, "recall": wanted, "f1": found + wanted}[measure]
        sums = np.column_stack([np.bincount(codes, above), np.bincount(codes, below)])
        total = sums.sum(axis=0)
        low = high = math.nan
        if len(sums) >= 2 and total[1]:
            drawn = ItemBootstrap().totals(sums)
            with np.errstate(invalid="ignore", divide="ignore"):
                low, high = central_interval(drawn[:, 0] / drawn[:, 1], 0.95)
        reasons = {} if total[1] else {"There is no box.": 1}
        cells[column.key] = TableCell(
            float(total[0] / total[1]) if total[1] else math.nan, low, high, int(below.sum()), 0, reasons
        )
    return cells


def make_annotator_row(people: Sequence[PersonResult]) -> TableRow:
    """The ceiling: the mean over annotators and pairs of one annotator's marks against those of the others."""
    cells: dict[str, TableCell] = {}
    for kind in KINDS:
        results = [each for each in people if each.kind == kind]
        compared = [each for each in results if each.maps is not None]
        if compared:
            summaries = summarise_metrics(
                [each.maps for each in compared if each.maps is not None], [each.source_id for each in compared]
            )
            cells |= {f"{kind}.{name}": make_cell(summary) for name, summary in summaries.items()}
        counts = [
            {
                f"{iou:g}": (found.hits, found.first, found.second)
                for iou, found in zip(DEFAULT_IOUS, each.boxes, strict=True)
            }
            for each in results
        ]
        found = summarise_boxes(counts, [each.source_id for each in results])
        cells |= {f"{kind}.{name}": cell for name, cell in found.items()}
    note = "Each annotator of a pair against what the others agree on." if people else "No two annotators of one pair."
    return TableRow(PEOPLE, "ceiling", cells, note=note)

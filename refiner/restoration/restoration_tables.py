"""The tables of the restoration benchmark: methods, flaw types and turns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mos.words import format_quantity
from refiner.restoration.methods import METHOD_MEANINGS
from training.metrics.results import MetricResult, summarise_metrics
from training.tables.agent_records import AgentRecord, AgentRecords, describe_failures
from training.tables.result_table import ResultTable, TableCell, TableColumn, TableRow, make_cell, name_columns

COLUMNS = (
    TableColumn("psnr_gain", "PSNR gain", "up", "Of the result over the input, against the hidden target, in dB."),
    TableColumn("not_worse", "not worse", "up", "Share of flawed images whose PSNR did not fall.", percent=True),
    TableColumn("ssim_gain", "SSIM gain", "up", "Of the result over the input."),
    TableColumn("delta_e_inside", "ΔE inside", "down", "Mean CIEDE2000 difference from the target in the true boxes."),
    TableColumn("delta_e_outside", "ΔE outside", "down", "The same outside of the true boxes."),
    TableColumn("untouched", "clean untouched", "up", "Share of images without flaw that stayed as is.", percent=True),
)

_GROUPS = {"rendered": ("Rendered as an editor renders", True), "plain": ("Not rendered", False)}


def make_restoration_tables(
    records: Mapping[str, AgentRecords], pairs: Sequence[str], header: Mapping[str, Any]
) -> list[ResultTable]:
    """Summarise the records of all methods.

    Parameters
    ----------
    records : mapping from str to AgentRecords
        By method.
    pairs : sequence of str
        The pairs of the run.
    header : mapping
        What the run was made with.

    Returns
    -------
    list of ResultTable
        "restoration": a row a method; "restoration-flaws": the PSNR gain by flaw type, a row a method;
        "restoration-turns": the PSNR gain after each turn.
    """
    chosen = {name: kept.select_pairs(pairs) for name, kept in records.items()}
    provenance = {**header, "pairs": len(pairs), "intervals": "95 %, bootstrap over photos"}
    lead = f"{format_quantity(len(pairs), 'simulated image')} with known flaws and a hidden clean target."
    makers = (_make_method_table, _make_flaw_table, _make_turn_table)
    return [replace(make(chosen, provenance), lead=lead) for make in makers]


def _make_method_table(chosen: Mapping[str, Sequence[AgentRecord]], provenance: Mapping[str, Any]) -> ResultTable:
    groups = {title: name_columns(key, COLUMNS) for key, (title, _) in _GROUPS.items()}
    rows = []
    for name, found in chosen.items():
        cells: dict[str, TableCell] = {}
        for key, (_, rendered) in _GROUPS.items():
            used = [one for one in _usable(found) if one["rendered"] == rendered]
            for metric, cell in _summarise(used).items():
                cells[f"{key}.{metric}"] = cell
        rows.append(_make_row(name, found, cells))
    return ResultTable("restoration", "Restoration of known clean images", groups, tuple(rows), provenance)


def _make_flaw_table(chosen: Mapping[str, Sequence[AgentRecord]], provenance: Mapping[str, Any]) -> ResultTable:
    types = sorted({flaw for found in chosen.values() for one in _usable(found) for flaw in one["flaw_types"]})
    columns = tuple(
        TableColumn(flaw, flaw.replace("_", " "), "up", "PSNR gain in dB of the images that have such a flaw.")
        for flaw in types
    )
    rows = []
    for name, found in chosen.items():
        cells = {}
        for flaw in types:
            summary = _summarise([one for one in _usable(found) if flaw in one["flaw_types"]])
            if "psnr_gain" in summary:
                cells[flaw] = summary["psnr_gain"]
        rows.append(_make_row(name, found, cells))
    title = "PSNR gain in dB by the flaw types that an image has"
    return ResultTable("restoration-flaws", title, {"Flaw types": columns}, tuple(rows), provenance)


def _make_turn_table(chosen: Mapping[str, Sequence[AgentRecord]], provenance: Mapping[str, Any]) -> ResultTable:
    most = max((len(one["turn_gains"]) for found in chosen.values() for one in _usable(found)), default=0)
    columns = tuple(
        TableColumn(f"turn{turn}", f"turn {turn}", "up", "PSNR gain in dB after so many turns; a run that has ended "
                    "keeps its image.") for turn in range(1, most + 1)
    )  # fmt: skip
    rows = []
    for name, found in chosen.items():
        with_turns = [one for one in _usable(found) if one["turn_gains"]]
        results = [
            MetricResult({f"turn{turn}": _gain_after(one["turn_gains"], turn) for turn in range(1, most + 1)})
            for one in with_turns
        ]
        if results:
            summaries = summarise_metrics(results, [one["source_id"] for one in with_turns])
            rows.append(_make_row(name, found, {key: make_cell(summary) for key, summary in summaries.items()}))
    return ResultTable(
        "restoration-turns", "PSNR gain in dB after each turn", {"Turns": columns}, tuple(rows), provenance
    )


def _gain_after(gains: Sequence[float], turn: int) -> float:
    return float(gains[min(turn, len(gains)) - 1])


def _usable(found: Sequence[AgentRecord]) -> list[AgentRecord]:
    """The records with values: a target of the size of the image exists, and the method did not fail."""
    return [one for one in found if one["status"] == "ok" and one["values"] is not None]


def _summarise(used: Sequence[AgentRecord]) -> dict[str, TableCell]:
    if not used:
        return {}
    results = [
        MetricResult(
            {name: math.nan if value is None else float(value) for name, value in one["values"].items()},
            reasons=one["reasons"],
        )
        for one in used
    ]
    return {
        name: make_cell(summary)
        for name, summary in summarise_metrics(results, [one["source_id"] for one in used]).items()
    }


def _make_row(name: str, found: Sequence[AgentRecord], cells: Mapping[str, TableCell]) -> TableRow:
    failed = sum(one["status"] != "ok" for one in found)
    without = sum(one["status"] == "ok" and one["values"] is None for one in found)
    notes = [METHOD_MEANINGS[name]]
    if without:
        notes.append(f"{format_quantity(without, 'image')} without a target of its size left out.")
    if failed:
        notes.append(describe_failures(found))
    coverage = (len(found) - failed) / len(found) if found else math.nan
    return TableRow(name, "measured", cells, "", coverage, " ".join(notes))

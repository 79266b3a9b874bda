"""Diagnose many pairs into one folder: in order, with bounded memory, and going on where an earlier run stopped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from annotation.images import ImageError
from annotation.records import DIMENSIONS, KINDS
from mos.console import Progress
from mos.errors import UserError
from mos.files import replace_file
from mos.rejections import Rejection, encode_rejection
from training.agents.registry import AgentRole
from training.agents.results import AgentFailure, AgentIdentity
from training.diagnosis.diagnose_pair import (
    DiagnosisAgents,
    diagnose_arrays,
    digest_inputs,
    require_instruction,
)
from training.diagnosis.output_folder import read_saved_diagnosis
from training.diagnosis.pair_list import ListedPair
from training.samples.read_samples import map_in_order

SUMMARY_FILE = "summary.json"
REJECTED_FILE = "rejected.jsonl"


@dataclass
class BatchSummary:
    """What came of a batch.

    Attributes
    ----------
    agents : dict
        Which agent had each role.
    rows : list of dict
        One row for each pair that has a diagnosis, in the order of the input.
    rejections : list of Rejection
        What could not be used, and why.
    kept : int
        Pairs whose diagnosis of an earlier run was kept.
    """

    agents: Mapping[AgentRole, AgentIdentity]
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    kept: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The content of `summary.json`, the same whether or not the run was interrupted."""
        means = {}
        for name in (*DIMENSIONS, "overall"):
            values = [row[name] for row in self.rows if row[name] is not None]
            means[name] = {"mean": round(math.fsum(values) / len(values), 4) if values else None, "count": len(values)}
        return {
            "agents": {role: asdict(identity) for role, identity in self.agents.items()},
            "diagnosed": len(self.rows),
            "rejected": len(self.rejections),
            "clean": sum(row["clean"] for row in self.rows),
            "scores": means,
            "pairs": self.rows,
        }


def diagnose_batch(
    pairs: Iterable[ListedPair],
    agents: DiagnosisAgents,
    out: Path,
    *,
    summary: BatchSummary,
    workers: int,
    progress: Progress,
) -> None:
    """Diagnose pairs into `out/<pair_id>/`, and write `summary.json` and `rejected.jsonl`.

    Parameters
    ----------
    pairs : iterable of ListedPair
        Read one by one.
    agents : DiagnosisAgents
        Must be usable in threads.
    out : Path
        Made when it is missing. A pair whose folder has a complete diagnosis of the same inputs is not done again;
        other files of a diagnosis are replaced.
    summary : BatchSummary
        Receives rows and rejections; the reader of `pairs` may have put rejections into it already.
    workers : int
        Threads. At most twice as many pairs are in memory; the files do not depend on it.
    progress : Progress
        Is advanced for each pair.

    Raises
    ------
    UserError
        The folder cannot be used, or an error that every other pair would have too, such as a server that does not
        answer. What is done stays.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{out} is no folder, or lies in a file: name a folder for the diagnoses.") from None

    def diagnose_one(_: int, pair: ListedPair) -> tuple[dict[str, Any], bool] | Rejection:
        return _diagnose_listed(pair, agents, out)

    for outcome in map_in_order(diagnose_one, _list_usable(pairs, summary, progress), workers):
        progress.advance()
        if isinstance(outcome, Rejection):
            summary.rejections.append(outcome)
            continue
        row, kept = outcome
        summary.rows.append(row)
        summary.kept += kept
    _write_summary(out, summary)


def _list_usable(
    pairs: Iterable[ListedPair], summary: BatchSummary, progress: Progress
) -> Iterator[tuple[int, ListedPair]]:
    """The pairs whose ids can name a folder of their own."""
    seen: set[str] = set()
    for pair in pairs:
        problem = _diagnose_folder_name(pair.pair_id)
        if pair.pair_id in seen:
            problem = "duplicate_pair", "This pair_id was there before: the first pair is kept."
        seen.add(pair.pair_id)
        if problem is not None:
            summary.rejections.append(Rejection("pair", pair.file, pair.row, *problem, pair_id=pair.pair_id))
            progress.advance()
            continue
        yield pair.row, pair


def _diagnose_folder_name(pair_id: str) -> tuple[str, str] | None:
    if pair_id.startswith(".") or "/" in pair_id or "\\" in pair_id or pair_id in (SUMMARY_FILE, REJECTED_FILE):
        return "bad_id", "The pair_id names the pair's folder: it must not begin with a dot or hold a slash."
    if len(pair_id.encode()) > 255:  # of most file systems
        return "bad_id", "The pair_id names the pair's folder: at most 255 bytes are possible."
    return None


def _diagnose_listed(pair: ListedPair, agents: DiagnosisAgents, out: Path) -> tuple[dict[str, Any], bool] | Rejection:
    """The row of a pair and whether it was kept from an earlier run, or why there is none."""
    folder = out / pair.pair_id
    try:
        require_instruction(pair.instruction)
    except UserError as error:
        return Rejection("pair", pair.file, pair.row, "bad_instruction", str(error), pair_id=pair.pair_id)
    try:
        source, edited = pair.read_images()
        kept = _find_kept_row(pair.pair_id, folder, digest_inputs(source, edited, pair.instruction, agents))
        if kept is not None:
            return kept, True
        diagnosis = diagnose_arrays(source, edited, pair.instruction, agents)
    except ImageError as error:
        return Rejection("image", pair.file, pair.row, error.reason, str(error), pair_id=pair.pair_id)
    except AgentFailure as error:
        return Rejection("pair", pair.file, pair.row, "agent_failure", str(error), pair_id=pair.pair_id)
    diagnosis.save(folder)
    return _summarise_pair(pair.pair_id, diagnosis.as_dict()), False


def _find_kept_row(pair_id: str, folder: Path, inputs: str) -> dict[str, Any] | None:
    """The row of a pair that an earlier run diagnosed from the same inputs; None where it must be done."""
    saved = read_saved_diagnosis(folder)
    if saved is None or saved.get("inputs") != inputs or saved.get("complete") is not True:
        return None
    try:
        return _summarise_pair(pair_id, saved)
    except (KeyError, TypeError, AttributeError):  # somebody changed the file
        return None


def _summarise_pair(pair_id: str, saved: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a pair in `summary.json`."""
    kinds = [finding["kind"] for finding in saved["findings"]]
    scores = {score["dimension"]: score["value"] for score in saved["scores"]}
    return {
        "pair_id": pair_id,
        "overall": saved["overall"],
        **{name: scores.get(name) for name in DIMENSIONS},
        **{f"{kind}_regions": kinds.count(kind) for kind in KINDS},
        "clean": saved["clean"],
        "complete": saved["complete"],
    }


def _write_summary(out: Path, summary: BatchSummary) -> None:
    rejected = out / REJECTED_FILE
    if summary.rejections:
        replace_file(rejected, b"".join(map(encode_rejection, summary.rejections)))
    else:
        rejected.unlink(missing_ok=True)  # of an earlier run
    replace_file(
        out / SUMMARY_FILE, orjson.dumps(summary.as_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )

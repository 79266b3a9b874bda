"""Refine all pairs of a batch, on one process, several or a Dask cluster; resumable after a kill at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from annotation.corpus import PAIRS_FILE
from annotation.json_lines import write_json_lines
from annotation.records import Rejection
from editfhf.executors import ExecutorKind, open_worker_pool
from mos.console import Progress
from mos.errors import UserError
from mos.files import read_regular_file, replace_file
from mos.rejections import rejection_as_dict
from refiner.batch.read_pairs import BatchPair
from refiner.batch.refine_pair import PairOutcome, TeamSource, refine_batch_pair
from refiner.batch.summary_page import write_summary_page
from refiner.options import RefineOptions

SUMMARY_FILE, SUMMARY_PAGE, BATCH_FILE, REJECTED_FILE = "summary.json", "summary.html", "batch.json", "rejected.jsonl"


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What a batch gave.

    Attributes
    ----------
    rows : list of dict
        A row a pair, in the order of the input.
    rejected : list of Rejection
        Pairs that could not be used.
    """

    rows: list[dict[str, Any]]
    rejected: list[Rejection]

    def as_record(self) -> dict[str, Any]:
        """Counts, means and rows, as JSON values."""
        return {**summarise_rows(self.rows), "rejected": len(self.rejected), "rows": self.rows}


def run_batch(
    pairs: Iterator[BatchPair],
    rejected: list[Rejection],
    choice: TeamSource,
    options: RefineOptions,
    out: Path,
    progress: Progress,
    *,
    total: int | None = None,
    resume: bool = False,
    workers: int = 1,
    executor: ExecutorKind = "local",
    scheduler: str | None = None,
) -> BatchSummary:
    """Refine all pairs.

    Parameters
    ----------
    pairs : iterator of BatchPair
        Read while the batch runs: a few are in memory at a time.
    rejected : list of Rejection
        Where the reader of `pairs` puts what cannot be used; rejections of the batch are appended.
    choice : TeamSource
        Names of agents and editors; each process loads them once.
    options : RefineOptions
    out : Path
        New or empty folder, or with `resume` that of an interrupted batch.
    progress : Progress
    total : int, optional
        Number of pairs where it is known, for the time left.
    resume : bool
        Take over complete pairs, and go on in the others where they stand.
    workers, executor, scheduler
        As in `editfhf.build`; one worker runs in this process.

    Returns
    -------
    BatchSummary

    Raises
    ------
    UserError
        The folder has other files or another batch, or an agent says what the user must correct.
    """
    _prepare_folder(out, options, choice, resume)
    progress.begin("Pairs", total)
    outcomes: dict[int, PairOutcome] = {}
    lines: dict[int, dict[str, Any]] = {}
    with open_worker_pool(executor, workers, scheduler) as pool:
        calls = ((pair, choice, options, out) for pair in _remember_lines(pairs, lines))
        for outcome in pool.run(refine_batch_pair, calls):
            outcomes[outcome.number] = outcome
            progress.advance()
            progress.show_note(_describe_progress(outcomes))
    rows: list[dict[str, Any]] = []
    corpus_lines = []
    for number in sorted(outcomes):
        outcome = outcomes[number]
        if outcome.row is None:
            rejected.append(Rejection("image", PAIRS_FILE, 0, outcome.reason, outcome.message, pair_id=outcome.pair_id))
            continue
        rows.append({key: value for key, value in outcome.row.items() if key not in ("source_image", "edited_image")})
        corpus_lines.append(_make_corpus_line(lines[number], outcome.row))
    summary = BatchSummary(rows, rejected)
    if rejected:
        write_json_lines(out / REJECTED_FILE, map(rejection_as_dict, rejected))
    if not rows:
        why = f" The first reason: {rejected[0].message}" if rejected else ""
        raise UserError(f"No pair could be refined.{why}")
    write_json_lines(out / PAIRS_FILE, corpus_lines)
    write_summary_page(out / SUMMARY_PAGE, summarise_rows(rows), rows, len(rejected), out)
    replace_file(out / SUMMARY_FILE, orjson.dumps(summary.as_record(), option=orjson.OPT_INDENT_2))
    return summary


def summarise_rows(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts and means over rows; a mean says over how many pairs it was taken."""
    record: dict[str, Any] = {
        "pairs": len(rows),
        "changed": sum(row["kept"] > 0 for row in rows),
        "changes_kept": sum(row["kept"] for row in rows),
        "calls": sum(row["calls"] for row in rows),
        "dollars": sum(row["dollars"] for row in rows),
        "stops": dict(sorted(Counter(row["stop"] for row in rows).items())),
    }
    for name in ("evaluator", "auditor"):
        gains = [row[name]["gain"] for row in rows if row[name]["gain"] is not None]
        record[name] = {"pairs": len(gains), "mean_gain": sum(gains) / len(gains) if gains else None}
    record["auditor"]["disagrees"] = sum(
        (row["evaluator"]["gain"] or 0) > 0 > (row["auditor"]["gain"] or 0) for row in rows
    )
    return record


def _prepare_folder(out: Path, options: RefineOptions, choice: TeamSource, resume: bool) -> None:
    head = {"batch": 1, "options": options.as_record(), "team": repr(choice)}
    path = out / BATCH_FILE
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: expected a new or empty folder. Choose another path.")
    if out.is_dir() and any(out.iterdir()):
        if not path.is_file():
            raise UserError(f"{out} is not empty, and its files are not overwritten. Choose a new folder.")
        if not resume:
            raise UserError(f"{out} has a batch already. Add --resume to go on with it, or choose a new folder.")
        try:
            before = orjson.loads(read_regular_file(path))
        except orjson.JSONDecodeError:
            before = None
        if before != orjson.loads(orjson.dumps(head)):
            raise UserError(f"{out} has a batch with other agents or options. Give the same ones, or another folder.")
        return
    out.mkdir(parents=True, exist_ok=True)
    replace_file(path, orjson.dumps(head, option=orjson.OPT_INDENT_2))


def _remember_lines(pairs: Iterator[BatchPair], lines: dict[int, dict[str, Any]]) -> Iterator[BatchPair]:
    for pair in pairs:
        lines[pair.number] = pair.line
        yield pair


def _describe_progress(outcomes: dict[int, PairOutcome]) -> str:
    changed = sum(one.row is not None and one.row["kept"] > 0 for one in outcomes.values())
    return f"{changed:,} changed"


def _make_corpus_line(line: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The line of the pair in the corpus of the next campaign; `origin` names the turn of its image."""
    origin: dict[str, Any] = {"parent": row["pair_id"], "turn": row["turn"] or 0}
    if line.get("origin"):
        origin["origin"] = line["origin"]
    return {**line, "source": row["source_image"], "edited": row["edited_image"], "origin": origin}

"""Refine one pair of a batch, in any process: plain values in, one row of the summary out."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import orjson

from annotation.images import ImageError, decode_image
from annotation.json_lines import read_json_lines
from mos.files import read_regular_file, replace_file
from refiner.agent_calls import AgentTeam
from refiner.batch.read_pairs import IMAGES_FOLDER, BatchPair
from refiner.call_store import CALLS_FILE
from refiner.choose_team import AUTO, NO_AGENT, choose_team
from refiner.options import RefineOptions
from refiner.run_folder import REFINED_FILE, PairInput, refine_into_folder
from refiner.trace import TRACE_FILE, read_trace

ROW_FILE = "row.json"
"""The row of a pair, written last: a folder that has it is complete."""

IMAGE_SUFFIX_BY_START: Mapping[bytes, str] = {b"\x89PNG": "png", b"\xff\xd8": "jpg", b"RIFF": "webp"}


class TeamSource(Hashable, Protocol):
    """Loads a team in the process that needs it; picklable."""

    def load_team(self) -> AgentTeam:
        """The agents and editors."""


@dataclass(frozen=True, slots=True)
class TeamChoice:
    """A team by the names of its agents and editors, as in `choose_team`."""

    perception: str = AUTO
    reasoning: str = AUTO
    evaluation: str = AUTO
    auditor: str = NO_AGENT
    editors: tuple[str, ...] = (AUTO,)
    editor_command: str = ""

    def load_team(self) -> AgentTeam:
        """Load the agents and editors."""
        return choose_team(
            perception=self.perception,
            reasoning=self.reasoning,
            evaluation=self.evaluation,
            auditor=self.auditor,
            editors=self.editors,
            editor_command=self.editor_command,
        )


@dataclass(frozen=True, slots=True)
class PairOutcome:
    """What became of a pair: its row of the summary, or why it was rejected."""

    number: int
    pair_id: str
    row: dict[str, Any] | None
    reason: str = ""
    message: str = ""


def refine_batch_pair(pair: BatchPair, choice: TeamSource, options: RefineOptions, out: Path) -> PairOutcome:
    """Refine a pair into its folder, or take the row of a complete one.

    Parameters
    ----------
    pair : BatchPair
    choice : TeamSource
        Its team is loaded once in each process.
    options : RefineOptions
    out : Path
        Folder of the batch.

    Returns
    -------
    PairOutcome
    """
    folder = out / pair.folder
    done = _read_row(folder / ROW_FILE, pair)
    if done is not None:
        return PairOutcome(pair.number, pair.pair_id, done)
    try:
        pixels = PairInput(decode_image(pair.source), decode_image(pair.edited), pair.instruction)
    except ImageError as error:
        return PairOutcome(pair.number, pair.pair_id, None, error.reason, str(error))
    refine_into_folder(pixels, _load_once(choice), options, folder, resume=True)
    row = _make_row(pair, folder)
    _write_corpus_images(pair, folder, out / IMAGES_FOLDER, row)
    replace_file(folder / ROW_FILE, orjson.dumps(row, option=orjson.OPT_INDENT_2))
    return PairOutcome(pair.number, pair.pair_id, row)


@lru_cache(maxsize=2)
def _load_once(choice: TeamSource) -> AgentTeam:
    return choice.load_team()


def digest_input(pair: BatchPair) -> str:
    """SHA-256 of the images and the instruction of a pair."""
    parts = (pair.source, pair.edited, pair.instruction.encode("utf-8", "surrogatepass"))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _read_row(path: Path, pair: BatchPair) -> dict[str, Any] | None:
    """The row of a complete folder; None where there is none, or where it is of another input."""
    if not path.is_file():
        return None
    try:
        row = orjson.loads(read_regular_file(path))
    except (orjson.JSONDecodeError, OSError):
        return None
    if not isinstance(row, dict) or row.get("input") != digest_input(pair):
        return None
    return row


def _make_row(pair: BatchPair, folder: Path) -> dict[str, Any]:
    """The row of a pair, from its trace."""
    turns = read_trace(folder / TRACE_FILE)[1:]
    first, last = turns[0], turns[-1]
    kept = [edit for turn in turns for edit in turn["edits"] if edit["decision"] == "accepted"]
    changed = [turn["turn"] for turn in turns if turn["image_before"] != turn["image_after"]]
    calls, dollars = _count_calls(folder / CALLS_FILE)
    row: dict[str, Any] = {
        "pair_id": pair.pair_id,
        "folder": pair.folder,
        "input": digest_input(pair),
        "instruction": pair.instruction,
        "stop": last["stop"],
        "detail": last["detail"],
        "turns": len(turns),
        "turn": changed[-1] if changed else None,
        "regions": len(first["regions"]),
        "kept": len(kept),
        "calls": calls,
        "dollars": dollars,
    }
    for name, start, end in (("evaluator", "before", "after"), ("auditor", "audit_before", "audit_after")):
        before, after = (None if record is None else record["overall"] for record in (first[start], last[end]))
        row[name] = {
            "before": before,
            "after": after,
            "gain": None if before is None or after is None else after - before,
        }
    return row


def _count_calls(path: Path) -> tuple[int, float]:
    if not path.is_file() or not path.stat().st_size:
        return 0, 0.0
    lines = [line for _, line in read_json_lines(path, path.name, lambda rejection: None)]
    return len(lines), sum(line["cost"] for line in lines)


def _write_corpus_images(pair: BatchPair, folder: Path, images: Path, row: dict[str, Any]) -> None:
    """Write both images of the pair for the next campaign, named by their digests: the source byte for byte."""
    images.mkdir(parents=True, exist_ok=True)
    edited = read_regular_file(folder / REFINED_FILE) if row["kept"] else pair.edited
    for key, data in (("source", pair.source), ("edited", edited)):
        suffix = next((name for start, name in IMAGE_SUFFIX_BY_START.items() if data.startswith(start)), "png")
        path = images / f"{hashlib.sha256(data).hexdigest()}.{suffix}"
        if not path.exists():
            replace_file(path, data)
        row[f"{key}_image"] = f"{IMAGES_FOLDER}/{path.name}"

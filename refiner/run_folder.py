"""Refine one pair into a folder: the files of design, resumable after a kill at any moment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annotation.images import RgbImage
from editfhf.saliency import quantise_saliency
from mos.errors import UserError
from mos.files import replace_file
from refiner.agent_calls import AgentTeam
from refiner.call_store import CALLS_FILE, FolderCallStore, encode_png, hash_pixels
from refiner.layers import LAYERS_FILE, write_layers
from refiner.loop import LoopResult, TurnPictures, run_loop
from refiner.options import RefineOptions
from refiner.report.render_report import REPORT_FILE, write_report
from refiner.trace import TRACE_FILE, TraceFile
from refiner.turn_records import TurnRecord

REFINED_FILE = "refined.png"

TRACE_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class PairInput:
    """What is refined.

    Attributes
    ----------
    source, edited : ndarray
        uint8 [H, W, 3].
    instruction : str
    """

    source: RgbImage
    edited: RgbImage
    instruction: str


def refine_into_folder(
    pair: PairInput,
    team: AgentTeam,
    options: RefineOptions,
    folder: Path,
    *,
    resume: bool = False,
    on_turn: Any = None,
) -> LoopResult:
    """Refine a pair and write `refined.png`, `trace.jsonl`, `report.html`, `layers.ora` and `turns/` into a folder.

    Parameters
    ----------
    pair : PairInput
    team : AgentTeam
    options : RefineOptions
    folder : Path
        A new or empty folder, or with `resume` that of an interrupted run.
    resume : bool
        Go on with an interrupted run: answers that were given are not asked for again. Where nothing was begun, begin.
    on_turn : callable, optional
        Called with the record of each turn.

    Returns
    -------
    LoopResult

    Raises
    ------
    UserError
        The folder has other files, or those of a run with other inputs or options.
    """
    require_run_folder(folder, resume)
    folder.mkdir(parents=True, exist_ok=True)
    trace = TraceFile(folder / TRACE_FILE, describe_run(pair, team, options))

    def keep_turn(record: TurnRecord, pictures: TurnPictures) -> None:
        turn = folder / "turns" / f"{record.turn:02d}"
        turn.mkdir(parents=True, exist_ok=True)
        replace_file(turn / "mask.png", encode_png(pictures.mask), sync=False)
        if pictures.maps is not None:
            for kind in ("artifact", "failure"):
                path = turn / f"{kind}.png"
                if not path.exists():  # maps of an unchanged image are those of the turn before
                    replace_file(path, encode_png(quantise_saliency(pictures.maps.by_kind(kind))), sync=False)
        trace.append_record(record.as_record())
        if on_turn is not None:
            on_turn(record)

    result = run_loop(
        pair.source, pair.edited, pair.instruction, team, options, store=FolderCallStore(folder), on_turn=keep_turn
    )
    write_layers(folder / LAYERS_FILE, pair.edited, result.image, result.edits)
    write_report(folder / REPORT_FILE, pair.source, pair.edited, pair.instruction, result)
    # The last file: a folder that has it is complete.
    replace_file(folder / REFINED_FILE, encode_png(result.image))
    return result


def require_run_folder(folder: Path, resume: bool) -> None:
    """`UserError` unless a run may write into the folder."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: expected a new or empty folder. Choose another path.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    own = (folder / TRACE_FILE).is_file() or (folder / CALLS_FILE).is_file()
    if not own:
        raise UserError(f"{folder} is not empty, and its files are not overwritten. Choose a new folder.")
    if not resume:
        raise UserError(f"{folder} has a refinement already. Add --resume to go on with it, or choose a new folder.")


def describe_run(pair: PairInput, team: AgentTeam, options: RefineOptions) -> dict[str, Any]:
    """The first line of a trace: everything that decides the run, as JSON values."""

    def describe_agent(agent: Any) -> Mapping[str, Any] | None:
        return None if agent is None else asdict(agent.identity)

    return {
        "trace": TRACE_VERSION,
        "source": hash_pixels(pair.source),
        "edited": hash_pixels(pair.edited),
        "instruction": hashlib.sha256(pair.instruction.encode("utf-8", "surrogatepass")).hexdigest(),
        "perception": describe_agent(team.perception),
        "reasoning": describe_agent(team.reasoning),
        "evaluation": describe_agent(team.evaluation),
        "auditor": describe_agent(team.auditor),
        "editors": sorted(team.editors),
        "preferred": list(team.preferred),
        "options": options.as_record(),
    }

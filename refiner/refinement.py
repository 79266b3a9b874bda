"""`refiner.refine` and its result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotation.images import RgbImage, decode_image, read_image_bytes
from mos.errors import UserError
from refiner.accepted_edit import AcceptedEdit
from refiner.agent_calls import AgentTeam
from refiner.audit import compare_audits, describe_audit
from refiner.choose_team import AUTO, NO_AGENT, choose_team
from refiner.loop import LoopResult, run_loop
from refiner.options import RefineOptions
from refiner.report.render_report import encode_data_uri, write_report
from refiner.run_folder import PairInput, refine_into_folder
from refiner.turn_records import StopReason, TurnRecord

ImageInput = str | os.PathLike[str] | RgbImage | Image.Image

SHOWN_SIDE = 420


@dataclass(frozen=True, slots=True, eq=False)
class Refinement:
    """What a refinement gave. A notebook shows it by itself.

    Attributes
    ----------
    image : ndarray
        uint8 [H, W, 3]: the best image; the input's pixels where nothing was gained.
    stop : {"clean", "no_gain", "max_turns", "budget", "agent_error"}
        Why the loop ended.
    detail : str
        One sentence about it.
    turns : tuple of TurnRecord
    edits : tuple of AcceptedEdit
        Every change that was kept.
    pair : PairInput
    result : LoopResult
    """

    pair: PairInput
    result: LoopResult

    @property
    def image(self) -> RgbImage:
        """uint8 [H, W, 3]: the best image."""
        return self.result.image

    @property
    def stop(self) -> StopReason:
        """Why the loop ended."""
        return self.result.stop

    @property
    def detail(self) -> str:
        """One sentence about the stop."""
        return self.result.detail

    @property
    def turns(self) -> tuple[TurnRecord, ...]:
        """One record a turn."""
        return self.result.turns

    @property
    def edits(self) -> tuple[AcceptedEdit, ...]:
        """Every change that was kept, in its order."""
        return self.result.edits

    def write_report(self, path: str | os.PathLike[str]) -> None:
        """Write the page of this refinement."""
        write_report(Path(path), self.pair.source, self.pair.edited, self.pair.instruction, self.result)

    def __repr__(self) -> str:
        return f"Refinement({len(self.edits)} changes in {len(self.turns)} turns, stop: {self.stop})"

    def _repr_html_(self) -> str:
        audit = describe_audit(compare_audits(self.turns))
        figures = "".join(
            f'<figure style="margin:0"><img src="{encode_data_uri(image, SHOWN_SIDE)}" alt="">'
            f"<figcaption>{name}</figcaption></figure>"
            for name, image in (("source", self.pair.source), ("before", self.pair.edited), ("after", self.image))
        )
        text = escape(f"{self.instruction_line} {len(self.edits)} changes kept. {self.detail} {audit}".strip())
        return f'<div style="display:flex;gap:12px">{figures}</div><p>{text}</p>'

    @property
    def instruction_line(self) -> str:
        """The instruction in quotes; "" without one."""
        told = self.pair.instruction.strip()
        return f"“{told}”." if told else ""


def refine(
    source: ImageInput,
    edited: ImageInput,
    instruction: str = "",
    *,
    out: str | os.PathLike[str] | None = None,
    perception: str = AUTO,
    reasoning: str = AUTO,
    evaluation: str = AUTO,
    auditor: str = NO_AGENT,
    editors: Sequence[str] = (AUTO,),
    options: RefineOptions | None = None,
    team: AgentTeam | None = None,
    resume: bool = False,
) -> Refinement:
    """Repair an edited image: find its flaws, edit them one by one, keep what is better.

    Parameters
    ----------
    source, edited : path, ndarray or PIL image
        The image before and after the edit.
    instruction : str
        What the edit was asked to do.
    out : path, optional
        Folder for `refined.png`, `trace.jsonl`, `report.html`, `layers.ora` and `turns/`.
    perception, reasoning, evaluation, auditor, editors
        Names, as in `choose_team`.
    options : RefineOptions, optional
    team : AgentTeam, optional
        Agents that are loaded already, in place of the names.
    resume : bool
        Go on with an interrupted run in `out`.

    Returns
    -------
    Refinement

    Raises
    ------
    UserError
        For an image that cannot be read, an unknown name or a missing key.

    Examples
    --------
    ::

        result = refiner.refine("source.png", "edited.png", "make it snow")
        PIL.Image.fromarray(result.image).save("refined.png")
    """
    pair = PairInput(read_input_image(source), read_input_image(edited), instruction)
    if team is None:
        team = choose_team(
            perception=perception, reasoning=reasoning, evaluation=evaluation, auditor=auditor, editors=editors
        )
    chosen = RefineOptions() if options is None else options
    if out is None:
        result = run_loop(pair.source, pair.edited, pair.instruction, team, chosen)
    else:
        result = refine_into_folder(pair, team, chosen, Path(out), resume=resume)
    return Refinement(pair, result)


def read_input_image(image: Any) -> RgbImage:
    """The pixels of an image that a user gives: uint8 [H, W, 3].

    Raises
    ------
    UserError
        It is no image, or cannot be read.
    """
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise UserError(f"An image must be a uint8 array [H, W, 3], but got {image.dtype} {image.shape}.")
        return image
    path = Path(image)
    return decode_image(read_image_bytes(path.absolute().parent, path.name))

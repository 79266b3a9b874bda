"""One edit of one area: ask the editor for a crop, check its answer, paste it back inside of the mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.images import RgbImage
from editfhf.editors.crops import CropOptions, plan_crop
from editfhf.editors.paste_back import PasteResult
from editfhf.editors.protocol import Editor, EditRecord, EditRequest, EditResult
from editfhf.editors.region_edit import WEIGHT_FREE_CROP_OPTIONS, edit_region
from refiner.agent_calls import AgentCalls
from refiner.planning.make_plan import PlannedEdit, paint_mask


@dataclass(frozen=True, slots=True, eq=False)
class PastedEdit:
    """The current image with the editor's answer in the area.

    Attributes
    ----------
    image : ndarray or None
        uint8 [H, W, 3]; None where there is no answer, or none that differs from the current image in the area.
    record : EditRecord
    placement : mapping
        How the answer was registered and pasted, as JSON values; empty without an answer.
    detail : str
        One sentence why there is no image; "" if there is one.
    """

    image: RgbImage | None
    record: EditRecord
    placement: Mapping[str, Any]
    detail: str


@dataclass(frozen=True, slots=True)
class _KeptEditor:
    """An editor whose answers are kept, limited and checked."""

    editor: Editor
    calls: AgentCalls
    picture: str

    @property
    def name(self) -> str:
        return self.editor.name

    def edit(self, request: EditRequest) -> EditResult:
        return self.calls.edit(self.editor, request, self.picture)


def paste_answer(
    calls: AgentCalls,
    editor: Editor,
    edit: PlannedEdit,
    seed: int,
    source: RgbImage,
    current: RgbImage,
    picture: str,
    crop_options: CropOptions = WEIGHT_FREE_CROP_OPTIONS,
) -> PastedEdit:
    """Ask an editor for one area and paste its answer into the current image.

    Parameters
    ----------
    calls : AgentCalls
    editor : Editor
    edit : PlannedEdit
    seed : int
    source, current : ndarray
        uint8 [H, W, 3].
    picture : str
        Under which name the answer is kept.
    crop_options : CropOptions
        Which part of the images the editor is shown.

    Returns
    -------
    PastedEdit
        Outside of the area every pixel is that of `current`.
    """
    height, width = current.shape[:2]
    mask = paint_mask(edit.area, height, width)
    request = EditRequest(source, current, mask, edit.instruction, seed)
    kept = _KeptEditor(editor, calls, picture)
    pasted = edit_region(kept, request, plan_crop(mask, (height, width), crop_options))
    placement = {} if pasted.paste is None else describe_placement(pasted.paste)
    if pasted.failure or pasted.paste is None:
        return PastedEdit(None, pasted.record, placement, pasted.failure or "The editor gave no image.")
    if np.array_equal(pasted.image, current):
        return PastedEdit(None, pasted.record, placement, "The editor changed nothing in the area.")
    return PastedEdit(pasted.image, pasted.record, placement, "")


def describe_placement(paste: PasteResult) -> dict[str, Any]:
    """How an answer was pasted, as JSON values for the trace."""
    found = paste.registration
    return {
        "shift_x": round(float(found.shift_x), 3),
        "shift_y": round(float(found.shift_y), 3),
        "scale": round(float(found.scale), 5),
        "registered": bool(paste.is_registered),
        "resized_from": None if paste.resized_from is None else list(paste.resized_from),
        "colour_change": round(float(paste.colour_change), 3),
        "spill_mean": round(float(paste.spill_mean), 3),
        "spill_share": round(float(paste.spill_share), 5),
        "refused": paste.refused,
    }

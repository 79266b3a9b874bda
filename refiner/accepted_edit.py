"""One change that the loop kept, as pixels that can be laid over the input or left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import Box
from refiner.planning.make_plan import PlannedEdit


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedEdit:
    """One change that was kept.

    Attributes
    ----------
    turn : int
    edit_id : str
    title : str
        Flaw type or kind, and rationale.
    left, top : int
        Place of `pixels` in the image.
    pixels : ndarray
        uint8 [h, w, 4]: the new colours, and 255 where a pixel was changed, else 0.
    """

    turn: int
    edit_id: str
    title: str
    left: int
    top: int
    pixels: NDArray[np.uint8]


def cut_accepted_edit(turn: int, edit: PlannedEdit, before: RgbImage, after: RgbImage) -> AcceptedEdit:
    """Cut what changed between two images out of the area of an edit; at least one pixel did."""
    rationale = next((one.rationale for one in edit.findings if one.rationale), "")
    named = (edit.flaw_type or edit.kind).replace("_", " ")
    title = f"turn {turn}, {edit.edit_id}: {named}{f' - {rationale}' if rationale else ''}"
    return cut_change(turn, edit.edit_id, title, edit.area.box, before, after)


def cut_change(turn: int, edit_id: str, title: str, box: Box, before: RgbImage, after: RgbImage) -> AcceptedEdit:
    """Cut what changed between two images out of a box; at least one pixel did, and none outside of the box."""
    x0, y0, x1, y1 = map(int, box)
    changed = np.any(before[y0:y1, x0:x1] != after[y0:y1, x0:x1], axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    top, left = y0 + int(rows[0]), x0 + int(columns[0])
    changed = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    window = slice(top, top + changed.shape[0]), slice(left, left + changed.shape[1])
    alpha = np.where(changed, np.uint8(255), np.uint8(0))[:, :, None]
    pixels = np.concatenate([np.where(alpha > 0, after[window], np.uint8(0)), alpha], axis=2)
    return AcceptedEdit(turn, edit_id, title, left, top, pixels)


def list_turn_images(edited: RgbImage, edits: Sequence[AcceptedEdit], turns: int) -> list[RgbImage]:
    """The image before each turn and after the last one, put together again from the kept edits."""
    images = [edited]
    for turn in range(1, turns + 1):
        image = images[-1]
        own = [edit for edit in edits if edit.turn == turn]
        if own:
            image = image.copy()
            for edit in own:
                lay_edit_over(image, edit)
        images.append(image)
    return images


def lay_edit_over(image: RgbImage, edit: AcceptedEdit) -> None:
    """Lay a kept edit over an image, in place."""
    height, width = edit.pixels.shape[:2]
    window = image[edit.top : edit.top + height, edit.left : edit.left + width]
    opaque = edit.pixels[:, :, 3] > 0
    window[opaque] = edit.pixels[:, :, :3][opaque]

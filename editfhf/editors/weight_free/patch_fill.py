"""Fill a hole with patches from around it, with PyPatchMatch."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import patchmatch
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf.editors.crops import CropOptions, plan_crop
from editfhf.editors.edit_attempts import EditDeclined
from editfhf.editors.protocol import EditRequest
from editfhf.editors.weight_free.local_editor import LocalEditor
from mos.errors import UserError

_CROP_OPTIONS = CropOptions(context=1.0, least_context=48, least_side=192, multiple=1, most_pixels=2**26)
_LOCK = threading.Lock()  # the seed of the library is one for the whole process


class PatchFillEditor(LocalEditor):
    """Removes what is in the mask: the hole is filled with patches of its surroundings that fit.

    Raises
    ------
    UserError
        `keep_out` is not a list of boxes.

    Notes
    -----
    C. Barnes et al., PatchMatch, 2009. Patches come from a crop around the mask, at most three times as wide as it, so
    that the time depends on the hole and not on the image. The parameter `keep_out` has boxes [x0, y0, x1, y1] in
    pixels of the request, such as those of people, that no patch is taken from.
    """

    editor_name = "patch-fill"
    version = patchmatch.__version__

    def change_pixels(self, request: EditRequest, inside: NDArray[np.bool_], parameters: Mapping[str, Any]) -> RgbImage:
        view = plan_crop(inside, (inside.shape[0], inside.shape[1]), _CROP_OPTIONS).box.slices
        hole, kept_out = inside[view], _mark_boxes(parameters["keep_out"], inside.shape)[view] & ~inside[view]
        radius = min(parameters["radius"], (min(hole.shape) - 1) // 2)
        if radius < 1 or not _has_patch(~hole & ~kept_out, radius):
            raise EditDeclined(
                "refused", "Around the mask no patch is free of it, so there is nothing to fill it with."
            )
        filled = request.current.copy()
        with _LOCK:
            patchmatch.set_random_seed(request.seed)
            filled[view] = patchmatch.inpaint(
                np.ascontiguousarray(filled[view]),
                hole,
                global_mask=kept_out if kept_out.any() else None,
                patch_size=radius,
            )
        return filled


def _mark_boxes(boxes: Any, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """bool [H, W]: inside of any of the boxes."""
    marked = np.zeros(size, bool)
    for box in boxes:
        try:
            x0, y0, x1, y1 = (max(0, round(float(value))) for value in box)
        except (TypeError, ValueError, OverflowError):
            raise UserError(
                f"keep_out must be a list of boxes [x0, y0, x1, y1] in pixels; got {str(box)[:80]}."
            ) from None
        marked[y0:y1, x0:x1] = True
    return marked


def _has_patch(free: NDArray[np.bool_], radius: int) -> bool:
    """Whether any whole patch of this radius is free."""
    side = 2 * radius + 1
    sums = np.pad(free.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    counts = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return bool((counts == side * side).any())

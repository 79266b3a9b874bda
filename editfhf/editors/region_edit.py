"""One edit of one region: the crop that an editor is shown, its answer, and what of it is pasted back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.simulate.pixels import resize_image
from editfhf.editors.crops import Crop, CropOptions
from editfhf.editors.paste_back import PasteResult, paste_back
from editfhf.editors.protocol import Editor, EditRecord, EditRequest

WEIGHT_FREE_CROP_OPTIONS = CropOptions(context=1.0, least_side=256, multiple=1, most_pixels=2**26, whole_share=0.5)
"""For editors that take any size: the crop is always shown at its own pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionEdit:
    """What came of one edit of one region.

    Attributes
    ----------
    image : ndarray
        uint8 [H, W, 3], the size of the request; its pixels outside of the mask are those of the current image.
    record : EditRecord
    paste : PasteResult or None
        Within the crop; None where the editor gave no image.
    """

    image: RgbImage
    record: EditRecord
    paste: PasteResult | None

    @property
    def failure(self) -> str:
        """One sentence why the image is that of before; "" where the answer was pasted."""
        return self.record.detail if self.paste is None else self.paste.refused


def edit_region(editor: Editor, request: EditRequest, crop: Crop) -> RegionEdit:
    """Let an editor change a region through a crop, and paste its answer back.

    Parameters
    ----------
    editor : Editor
    request : EditRequest
        Of the whole image; its mask is what may change, inside of the crop.
    crop : Crop
        From `plan_crop` or `plan_region_crops`.

    Returns
    -------
    RegionEdit

    Notes
    -----
    The crop is cut from the pixels of the request, and only pixels of the mask are written: an image that goes through
    many edits loses nothing where no edit was.
    """
    view = crop.box.slices
    shown = replace(
        request,
        source=_resize_to_crop(request.source[view], crop),
        current=_resize_to_crop(request.current[view], crop),
        mask=_resize_mask(request.mask[view], crop),
    )
    answer = editor.edit(shown)
    image = request.current.copy()
    if answer.image is None:
        return RegionEdit(image, answer.record, None)
    pasted = paste_back(request.current[view], answer.image, request.mask[view])
    image[view] = pasted.image
    return RegionEdit(image, answer.record, pasted)


def _resize_to_crop(image: RgbImage, crop: Crop) -> RgbImage:
    return resize_image(image, crop.width, crop.height) if crop.is_resized else np.ascontiguousarray(image)


def _resize_mask(mask: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """The mask at the size of the crop; a pixel that shows any of it belongs to it, so that no speck is lost."""
    if not crop.is_resized:
        return np.ascontiguousarray(mask)
    shares = cv2.resize((mask > 0).astype(np.float32), (crop.width, crop.height), interpolation=cv2.INTER_AREA)
    return np.where(np.asarray(shares) > 0, 255, 0).astype(np.uint8)

"""Fill specks and scratches from their borders, with OpenCV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf.editors.edit_attempts import EditDeclined
from editfhf.editors.mask_geometry import bound_mask
from editfhf.editors.protocol import EditRequest
from editfhf.editors.weight_free.local_editor import LocalEditor

_METHODS = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}


class InpaintEditor(LocalEditor):
    """Continues the colours at the border of a hole into it: for specks, since a large hole becomes a smear.

    Notes
    -----
    A. Telea, An image inpainting technique based on the fast marching method, 2004; M. Bertalmio et al.,
    Navier-Stokes, fluid dynamics, and image and video inpainting, 2001.
    """

    editor_name = "inpaint"

    def change_pixels(self, request: EditRequest, inside: NDArray[np.bool_], parameters: Mapping[str, Any]) -> RgbImage:
        if inside.all():
            raise EditDeclined("refused", "The mask covers the whole image, so there is nothing to fill it from.")
        bounds = bound_mask(inside)
        assert bounds is not None
        view = bounds.grow(2 * parameters["radius"] + 2, *inside.shape).slices
        filled = request.current.copy()
        hole = inside[view].astype(np.uint8)
        filled[view] = cv2.inpaint(filled[view], hole, parameters["radius"], _METHODS[parameters["method"]])
        return filled

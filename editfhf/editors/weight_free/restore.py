"""Copy the source back: at the place, in the colours and with the detail of the current image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf.editors.colour_fit import fit_colour_transform
from editfhf.editors.edit_attempts import EditDeclined
from editfhf.editors.mask_geometry import bound_mask, choose_ring_width, make_ring
from editfhf.editors.paste_back import match_ring_colours, measure_seam
from editfhf.editors.protocol import EditRequest
from editfhf.editors.registration import align_image
from editfhf.editors.weight_free.local_editor import LocalEditor

BLUR_SIGMAS = (0.0, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
"""Blurs in pixels among which the one is chosen that the source needs to look as soft as the current image."""

LARGEST_SEAM = 22.0
"""In CIE Lab: where a twentieth of the surroundings differs from the source by more, an object would be cut.

On real edits, pieces of the source that cut a word, a paw or a wing had 24 to 43.
"""

_SEAM_QUANTILE = 0.95

_RING_WIDTHS = 2  # surroundings that are compared, in widths of the ring of paste-back
_STRANGE_RING = 6.0  # in CIE Lab: a ring that differs by more, beyond its colours, shows other content
_LEAST_OUTSIDE = 0.1
_LEAST_GAIN = 0.02  # of the difference; a blur that explains less is none


class RestoreEditor(LocalEditor):
    """What should not have changed comes back from the source.

    Notes
    -----
    The source is registered to the current image outside of the mask, brought to its colours by the smooth transform
    that fits around the mask (over the whole image where the surroundings changed too), and blurred where the current
    image has lost detail.
    """

    editor_name = "restore"

    def change_pixels(self, request: EditRequest, inside: NDArray[np.bool_], parameters: Mapping[str, Any]) -> RgbImage:
        source, ring = place_source(request, inside)
        if parameters["match_colour"]:
            source = match_surroundings(source, request.current, inside, ring)
        if parameters["match_detail"]:
            source = soften_like(source, request.current, ring)
        if parameters["match_colour"]:
            _require_whole_objects(request.current, source, inside)
        return source


def _require_whole_objects(current: RgbImage, source: RgbImage, inside: NDArray[np.bool_]) -> None:
    """Decline where the edge of the mask runs through something that only one of the two images shows."""
    ring = make_ring(inside, choose_ring_width(*inside.shape))
    if measure_seam(current, source, ring, _SEAM_QUANTILE) > LARGEST_SEAM:
        raise EditDeclined(
            "refused",
            "At the edge of the region the current image shows something else than the source: a piece of the source "
            "would cut it in two.",
        )


def place_source(request: EditRequest, inside: NDArray[np.bool_]) -> tuple[RgbImage, NDArray[np.bool_]]:
    """The source at the place of the current image, and the pixels around the mask where the two can be compared.

    Raises
    ------
    EditDeclined
        The source does not show what the current image shows.
    """
    # A mask that leaves nearly nothing to compare is not the reason why the images differ.
    compared = None if (~inside).mean() < _LEAST_OUTSIDE else inside
    aligned = align_image(request.current, request.source, compared)
    if aligned.refused:
        raise EditDeclined("refused", f"The source is of no use here. {aligned.refused}")
    ring = make_ring(inside, _RING_WIDTHS * choose_ring_width(*inside.shape))
    return aligned.image, ring


def match_surroundings(
    image: RgbImage, current: RgbImage, inside: NDArray[np.bool_], ring: NDArray[np.bool_]
) -> RgbImage:
    """Bring an image to the colours that the current one has around a mask, or everywhere where these are strange."""
    if not ring.any():
        return match_ring_colours(image, current, np.ones_like(inside))[0]
    bounds = bound_mask(ring | inside)
    assert bounds is not None
    view = bounds.slices
    near = fit_colour_transform(image[view], current[view], ring[view])
    if near.spread > _STRANGE_RING:
        everywhere = fit_colour_transform(image, current, ~inside)
        if everywhere.spread < near.spread:
            return everywhere.apply(image)
    matched = image.copy()
    matched[view] = match_ring_colours(image[view], current[view], ring[view])[0]
    return matched


def soften_like(image: RgbImage, current: RgbImage, ring: NDArray[np.bool_]) -> RgbImage:
    """Blur an image by as much as makes it most like the current one on a ring; grain does not count as detail."""
    bounds = bound_mask(ring)
    if bounds is None:
        return image
    height, width = ring.shape
    view = bounds.grow(int(3 * BLUR_SIGMAS[-1]), height, width).slices
    wanted, sharp, shown = current[view].astype(np.float32), image[view].astype(np.float32), ring[view]
    differences = [float(np.median(np.abs(_blur(sharp, sigma) - wanted)[shown])) for sigma in BLUR_SIGMAS]
    best = int(np.argmin(differences))
    if differences[best] >= differences[0] * (1 - _LEAST_GAIN):
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR_SIGMAS[best]), np.uint8)


def _blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32) if sigma else image

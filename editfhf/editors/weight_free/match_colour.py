"""Give a region the colours and light of the source, or those of its surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf.editors.colour_fit import convert_from_lab, convert_to_lab, fit_smooth_transform
from editfhf.editors.edit_attempts import EditDeclined
from editfhf.editors.mask_geometry import bound_mask, choose_ring_width, make_ring
from editfhf.editors.protocol import EditRequest
from editfhf.editors.weight_free.local_editor import LocalEditor
from editfhf.editors.weight_free.restore import match_surroundings, place_source

_SAME_CONTENT = 6.0  # in CIE Lab: a smooth transform that leaves more does not explain the region
_MOST_CONTRAST = 2.0  # largest factor by which the spread of a channel changes


class MatchColourEditor(LocalEditor):
    """Changes colours and light inside of the mask and keeps the content.

    Notes
    -----
    Towards the source: the smooth transform that leads from the region to the registered source, itself brought to the
    colours of the current image; where the content differs, means and standard deviations in CIE Lab (E. Reinhard et
    al., Color transfer between images, 2001). Towards the surroundings: means and standard deviations of the ring.
    """

    editor_name = "match-colour"

    def change_pixels(self, request: EditRequest, inside: NDArray[np.bool_], parameters: Mapping[str, Any]) -> RgbImage:
        bounds = bound_mask(inside)
        assert bounds is not None
        view = bounds.grow(choose_ring_width(*inside.shape), *inside.shape).slices
        region, shown = convert_to_lab(request.current[view]), inside[view]
        if parameters["towards"] == "surroundings":
            ring = make_ring(inside, 2 * choose_ring_width(*inside.shape))
            if not ring.any():
                raise EditDeclined("refused", "The mask covers the whole image, so there are no surroundings to match.")
            changed = transfer_statistics(region, region[shown], convert_to_lab(request.current[ring][None])[0])
        else:
            source, ring = place_source(request, inside)
            wanted = convert_to_lab(match_surroundings(source, request.current, inside, ring)[view])
            transform, spread = fit_smooth_transform(region, wanted, shown)
            changed = (
                transform.apply(region)
                if spread <= _SAME_CONTENT
                else transfer_statistics(region, region[shown], wanted[shown])
            )
        image = request.current.copy()
        image[view] = convert_from_lab(region + np.float32(parameters["strength"]) * (changed - region))
        return image


def transfer_statistics(
    colours: NDArray[np.float32], own: NDArray[np.float32], wanted: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Colours [H, W, 3] with the mean and standard deviation of `wanted` [M, 3] in place of those of `own` [N, 3]."""
    ratio = np.clip(wanted.std(axis=0) / np.maximum(own.std(axis=0), 1e-3), 1 / _MOST_CONTRAST, _MOST_CONTRAST)
    return np.asarray((colours - own.mean(axis=0)) * ratio + wanted.mean(axis=0), np.float32)

"""The colours of the two kinds, and a saliency map laid over an image in one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

KIND_COLOURS = {"artifact": (225, 84, 14), "failure": (38, 130, 226)}
"""RGB of each kind: orange and blue, which colour-blind people tell apart."""

HEAT_OPACITY = 0.85


def blend_heat(image: Image.Image, heat: NDArray[np.floating[Any]], colour: tuple[int, int, int]) -> Image.Image:
    """The image with a colour laid over it, as opaque as the map is high.

    Parameters
    ----------
    image
        RGB image of W x H pixels.
    heat
        float [H, W] in [0, 1]; another size is stretched to that of the image.
    colour
        RGB, 0 to 255.
    """
    # As in the report: the square root shows the weak flanks of a map.
    alpha = np.rint(255 * HEAT_OPACITY * np.sqrt(np.clip(heat, 0, 1))).astype(np.uint8)
    mask = Image.fromarray(alpha)
    if mask.size != image.size:
        mask = mask.resize(image.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", image.size, colour), image, mask)

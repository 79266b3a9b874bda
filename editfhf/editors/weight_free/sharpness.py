"""Sharpen a region to the detail of the source, and take noise out of a region."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.simulate.pixels import clip_pixels
from editfhf.editors.mask_geometry import bound_mask
from editfhf.editors.protocol import EditRequest
from editfhf.editors.weight_free.local_editor import LocalEditor
from editfhf.editors.weight_free.restore import match_surroundings, place_source

BAND_SIGMAS = (0.7, 1.4, 2.8, 5.6)
"""Detail is what lies between two of these blurs, in pixels; the first band is all that is finer."""

_SAME_DETAIL = 0.3  # correlation from which the source shows the same detail
_LEAST_DETAIL = 0.3  # grey levels; a weaker band is noise of rounding
_CONTEXT = 16


class DeblurEditor(LocalEditor):
    """Makes the detail inside of the mask as strong as it is in the source.

    Notes
    -----
    In each band of detail the region is multiplied by the gain that brings it closest to the source (the gain of N.
    Wiener's filter), or, where the content is another one, to the source's strength. Nothing is made weaker.
    """

    editor_name = "deblur"

    def change_pixels(self, request: EditRequest, inside: NDArray[np.bool_], parameters: Mapping[str, Any]) -> RgbImage:
        source, ring = place_source(request, inside)
        source = match_surroundings(source, request.current, inside, ring)
        bounds = bound_mask(inside)
        assert bounds is not None
        view = bounds.grow(_CONTEXT, *inside.shape).slices
        shown, current = inside[view], request.current[view].astype(np.float32)
        sharpened = current.copy()
        wanted_bands = _split_bands(source[view].astype(np.float32))
        for own, wanted in zip(_split_bands(current), wanted_bands, strict=True):
            gain = _choose_gain(own[shown].ravel(), wanted[shown].ravel(), parameters["most"])
            sharpened += (gain - 1) * own
        image = request.current.copy()
        image[view] = clip_pixels(sharpened)
        return image


class DenoiseEditor(LocalEditor):
    """Smooths grain and coding noise inside of the mask, and keeps edges.

    Notes
    -----
    A. Buades et al., A non-local algorithm for image denoising, 2005, or C. Tomasi and R. Manduchi, Bilateral
    filtering, 1998. The noise is estimated as J. Immerkaer does (Fast noise variance estimation, 1996).
    """

    editor_name = "denoise"

    def change_pixels(self, request: EditRequest, inside: NDArray[np.bool_], parameters: Mapping[str, Any]) -> RgbImage:
        bounds = bound_mask(inside)
        assert bounds is not None
        view = bounds.grow(_CONTEXT, *inside.shape).slices
        region = np.ascontiguousarray(request.current[view])
        noise = parameters["strength"] or estimate_noise(region, inside[view])
        image = request.current.copy()
        if noise < _LEAST_DETAIL:
            return image
        if parameters["method"] == "bilateral":
            image[view] = cv2.bilateralFilter(region, 9, 3 * noise, 3.0)
        else:
            image[view] = cv2.fastNlMeansDenoisingColored(region, None, noise, noise, 5, 15)
        return image


def estimate_noise(image: RgbImage, inside: NDArray[np.bool_]) -> float:
    """Standard deviation of the noise in grey levels inside of a mask; edges hardly count, since a median is taken."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    found = np.abs(np.asarray(cv2.filter2D(grey, cv2.CV_32F, kernel))[inside])
    return float(np.median(found)) * 1.4826 / 6  # the kernel multiplies the standard deviation of noise by 6


def _split_bands(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    levels = [image, *(np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32) for sigma in BAND_SIGMAS)]
    return [fine - coarse for fine, coarse in pairwise(levels)]


def _choose_gain(own: NDArray[np.float32], wanted: NDArray[np.float32], most: float) -> float:
    """By how much a band of detail is multiplied, from 1 to `most`."""
    power, wanted_power = (float(np.square(band, dtype=np.float64).mean()) for band in (own, wanted))
    if min(power, wanted_power) < _LEAST_DETAIL**2:
        return 1.0
    product = float(np.multiply(own, wanted, dtype=np.float64).mean())
    same = product >= _SAME_DETAIL * np.sqrt(power * wanted_power)
    gain = product / power if same else np.sqrt(wanted_power / power)
    return float(np.clip(gain, 1.0, max(1.0, most)))

"""Paste the answer of an editor into the current image, so that nothing outside of the mask changes.

The same for every editor: the answer is brought to the size and the place of the current image, its colours are matched
on a ring around the mask, and it fades in inside of the mask. What cannot be brought to its place is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.simulate.pixels import resize_image
from editfhf.editors.colour_fit import convert_to_lab, fit_colour_transform
from editfhf.editors.mask_geometry import bound_mask, choose_ring_width, fade_inside, make_ring
from editfhf.editors.registration import Registration, align_image, register_images

UNCHANGED = Registration(0.0, 0.0, 1.0, 1.0, 0.0)

MOST_UNKNOWN = 0.05
"""Largest share of the mask that may lie beyond the border of an answer."""

SPILL_DIFFERENCE = 10.0
"""In CIE Lab: a larger difference outside of the mask is a change of the content, no grain and no coding."""

WIDEST_FADE_DIFFERENCE = 6.0
"""In CIE Lab: an answer that differs by so much on the ring fades in over the full width."""

_SAME_ASPECT = 0.01
_SAME_DIFFERENCE = 1.0  # in CIE Lab: nobody sees a seam
_GRAIN_SIGMA = 1.5  # px
_LEAST_COLOUR_CHANGE = 0.5  # in CIE Lab; below it nobody sees a change, and the answer's own pixels are kept
_SPILL_SIDE = 256


@dataclass(frozen=True, slots=True, eq=False)
class PasteResult:
    """What came of pasting an answer.

    Attributes
    ----------
    image : ndarray
        uint8 [H, W, 3]; the pixels outside of the mask are those of the current image, bit by bit. All of them are
        where the answer was refused.
    refused : str
        One sentence why the answer was not used; "" where it was.
    registration : Registration
        Where the answer was, after it was brought to the size of the current image.
    is_registered : bool
        False where the surroundings of the mask show nothing by which the answer could be registered; it was pasted
        where it was.
    resized_from : tuple of int or None
        Height and width of the answer where they were not those of the current image.
    colour_change : float
        Mean difference in CIE Lab that was taken out on the ring; 0 where there was none to see.
    spill_mean : float
        Mean difference in CIE Lab between answer and current image outside of the mask, once it is at its place.
    spill_share : float
        Share of the pixels outside of the mask whose difference is larger than `SPILL_DIFFERENCE` beyond a smooth
        change of all colours: what the editor changed although it must not.
    """

    image: RgbImage
    refused: str
    registration: Registration
    is_registered: bool
    resized_from: tuple[int, int] | None = None
    colour_change: float = 0.0
    spill_mean: float = 0.0
    spill_share: float = 0.0


def paste_back(
    current: RgbImage,
    answer: RgbImage,
    mask: NDArray[np.uint8],
    *,
    match_colour: bool = True,
) -> PasteResult:
    """Paste an answer into the current image where the mask allows it.

    Parameters
    ----------
    current : ndarray
        uint8 [H, W, 3], sRGB.
    answer : ndarray
        uint8 [h, w, 3], sRGB: what an editor made of `current`; untrusted, of any size.
    mask : ndarray
        uint8 [H, W]; 0 where nothing may change.
    match_colour : bool
        Whether colours are matched on the ring. An answer whose ring is the current image's own needs no matching.

    Returns
    -------
    PasteResult

    Raises
    ------
    ValueError
        For arrays of another type or shape.

    Notes
    -----
    1. An answer of another size is stretched to that of `current`. Where its aspect is another one, it is also tried
       centred and cut, and the one that registers better counts.
    2. Shift and zoom are measured outside of the mask and undone with one resampling. An answer is refused if it does
       not register although its surroundings have detail, or if more than a twentieth of the mask lies beyond its
       border.
    3. The smooth change of colours that leads from the answer to the current image on the ring is applied to the
       answer.
    4. The answer fades in from the edge of the mask inwards, the wider the more it differs on the ring (`fade_into`).
    """
    _require_images(current, answer, mask)
    height, width = mask.shape
    resized_from = None if answer.shape == current.shape else (answer.shape[0], answer.shape[1])
    if not mask.any():
        return PasteResult(current.copy(), "", UNCHANGED, True, resized_from)
    sized, registration = fit_answer_size(current, answer, mask)
    aligned = align_image(current, sized, mask, registration)
    refused = f"The answer is not used. {aligned.refused}" if aligned.refused else ""
    if aligned.is_registered and (unknown := _measure_unknown(registration, mask)) > MOST_UNKNOWN:
        beside = registration.displacement(height, width)
        refused = (
            f"The answer is not used: it is {beside:.1f} pixels beside, so that {100 * unknown:.0f} % of the mask lie"
            " beyond its border."
        )
    if refused:
        return PasteResult(current.copy(), refused, registration, aligned.is_registered, resized_from)
    sized = aligned.image
    spill_mean, spill_share = measure_spill(current, sized, mask)
    ring_width = choose_ring_width(height, width)
    bounds = bound_mask(mask)
    assert bounds is not None
    window = bounds.grow(ring_width, height, width).slices
    shown, patch, inside = current[window], sized[window], mask[window]
    colour_change = 0.0
    if match_colour:
        patch, colour_change = match_ring_colours(patch, shown, make_ring(inside, ring_width))
    image = current.copy()
    image[window] = fade_into(shown, patch, inside)
    return PasteResult(
        image, "", registration, aligned.is_registered, resized_from, colour_change, spill_mean, spill_share
    )


def match_ring_colours(image: RgbImage, wanted: RgbImage, ring: NDArray[np.bool_]) -> tuple[RgbImage, float]:
    """Bring an image to the colours that another one has on a ring.

    Parameters
    ----------
    image, wanted : ndarray
        uint8 [H, W, 3], sRGB, at one place.
    ring : ndarray
        bool [H, W]; where the content of both is the same.

    Returns
    -------
    image : ndarray
        uint8 [H, W, 3]; the same pixels where the colours are so close that nobody sees a difference.
    change : float
        Mean change of the pixels of the ring in CIE Lab.
    """
    if not ring.any():
        return image, 0.0
    matched = fit_colour_transform(image, wanted, ring).apply(image)
    change = convert_to_lab(matched[ring][None]) - convert_to_lab(image[ring][None])
    size = float(np.linalg.norm(change, axis=2).mean())
    return (matched, size) if size >= _LEAST_COLOUR_CHANGE else (image, 0.0)


def fade_into(current: RgbImage, changed: RgbImage, mask: NDArray[Any]) -> RgbImage:
    """Put a changed image into the current one inside of a mask.

    Parameters
    ----------
    current, changed : ndarray
        uint8 [H, W, 3], sRGB, at one place.
    mask : ndarray
        [H, W]; not 0 where the changed image is used.

    Returns
    -------
    ndarray
        uint8 [H, W, 3]; outside of the mask the pixels of the current image, bit by bit.

    Notes
    -----
    The changed image fades in over up to half of the ring's width. How wide is decided by the difference of the two
    images on the ring, smoothed so that grain does not count: where they are the same, there is no seam to hide, and
    all of the mask is changed; from `WIDEST_FADE_DIFFERENCE` on it is the full width.
    """
    inside = mask > 0
    ring_width = choose_ring_width(*inside.shape)
    ring = make_ring(inside, ring_width)
    share = (measure_seam(current, changed, ring, 0.75) - _SAME_DIFFERENCE) / (
        WIDEST_FADE_DIFFERENCE - _SAME_DIFFERENCE
    )
    width = round(float(np.clip(share, 0, 1)) * ring_width / 2)
    image = current.copy()
    if not width:
        image[inside] = changed[inside]
        return image
    weights = fade_inside(inside, width)[inside][:, None]
    below = current[inside].astype(np.float32)
    image[inside] = np.rint(below + weights * (changed[inside] - below)).astype(np.uint8)
    return image


def measure_seam(current: RgbImage, changed: RgbImage, ring: NDArray[np.bool_], quantile: float) -> float:
    """A quantile of the difference of two images on a ring, in CIE Lab, smoothed so that grain does not count.

    0 without a ring.
    """
    bounds = bound_mask(ring)
    if bounds is None:
        return 0.0
    view = bounds.slices
    shown = ring[view]
    known = cv2.GaussianBlur(shown.astype(np.float32), (0, 0), _GRAIN_SIGMA)[shown]
    difference = (convert_to_lab(changed[view]) - convert_to_lab(current[view])) * shown[..., None]
    smooth = np.asarray(cv2.GaussianBlur(difference, (0, 0), _GRAIN_SIGMA))[shown] / known[:, None]
    return float(np.quantile(np.linalg.norm(smooth, axis=1), quantile))


def measure_spill(current: RgbImage, answer: RgbImage, mask: NDArray[np.uint8]) -> tuple[float, float]:
    """How much a registered answer differs outside of the mask.

    Parameters
    ----------
    current, answer : ndarray
        uint8 [H, W, 3], sRGB, of one size and at one place.
    mask : ndarray
        uint8 [H, W]; 0 outside.

    Returns
    -------
    mean : float
        Mean difference in CIE Lab.
    share : float
        Share of the pixels that differ by more than `SPILL_DIFFERENCE` beyond a smooth change of all colours.
    """
    height, width = mask.shape
    factor = min(1.0, _SPILL_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small, small_answer, inside = (
        np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8) for image in (current, answer, mask)
    )
    outside = inside == 0
    if not outside.any():
        return 0.0, 0.0
    before, after = convert_to_lab(small), convert_to_lab(small_answer)
    same_colours = convert_to_lab(fit_colour_transform(small_answer, small, outside).apply(small_answer))
    mean = float(np.linalg.norm(after - before, axis=2)[outside].mean())
    return mean, float((np.linalg.norm(same_colours - before, axis=2)[outside] > SPILL_DIFFERENCE).mean())


def _require_images(current: RgbImage, answer: RgbImage, mask: NDArray[Any]) -> None:
    for name, image in (("current", current), ("answer", answer)):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"{name} must be a uint8 array [H, W, 3], but got {image.dtype} {image.shape}.")
    if mask.dtype != np.uint8 or mask.shape != current.shape[:2]:
        raise ValueError(f"mask must be uint8 {current.shape[:2]}, but got {mask.dtype} {mask.shape}.")


def fit_answer_size(current: RgbImage, answer: RgbImage, mask: NDArray[np.uint8]) -> tuple[RgbImage, Registration]:
    """The answer at the size of the current image, and where it is there."""
    height, width = mask.shape
    tried = [answer if answer.shape == current.shape else resize_image(answer, width, height)]
    aspect = (answer.shape[1] / answer.shape[0]) / (width / height)
    if abs(np.log(aspect)) > _SAME_ASPECT:
        factor = max(height / answer.shape[0], width / answer.shape[1])
        large = resize_image(
            answer, max(width, round(answer.shape[1] * factor)), max(height, round(answer.shape[0] * factor))
        )
        top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
        tried.append(np.ascontiguousarray(large[top : top + height, left : left + width]))
    found = [(image, register_images(current, image, mask)) for image in tried]
    return max(found, key=lambda pair: (pair[1].is_reliable, pair[1].response))


def _measure_unknown(registration: Registration, mask: NDArray[np.uint8]) -> float:
    """Share of the mask's pixels whose place in the answer is more than a pixel beyond its border."""
    height, width = mask.shape
    if registration.displacement(height, width) < 1:
        return 0.0
    (zoom, _, left), (_, _, top) = registration.matrix(height, width)
    y, x = (zoom * index + offset for index, offset in zip(np.nonzero(mask), (top, left), strict=True))
    beyond = (x < -1) | (x > width) | (y < -1) | (y > height)
    return float(beyond.mean())

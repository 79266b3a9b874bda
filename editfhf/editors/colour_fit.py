"""The smooth change of all colours between two images: estimated so that changed objects take no part in it.

A filter, a new white balance or a light from one side changes every pixel by a rule. With the rule known, colours of
one image can be brought to another, and what the rule does not explain is a change of the content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage

_FIT_PIXELS = 4096
_ROUNDS = 12
_TUKEY = 4.685  # 95 % efficiency for normal residuals
_LEAST_NOISE = 1.0  # in CIE Lab: rounding to 8 bits, and JPEG at high quality

# How far a colour transform of two images is expected to be from "no change": standard deviations of the terms. A ring
# of one colour cannot say what happens to other colours; these keep them. Light and white balance are gains of each
# channel, so a channel depends little on the others.
_PRIOR_GAIN = 0.25
_PRIOR_MIX = 0.03
_PRIOR_OFFSET = 10.0  # of 100
_PRIOR_SURFACE = 3.0
_PRIOR_GAIN_SLOPE = 0.15
_PRIOR_MIX_SLOPE = 0.01
_PER_LEVEL = np.float32(100 / 255)
_NEARLY_CLIPPED = 2  # grey levels from 0 or 255, where a transform cannot be seen


@dataclass(frozen=True, slots=True, eq=False)
class SmoothTransform:
    """An affine transform of colours plus a quadratic surface over the image.

    Attributes
    ----------
    coefficients : ndarray
        float64 [9, 3]: rows for the three channels (of values divided by 100), a constant, and the terms x, y, xy, x^2
        and y^2, with x and y from -1 to 1 over the image; columns for the channels of the result.
    """

    coefficients: NDArray[np.float64]

    def apply(self, colours: NDArray[Any]) -> NDArray[Any]:
        """Transform an image [H, W, 3] of floats, in the space of the fit; the type is kept."""
        mixed = colours.reshape(-1, 3) @ (self.coefficients[:3] / 100).astype(colours.dtype)
        return np.asarray(mixed.reshape(colours.shape) + self.surface(*colours.shape[:2]).astype(colours.dtype))

    def surface(self, height: int, width: int) -> NDArray[np.float64]:
        """[H, W, 3] what is added at each place, whatever the colour."""
        y, x = _axis(height)[:, None, None], _axis(width)[None, :, None]
        constant, across, down, both, across_twice, down_twice = self.coefficients[3:]
        return np.asarray(constant + x * (across + x * across_twice) + y * (down + y * down_twice + x * both))


@dataclass(frozen=True, slots=True, eq=False)
class ColourTransform:
    """A smooth change of the colours of an image: what light, white balance and a change of exposure do.

    Attributes
    ----------
    coefficients : ndarray
        float64 [15, 3], columns for red, green and blue of the result. Rows: the terms 1, x, y, xy, x^2 and y^2 in
        hundredths of the range; then the three channels; then each of them times x, and times y. x and y go from -1 to
        1 over the image.
    spread : float
        Robust standard deviation of what the transform leaves, in CIE Lab; large where the two images have little to do
        with each other.
    """

    coefficients: NDArray[np.float64]
    spread: float

    def apply(self, image: RgbImage) -> RgbImage:
        """Transform uint8 [H, W, 3] sRGB; the place of a pixel in the image is that of the fit, whatever the size."""
        surface, mix, mix_across, mix_down = (
            part.astype(np.float32) for part in np.split(self.coefficients, (6, 9, 12))
        )
        x, y = (_axis(side).astype(np.float32) for side in (image.shape[1], image.shape[0]))
        x, y = x[None, :, None], y[:, None, None]
        colours = image.astype(np.float32)
        changed = colours @ mix + x * (colours @ mix_across) + y * (colours @ mix_down)
        constant, across, down, both, across_twice, down_twice = surface / _PER_LEVEL
        changed += constant + x * (across + x * across_twice) + y * (down + y * down_twice + x * both)
        return np.asarray(np.clip(np.rint(changed), 0, 255), np.uint8)


def fit_colour_transform(before: RgbImage, after: RgbImage, weights: NDArray[Any] | None = None) -> ColourTransform:
    """Estimate the smooth change of colours from one image to another.

    Parameters
    ----------
    before, after : ndarray
        uint8 [H, W, 3], sRGB, registered to each other.
    weights : ndarray, optional
        [H, W], 0 or more: how much each pixel counts, such as 1 on a ring around a mask and 0 elsewhere. All alike
        by default.

    Returns
    -------
    ColourTransform
        `apply(before)` has the colours of `after` where the content is the same. It is "no change" in what the pixels
        say nothing about: without a pixel that counts, in all.

    Notes
    -----
    Each channel becomes a mix of the channels, of which nearly all is its own, with gains that change over the image,
    plus a quadratic surface. Robust regression with Tukey's weights and a normal prior around "no change".

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(30, 200, (40, 60, 3)).astype(np.uint8)
    >>> change = fit_colour_transform(image, image)
    >>> int(np.abs(change.apply(image).astype(int) - image).max())
    0
    """
    height, width = before.shape[:2]
    places, given = _choose_places(height * width, weights)
    one, other = (image.reshape(-1, 3)[places] for image in (before, after))
    unclipped = (np.minimum(one, other).min(axis=1) >= _NEARLY_CLIPPED) & (
        np.maximum(one, other).max(axis=1) <= 255 - _NEARLY_CLIPPED
    )
    if unclipped.sum() >= len(places) / 4:
        places, given, one, other = places[unclipped], given[unclipped], one[unclipped], other[unclipped]
    unchanged = np.vstack([np.zeros((6, 3)), np.eye(3), np.zeros((6, 3))])
    if not len(places):
        return ColourTransform(unchanged, _LEAST_NOISE)
    colours = one.astype(np.float64) * _PER_LEVEL
    surface = _surface_terms(places, height, width)
    design = np.hstack([surface, colours, colours * surface[:, 1:2], colours * surface[:, 2:3]])
    certainty = np.square(_LEAST_NOISE / _colour_prior())

    def solve(trusted: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        weighted = design * trusted[:, None]
        curvature, slope = weighted.T @ design, weighted.T @ wanted
        columns = [np.linalg.solve(curvature + np.diag(certainty[:, i]), slope[:, i]) for i in range(3)]
        return np.column_stack(columns)

    change = _fit_robustly(design, other * _PER_LEVEL - colours, given, solve)
    made = np.clip((colours + design @ change) / 100, 0, 1).astype(np.float32)
    lab = (cv2.cvtColor(each[None], cv2.COLOR_RGB2LAB) for each in (made, other.astype(np.float32) / 255))
    return ColourTransform(unchanged + change, noise_of_residual(np.subtract(*lab)))


def _colour_prior() -> NDArray[np.float64]:
    """[15, 3] standard deviations of the terms of a `ColourTransform`, whose values are in hundredths."""
    own = np.eye(3, dtype=bool)
    mix = np.where(own, _PRIOR_GAIN, _PRIOR_MIX)
    slope = np.where(own, _PRIOR_GAIN_SLOPE, _PRIOR_MIX_SLOPE)
    surface = np.array([_PRIOR_OFFSET] + [_PRIOR_SURFACE] * 5)[:, None] * np.ones(3)
    return np.vstack([surface, mix, slope, slope])


def fit_smooth_transform(
    before: NDArray[Any], after: NDArray[Any], weights: NDArray[Any] | None = None
) -> tuple[SmoothTransform, float]:
    """Fit an affine transform of colours with a quadratic surface, by reweighted least squares with Tukey's weights.

    Parameters
    ----------
    before, after : ndarray
        [H, W, 3] colours of the two images, in one space.
    weights : ndarray, optional
        [H, W], 0 or more.

    Returns
    -------
    transform : SmoothTransform
    spread : float
        Robust standard deviation of the residuals; at least 1, the noise of rounding in CIE Lab.

    Notes
    -----
    Source: P. J. Huber and E. Ronchetti, Robust Statistics, 2009; P. J. Rousseeuw and A. Leroy, 1987, for the scale.
    """
    unchanged = np.vstack([100 * np.eye(3), np.zeros((6, 3))])
    height, width = after.shape[:2]
    places, given = _choose_places(height * width, weights)
    if not len(places):
        return SmoothTransform(unchanged), _LEAST_NOISE
    colours = before.reshape(-1, 3)[places].astype(np.float64)
    design = np.hstack([colours / 100, _surface_terms(places, height, width)])

    def solve(trusted: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        root = np.sqrt(trusted)[:, None]
        return np.asarray(np.linalg.lstsq(design * root, wanted * root, rcond=1e-9)[0], np.float64)

    wanted = after.reshape(-1, 3)[places].astype(np.float64) - colours
    change = _fit_robustly(design, wanted, given, solve)
    return SmoothTransform(unchanged + change), noise_of_residual(wanted - design @ change)


def _choose_places(count: int, weights: NDArray[Any] | None) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Indices of the pixels that take part in a fit, and by how much each counts, at most 1."""
    if weights is None:
        places = np.arange(count)[:: max(1, count // _FIT_PIXELS)]
        return places, np.ones(len(places))
    counted = np.asarray(weights, np.float64).ravel()
    places = np.flatnonzero(counted > 0)
    places = places[:: max(1, len(places) // _FIT_PIXELS)]
    return places, counted[places] / max(counted.max(), 1e-12)


def _fit_robustly(
    design: NDArray[np.float64],
    wanted: NDArray[np.float64],
    given: NDArray[np.float64],
    solve: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Coefficients by `solve(weights, wanted)`, whose weights are made anew from what the last ones left."""
    # The start matters: least squares follows a large changed object, so unchanged pixels are trusted first.
    trusted = _tukey_weights(wanted)
    if trusted.sum() < len(trusted) / 4:
        trusted = np.ones(len(wanted))
    change = solve(trusted * given, wanted)
    for _ in range(_ROUNDS - 1):
        changed = _tukey_weights(wanted - design @ change)
        if np.allclose(changed, trusted, atol=1e-4):
            break
        trusted = changed
        change = solve(trusted * given, wanted)
    return change


def noise_of_residual(residual: NDArray[Any]) -> float:
    """Robust standard deviation of the length of residuals [..., 3]; at least that of rounding."""
    return max(_LEAST_NOISE, float(np.median(np.linalg.norm(residual, axis=-1))) / 1.538)  # median of a chi with 3


def convert_to_lab(image: RgbImage) -> NDArray[np.float32]:
    """float32 [H, W, 3] CIE Lab of an sRGB image, L from 0 to 100."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB), np.float32)


def convert_from_lab(colours: NDArray[np.float32]) -> RgbImage:
    """uint8 [H, W, 3] sRGB of an image in CIE Lab; colours that sRGB does not have are clipped."""
    light = cv2.cvtColor(np.asarray(colours, np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray(cv2.convertScaleAbs(np.clip(light, 0, 1), alpha=255), np.uint8)


def _surface_terms(places: NDArray[np.intp], height: int, width: int) -> NDArray[np.float64]:
    """[N, 6] for the pixels at `places`: a constant, and the terms of a quadratic surface over the image."""
    y, x = _axis(height)[places // width], _axis(width)[places % width]
    return np.asarray(np.column_stack([np.ones(len(places)), x, y, x * y, x**2, y**2]), np.float64)


def _axis(side: int) -> NDArray[np.float64]:
    """[side] places from -1 to 1 along one side of an image; 0 for a side of one pixel."""
    return np.asarray(np.linspace(-1, 1, side) if side > 1 else np.zeros(1), np.float64)


def _tukey_weights(residual: NDArray[Any]) -> NDArray[np.float64]:
    """[N] weights of pixels from residuals [N, 3]: 1 where there is none, 0 far away."""
    distance = np.linalg.norm(residual, axis=1)
    share = distance / (_TUKEY * noise_of_residual(residual))
    return np.asarray(np.square(np.maximum(0.0, 1 - np.square(share))), np.float64)

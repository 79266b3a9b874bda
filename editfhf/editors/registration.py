"""Find the shift and the zoom between two versions of one image, and undo them.

A generative editor renders the whole image again: what it gives is often a few pixels beside, and a few per mille
larger or smaller. Both are measured from the content that did not change, whatever happened to colours and fine detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage

WORKING_SIDE = 512
"""The images are compared at this length of their longer side, in pixels."""

LEAST_RESPONSE = 0.35
"""Below this correlation of details the two images are not taken for versions of one."""

LARGEST_UNCERTAINTY = 0.25
"""In pixels; above it a place in the image is not known well enough to paste there."""

LEAST_DISPLACEMENT = 0.1
"""In pixels; what is beside by less is not resampled, which would cost it detail."""

_SIDES = (64, 128, 256, WORKING_SIDE)
_ROUNDS = (12, 8, 6, 6)  # at these sides; more are not needed at any
_LARGEST_ZOOM = 1.25
_START_ZOOMS = (1.0, 0.95, 1.05)
_CERTAIN_RESPONSE = 0.8  # no other start is tried
_SMOOTHING = 1.0  # px: takes away grain and pixel patterns, which the two images do not share
_WINDOW = (21, 21)  # px: brightness and contrast are compared within windows of this size
_LEAST_CONTRAST = 3.0  # grey levels: below it there is noise of coding only
_TUKEY = 4.685
_SETTLED = 0.002  # px
_LEAST_PIXELS = 50
_FLAT_SHARE = 0.5  # of the pixels, those with the weakest gradients, which only cost time
_CORRELATED_PIXELS = 4 * np.pi * _SMOOTHING**2  # that smoothing makes of one independent value
_TILES = 8
_LEAST_DETAIL = 0.15  # of the local contrast; a tile with less is flat
_LEAST_NOISE = 0.01
_MEDIAN_PIXELS = 8192  # enough for a median


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the content of one image is in another.

    With c the centre of the image, what is at the place p of the reference is at c + scale (p - c) + shift of the
    other image.

    Attributes
    ----------
    shift_x, shift_y : float
        In pixels of the images as they were given; positive to the right and down.
    scale : float
        1 for the same size, 1.004 where the content is larger by four per mille.
    response : float
        Median correlation of the details of the two images over the tiles that have any, in [-1, 1], after alignment.
    uncertainty : float
        Standard deviation in pixels of the place of a corner of the image; inf where nothing could be measured.
    """

    shift_x: float
    shift_y: float
    scale: float
    response: float
    uncertainty: float

    @property
    def is_reliable(self) -> bool:
        """Whether the images were recognised as versions of one, and the place is known well enough."""
        return self.response >= LEAST_RESPONSE and self.uncertainty <= LARGEST_UNCERTAINTY

    def displacement(self, height: int, width: int) -> float:
        """Largest distance in pixels by which any pixel of an image of this size is moved."""
        x = abs(self.shift_x) + abs(self.scale - 1) * width / 2
        y = abs(self.shift_y) + abs(self.scale - 1) * height / 2
        return float(np.hypot(x, y))

    def matrix(self, height: int, width: int) -> NDArray[np.float64]:
        """[2, 3] from pixel indices of the reference to those of the other image, both of this size."""
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        offset = centre * (1 - self.scale) + (self.shift_x, self.shift_y)
        return np.array([[self.scale, 0, offset[0]], [0, self.scale, offset[1]]])


def register_images(reference: RgbImage, moved: RgbImage, mask: NDArray[Any] | None = None) -> Registration:
    """Measure by how much one image is shifted and zoomed against another.

    Parameters
    ----------
    reference, moved : ndarray
        uint8 [H, W, 3] of one size. Colours, sharpness and grain may differ, and up to about half of the content.
    mask : ndarray, optional
        [H, W]; pixels that are not 0 may differ and are not compared. None compares all.

    Returns
    -------
    Registration

    Raises
    ------
    ValueError
        For images or a mask of different sizes.

    Notes
    -----
    Grey images, each divided by its local contrast, so that colours and light do not matter. The start is a phase
    correlation (C. Kuglin and D. Hines, 1975); shift and zoom are then refined by Gauss-Newton steps on the gradients
    (B. Lucas and T. Kanade, 1981), from coarse to fine, with Tukey's weights, which leave out what changed.
    """
    height, width = reference.shape[:2]
    if moved.shape != reference.shape or (mask is not None and mask.shape != (height, width)):
        given = "" if mask is None else f", mask {mask.shape}"
        raise ValueError(f"images and mask must have one size, but got {reference.shape}, {moved.shape}{given}.")
    sizes = _list_sizes(height, width)
    one, other = (
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), sizes[-1], interpolation=cv2.INTER_AREA)
        for image in (reference, moved)
    )
    compared = np.full((height, width), 255, np.uint8) if mask is None else np.where(mask, 0, 255).astype(np.uint8)
    levels = [_Level.make(one, other, compared, size) for size in sizes]
    estimate = _find_start(levels[0])
    for level, rounds in zip(levels, _ROUNDS, strict=False):
        estimate = level.refine(estimate, rounds)
    response, uncertainty = levels[-1].measure_response(estimate), levels[-1].measure_uncertainty(estimate)
    return Registration(*estimate, response, uncertainty)


def apply_registration(image: RgbImage, registration: Registration) -> RgbImage:
    """Bring an image onto the grid of the reference.

    Parameters
    ----------
    image : ndarray
        uint8 [H, W, 3]: the moved image.
    registration : Registration
        What `register_images` found for it.

    Returns
    -------
    ndarray
        uint8 [H, W, 3], resampled with a Lanczos kernel; beyond its border the image is mirrored. The same pixels
        where there is nothing to undo.
    """
    height, width = image.shape[:2]
    if registration.displacement(height, width) < 1e-3:
        return image.copy()
    return np.asarray(
        cv2.warpAffine(
            image,
            registration.matrix(height, width),
            (width, height),
            flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.uint8,
    )


@dataclass(frozen=True, slots=True, eq=False)
class AlignedImage:
    """An image at the place of the reference, or why it could not be brought there.

    Attributes
    ----------
    image : ndarray
        uint8 [H, W, 3]; where it could not be registered, as it was.
    registration : Registration
        Where it was.
    is_registered : bool
        False where its place is not known: see `refused`.
    refused : str
        One sentence why the image is not a version of the reference; "" where it is, and where the reference itself
        shows nothing by which anything could be registered.
    """

    image: RgbImage
    registration: Registration
    is_registered: bool
    refused: str


def align_image(
    reference: RgbImage, moved: RgbImage, mask: NDArray[Any] | None = None, registration: Registration | None = None
) -> AlignedImage:
    """Bring an image to the place of a reference.

    Parameters
    ----------
    reference, moved, mask
        As in `register_images`.
    registration : Registration, optional
        What `register_images` says of them, where it is known.

    Returns
    -------
    AlignedImage
        An image that is beside by less than `LEAST_DISPLACEMENT` keeps its pixels.
    """
    found = register_images(reference, moved, mask) if registration is None else registration
    if not found.is_reliable:
        refused = ""
        if register_images(reference, reference, mask).is_reliable:
            refused = (
                "It could not be registered: outside of the mask the content of the two images differs (agreement of"
                f" details {found.response:.2f}, place uncertain by {found.uncertainty:.2g} pixels)."
            )
        return AlignedImage(moved, found, False, refused)
    if found.displacement(*reference.shape[:2]) < LEAST_DISPLACEMENT:
        return AlignedImage(moved, found, True, "")
    return AlignedImage(apply_registration(moved, found), found, True, "")


_Estimate = tuple[float, float, float]
"""Shift to the right and down in pixels of the given images, and scale."""


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """The two images at one size, as details of about equal contrast.

    `places` are the pixels that are compared, with `slopes`, float32 [N, 3]: by how much the reference's detail grows
    there with a shift to the right, a shift down and a zoom.
    """

    reference: NDArray[np.float32]
    moved: NDArray[np.float32]
    compared: NDArray[np.bool_]
    factors: tuple[float, float]
    places: NDArray[np.intp]
    slopes: NDArray[np.float32]

    @classmethod
    def make(
        cls, reference: NDArray[Any], moved: NDArray[Any], compared: NDArray[np.uint8], size: tuple[int, int]
    ) -> _Level:
        height, width = compared.shape
        shown = cv2.erode(cv2.resize(compared, size, interpolation=cv2.INTER_AREA), np.ones((3, 3), np.uint8)) == 255
        one, other = (
            _extract_detail(cv2.resize(image, size, interpolation=cv2.INTER_AREA), shown)
            for image in (reference, moved)
        )
        across, down = (cv2.Scharr(one, cv2.CV_32F, *step, scale=1 / 32) for step in ((1, 0), (0, 1)))
        strength = np.where(shown, cv2.magnitude(across, down), np.float32(0))
        places = np.flatnonzero(strength > max(1e-3, float(np.quantile(strength[::2, ::2], _FLAT_SHARE))))
        x = (places % size[0] - (size[0] - 1) / 2).astype(np.float32)
        y = (places // size[0] - (size[1] - 1) / 2).astype(np.float32)
        across, down = across.ravel()[places], down.ravel()[places]
        slopes = np.column_stack([across, down, across * x + down * y])
        return cls(one, other, shown, (size[0] / width, size[1] / height), places, slopes)

    def refine(self, estimate: _Estimate, rounds: int) -> _Estimate:
        """Gauss-Newton steps from an estimate; the estimate itself where there is nothing to compare."""
        for _ in range(rounds):
            slopes, residual = self._compare(estimate)
            if len(residual) < _LEAST_PIXELS:
                break
            weighted = slopes * _tukey_weights(residual)[:, None]
            step = np.linalg.solve(_curvature(weighted, slopes), (weighted.T @ residual).astype(np.float64))
            scale = float(np.clip(estimate[2] / (1 + step[2]), 1 / _LARGEST_ZOOM, _LARGEST_ZOOM))
            shift_x, shift_y = (estimate[i] - scale * step[i] / self.factors[i] for i in (0, 1))
            estimate = (float(shift_x), float(shift_y), scale)
            if np.abs(step[:2]).max() < _SETTLED and abs(step[2]) * max(self.reference.shape) / 2 < _SETTLED:
                break
        return estimate

    def measure_response(self, estimate: _Estimate) -> float:
        """Upper quartile of the correlation of the details over tiles; 0 where no tile has any."""
        warped, shown = self.warp(estimate)
        height, width = self.reference.shape
        rows, columns = (np.linspace(0, side, min(_TILES, side) + 1).astype(int) for side in (height, width))
        found = []
        for y0, y1 in pairwise(rows):
            for x0, x1 in pairwise(columns):
                inside = shown[y0:y1, x0:x1]
                one, other = (image[y0:y1, x0:x1][inside] for image in (self.reference, warped))
                if len(one) < inside.size / 4:
                    continue
                one, other = one - one.mean(), other - other.mean()
                power, other_power = float(one @ one), float(other @ other)
                if max(power, other_power) > len(one) * _LEAST_DETAIL**2:
                    found.append(float(one @ other) / max(1e-6, float(np.sqrt(power * other_power))))
        return float(np.quantile(found, 0.75)) if found else 0.0

    def measure_uncertainty(self, estimate: _Estimate) -> float:
        """Standard deviation of the place of a corner, in pixels of the given images."""
        slopes, residual = self._compare(estimate)
        if len(residual) < _LEAST_PIXELS:
            return float("inf")
        weighted = slopes * _tukey_weights(residual)[:, None]
        spread = _CORRELATED_PIXELS * _noise_of(residual) ** 2
        covariance = spread * np.linalg.inv(_curvature(weighted, slopes))
        height, width = self.reference.shape
        corner = np.array([[1, 0, width / 2], [0, 1, height / 2]])
        return float(np.sqrt(np.diag(corner @ covariance @ corner.T).max()) / min(self.factors))

    def _compare(self, estimate: _Estimate) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Slopes [N, 3] and differences [N], moved image less reference, at the places that both images show."""
        warped, _ = self.warp(estimate)
        difference = warped.ravel()[self.places] - self.reference.ravel()[self.places]
        there = ~np.isnan(difference)
        return (self.slopes, difference) if there.all() else (self.slopes[there], difference[there])

    def warp(self, estimate: _Estimate) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The moved image's detail on the reference's grid, and where it is known and compared."""
        height, width = self.reference.shape
        shift_x, shift_y, scale = estimate
        here = Registration(shift_x * self.factors[0], shift_y * self.factors[1], scale, 0, 0).matrix(height, width)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(self.moved, here, (width, height), flags=flags, borderValue=float("nan"))
        shown = self.compared & ~np.isnan(warped)
        return np.asarray(warped, np.float32), shown


def _list_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Width and height of the levels from coarse to fine, for an image of this size."""
    longest = max(height, width)
    sides = [side for side in _SIDES if side < longest]
    if longest < WORKING_SIDE or not sides:
        sides.append(longest)
    return [(max(1, round(width * side / longest)), max(1, round(height * side / longest))) for side in sides]


def _find_start(level: _Level) -> _Estimate:
    """The best of a few estimates, each refined at the coarsest level."""
    best, highest = (0.0, 0.0, 1.0), -1.0
    for zoom in _START_ZOOMS:
        for start in ((0.0, 0.0, zoom), _correlate_phase(level, zoom)):
            found = level.refine(start, _ROUNDS[0])
            response = level.measure_response(found)
            if response > highest:
                best, highest = found, response
            if highest > _CERTAIN_RESPONSE:
                return best
    return best


def _correlate_phase(level: _Level, zoom: float) -> _Estimate:
    """The shift by phase correlation for one zoom."""
    warped, shown = level.warp((0.0, 0.0, zoom))
    height, width = level.reference.shape
    if min(height, width) < 8:
        return 0.0, 0.0, zoom
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    one, other = (np.where(shown, image, np.float32(0)) for image in (level.reference, warped))
    (x, y), _ = cv2.phaseCorrelate(one, other, window)
    return float(zoom * x / level.factors[0]), float(zoom * y / level.factors[1]), zoom


def _curvature(weighted: NDArray[np.float32], slopes: NDArray[np.float32]) -> NDArray[np.float64]:
    """[3, 3] with a little added on the diagonal: in a direction without any slope nothing is moved."""
    curvature = (weighted.T @ slopes).astype(np.float64)
    return np.asarray(curvature + np.diag(np.diag(curvature)) * 1e-6 + 1e-3 * np.eye(3))


def _extract_detail(grey: NDArray[Any], shown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Grey values less their surroundings' mean, divided by the contrast there; what is not shown takes no part."""
    known = shown.astype(np.float32)
    share = np.maximum(np.asarray(cv2.blur(known, _WINDOW)), np.float32(1e-3))
    values: NDArray[np.float32] = grey.astype(np.float32)
    smooth: NDArray[Any] = np.asarray(cv2.GaussianBlur(values, (0, 0), _SMOOTHING))
    detail = (smooth - np.asarray(cv2.blur(smooth * known, _WINDOW)) / share) * known
    variance = np.asarray(cv2.blur(np.square(detail), _WINDOW)) / share
    return np.asarray(detail / (np.sqrt(np.maximum(variance, 0)) + _LEAST_CONTRAST), np.float32)


def _tukey_weights(residual: NDArray[np.float32]) -> NDArray[np.float32]:
    share = np.minimum(1, np.abs(residual) / (_TUKEY * _noise_of(residual)))
    return np.asarray(np.square(1 - np.square(share)))


def _noise_of(residual: NDArray[np.float32]) -> float:
    some = residual[:: max(1, len(residual) // _MEDIAN_PIXELS)]
    return max(_LEAST_NOISE, float(np.median(np.abs(some))) * 1.4826)

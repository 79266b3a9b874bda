"""Render disks as a saliency map, quantise it to 8-bit grey and encode it as PNG.

The map of the default profile is S(x, y) = sum_k exp(-((x - x_k)^2 + (y - y_k)^2) / (2 sigma^2)) at the pixel centres
(integer + 0.5), divided by its maximum; sigma is H/40, half the radius of a disk.  The Gaussian is separable, so a
band of rows is one product of two small matrices.

The one-dimensional factors are rounded to multiples of 2^-20, so that every product and sum is exact in float64. The
bytes then do not depend on the order of the disks, the number of threads, the processor or the BLAS. A factor is zero
beyond 5.4 sigma, so only the surroundings of disks are computed. The error is at most 2^-20 per disk: 0.003 grey
levels for a peak of 1 and a dozen disks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import DISK_RADIUS_PER_HEIGHT
from editfhf.png import encode_grey_png, scratch_buffer
from mos.errors import UserError

SaliencyProfile = Literal["gaussian", "disk*gaussian", "union+blur"]

SIGMA_PER_HEIGHT = DISK_RADIUS_PER_HEIGHT / 2

GREY_LEVELS = 255

_STEP = 2.0**-20
_REACH = 5.4  # in sigma: exp(-5.4^2 / 2) < 2^-21, so that a factor further away rounds to zero
_BAND = 128  # rows whose product stays in a core's cache
_CHUNK = 4096  # disks multiplied at once, which bounds memory
_SPACING = 1 / 16  # of the samples of the disk*gaussian kernel, in sigma
_LEAST_TERM = 1e-5  # separable terms of that kernel below this are omitted
_MOST_RATIO = 64.0  # radius / sigma: a sharper disk*gaussian needs too many terms

DiskPoints = Sequence[Sequence[float]] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class SaliencySigma:
    """Width of the Gaussian, relative to the height of the image (unit "H") or in pixels (unit "px")."""

    value: float
    unit: Literal["H", "px"]

    def pixels(self, height: int) -> float:
        """Sigma in pixels of an image `height` pixels high."""
        return self.value * height if self.unit == "H" else self.value


DEFAULT_SIGMA = SaliencySigma(SIGMA_PER_HEIGHT, "H")


def parse_sigma(text: str) -> SaliencySigma:
    """Parse the option `--sigma`: a share of the height (`H/40`, `0.025H`) or pixels (`12px`).

    >>> parse_sigma("H/40").pixels(1024), parse_sigma("0.5H").pixels(100), parse_sigma("12px").pixels(100)
    (25.6, 50.0, 12.0)
    """
    number = r"(\d+\.?\d*|\.\d+)"
    match = re.fullmatch(rf"H/{number}|{number}H|{number}px", text.strip())
    divisor, share, pixels = match.groups() if match else (None, None, None)
    value = float(divisor or share or pixels or 0)
    if value <= 0:
        raise UserError(
            f"sigma {text!r} is not a width: expected a share of the height (H/40, 0.025H) or pixels (12px)."
        )
    if pixels:
        return SaliencySigma(value, "px")
    return SaliencySigma(1 / value if divisor else value, "H")


class _Band(NamedTuple):
    """A part of the map before scaling; everything outside of all bands is zero."""

    rows: slice
    columns: slice
    values: NDArray[Any]  # float [rows, columns]


def render_saliency(
    disks: DiskPoints,
    height: int,
    width: int,
    *,
    sigma: float | None = None,
    profile: SaliencyProfile = "gaussian",
    groups: Sequence[int] | None = None,
) -> tuple[NDArray[Any], float]:
    """Render a saliency map.

    Parameters
    ----------
    disks : array_like
        [K, 2] centres x, y in pixels (float); they may lie outside the image.
    height, width : int
        Size of the image in pixels.
    sigma : float, optional
        Standard deviation of the Gaussian in pixels; H/40 by default.
    profile : str
        "gaussian": each disk adds 1 at its centre. "disk*gaussian": the Gaussian convolved with a disk of radius H/20,
        scaled to 1 at its centre. "union+blur": the union of each annotator's disks is 1 and the rest 0; the mean over
        annotators is blurred (about 80 ms at 1024 x 1024).
    groups : sequence of int, optional
        [K] annotator of each disk. The map is the mean over annotators who marked something; for the two sums this
        only divides the peak.

    Returns
    -------
    saliency : ndarray
        float32 [H, W] in [0, 1]. All zeros if no disk reaches a pixel.
    peak : float
        Maximum before the map was scaled to 1; 0.0 for an empty map.

    Raises
    ------
    ValueError
        A shape, size or number is invalid.
    """
    bands, top, peak = _compute_bands(disks, height, width, sigma, profile, groups)
    saliency = np.zeros((height, width), np.float32)
    for band in bands:
        saliency[band.rows, band.columns] = np.clip(band.values / top, 0, 1)  # omitted terms can leave -1e-6
    return saliency, peak


def quantise_saliency(saliency: NDArray[Any]) -> NDArray[Any]:
    """Quantise a map to 8 bits: 255 times the value, rounded to the nearest level.

    Parameters
    ----------
    saliency : ndarray
        float32 [H, W] in [0, 1].

    Returns
    -------
    ndarray
        uint8 [H, W].

    Raises
    ------
    ValueError
        A value is outside [0, 1].
    """
    if saliency.size and not (saliency.min() >= 0 and saliency.max() <= 1):
        raise ValueError(f"saliency must lie in [0, 1], but got [{saliency.min()}, {saliency.max()}]")
    return cv2.convertScaleAbs(np.asarray(saliency, np.float32), alpha=GREY_LEVELS)


def encode_saliency(grey: NDArray[Any]) -> bytes:
    """Encode a quantised map, uint8 [H, W], as PNG; see `editfhf.png.encode_grey_png`."""
    return encode_grey_png(grey)


def render_saliency_png(
    disks: DiskPoints,
    height: int,
    width: int,
    *,
    sigma: float | None = None,
    profile: SaliencyProfile = "gaussian",
    groups: Sequence[int] | None = None,
) -> tuple[bytes, float]:
    """Render, quantise and encode a map without holding it as float.

    Parameters
    ----------
    disks, height, width, sigma, profile, groups
        As in `render_saliency`.

    Returns
    -------
    png : bytes
        Grey PNG of 8 bits, H x W.
    peak : float
        As in `render_saliency`.

    Notes
    -----
    A value within float32 precision of the border between two levels can differ by one level from
    `encode_saliency(quantise_saliency(render_saliency(...)[0]))`.
    """
    bands, top, peak = _compute_bands(disks, height, width, sigma, profile, groups)
    if not bands:
        return _empty_png(height, width), peak
    grey = scratch_buffer("saliency.grey", height * width, np.uint8).reshape(height, width)
    grey.fill(0)
    for band in bands:
        grey[band.rows, band.columns] = cv2.convertScaleAbs(band.values, alpha=GREY_LEVELS / top)
    return encode_grey_png(grey), peak


@lru_cache(maxsize=64)
def _empty_png(height: int, width: int) -> bytes:
    """PNG of an empty map, cached: most maps are empty."""
    return encode_grey_png(np.zeros((height, width), np.uint8))


def _compute_bands(
    disks: DiskPoints,
    height: int,
    width: int,
    sigma: float | None,
    profile: SaliencyProfile,
    groups: Sequence[int] | None,
) -> tuple[list[_Band], float, float]:
    """The non-zero parts of the map before scaling, their maximum, and the peak (the maximum for one annotator)."""
    points = _check_points(disks)
    sigma = DEFAULT_SIGMA.pixels(height) if sigma is None else float(sigma)
    if height < 1 or width < 1 or not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"height, width and sigma must be positive, but got {height}, {width} and {sigma}")
    if groups is not None and len(groups) != len(points):
        raise ValueError(f"groups must name the annotator of each of {len(points)} disks, but got {len(groups)}")
    owners = np.zeros(len(points), int) if groups is None else np.asarray(groups, int)
    radius = DISK_RADIUS_PER_HEIGHT * height
    annotators = len(np.unique(owners))
    if profile == "union+blur":
        bands = _union_bands(points, owners, height, width, sigma, radius)
    elif profile in get_args(SaliencyProfile):
        convolved = profile == "disk*gaussian"
        terms = _disk_gaussian_terms(round(radius / sigma, 9)) if convolved else _GAUSSIAN_TERMS
        near = _select_reaching_disks(points, height, width, _REACH * sigma + convolved * radius)
        bands = _separable_bands(near, height, width, sigma, terms)
    else:
        raise ValueError(f"profile must be one of {', '.join(get_args(SaliencyProfile))}, but got {profile!r}")
    top = float(max((band.values.max() for band in bands), default=0.0))
    if top <= 0:
        return [], 0.0, 0.0
    return bands, top, top / (1 if profile == "union+blur" else annotators)


def _check_points(disks: DiskPoints) -> NDArray[Any]:
    points = np.asarray(disks, np.float64)
    if points.size == 0:
        return np.empty((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"disks must be an array of shape [K, 2], but got shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("disks must be finite numbers, but some are NaN or infinite")
    return points


def _select_reaching_disks(points: NDArray[Any], height: int, width: int, reach: float) -> NDArray[Any]:
    """The disks that reach a pixel: others may be so far away that their squares overflow."""
    return points[((points > -reach) & (points < np.array([width, height]) + reach)).all(axis=1)]


class _Term(NamedTuple):
    """One separable term of a kernel: sign * factor(x) * factor(y), with x and y in sigma from the disk's centre."""

    sign: float
    factor: Callable[[NDArray[Any]], NDArray[Any]]


def _gaussian_factor(distance: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.exp(-0.5 * np.square(distance)))


_GAUSSIAN_TERMS = (_Term(1.0, _gaussian_factor),)


@lru_cache(maxsize=8)
def _disk_gaussian_terms(ratio: float) -> tuple[_Term, ...]:
    """Separable terms of a disk of radius `ratio` sigma convolved with the Gaussian, 1 at the centre.

    The convolution at distance d is the chance that a standard normal point around d falls into the disk, a
    non-central chi-square with two degrees of freedom.  Its eigenvectors on a grid are the factors (three at the
    default ratio of 2), and cubic splines carry them to any centre.
    """
    from scipy.interpolate import CubicSpline
    from scipy.special import chndtr

    if ratio > _MOST_RATIO:
        raise ValueError(f"disk*gaussian needs a sigma of at least the disk's radius / 64, but it is 1 / {ratio:.0f}")
    grid = np.arange(0, ratio + _REACH + _SPACING, _SPACING)
    kernel = chndtr(ratio**2, 2, np.square(grid)[:, None] + np.square(grid)) / chndtr(ratio**2, 2, 0)
    values, vectors = np.linalg.eigh(kernel)
    terms = []
    for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
        factor = vector * math.sqrt(abs(value))
        if np.square(factor).max() > _LEAST_TERM:
            spline = CubicSpline(grid, factor, bc_type="clamped")
            terms.append(_Term(math.copysign(1.0, value), _make_even_function(spline, grid[-1])))
    return tuple(terms)


def _make_even_function(
    spline: Callable[[NDArray[Any]], NDArray[Any]], end: float
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def factor(distance: NDArray[Any]) -> NDArray[Any]:
        far = np.abs(distance)
        return np.asarray(np.where(far < end, spline(np.minimum(far, end)), 0.0))

    return factor


def _separable_bands(
    points: NDArray[Any], height: int, width: int, sigma: float, terms: tuple[_Term, ...]
) -> list[_Band]:
    chunk = max(1, _CHUNK // len(terms))
    if len(points) <= chunk:
        return [
            _Band(rows, columns, product)
            for rows, columns, product in _multiply_bands(points, height, width, sigma, terms)
        ]
    total = np.zeros((height, width))
    for start in range(0, len(points), chunk):
        for rows, columns, product in _multiply_bands(points[start : start + chunk], height, width, sigma, terms):
            total[rows, columns] += product
    return [_Band(slice(0, height), slice(0, width), total)]


def _multiply_bands(
    points: NDArray[Any], height: int, width: int, sigma: float, terms: tuple[_Term, ...]
) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    """Row bands of the sum over disks and terms, float64 and exact, each cut to the columns that it reaches."""
    across = (
        _compute_axis_factors(points[:, 0], width, sigma, terms)
        * np.repeat([term.sign for term in terms], len(points))[:, None]
    )
    down = _compute_axis_factors(points[:, 1], height, sigma, terms)
    free = scratch_buffer("saliency.bands", height * width, np.float64)
    for top in range(0, height, _BAND):
        rows = slice(top, min(top + _BAND, height))
        active = down[:, rows].any(axis=1)
        left = across[active]
        reached = np.flatnonzero(left.any(axis=0))
        if reached.size:
            columns = slice(int(reached[0]), int(reached[-1]) + 1)
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            place, free = free[: shape[0] * shape[1]].reshape(shape), free[shape[0] * shape[1] :]
            yield rows, columns, np.matmul(down[active, rows].T, left[:, columns], out=place)


def _compute_axis_factors(centres: NDArray[Any], length: int, sigma: float, terms: tuple[_Term, ...]) -> NDArray[Any]:
    """float64 [terms * K, length]: each term's factor at the pixel centres of one axis, in whole steps."""
    distance = (np.arange(length) + 0.5 - centres[:, None]) / sigma
    factors = np.concatenate([term.factor(distance) for term in terms])
    return np.asarray(np.rint(factors / _STEP) * _STEP)


def _union_bands(
    points: NDArray[Any], owners: NDArray[Any], height: int, width: int, sigma: float, radius: float
) -> list[_Band]:
    """The blurred mean of the annotators' unions; what lies outside the image is blurred into it."""
    margin = math.ceil(_REACH * sigma)
    share = np.zeros((height + 2 * margin, width + 2 * margin), np.float32)
    annotators = np.unique(owners)
    for annotator in annotators:
        share += _draw_disk_union(points[owners == annotator] + margin, share.shape, radius)
    if not share.any():
        return []
    share /= len(annotators)
    size = 2 * margin + 1
    blurred = cv2.GaussianBlur(share, (size, size), sigma, borderType=cv2.BORDER_CONSTANT)
    inside = blurred[margin : margin + height, margin : margin + width]
    return [_Band(slice(0, height), slice(0, width), np.ascontiguousarray(inside))]


def _draw_disk_union(points: NDArray[Any], shape: tuple[int, ...], radius: float) -> NDArray[Any]:
    """bool [H, W]: pixels whose centre lies in at least one disk."""
    mask = np.zeros(shape, bool)
    for x, y in _select_reaching_disks(points, shape[0], shape[1], radius):
        top, left = max(0, math.floor(y - radius)), max(0, math.floor(x - radius))
        window = mask[top : math.ceil(y + radius), left : math.ceil(x + radius)]
        rows = np.arange(top, top + window.shape[0]) + 0.5 - y
        columns = np.arange(left, left + window.shape[1]) + 0.5 - x
        window |= np.square(rows)[:, None] + np.square(columns) <= radius**2
    return mask

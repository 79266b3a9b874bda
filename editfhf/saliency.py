"""Disks to a saliency map, the map to 8-bit grey, the grey to PNG.

The map of the default profile is S(x, y) = sum_k exp(-((x - x_k)^2 + (y - y_k)^2) / (2 sigma^2)) at the pixel centres
(integer + 0.5), divided by its maximum; sigma is H/40, half the radius of a disk.  The Gaussian is separable, so a
band of rows is one product of two small matrices.

Exact on purpose: the one-dimensional factors are rounded to multiples of 2^-20, so that every product and sum is
exact in float64.  The bytes then depend on no order of disks, no number of threads, no processor and no BLAS, and a
factor is zero beyond 5.4 sigma, which confines the work to where disks are.  The price is an error of at most
2^-20 per disk: with a peak of 1 and a dozen disks, 0.003 grey levels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np

from annotation.records import DISK_RADIUS_PER_HEIGHT
from editfhf.png import encode_grey
from editfhf.workroom import room
from mos.errors import UserError

Profile = Literal["gaussian", "disk*gaussian", "union+blur"]

SIGMA_PER_HEIGHT = DISK_RADIUS_PER_HEIGHT / 2

LEVELS = 255

_STEP = 2.0**-20
_REACH = 5.4  # in sigma: exp(-5.4^2 / 2) < 2^-21, so that a factor further away rounds to zero
_BAND = 128  # rows whose product stays in a core's cache
_CHUNK = 4096  # disks multiplied at once, which bounds memory
_SPACING = 1 / 16  # of the samples of the disk*gaussian kernel, in sigma
_LEAST_TERM = 1e-5  # separable terms of that kernel that stay below are left out
_MOST_RATIO = 64.0  # radius / sigma: a sharper disk*gaussian needs too many terms

Points = Sequence[Sequence[float]] | np.ndarray


@dataclass(frozen=True, slots=True)
class Sigma:
    """A width of the Gaussian, relative to the image's height (unit "H") or in pixels (unit "px")."""

    value: float
    unit: Literal["H", "px"]

    def pixels(self, height: int) -> float:
        """Sigma in pixels of an image `height` pixels high."""
        return self.value * height if self.unit == "H" else self.value


DEFAULT_SIGMA = Sigma(SIGMA_PER_HEIGHT, "H")


def parse_sigma(text: str) -> Sigma:
    """The option `--sigma`: a share of the height, `H/40` or `0.025H`, or pixels, `12px`.

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
        return Sigma(value, "px")
    return Sigma(1 / value if divisor else value, "H")


class _Band(NamedTuple):
    """A part of the map before scaling; everything outside of all bands is zero."""

    rows: slice
    columns: slice
    values: np.ndarray  # float [rows, columns]


def render(
    disks: Points,
    height: int,
    width: int,
    *,
    sigma: float | None = None,
    profile: Profile = "gaussian",
    groups: Sequence[int] | None = None,
) -> tuple[np.ndarray, float]:
    """The saliency map, float32 [H, W] in [0, 1], and its peak: the maximum before it was scaled to 1.

    disks: [K, 2] centres x, y in float pixels; they may lie outside the image.  sigma: pixels, H/40 when None.
    groups: the annotator of each disk, any K integers; the map is the mean over annotators who marked something.

    gaussian: each disk adds 1 at its centre.  As a sum it is the same for any grouping: only the peak is divided.
    disk*gaussian: the Gaussian convolved with a disk of radius H/20, again 1 at its centre, and a sum.
    union+blur: each annotator's union of disks is 1, else 0; their mean is blurred (about 80 ms at 1024 x 1024).

    Without disks, or when none reaches a pixel, the map is all zeros and the peak 0.0.
    Raises ValueError for shapes, sizes and numbers that cannot be drawn.
    """
    bands, top, peak = _drawn(disks, height, width, sigma, profile, groups)
    saliency = np.zeros((height, width), np.float32)
    for band in bands:
        saliency[band.rows, band.columns] = np.clip(band.values / top, 0, 1)  # left-out terms may leave -1e-6
    return saliency, peak


def quantise(saliency: np.ndarray) -> np.ndarray:
    """uint8 [H, W] from float32 [H, W] in [0, 1]: 255 times the value, rounded to the nearest level."""
    if saliency.size and not (saliency.min() >= 0 and saliency.max() <= 1):
        raise ValueError(f"saliency must lie in [0, 1], but got [{saliency.min()}, {saliency.max()}]")
    return cv2.convertScaleAbs(np.asarray(saliency, np.float32), alpha=LEVELS)


def encode(grey: np.ndarray) -> bytes:
    """PNG (8-bit, one channel, no metadata) of uint8 [H, W], the same bytes for the same pixels."""
    return encode_grey(grey)


def png(
    disks: Points,
    height: int,
    width: int,
    *,
    sigma: float | None = None,
    profile: Profile = "gaussian",
    groups: Sequence[int] | None = None,
) -> tuple[bytes, float]:
    """`encode(quantise(render(...)))` and the peak, without ever holding the float map.

    A value that lies within float32's precision of the border between two levels may fall on the other side.
    """
    bands, top, peak = _drawn(disks, height, width, sigma, profile, groups)
    if not bands:
        return _empty_png(height, width), peak
    grey = room("saliency.grey", height * width, np.uint8).reshape(height, width)
    grey.fill(0)
    for band in bands:
        grey[band.rows, band.columns] = cv2.convertScaleAbs(band.values, alpha=LEVELS / top)
    return encode_grey(grey), peak


@lru_cache(maxsize=64)
def _empty_png(height: int, width: int) -> bytes:
    """Most maps are empty: one kind of flaw, or none."""
    return encode_grey(np.zeros((height, width), np.uint8))


def _drawn(
    disks: Points, height: int, width: int, sigma: float | None, profile: Profile, groups: Sequence[int] | None
) -> tuple[list[_Band], float, float]:
    """The non-zero parts of the map before scaling, their maximum, and the peak (the maximum for one annotator)."""
    points = _points(disks)
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
    elif profile in get_args(Profile):
        convolved = profile == "disk*gaussian"
        terms = _disk_gaussian_terms(round(radius / sigma, 9)) if convolved else _GAUSSIAN_TERMS
        near = _within(points, height, width, _REACH * sigma + convolved * radius)
        bands = _separable_bands(near, height, width, sigma, terms)
    else:
        raise ValueError(f"profile must be one of {', '.join(get_args(Profile))}, but got {profile!r}")
    top = float(max((band.values.max() for band in bands), default=0.0))
    if top <= 0:
        return [], 0.0, 0.0
    return bands, top, top / (1 if profile == "union+blur" else annotators)


def _points(disks: Points) -> np.ndarray:
    points = np.asarray(disks, np.float64)
    if points.size == 0:
        return np.empty((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"disks must be an array of shape [K, 2], but got shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("disks must be finite numbers, but some are NaN or infinite")
    return points


def _within(points: np.ndarray, height: int, width: int, reach: float) -> np.ndarray:
    """The disks that reach a pixel: others may be so far away that their squares overflow."""
    return points[((points > -reach) & (points < np.array([width, height]) + reach)).all(axis=1)]


class _Term(NamedTuple):
    """One separable term of a kernel: sign * factor(x) * factor(y), with x and y in sigma from the disk's centre."""

    sign: float
    factor: Callable[[np.ndarray], np.ndarray]


def _gaussian(distance: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.square(distance))


_GAUSSIAN_TERMS = (_Term(1.0, _gaussian),)


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
            terms.append(_Term(math.copysign(1.0, value), _even(spline, grid[-1])))
    return tuple(terms)


def _even(spline: Callable[[np.ndarray], np.ndarray], end: float) -> Callable[[np.ndarray], np.ndarray]:
    def factor(distance: np.ndarray) -> np.ndarray:
        far = np.abs(distance)
        return np.where(far < end, spline(np.minimum(far, end)), 0.0)

    return factor


def _separable_bands(
    points: np.ndarray, height: int, width: int, sigma: float, terms: tuple[_Term, ...]
) -> list[_Band]:
    chunk = max(1, _CHUNK // len(terms))
    if len(points) <= chunk:
        return [
            _Band(rows, columns, product) for rows, columns, product in _products(points, height, width, sigma, terms)
        ]
    total = np.zeros((height, width))
    for start in range(0, len(points), chunk):
        for rows, columns, product in _products(points[start : start + chunk], height, width, sigma, terms):
            total[rows, columns] += product
    return [_Band(slice(0, height), slice(0, width), total)]


def _products(
    points: np.ndarray, height: int, width: int, sigma: float, terms: tuple[_Term, ...]
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Row bands of the sum over disks and terms, float64 and exact, each cut to the columns that it reaches."""
    across = (
        _factors(points[:, 0], width, sigma, terms) * np.repeat([term.sign for term in terms], len(points))[:, None]
    )
    down = _factors(points[:, 1], height, sigma, terms)
    free = room("saliency.bands", height * width, np.float64)
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


def _factors(centres: np.ndarray, length: int, sigma: float, terms: tuple[_Term, ...]) -> np.ndarray:
    """float64 [terms * K, length]: each term's factor at the pixel centres of one axis, in whole steps."""
    distance = (np.arange(length) + 0.5 - centres[:, None]) / sigma
    factors = np.concatenate([term.factor(distance) for term in terms])
    return np.rint(factors / _STEP) * _STEP


def _union_bands(
    points: np.ndarray, owners: np.ndarray, height: int, width: int, sigma: float, radius: float
) -> list[_Band]:
    """The blurred mean of the annotators' unions; what lies outside the image is blurred into it."""
    margin = math.ceil(_REACH * sigma)
    share = np.zeros((height + 2 * margin, width + 2 * margin), np.float32)
    annotators = np.unique(owners)
    for annotator in annotators:
        share += _union(points[owners == annotator] + margin, share.shape, radius)
    if not share.any():
        return []
    share /= len(annotators)
    size = 2 * margin + 1
    blurred = cv2.GaussianBlur(share, (size, size), sigma, borderType=cv2.BORDER_CONSTANT)
    inside = blurred[margin : margin + height, margin : margin + width]
    return [_Band(slice(0, height), slice(0, width), np.ascontiguousarray(inside))]


def _union(points: np.ndarray, shape: tuple[int, ...], radius: float) -> np.ndarray:
    """bool [H, W]: pixels whose centre lies in at least one disk."""
    mask = np.zeros(shape, bool)
    for x, y in _within(points, shape[0], shape[1], radius):
        top, left = max(0, math.floor(y - radius)), max(0, math.floor(x - radius))
        window = mask[top : math.ceil(y + radius), left : math.ceil(x + radius)]
        rows = np.arange(top, top + window.shape[0]) + 0.5 - y
        columns = np.arange(left, left + window.shape[1]) + 0.5 - x
        window |= np.square(rows)[:, None] + np.square(columns) <= radius**2
    return mask

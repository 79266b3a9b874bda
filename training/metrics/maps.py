"""The maps that metrics compare: their form, what is positive, and what a clean image allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annotation.records import DISK_RADIUS_PER_HEIGHT
from training.metrics._kernels import centred_products, scan_map
from training.metrics.results import MetricResult

PositivesMode = Literal["disks", "centres"]

NO_POSITIVES = "There is no positive pixel: the truth is empty."
NO_NEGATIVES = "Every pixel is a positive, so there is nothing to tell apart."
CONSTANT_PREDICTION = "The prediction is constant."
CONSTANT_DENSITY = "The density is constant."
EMPTY_DENSITY = "The density is zero everywhere: the truth is empty."
EMPTY_PREDICTION = "The prediction is zero everywhere."
NEGATIVE_VALUES = "A map has negative values, so it is no density."
NOT_FINITE = "The prediction has values that are not finite."


def mark_positives(
    disks: Sequence[Sequence[float]] | NDArray[Any], height: int, width: int, mode: PositivesMode = "disks"
) -> NDArray[np.bool_]:
    """Mark the pixels that a prediction should find.

    Parameters
    ----------
    disks : array_like
        [K, 2] centres x, y in pixels.
    height, width : int
        Size of the image in pixels.
    mode : {"disks", "centres"}
        "disks": pixels whose centre lies in a disk of radius H/20. "centres": the pixel of each centre; NSS is then up
        to 1.8 times as high, and AUC-Judd by the MIT code is biased.

    Returns
    -------
    ndarray
        bool [H, W].

    Examples
    --------
    >>> int(mark_positives([[10, 10]], 40, 40).sum()), int(mark_positives([[10, 10]], 40, 40, "centres").sum())
    (12, 1)
    """
    points = np.asarray(disks, np.float64).reshape(-1, 2)
    marked = np.zeros((height, width), np.bool_)
    if mode == "centres":
        column, row = np.floor(points).astype(np.int64).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        marked[row[inside], column[inside]] = True
        return marked
    radius = DISK_RADIUS_PER_HEIGHT * height
    for x, y in points:
        left, top = max(0, math.floor(x - radius)), max(0, math.floor(y - radius))
        part = marked[top : max(0, math.ceil(y + radius)), left : max(0, math.ceil(x + radius))]
        across = np.arange(left, left + part.shape[1]) + 0.5 - x
        down = np.arange(top, top + part.shape[0]) + 0.5 - y
        part |= across**2 + down[:, None] ** 2 <= radius**2
    return marked


def clean_image_metrics(prediction: NDArray[Any], threshold: float = 0.5) -> MetricResult:
    """Measure a predicted map of an image without flaws, where nothing should be found.

    Parameters
    ----------
    prediction : ndarray
        [H, W] in [0, 1], on the dataset's absolute scale.
    threshold : float
        Values from here on are an alarm; the loop of refinement uses 0.5.

    Returns
    -------
    MetricResult
        `mse`: mean of the squared values, as RichHF reports for an empty truth. `alarm`: 1 if any pixel is an alarm,
        else 0, so that its mean over images is the share of clean images with a false alarm. `alarm_area`: share of
        the pixels that are one. `peak`: the highest value.

    Notes
    -----
    Limits: a map that is stretched to its own maximum always has an alarm; no agent of this project does that.

    Examples
    --------
    >>> dict(clean_image_metrics(np.array([[0.0, 0.0, 0.5, 0.1]])))
    {'mse': 0.065, 'alarm': 1.0, 'alarm_area': 0.25, 'peak': 0.5}
    """
    values = flatten_map(prediction)
    settings = {"threshold": threshold, "pixels": len(values)}
    names = ("mse", "alarm", "alarm_area", "peak")
    scanned = scan_map(values)
    if not (math.isfinite(scanned.low) and math.isfinite(scanned.high)):
        return make_map_result(dict.fromkeys(names, NOT_FINITE), settings)
    alarms = int(np.count_nonzero(values >= threshold))
    squares = centred_products(values, values, 0.0, 0.0).pp
    found = (squares / len(values), float(alarms > 0), alarms / len(values), scanned.high)
    return MetricResult(dict(zip(names, found, strict=True)), settings)


def mean_squared_error(prediction: NDArray[Any], density: NDArray[Any]) -> MetricResult:
    """Compute the mean squared difference of two maps: `mse`, of all images, also of clean ones.

    Parameters
    ----------
    prediction, density : ndarray
        [H, W] in [0, 1].

    Notes
    -----
    Formula: mean of (p - g)^2. Source: RichHF, where all images count. Limits: most pixels are 0 in both maps, so that
    a map of zeros has a low error; read it beside CC.

    Examples
    --------
    >>> mean_squared_error(np.array([[0.0, 1.0]]), np.array([[0.0, 0.5]]))["mse"]
    0.125
    """
    p, g = flatten_maps(prediction, density)
    if not math.isfinite(scan_map(p).total):
        return make_map_result({"mse": NOT_FINITE}, {"pixels": len(p)})
    difference = p.astype(np.float64) - g
    return MetricResult({"mse": float(np.einsum("i,i->", difference, difference)) / len(p)}, {"pixels": len(p)})


def make_map_result(values: dict[str, float | str], settings: dict[str, Any]) -> MetricResult:
    """A result from numbers, and from reasons why there is none."""
    reasons = {name: value for name, value in values.items() if isinstance(value, str)}
    numbers = {name: math.nan if isinstance(value, str) else float(value) for name, value in values.items()}
    return MetricResult(numbers, settings, reasons)


def flatten_map(values: NDArray[Any]) -> NDArray[Any]:
    """[H, W] as a contiguous vector of float32 or float64."""
    array = np.asarray(values)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"A map must be an array [H, W], but got shape {array.shape}.")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    return np.ascontiguousarray(array).reshape(-1)


def flatten_maps(prediction: NDArray[Any], density: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    p, g = flatten_map(prediction), flatten_map(density)
    if np.shape(prediction) != np.shape(density):
        raise ValueError(
            f"The prediction must have the size of the density {np.shape(density)}, but got {np.shape(prediction)}."
        )
    low, high = float(g.min()), float(g.max())
    if not (low >= 0 and math.isfinite(high)):
        raise ValueError(f"The density must be finite and 0 or more, but lies in {low:g} to {high:g}.")
    return p, g


def mark_given(positives: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    given = np.asarray(positives)
    if given.shape != shape:
        raise ValueError(f"The positives must have the size of the maps {shape}, but got {given.shape}.")
    marked: NDArray[np.bool_] = given if given.dtype == np.bool_ else given > 0
    return marked

"""Saliency as self-information: AIM by Bruce and Tsotsos, 2005, with a basis that was learnt for this project."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from training.agents.results import AgentIdentity, PerceivedMaps
from training.baselines.fixed_scale import scale_strength, shrink_image

LONGEST_SIDE = 192

FULL_STRENGTH = 2.31
"""See `training.baselines.fixed_scale`."""

BASIS_FILE = "aim_basis.npz"
"""Made by `python -m training.baselines.learn_constants PHOTOS`."""

_BINS = 1000
_SMOOTHED_BINS = 9  # a histogram of one small image is sparse: its neighbours count too
_LEAST_RANGE = 1e-3  # in units of the photos' standard deviation: less is rounding


class AimPerception:
    """Attention by information maximisation, of the edited image; the same map for both kinds.

    Notes
    -----
    Formula: I = -sum over features of log p(w), w the response of an independent component to the 21 x 21 pixels
    around a place, p its distribution over the image (a histogram of 1,000 bins). Source: N. Bruce and J. Tsotsos,
    "Saliency based on information maximization", NIPS 2005. Differences from the paper: the map is the mean over
    features less their entropy, in nats, so that a place with ordinary responses has about 0; histograms are smoothed
    over 9 bins; the result is divided by a constant.
    Limits: what is rare in this image is salient, whether it is a flaw or not; it sees the edited image only.

    Examples
    --------
    >>> image = np.full((64, 64, 3), 90, np.uint8)
    >>> float(AimPerception().perceive(image, image, "").artifact.max())
    0.0
    """

    def __init__(self) -> None:
        self.identity = AgentIdentity("baseline", "aim", "1", _load_basis()[1])

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute the map of the current image."""
        found = scale_strength(compute_aim_strength(current), FULL_STRENGTH, *current.shape[:2])
        return PerceivedMaps(found, found.copy(), self.identity)


def compute_aim_strength(image: RgbImage) -> NDArray[np.float32]:
    """The model before it is scaled, float32 [h, w] in nats, 0 or more, at the working size."""
    small = shrink_image(image, LONGEST_SIDE).astype(np.float32) / np.float32(255)
    total = np.zeros(small.shape[:2])
    responses = filter_image(small, _load_basis()[0])
    for response in responses:
        total += _excess_information(response)
    return np.maximum(0, total / len(responses)).astype(np.float32)


def filter_image(image: NDArray[Any], basis: NDArray[Any]) -> NDArray[np.float64]:
    """Correlate an image [h, w, 3] with each filter of a basis [k, s, s, 3]; [k, h, w], borders repeated."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    side = basis.shape[1]
    half = side // 2
    padded = np.pad(image, ((half, half), (half, half), (0, 0)), mode="edge")
    size = [next_fast_len(length + side - 1, real=True) for length in padded.shape[:2]]
    spectrum = rfft2(padded.astype(np.float64), size, axes=(0, 1))
    height, width = image.shape[:2]
    found = np.empty((len(basis), height, width))
    for number, each in enumerate(basis):
        # Convolution with the mirrored filter is correlation; the channels add up.
        response = irfft2((spectrum * rfft2(each[::-1, ::-1], size, axes=(0, 1))).sum(axis=2), size)
        found[number] = response[side - 1 : side - 1 + height, side - 1 : side - 1 + width]
    return found


def _excess_information(response: NDArray[Any]) -> NDArray[Any]:
    """-log p of each response [h, w] less its mean, in nats."""
    low, high = float(response.min()), float(response.max())
    if high - low < _LEAST_RANGE:
        return np.zeros_like(response)
    places = np.minimum(((response - low) * (_BINS / (high - low))).astype(np.int64), _BINS - 1)
    counts = np.bincount(places.ravel(), minlength=_BINS)
    smoothed = np.convolve(counts, np.full(_SMOOTHED_BINS, 1 / _SMOOTHED_BINS), mode="same")
    smoothed[counts > 0] = np.maximum(smoothed[counts > 0], 1 / _SMOOTHED_BINS)
    information = -np.log(np.maximum(smoothed, 1e-12) / counts.sum())
    entropy = float(information[counts > 0] @ counts[counts > 0]) / counts.sum()
    return np.asarray(information[places] - entropy)


@cache
def _load_basis() -> tuple[NDArray[np.float64], str]:
    """The filters, float64 [k, 21, 21, 3] for colours in [0, 1], and the SHA-256 of their file."""
    import hashlib
    import io

    content = resources.files(__package__).joinpath(BASIS_FILE).read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return stored["basis"].astype(np.float64), hashlib.sha256(content).hexdigest()

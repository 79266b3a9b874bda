"""Saliency with faces: Itti's model and a channel of detected faces, by Cerf and others, 2007."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from mos.errors import UserError
from training.agents.results import AgentIdentity, PerceivedMaps
from training.baselines.fixed_scale import scale_strength, shrink_image
from training.baselines.itti import FULL_STRENGTH, compute_itti_strength

FACE_SIDE = 320
"""Faces are looked for at this longest side: smaller ones than some 20 pixels are not found."""

_FACE_WEIGHT = 1 / 4  # one channel among intensity, colour and orientation
_CASCADE = "haarcascade_frontalface_alt2.xml"


class SmvjPerception:
    """Itti's model with a channel of faces, of the edited image; the same map for both kinds.

    Notes
    -----
    Formula: (3 S + F) / 4, with S the map of `IttiPerception` and F = max over faces of
    exp(-d^2 / r^2), d the distance to the centre of the face and r = (width + height) / 4 of its box. Faces by the
    detector of Viola and Jones, OpenCV's cascade `frontalface_alt2`. Source: M. Cerf, J. Harel, W. Einhaeuser,
    C. Koch, "Predicting human gaze using low-level saliency combined with face detection", NIPS 2007.
    Differences from the paper: the Gaussians of faces do not add up, so that the map stays in [0, 1].
    Limits: faces from the front only; distorted faces, which matter most here, are often not found.

    Examples
    --------
    >>> image = np.full((64, 64, 3), 90, np.uint8)
    >>> bool(SmvjPerception().perceive(image, image, "").artifact.max() < 0.01)
    True
    """

    def __init__(self) -> None:
        self.identity = AgentIdentity("baseline", "smvj", "1")
        _load_cascade()

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute the map of the current image."""
        height, width = current.shape[:2]
        saliency = scale_strength(compute_itti_strength(current), FULL_STRENGTH, height, width)
        found = ((1 - _FACE_WEIGHT) * saliency + _FACE_WEIGHT * render_faces(current)).astype(np.float32)
        return PerceivedMaps(found, found.copy(), self.identity)


def render_faces(image: RgbImage) -> NDArray[np.float32]:
    """The channel of faces, float32 [H, W] in [0, 1], 1 at the centre of each face."""
    height, width = image.shape[:2]
    channel = np.zeros((height, width), np.float32)
    for x0, y0, x1, y1 in find_faces(image):
        radius = (x1 - x0 + y1 - y0) / 4
        down, across = (
            np.exp(-(((np.arange(side) + 0.5 - centre) / radius) ** 2)).astype(np.float32)
            for side, centre in ((height, (y0 + y1) / 2), (width, (x0 + x1) / 2))
        )
        np.maximum(channel, down[:, None] * across, out=channel)
    return channel


def find_faces(image: RgbImage) -> list[tuple[float, float, float, float]]:
    """Boxes x0, y0, x1, y1 of faces in pixels of the image, from left to right."""
    small = shrink_image(image, FACE_SIDE)
    grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    found = _load_cascade().detectMultiScale(grey, scaleFactor=1.1, minNeighbors=3, minSize=(16, 16))
    x_scale, y_scale = image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]
    return sorted(
        (float(x * x_scale), float(y * y_scale), float((x + w) * x_scale), float((y + h) * y_scale))
        for x, y, w, h in np.asarray(found).reshape(-1, 4).tolist()
    )


@cache
def _load_cascade() -> Any:
    """The detector of faces that comes with OpenCV up to version 4."""
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder) / _CASCADE
    if not hasattr(cv2, "CascadeClassifier") or not path.is_file():
        raise UserError(
            f"The agent 'smvj' finds faces by {_CASCADE}, which this OpenCV ({cv2.__version__}) lacks: run "
            "pip install 'opencv-python-headless>=4.12,<5'."
        )
    return cv2.CascadeClassifier(str(path))

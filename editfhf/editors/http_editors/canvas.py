"""Place an image on a canvas of a size that a service accepts, and cut the answer from where the image was.

The image is scaled evenly and centred; what is left of the canvas continues its border. Its shape never changes, so an
answer of any size shows the image in the same part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage


@dataclass(frozen=True, slots=True)
class Canvas:
    """Size of a canvas, and the part of it that shows the image: rows y0 to y1 and columns x0 to x1, half-open."""

    height: int
    width: int
    y0: int
    x0: int
    y1: int
    x1: int


def plan_canvas(height: int, width: int, canvas_height: int, canvas_width: int) -> Canvas:
    """Where an image of height x width pixels is placed on a canvas.

    Examples
    --------
    >>> plan_canvas(100, 200, 1024, 1024)
    Canvas(height=1024, width=1024, y0=256, x0=0, y1=768, x1=1024)
    """
    scale = min(canvas_height / height, canvas_width / width)
    rows = min(canvas_height, max(1, round(height * scale)))
    columns = min(canvas_width, max(1, round(width * scale)))
    y0, x0 = (canvas_height - rows) // 2, (canvas_width - columns) // 2
    return Canvas(canvas_height, canvas_width, y0, x0, y0 + rows, x0 + columns)


def place_image(image: RgbImage, canvas: Canvas) -> RgbImage:
    """The image on the canvas; uint8 [canvas height, canvas width, 3]."""
    scaled = _scale(image, canvas)
    around = (canvas.y0, canvas.height - canvas.y1, canvas.x0, canvas.width - canvas.x1)
    return np.asarray(cv2.copyMakeBorder(scaled, *around, cv2.BORDER_REPLICATE), np.uint8)


def place_mask(mask: NDArray[np.uint8], canvas: Canvas) -> NDArray[np.uint8]:
    """The mask on the canvas, 255 where the image may change, 0 elsewhere and on what is left of the canvas."""
    placed = np.zeros((canvas.height, canvas.width), np.uint8)
    shares = _scale((mask > 0).astype(np.float32), canvas)
    placed[canvas.y0 : canvas.y1, canvas.x0 : canvas.x1] = np.where(shares > 1e-3, 255, 0)
    return placed


def cut_answer(answer: RgbImage, canvas: Canvas) -> RgbImage:
    """The part of an answer that shows the image; an answer of another size than the canvas shows it in proportion."""
    down, across = answer.shape[0] / canvas.height, answer.shape[1] / canvas.width
    y0, x0 = round(canvas.y0 * down), round(canvas.x0 * across)
    y1, x1 = max(y0 + 1, round(canvas.y1 * down)), max(x0 + 1, round(canvas.x1 * across))
    return np.ascontiguousarray(answer[y0:y1, x0:x1])


def _scale(array: NDArray[Any], canvas: Canvas) -> NDArray[Any]:
    rows, columns = canvas.y1 - canvas.y0, canvas.x1 - canvas.x0
    if array.shape[:2] == (rows, columns):
        return array
    smaller = rows * columns < array.shape[0] * array.shape[1]
    larger = cv2.INTER_LINEAR if array.ndim == 2 else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(array, (columns, rows), interpolation=cv2.INTER_AREA if smaller else larger))

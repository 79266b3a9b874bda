"""Image operations that operators and flaws share.

Images are uint8 RGB `[H, W, 3]`, masks float32 `[H, W]` in [0, 1].
"""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.records import Box


def sharpen_image(image: RgbImage, amount: float) -> RgbImage:
    """Unsharp mask."""
    return clip_pixels(image + amount * (image.astype(np.float32) - blur_image(image, image.shape[0] / 250)))


RgbImage = NDArray[np.uint8]


FloatMask = NDArray[np.float32]


RgbColour = tuple[int, int, int]


PixelType = TypeVar("PixelType", bound=np.generic)


def clip_pixels(values: NDArray[Any]) -> RgbImage:
    """Float pixel values rounded and clipped to uint8."""
    pixels: RgbImage = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


def blend_images(below: RgbImage, above: RgbImage, mask: FloatMask) -> RgbImage:
    """`above` over `below` where the mask is 1; pixels with mask 0 keep their exact value."""
    out = below.copy()
    box = mask_bounds(mask > 0)
    if box is not None:
        view = box_view(out, box)
        weight = box_view(mask, box)[..., None]
        view[:] = clip_pixels(view * (1 - weight) + box_view(above, box) * weight)
    return out


def resize_image(image: RgbImage, width: int, height: int) -> RgbImage:
    """The image at another size: area averaging when it shrinks, cubic when it grows."""
    how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def blur_image(image: RgbImage, sigma: float) -> RgbImage:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1)), np.uint8)


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell: float) -> FloatMask:
    """Smooth random field in [0, 1] whose blobs are about `cell` pixels wide."""
    rows, columns = max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)
    small = rng.random((rows, columns), dtype=np.float32)
    field = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = float(field.min()), float(field.max())
    return np.asarray((field - low) / max(high - low, 1e-6), np.float32)


def ellipse_mask(height: int, width: int, box: Box, soft: float = 0.15) -> FloatMask:
    """Ellipse inscribed in the box, its edge softened over `soft` of its radius; 0 outside the box."""
    y, x = np.ogrid[:height, :width]
    rx, ry = max((box.x1 - box.x0) / 2, 1), max((box.y1 - box.y0) / 2, 1)
    distance = np.sqrt(((x + 0.5 - (box.x0 + rx)) / rx) ** 2 + ((y + 0.5 - (box.y0 + ry)) / ry) ** 2)
    mask: FloatMask = np.clip((1 - distance) / max(soft, 1e-3), 0, 1).astype(np.float32)
    return mask


def rectangle_mask(height: int, width: int, box: Box, feather: float = 0.0) -> FloatMask:
    """The box as a mask, faded out towards its inside over `feather` pixels; 0 outside the box."""
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    inside = np.minimum.reduce([x - box.x0, box.x1 - x, y - box.y0, box.y1 - y])
    shares = np.clip(inside / max(feather, 1e-3), 0, 1) if feather else inside > 0
    mask: FloatMask = shares.astype(np.float32)
    return mask


def boxes_touch(first: Box, second: Box) -> bool:
    """Whether two boxes share any area."""
    return first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1


def box_view(image: NDArray[PixelType], box: Box) -> NDArray[PixelType]:
    """View of the pixels inside a box with whole-pixel edges."""
    x0, y0, x1, y1 = (int(v) for v in box)
    return image[y0:y1, x0:x1]


def difference_mask(before: RgbImage, after: RgbImage, threshold: int = 10) -> NDArray[np.bool_]:
    """Where two images of one size differ visibly in any channel: bool [H, W]."""
    red, green, blue = cv2.split(cv2.absdiff(before, after))
    return np.asarray(cv2.max(cv2.max(red, green), blue) >= threshold)


def mask_bounds(mask: NDArray[np.bool_]) -> Box | None:
    """Smallest half-open box around the True pixels; None when there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def detail_map(image: RgbImage) -> FloatMask:
    """Local detail in [0, 1]: smoothed gradient magnitude, 1 at the busiest place."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    gradient = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).astype(np.float32)
    smooth = cv2.blur(gradient, (max(3, image.shape[0] // 12),) * 2)
    return np.asarray(smooth / max(float(smooth.max()), 1e-6), np.float32)


def describe_place(box: Box, height: int, width: int) -> str:
    """Name of the ninth of the image in which a box is centred: "the upper left corner", "the right part", …"""
    if box.area > 0.55 * height * width:
        return "the whole picture"
    column = int(3 * (box.x0 + box.x1) / 2 / width)
    row = int(3 * (box.y0 + box.y1) / 2 / height)
    name = " ".join(
        part for part in (("upper", "", "lower")[min(row, 2)], ("left", "", "right")[min(column, 2)]) if part
    )
    if not name:
        return "the centre"
    if " " in name:
        return f"the {name} corner"
    return f"the {name} part"

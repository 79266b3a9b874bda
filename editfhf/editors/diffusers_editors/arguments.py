"""From a request to the arguments of a pipeline's call: sizes, images, mask, prompt, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.images import RgbImage
from editfhf.editors.diffusers_editors.pipelines import PipelineFamily
from editfhf.editors.protocol import EditRequest


def fit_working_size(height: int, width: int, side: int, multiple: int) -> tuple[int, int]:
    """(height, width) at which a pipeline works on an image.

    All images of a request, and its mask, are scaled to this one size, and the answer has it, so that scaling the
    answer to the size of the request undoes the scaling exactly. The size has about side * side pixels, since
    generative models draw badly at sizes far from those that they were trained at: a small crop is enlarged, a large
    one is made smaller. Both sides are multiples of `multiple`; the shape changes by less than one multiple.

    Examples
    --------
    >>> fit_working_size(300, 400, 1024, 16)
    (880, 1184)
    """
    scale = side / sqrt(height * width)
    rows, columns = (max(multiple, round(length * scale / multiple) * multiple) for length in (height, width))
    return rows, columns


def build_arguments(family: PipelineFamily, request: EditRequest, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the pipeline's call, without the generator.

    Parameters
    ----------
    family : PipelineFamily
    request : EditRequest
    parameters : mapping
        All parameters of the editor; one that is None is left to the pipeline.

    Returns
    -------
    dict
        Images are PIL images of one size; the mask is white where the image may change.
    """
    rest = {name: value for name, value in parameters.items() if value is not None and name != "side"}
    rows, columns = request.mask.shape
    height, width = fit_working_size(rows, columns, parameters["side"], family.multiple)
    pictures = {
        "current": Image.fromarray(scale_image(request.current, height, width)),
        "source": Image.fromarray(scale_image(request.source, height, width)),
        "mask": Image.fromarray(scale_mask(request.mask, height, width)),
    }
    chosen = [pictures[name].convert("RGB") for name in family.images]
    arguments: dict[str, Any] = {
        "image": chosen if len(chosen) > 1 else chosen[0],
        # Not str.format: an instruction may have braces.
        "prompt": family.prompt.replace("{instruction}", request.instruction),
    }
    if family.mask_argument:
        arguments[family.mask_argument] = pictures["mask"]
    if family.reference_argument:
        arguments[family.reference_argument] = pictures["source"]
    if family.has_size:
        arguments |= {"height": height, "width": width}
    if family.side_argument:
        arguments[family.side_argument] = parameters["side"]
    if "_auto_resize" in family.fixed:
        # The pipeline computes its size from the area and the shape; rounding must not take a multiple away.
        arguments["max_area"] = height * width
    return arguments | rest | dict(family.fixed)


def scale_image(image: RgbImage, height: int, width: int) -> RgbImage:
    """The image at another size: averaged where it gets smaller, by Lanczos where it gets larger."""
    if image.shape[:2] == (height, width):
        return image
    smaller = height * width < image.shape[0] * image.shape[1]
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4)
    return np.asarray(scaled, np.uint8)


def scale_mask(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The mask at another size: 255 wherever a part of the pixel may change, so that nothing of a flaw stays."""
    if mask.shape == (height, width):
        return np.where(mask > 0, 255, 0).astype(np.uint8)
    smaller = height * width < mask.shape[0] * mask.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    shares = cv2.resize((mask > 0).astype(np.float32), (width, height), interpolation=method)
    return np.where(shares > 0, 255, 0).astype(np.uint8)

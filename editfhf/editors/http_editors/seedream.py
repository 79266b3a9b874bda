"""Seedream, through ModelArk's `images/generations`: no mask, so it is sent as a picture.

Source: pages of third parties about https://docs.byteplus.com/en/docs/ModelArk/1541523; not tried on the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from editfhf.editors.diffusers_editors.pipelines import QWEN_PICTURES
from editfhf.editors.http_editors.canvas import Canvas
from editfhf.editors.http_editors.edit_dialect import bound_output_tokens, render_pictures
from editfhf.editors.http_editors.wire import WireRequest, encode_base64
from editfhf.editors.protocol import EditRequest

SEEDREAM_URL = "https://ark.ap-southeast.bytepluses.com/api/v3"
SEEDREAM_KEY_VARIABLE = "ARK_API_KEY"


def build_seedream(request: EditRequest, canvas: Canvas, model: str, parameters: Mapping[str, Any]) -> WireRequest:
    """A request with the current image, the source and the mask as data URLs; without a watermark, which is default."""
    pictures = render_pictures(request, canvas, with_source=True, mask_as_picture=True)
    fields = {
        "model": model,
        "prompt": QWEN_PICTURES.replace("{instruction}", request.instruction),
        "image": [f"data:image/png;base64,{encode_base64(data)}" for data in pictures],
        "size": f"{canvas.width}x{canvas.height}",
        "sequential_image_generation": "disabled",
        "response_format": "b64_json",
        "watermark": False,
        "stream": False,
    }
    return WireRequest("/images/generations", fields, None, 0, bound_output_tokens(canvas))

"""What the dialects of all services share: their description, canvases, pictures and bounds of tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from editfhf.chat.costs import MIN_IMAGE_TOKENS, PATCH_SIDE, TOKENS_PER_PART
from editfhf.drafting.pair_images import encode_image
from editfhf.editors.edit_attempts import EditDeclined
from editfhf.editors.http_editors.canvas import Canvas, place_image, place_mask, plan_canvas
from editfhf.editors.http_editors.wire import ServiceAnswer, WireRequest
from editfhf.editors.protocol import EditRequest
from editfhf.png import encode_grey_png

MAX_IMAGE_FILE_BYTES = 50 * 10**6

TOKENS_OF_PIXELS = 1 / 256
"""Output tokens of an image at the highest quality: 4,160 for 1024 x 1024 and 6,208 for 1536 x 1024 pixels."""

TOKENS_BESIDE_IMAGE = 4096
"""Room for text and reasoning of a model beside its image."""


@dataclass(frozen=True, slots=True)
class EditDialect:
    """How one service is spoken to.

    Attributes
    ----------
    name : str
    plan : callable
        From a request, a model and its parameters to the canvas on which the image is sent.
    build : callable
        From a request, the canvas, a model and its parameters to what is sent.
    read : callable
        From the bytes of an answer to what they say; `UnreadableReply` when they are no JSON object.
    has_seed : bool
    base_url : str
        Of the service; "" where the environment or OpenAI decides.
    key_variable : str
        Environment variable with the key.
    key_header : str
        Header that the key is sent in; "" for a bearer token.
    """

    name: str
    plan: Callable[[EditRequest, str, Mapping[str, Any]], Canvas]
    build: Callable[[EditRequest, Canvas, str, Mapping[str, Any]], WireRequest]
    read: Callable[[bytes], ServiceAnswer]
    has_seed: bool = False
    base_url: str = ""
    key_variable: str = "OPENAI_API_KEY"
    key_header: str = ""


def plan_fixed_canvas(height: int, width: int, sizes: tuple[tuple[int, int], ...]) -> Canvas:
    """The canvas, of those given, that an image fills best."""
    plans = [plan_canvas(height, width, rows, columns) for rows, columns in sizes]
    return max(plans, key=lambda plan: (plan.y1 - plan.y0) * (plan.x1 - plan.x0) / (plan.height * plan.width))


def render_pictures(
    request: EditRequest, canvas: Canvas, with_source: bool, mask_as_picture: bool
) -> tuple[bytes, ...]:
    """PNG files of the current image, the source and the mask, on the canvas."""
    pictures = [encode_image(place_image(request.current, canvas), "png").data]
    if with_source:
        pictures.append(encode_image(place_image(request.source, canvas), "png").data)
    if mask_as_picture:
        pictures.append(encode_grey_png(place_mask(request.mask, canvas)))
    for data in pictures:
        if len(data) >= MAX_IMAGE_FILE_BYTES:
            raise EditDeclined("error", f"An image is a PNG of {len(data):,} bytes: services take less than 50 MB.")
    return tuple(pictures)


def bound_image_tokens(canvas: Canvas) -> int:
    """Upper bound of the input tokens of one image on a canvas: as `editfhf.chat.costs` has it."""
    patches = ceil(canvas.width / PATCH_SIDE) * ceil(canvas.height / PATCH_SIDE)
    return max(MIN_IMAGE_TOKENS, patches) + TOKENS_PER_PART


def bound_output_tokens(canvas: Canvas) -> int:
    """Upper bound of the output tokens of an answer of the size of a canvas."""
    return ceil(canvas.height * canvas.width * TOKENS_OF_PIXELS) + TOKENS_BESIDE_IMAGE

"""Gemini's models that draw, through `generateContent`: no mask, so it is sent as a picture.

Source: https://ai.google.dev/api/generate-content and https://ai.google.dev/gemini-api/docs/image-generation
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from editfhf.chat.costs import max_text_tokens
from editfhf.chat.replies import TokenCount
from editfhf.editors.diffusers_editors.pipelines import QWEN_PICTURES
from editfhf.editors.http_editors.canvas import Canvas
from editfhf.editors.http_editors.edit_dialect import (
    TOKENS_BESIDE_IMAGE,
    bound_image_tokens,
    plan_fixed_canvas,
    render_pictures,
)
from editfhf.editors.http_editors.wire import (
    ServiceAnswer,
    WireRequest,
    choose_name,
    encode_base64,
    parse_answer,
    read_count,
    read_list,
    read_object,
    read_text,
)
from editfhf.editors.protocol import EditRequest

GEMINI_URL = "https://generativelanguage.googleapis.com/v1beta"
GEMINI_KEY_VARIABLE = "GEMINI_API_KEY"

ASPECT_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")

SIDES = {"1K": 1024, "2K": 2048, "4K": 4096}
"""Pixels of the side of a square image."""

OUTPUT_TOKENS = {"1K": 1680, "2K": 1680, "4K": 2520}
"""Most output tokens of an image among the models that draw."""

BLOCKED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)
"""Values of `finishReason` with which a filter ended the answer."""


def plan_gemini(request: EditRequest, model: str, parameters: Mapping[str, Any]) -> Canvas:
    """A canvas in the aspect ratio that the image fills best."""
    side = SIDES[parameters["image_size"]]
    sizes = []
    for ratio in ASPECT_RATIOS:
        across, down = map(int, ratio.split(":"))
        sizes.append((round(side * (down / across) ** 0.5), round(side * (across / down) ** 0.5)))
    height, width = request.mask.shape
    return plan_fixed_canvas(height, width, tuple(sizes))


def find_aspect_ratio(canvas: Canvas) -> str:
    """The name of the aspect ratio of a canvas."""

    def differ(ratio: str) -> float:
        across, down = map(int, ratio.split(":"))
        return abs(across / down - canvas.width / canvas.height)

    return min(ASPECT_RATIOS, key=differ)


def build_gemini(request: EditRequest, canvas: Canvas, model: str, parameters: Mapping[str, Any]) -> WireRequest:
    """A request with the current image, the source and the mask as pictures after the text."""
    prompt = QWEN_PICTURES.replace("{instruction}", request.instruction)
    pictures = render_pictures(request, canvas, with_source=True, mask_as_picture=True)
    images = [{"inlineData": {"mimeType": "image/png", "data": encode_base64(data)}} for data in pictures]
    size = parameters["image_size"]
    image_config = {"aspectRatio": find_aspect_ratio(canvas)}
    if size != "1K":  # the first of these models know no other size and no such field
        image_config["imageSize"] = size
    fields = {
        "contents": [{"role": "user", "parts": [{"text": prompt}, *images]}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "imageConfig": image_config,
            "seed": request.seed % 2**31,
        },
    }
    return WireRequest(
        f"/models/{model}:generateContent",
        fields,
        None,
        max_text_tokens(prompt) + len(images) * bound_image_tokens(canvas),
        OUTPUT_TOKENS[size] + TOKENS_BESIDE_IMAGE,
    )


def read_gemini_answer(data: bytes) -> ServiceAnswer:
    """Read the last image of the first candidate that is not a part of its thinking."""
    content = parse_answer(data)
    candidate = read_object(next(iter(read_list(content.get("candidates"))), None))
    parts = [read_object(part) for part in read_list(read_object(candidate.get("content")).get("parts"))]
    images = [
        read_text(read_object(part.get("inlineData")).get("data")) for part in parts if part.get("thought") is not True
    ]
    image = next((text for text in reversed(images) if text), "")
    blocked = read_object(content.get("promptFeedback")).get("blockReason") or candidate.get("finishReason") in BLOCKED
    finish = "image" if image else "content_filter" if blocked else "no_image"
    return ServiceAnswer(
        finish,
        image,
        served_by=choose_name(content.get("modelVersion")),
        count=_count_gemini_tokens(read_object(content.get("usageMetadata"))),
    )


def _count_gemini_tokens(usage: Mapping[str, Any]) -> TokenCount | None:
    read = read_count(usage.get("promptTokenCount"))
    written = read_count(usage.get("candidatesTokenCount", 0))
    thought = read_count(usage.get("thoughtsTokenCount", 0))
    if read is None or written is None or thought is None:
        return None
    return TokenCount(read, min(read_count(usage.get("cachedContentTokenCount")) or 0, read), written + thought)

"""The dialects of `images/edits`, and the other services, as one table: how a request is built and an answer read.

OpenAI: https://developers.openai.com/api/docs/guides/image-generation, types of the package `openai` 3.54.
vLLM-Omni: https://docs.vllm.ai/projects/vllm-omni/en/latest/serving/image_edit_api/ (`mask_image`, white may change).
SGLang: its route takes a field `mask` and does not use it, so the mask is sent as a picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

from editfhf.chat.costs import max_text_tokens
from editfhf.chat.replies import TokenCount
from editfhf.drafting.pair_images import encode_image
from editfhf.editors.diffusers_editors.arguments import fit_working_size
from editfhf.editors.diffusers_editors.pipelines import QWEN_PICTURES
from editfhf.editors.edit_attempts import EditDeclined
from editfhf.editors.http_editors.canvas import Canvas, place_image, place_mask, plan_canvas
from editfhf.editors.http_editors.edit_dialect import (
    EditDialect,
    bound_image_tokens,
    bound_output_tokens,
    plan_fixed_canvas,
    render_pictures,
)
from editfhf.editors.http_editors.gemini import (
    GEMINI_KEY_VARIABLE,
    GEMINI_URL,
    build_gemini,
    plan_gemini,
    read_gemini_answer,
)
from editfhf.editors.http_editors.seedream import SEEDREAM_KEY_VARIABLE, SEEDREAM_URL, build_seedream
from editfhf.editors.http_editors.wire import (
    FormFile,
    ServiceAnswer,
    WireRequest,
    choose_name,
    encode_alpha_mask,
    parse_answer,
    read_count,
    read_list,
    read_object,
    read_text,
)
from editfhf.editors.protocol import EditRequest
from editfhf.png import encode_grey_png

EDITS_PATH = "/images/edits"

MAX_MASK_BYTES = 4 * 10**6

TWO_PICTURES = (
    "{instruction}\n"
    "Edit the first image. The second image shows it before any edit: use it only as a reference for what should look "
    "as before."
)
"""Prompt where the source is the second image and the mask has a place of its own."""

FIXED_SIZES = ((1024, 1024), (1024, 1536), (1536, 1024))
"""(height, width) that OpenAI's models before gpt-image-2 draw."""

FIXED_SIZE_MODELS = ("gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest")

FREE_SIZE_SIDES = (3840, 2160)
"""Longer and shorter side, in pixels, of the largest image of gpt-image-2 and later; sides are multiples of 16."""

LEAST_FREE_PIXELS = 655_360
"""Pixels of the smallest image that these models draw; a smaller crop is enlarged."""

MOST_ELONGATED = 3


def plan_openai(request: EditRequest, model: str, parameters: Mapping[str, Any]) -> Canvas:
    """A canvas of a size that the model draws: one of three for older models, else the image's own to a limit."""
    height, width = request.mask.shape
    if model.startswith(FIXED_SIZE_MODELS):
        return plan_fixed_canvas(height, width, FIXED_SIZES)
    longer, shorter = FREE_SIZE_SIDES
    high, wide = (longer, shorter) if height > width else (shorter, longer)
    enlarge = max(1.0, sqrt(LEAST_FREE_PIXELS / (height * width)))
    scale = min(enlarge, high / height, wide / width)
    rows, columns = (max(16, ceil(length * scale / 16) * 16) for length in (height, width))
    rows, columns = (
        max(rows, ceil(columns / MOST_ELONGATED / 16) * 16),
        max(columns, ceil(rows / MOST_ELONGATED / 16) * 16),
    )
    return plan_canvas(height, width, min(rows, high), min(columns, wide))


def plan_by_side(request: EditRequest, model: str, parameters: Mapping[str, Any]) -> Canvas:
    """A canvas of about side * side pixels in multiples of 16, in the shape of the image."""
    height, width = request.mask.shape
    return plan_canvas(height, width, *fit_working_size(height, width, parameters["side"], 16))


def build_openai(request: EditRequest, canvas: Canvas, model: str, parameters: Mapping[str, Any]) -> WireRequest:
    """A form for OpenAI: the mask is an alpha channel and applies to the first image. There is no seed."""
    mask = encode_alpha_mask(place_mask(request.mask, canvas))
    if len(mask) >= MAX_MASK_BYTES:
        raise EditDeclined("error", f"The mask is a PNG of {len(mask):,} bytes: the service takes {MAX_MASK_BYTES:,}.")
    images = render_pictures(request, canvas, parameters["send_source"], mask_as_picture=False)
    prompt = TWO_PICTURES if parameters["send_source"] else "{instruction}"
    fields = {
        "prompt": prompt.replace("{instruction}", request.instruction),
        "model": model,
        "n": 1,
        "size": f"{canvas.width}x{canvas.height}",
        "quality": parameters["quality"],
        "output_format": "png",
        "background": "opaque",
    }
    if parameters["input_fidelity"]:
        fields["input_fidelity"] = parameters["input_fidelity"]
    files = (
        *(FormFile("image[]", f"image-{number}.png", data, "image/png") for number, data in enumerate(images)),
        FormFile("mask", "mask.png", mask, "image/png"),
    )
    return _make_form(fields, files, canvas)


def build_vllm_omni(request: EditRequest, canvas: Canvas, model: str, parameters: Mapping[str, Any]) -> WireRequest:
    """A form for vLLM-Omni: mask and source have fields of their own; a model that has no use for one ignores it."""
    (image,) = render_pictures(request, canvas, False, mask_as_picture=False)
    files = [
        FormFile("image", "image.png", image, "image/png"),
        FormFile("mask_image", "mask.png", encode_grey_png(place_mask(request.mask, canvas)), "image/png"),
    ]
    if parameters["send_source"]:
        source = encode_image(place_image(request.source, canvas), "png").data
        files.append(FormFile("reference_image", "source.png", source, "image/png"))
    fields = _render_diffusion_fields(request.instruction, request.seed, canvas, model, parameters)
    return _make_form(fields, tuple(files), canvas)


def build_sglang(request: EditRequest, canvas: Canvas, model: str, parameters: Mapping[str, Any]) -> WireRequest:
    """A form for SGLang, whose `mask` is ignored: source and mask are the second and third picture."""
    images = render_pictures(request, canvas, parameters["send_source"], mask_as_picture=parameters["send_source"])
    prompt = (QWEN_PICTURES if parameters["send_source"] else "{instruction}").replace(
        "{instruction}", request.instruction
    )
    files = tuple(FormFile("image[]", f"image-{number}.png", data, "image/png") for number, data in enumerate(images))
    return _make_form(_render_diffusion_fields(prompt, request.seed, canvas, model, parameters), files, canvas)


def read_images_answer(data: bytes) -> ServiceAnswer:
    """Read the answer of `images/edits` and `images/generations`: the first image of `data`, and the usage."""
    content = parse_answer(data)
    first = next(iter(read_list(content.get("data"))), None)
    made = read_object(first)
    image, url = read_text(made.get("b64_json")), read_text(made.get("url"))
    code = read_text(read_object(made.get("error")).get("code"))
    finish = "image" if image or url else "content_filter" if "Sensitive" in code else "no_image"
    return ServiceAnswer(finish, image, url, choose_name(content.get("model")), _count_tokens(content.get("usage")))


def _count_tokens(usage: object) -> TokenCount | None:
    counts = read_object(usage)
    written = read_count(counts.get("output_tokens"))
    # Seedream gives no input tokens: it bills images.
    read = read_count(counts.get("input_tokens", 0))
    return None if written is None or read is None else TokenCount(read, 0, written)


def _render_diffusion_fields(
    prompt: str, seed: int, canvas: Canvas, model: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Fields that servers of diffusion models have beside those of OpenAI; what is None is left to the server."""
    fields = {
        "prompt": prompt,
        "model": model,
        "n": 1,
        "size": f"{canvas.width}x{canvas.height}",
        "response_format": "b64_json",
        "output_format": "png",
        "seed": seed % 2**31,
    }
    names = ("num_inference_steps", "guidance_scale", "true_cfg_scale", "negative_prompt")
    return fields | {name: parameters[name] for name in names if parameters[name] is not None}


def _make_form(fields: Mapping[str, Any], files: tuple[FormFile, ...], canvas: Canvas) -> WireRequest:
    read = max_text_tokens(fields["prompt"]) + sum(bound_image_tokens(canvas) for _ in files)
    return WireRequest(EDITS_PATH, fields, files, read, bound_output_tokens(canvas))


EDIT_DIALECTS: dict[str, EditDialect] = {
    dialect.name: dialect
    for dialect in (
        EditDialect("openai", plan_openai, build_openai, read_images_answer),
        EditDialect("vllm-omni", plan_by_side, build_vllm_omni, read_images_answer, has_seed=True),
        EditDialect("sglang", plan_by_side, build_sglang, read_images_answer, has_seed=True),
        EditDialect(
            "gemini",
            plan_gemini,
            build_gemini,
            read_gemini_answer,
            has_seed=True,
            base_url=GEMINI_URL,
            key_variable=GEMINI_KEY_VARIABLE,
            key_header="x-goog-api-key",
        ),
        EditDialect(
            "seedream",
            plan_by_side,
            build_seedream,
            read_images_answer,
            base_url=SEEDREAM_URL,
            key_variable=SEEDREAM_KEY_VARIABLE,
        ),
    )
}
"""Dialects by name."""

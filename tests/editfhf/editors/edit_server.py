"""Servers that edit images: each request is checked against the documented schema of its dialect, faults as planned.

What is documented: OpenAI's form is that of the types in the package `openai`; vLLM-Omni's and SGLang's the parameters
of their routes; Gemini's and Seedream's the fields of their references. A request that breaks a rule is answered with
400 and kept in `violations`, which the tests require to be empty.

The answer is the first image, with its colours inverted where the request allows a change: so the tests see whether
images and mask arrived in their places.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray
from openai.types.image_edit_params import ImageEditParamsNonStreaming
from PIL import Image

from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import KEY, FaultServer, _serve, cut_short

MODEL = "edit-test"

DIFFUSION_FIELDS = {"prompt", "model", "n", "size", "response_format", "output_format", "seed", "negative_prompt"}
DIFFUSION_FIELDS |= {"num_inference_steps", "guidance_scale", "true_cfg_scale", "background", "output_compression"}
FORMS: dict[str, dict[str, set[str]]] = {
    "openai": {
        "fields": set(ImageEditParamsNonStreaming.__annotations__)
        | {name for base in ImageEditParamsNonStreaming.__orig_bases__ for name in base.__annotations__},
        "files": {"image", "image[]", "mask"},
    },
    "vllm-omni": {"fields": DIFFUSION_FIELDS, "files": {"image", "image[]", "mask_image", "reference_image"}},
    "sglang": {"fields": DIFFUSION_FIELDS, "files": {"image", "image[]", "mask"}},
}
RATIOS = {"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"}


class Violation(Exception):
    """The request breaks a documented rule."""


def require(holds: object, rule: str) -> None:
    if not holds:
        raise Violation(rule)


def open_png(data: bytes, limit: int) -> Image.Image:
    require(len(data) < limit, f"a file of less than {limit} bytes")
    image = Image.open(io.BytesIO(data))
    require(image.format == "PNG", "a PNG")
    require(not image.info.get("exif"), "no metadata")
    return image


def invert_inside(image: Image.Image, inside: NDArray[np.bool_] | None) -> Image.Image:
    pixels = np.array(image.convert("RGB"))
    chosen = np.ones(pixels.shape[:2], bool) if inside is None else inside
    pixels[chosen] = 255 - pixels[chosen]
    return Image.fromarray(pixels)


def encode_text(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


class EditServer(FaultServer):
    """The double of one dialect. `answer_size` resizes answers; `result` replaces what is told of the image."""

    def __init__(self, folder: Path, dialect: str, plan: Plan) -> None:
        super().__init__(folder, plan, KEY, (MODEL,))
        self.dialect = dialect
        self.violations: list[str] = []
        self.seen: list[dict[str, Any]] = []
        self.answer_size: tuple[int, int] | None = None
        self.result: dict[str, Any] | None = None
        self.downloads: dict[str, Callable[[], web.Response]] = {}
        self.on_paid: Callable[[], object] = lambda: None

    def app(self) -> web.Application:
        made = web.Application(client_max_size=200_000_000)
        made.add_routes(
            [
                web.post("/v1/images/edits", self._edit),
                web.post("/v1/images/generations", self._edit),
                web.post(f"/v1/models/{MODEL}:generateContent", self._edit),
                web.get("/results/{name}", self._give_result),
            ]
        )
        return made

    async def _give_result(self, request: web.Request) -> web.StreamResponse:
        self.seen.append({"download": request.match_info["name"]})
        return self.downloads[request.match_info["name"]]()

    async def _edit(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(sent := {"path": request.path, "headers": dict(request.headers)})
        try:
            image = await self._check(request, sent)
        except Violation as broken:
            self.violations.append(str(broken))
            return web.json_response({"error": {"message": str(broken), "code": "invalid_request"}}, status=400)
        name, _, argument = self.plan.next("", str(len(self.seen))).partition(":")
        if name == "blocked":
            return web.json_response({"error": {"message": "no", "code": argument}}, status=400)
        if (unpaid := await self._unpaid(request, name, argument)) is not None:
            return unpaid
        if self.answer_size:
            image = image.resize(self.answer_size)
        reply = json.dumps(self._answer_with(encode_text(image)))
        attempt = request.headers["Idempotency-Key"]
        self.bill.charge("edit", attempt, attempt[:40], MODEL, {"input": 0, "cached": 0, "output": 0}, name)
        self.on_paid()
        if name == "cut":
            return await cut_short(request, reply)
        if name == "garbage":
            reply = argument or "{"
        return web.Response(text=reply, content_type="application/json")

    async def _check(self, request: web.Request, sent: dict[str, Any]) -> Image.Image:
        require(re.fullmatch(r"[0-9a-f]{40}-0-\d+", request.headers.get("Idempotency-Key", "")), "an id of the attempt")
        bearer, own = request.headers.get("Authorization"), request.headers.get("x-goog-api-key")
        wanted = (None, KEY) if self.dialect == "gemini" else (f"Bearer {KEY}", None)
        require((bearer, own) == wanted, "the key in the header of the service, and nowhere else")
        require(KEY not in str(request.url), "no key in the address")
        if self.dialect in FORMS:
            return await self._check_form(request, sent)
        require(request.content_type == "application/json", "JSON")
        sent["body"] = body = await request.json()
        return self._check_gemini(body) if self.dialect == "gemini" else self._check_seedream(body)

    async def _check_form(self, request: web.Request, sent: dict[str, Any]) -> Image.Image:
        require(request.path == "/v1/images/edits", "the path of edits")
        require(request.content_type == "multipart/form-data", "a form")
        form, rules = await request.post(), FORMS[self.dialect]
        files = {name: form.getall(name) for name in form if isinstance(form[name], web.FileField)}
        fields = {name: str(form[name]) for name in form if name not in files}
        sent |= {"fields": fields, "files": {name: len(given) for name, given in files.items()}}
        require(set(fields) <= rules["fields"], f"documented fields, not {set(fields) - rules['fields']}")
        require(set(files) <= rules["files"], f"documented files, not {set(files) - rules['files']}")
        require(0 < len(fields["prompt"]) <= 32_000, "a prompt")
        require(fields["model"] == MODEL or fields["model"].startswith("gpt-image"), "the model")
        require(fields["n"] == "1", "one image")
        images = [open_png(f.file.read(), 50_000_000) for f in (*files.get("image", ()), *files.get("image[]", ()))]
        require(1 <= len(images) <= 16, "1 to 16 images")
        size = re.fullmatch(r"(\d+)x(\d+)", fields["size"])
        require(size and (int(size[1]), int(size[2])) == images[0].size, "the size of the first image")
        width, height = images[0].size
        if self.dialect == "openai":
            return self._check_openai(fields, files, images)
        require(fields["response_format"] == "b64_json", "b64_json")
        require(fields["output_format"] in ("png", "jpg", "jpeg", "webp"), "an output format")
        require(0 <= int(fields["seed"]) < 2**63, "a seed")
        require(width % 16 == height % 16 == 0, "multiples of 16")
        if self.dialect == "sglang":
            mask = images[2] if len(images) > 2 else None
        else:
            mask = open_png(files["mask_image"][0].file.read(), 4_000_000)
            if "reference_image" in files:
                require(open_png(files["reference_image"][0].file.read(), 50_000_000).size == images[0].size, "a size")
        return invert_inside(images[0], None if mask is None else np.asarray(mask.convert("L")) > 127)

    def _check_openai(self, fields: dict[str, str], files: dict[str, Any], images: list[Image.Image]) -> Image.Image:
        width, height = images[0].size
        fixed = fields["model"] in ("gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image-latest")
        if fixed:
            require((width, height) in ((1024, 1024), (1536, 1024), (1024, 1536)), "a size of the model")
        require(width % 16 == height % 16 == 0, "multiples of 16")
        require(1 / 3 <= width / height <= 3, "1:3 to 3:1")
        require(max(width, height) <= 3840 and min(width, height) <= 2160, "at most 3840 x 2160")
        require(fixed or 655_360 <= width * height <= 8_294_400, "655,360 to 8,294,400 pixels")
        require("seed" not in fields and "response_format" not in fields, "only what GPT image models take")
        require(fields["quality"] in ("auto", "low", "medium", "high", "xhigh", "max"), "a quality")
        require(fields["output_format"] in ("png", "webp", "jpeg"), "an output format")
        if "input_fidelity" in fields:
            require(fields["model"] == "gpt-image-1.5", "input_fidelity of gpt-image-1.5 alone")
        mask = open_png(files["mask"][0].file.read(), 4_000_000)
        require(mask.mode == "RGBA" and mask.size == images[0].size, "a mask with alpha of the size of the image")
        return invert_inside(images[0], np.asarray(mask)[..., 3] == 0)

    def _check_gemini(self, body: dict[str, Any]) -> Image.Image:
        require(set(body) <= {"contents", "generationConfig", "safetySettings", "systemInstruction"}, "known fields")
        (content,) = body["contents"]
        require(content["role"] == "user", "a role")
        text, *images = content["parts"]
        require(set(text) == {"text"}, "the text first")
        pictures = []
        for part in images:
            require(set(part) == {"inlineData"} and part["inlineData"]["mimeType"] == "image/png", "inline PNG")
            pictures.append(open_png(base64.b64decode(part["inlineData"]["data"], validate=True), 20_000_000))
        config = body["generationConfig"]
        require(set(config) <= {"responseModalities", "imageConfig", "seed", "temperature"}, "a known configuration")
        require(config["responseModalities"] == ["TEXT", "IMAGE"], "modalities")
        require(set(config["imageConfig"]) <= {"aspectRatio", "imageSize"}, "a known image configuration")
        require(config["imageConfig"]["aspectRatio"] in RATIOS, "an aspect ratio")
        require(config["imageConfig"].get("imageSize", "1K") in ("1K", "2K", "4K"), "an image size")
        return invert_inside(pictures[0], np.asarray(pictures[2].convert("L")) > 127)

    def _check_seedream(self, body: dict[str, Any]) -> Image.Image:
        known = {"model", "prompt", "image", "size", "sequential_image_generation", "response_format", "watermark"}
        require(set(body) <= known | {"stream", "optimize_prompt_options"}, "known fields")
        require(body["watermark"] is False and body["response_format"] == "b64_json", "no watermark, b64_json")
        require(body["sequential_image_generation"] == "disabled", "one image")
        require(1 <= len(body["image"]) <= 14, "1 to 14 images")
        head = "data:image/png;base64,"
        require(all(url.startswith(head) for url in body["image"]), "data URLs")
        pictures = [open_png(base64.b64decode(url.removeprefix(head)), 10_000_000) for url in body["image"]]
        width, height = map(int, body["size"].split("x"))
        require((width, height) == pictures[0].size, "the size of the first image")
        require(1280 * 720 <= width * height <= 4096 * 4096 and 1 / 16 <= width / height <= 16, "a size of the model")
        return invert_inside(pictures[0], np.asarray(pictures[2].convert("L")) > 127)

    def _answer_with(self, image: str) -> dict[str, Any]:
        if self.dialect == "gemini":
            parts = [
                {"thought": True, "inlineData": {"mimeType": "image/png", "data": "dGhvdWdodA=="}},
                {"text": "Here it is."},
                {"inlineData": {"mimeType": "image/png", "data": image}},
            ]
            made = {"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}]}
            used = {"promptTokenCount": 1000, "candidatesTokenCount": 1290, "thoughtsTokenCount": 10}
            return self.result or made | {"usageMetadata": used, "modelVersion": "edit-test-001"}
        row = {"b64_json": image} if self.result is None else self.result
        usage = {"input_tokens": 1000, "output_tokens": 4000, "total_tokens": 5000}
        if self.dialect == "seedream":
            usage = {"generated_images": 1, "output_tokens": 16280, "total_tokens": 16280}
        return {
            "created": 1_770_000_000,
            "data": [row],
            **({} if self.dialect in ("vllm-omni", "sglang") else {"usage": usage}),
        }


@contextmanager
def running_editor(folder: Path, dialect: str, plan: Plan | None = None) -> Iterator[EditServer]:
    """The server in a thread of this process."""
    folder.mkdir(parents=True, exist_ok=True)
    server = EditServer(folder, dialect, plan or Plan())
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def wait(_: str) -> None:
        ready.set()
        await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[_serve(server, 0, wait)])
    thread.start()
    try:
        if not ready.wait(30):
            raise TimeoutError("the edit server did not start")
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        server.bill.close()

"""A chat server on this machine that computes the probabilities of its first token from the pixels it is sent."""

from __future__ import annotations

import base64
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray
from PIL import Image
from scipy.special import log_softmax
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

VOCABULARY = ["1", "2", "3", "4", "5", *(f"word{number}" for number in range(40))]
MODEL = "tiny-levels"


def compute_logits(pixels: NDArray[Any], question: str) -> NDArray[np.float64]:
    """Logits of the vocabulary: smooth over the levels around a place that depends on the picture and the question."""
    place = 4 * float(np.asarray(pixels, np.float64).mean()) / 255 + 0.3 * (len(question) % 3)
    logits = np.full(len(VOCABULARY), -6.0) - np.arange(len(VOCABULARY)) / 50
    logits[:5] = 3 - (np.arange(5) - place) ** 2
    return logits


class LogprobServer:
    """top: how many alternatives it gives, None for no logprobs at all; asked: the bodies that came."""

    def __init__(self) -> None:
        self.top: int | None = 20
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    async def complete(self, request: Request) -> JSONResponse:
        body = await request.json()
        self.asked.append(body)
        parts = body["messages"][1]["content"]
        images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[-1].partition(",")[2]))).convert("RGB"))
        logprobs = log_softmax(compute_logits(pixels, parts[-1]["text"]))
        order = np.argsort(-logprobs)
        listed = [{"token": VOCABULARY[i], "logprob": float(logprobs[i]), "bytes": None} for i in order]
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": "length",
            "message": {"role": "assistant", "content": listed[0]["token"]},
        }
        if self.top is not None and body.get("logprobs"):
            shown = listed[: min(self.top, body["top_logprobs"])]
            choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": shown}]}
        usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
        return JSONResponse(
            {"id": "x", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage}
        )


@contextmanager
def running_logprob_server() -> Iterator[LogprobServer]:
    """The server on a free port."""
    double = LogprobServer()
    app = Starlette(routes=[Route("/v1/chat/completions", double.complete, methods=["POST"])])
    listening = socket.create_server(("127.0.0.1", 0))
    double.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield double
    finally:
        server.should_exit = True
        thread.join()
        listening.close()

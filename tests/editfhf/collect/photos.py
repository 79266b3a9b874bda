"""A folder of photos, a model that proposes instructions over HTTP, and a scorer: all that a collection needs."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotation.images import RgbImage
from annotation.records import DIMENSIONS
from annotation.simulate.photos import list_packaged_photos, load_photo_pixels

MODEL = "scripted-vlm"


def write_photos(folder: Path, count: int = 4) -> Path:
    """Small copies of the packaged photos, with a list of their licences; returns the list."""
    folder.mkdir()
    lines = ["file,licence,author,origin"]
    for photo in list_packaged_photos()[:count]:
        small = Image.fromarray(load_photo_pixels(photo))
        small.thumbnail((96, 96))
        small.save(folder / f"{photo.name}.png")
        lines.append(f"{photo.name}.png,CC0,A. Author,https://example.org/{photo.name}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return folder / "list.csv"


def score_by_change(source: RgbImage, edited: RgbImage, instruction: str) -> Mapping[str, float]:
    """Less change is better."""
    change = float(np.abs(source.astype(float) - edited.astype(float)).mean())
    return dict.fromkeys(DIMENSIONS, 100 / (1 + change))


class ScriptedVlm(ThreadingHTTPServer):
    """Proposes an instruction for every task; `answered` counts the requests that it bills."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answered = 0
        self.texts: dict[int, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedVlm

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = body["messages"][1]["content"]
        tasks = re.findall(r"^(\d+)\. (\w+)", parts[-1]["text"], re.MULTILINE)
        digest = hashlib.sha256(parts[0]["image_url"]["url"].encode()).hexdigest()[:8]
        self.server.answered += 1
        texts = self.server.texts
        made = [
            {
                "task_number": int(number),
                "instruction": texts.get(int(number), f"Make a {task} of photo {digest}."),
                "visible": "photo",
            }
            for number, task in tasks
        ]
        judged = dict.fromkeys(DIMENSIONS, 70)
        asked = body["response_format"]["json_schema"]["name"]
        content = json.dumps(judged if asked == "JudgeReply" else {"instructions": made})
        message = {"role": "assistant", "content": content}
        self._reply(
            {
                "id": "reply",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
            }
        )

    def _reply(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serve_vlm() -> Iterator[ScriptedVlm]:
    """The server in a thread."""
    with ScriptedVlm() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

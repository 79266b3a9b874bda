"""The real command `editfhf serve` as a process, and pairs to send to it."""

from __future__ import annotations

import base64
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

KEY = "0123456789abcdef0123456789abcdef"


class RunningServer(NamedTuple):
    url: str
    port: int
    process: subprocess.Popen[str]
    log: Path


@contextmanager
def running_server(folder: Path, *words: str, key: str | None = KEY) -> Iterator[RunningServer]:
    """A server on a free port; at the end it is told to stop, and must do so with status 0."""
    log = folder / "serve.log"
    environment = dict(os.environ) | ({} if key is None else {"EDITFHF_SERVE_KEY": key})
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "editfhf.cli", "serve", "--port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            env=environment,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Serving on "), log.read_text()
            url = line.split()[-1]
            yield RunningServer(url, int(url.rpartition(":")[2]), process, log)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close() if process.stdout else None


def make_pair(size: int = 96, shift: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photo, and the photo with one coloured square."""
    source = np.ascontiguousarray(data.astronaut()[shift : shift + size, 40 : 40 + size])
    edited = source.copy()
    edited[10:40, 20:50] = (250, 20, 20)
    return source, edited


def encode(pixels: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def as_item(source: bytes, edited: bytes, instruction: str = "Add a red box.", **more: Any) -> dict[str, Any]:
    texts = {"source": base64.b64encode(source).decode(), "edited": base64.b64encode(edited).decode()}
    return texts | {"instruction": instruction} | more

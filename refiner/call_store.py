"""Answers of agents and editors, kept so that no call is made twice: in memory, or in a folder that outlives a kill.

A run that goes on after a kill is the same run again, whose calls are answered from the folder. Nothing else is needed
to resume: the loop is a function of the answers.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from annotation.images import decode_image
from annotation.json_lines import read_json_lines
from editfhf.png import encode_grey_png
from mos.errors import UserError
from mos.files import append_lines, read_regular_file, repair_last_line, replace_file

CALLS_FILE = "calls.jsonl"

CallRole = Literal["perception", "reasoning", "evaluation", "auditor", "editor"]


@dataclass(frozen=True, slots=True, eq=False)
class KeptCall:
    """One call and its answer.

    Attributes
    ----------
    key : str
        SHA-256 of everything that decides the answer: the agent, the images, the instruction, seed and parameters.
    role : str
    agent : str
        Who was asked.
    turn : int
        The turn that asked first.
    answer : mapping
        JSON values; what was said, or why nothing was.
    seconds : float
        Wall-clock time.
    cost : float
        In US dollars.
    pictures : mapping from str to ndarray
        Arrays of the answer by file name in the folder of the turn: uint8 [H, W] or [H, W, 3].
    """

    key: str
    role: CallRole
    agent: str
    turn: int
    answer: Mapping[str, Any]
    seconds: float
    cost: float = 0.0
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class CallStore(Protocol):
    """Remembers calls."""

    def find_call(self, key: str) -> KeptCall | None:
        """The call with this key; None if it was not made yet."""

    def keep_call(self, call: KeptCall) -> None:
        """Keep an answer before anything is done with it."""


class MemoryCallStore:
    """Remembers calls for the time of one run."""

    def __init__(self) -> None:
        self._calls: dict[str, KeptCall] = {}

    def find_call(self, key: str) -> KeptCall | None:
        """The call with this key; None if it was not made yet."""
        return self._calls.get(key)

    def keep_call(self, call: KeptCall) -> None:
        """Keep an answer."""
        self._calls[call.key] = call


class FolderCallStore:
    """Remembers calls in a folder: a line of `calls.jsonl` for each, its pictures in `turns/NN/`.

    Parameters
    ----------
    folder : Path
        Folder of one run; it exists.

    Notes
    -----
    The pictures are written before the line, and the line before the answer is used. A line whose pictures are missing
    or changed counts as a call that was not made. An answer that cost money is on the disk, whatever happens; any other
    one survives a kill of the process, but not always a power failure.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[str, dict[str, Any]] = {}
        self._fresh: dict[str, KeptCall] = {}
        path = folder / CALLS_FILE
        if path.is_file():
            with path.open("r+b") as stream:
                repair_last_line(stream)
            if path.stat().st_size:
                for _, line in read_json_lines(path, CALLS_FILE, lambda rejection: None):
                    if isinstance(line.get("key"), str):
                        self._lines[line["key"]] = line

    def find_call(self, key: str) -> KeptCall | None:
        """The call with this key; None if it was not made yet."""
        if key in self._fresh:
            return self._fresh[key]
        line = self._lines.get(key)
        return None if line is None else self._read_call(line)

    def keep_call(self, call: KeptCall) -> None:
        """Write an answer to the disk."""
        is_paid = call.cost > 0
        files: dict[str, str] = {}
        for name, pixels in call.pictures.items():
            path = self._folder / "turns" / f"{call.turn:02d}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = encode_png(pixels)
            replace_file(path, data, sync=is_paid)
            files[name] = hashlib.sha256(data).hexdigest()
        seconds = round(call.seconds, 4)
        line = {
            "key": call.key,
            "turn": call.turn,
            "role": call.role,
            "agent": call.agent,
            "seconds": seconds,
            "cost": call.cost,
            "answer": call.answer,
            "pictures": files,
        }
        append_lines(self._folder / CALLS_FILE, [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)], sync=is_paid)
        # Times as the line has them, so that a budget of time ends a resumed run where it ended the first one.
        self._fresh[call.key] = KeptCall(
            call.key, call.role, call.agent, call.turn, call.answer, seconds, call.cost, call.pictures
        )

    def _read_call(self, line: Mapping[str, Any]) -> KeptCall | None:
        pictures: dict[str, NDArray[np.uint8]] = {}
        try:
            turn, files = int(line["turn"]), dict(line["pictures"])
            for name, digest in files.items():
                if "/" in name.removeprefix("candidates/") or name.startswith("."):
                    return None
                data = read_regular_file(self._folder / "turns" / f"{turn:02d}" / name)
                if hashlib.sha256(data).hexdigest() != digest:
                    return None
                pictures[name] = _decode_png(data)
            return KeptCall(
                line["key"],
                line["role"],
                line["agent"],
                turn,
                line["answer"],
                float(line["seconds"]),
                float(line["cost"]),
                pictures,
            )
        except (KeyError, TypeError, ValueError, OSError, UserError):
            return None


def make_call_key(*parts: Any) -> str:
    """SHA-256 of JSON values and arrays; equal parts give equal keys."""
    digest = hashlib.sha256()
    for part in parts:
        data = hash_pixels(part) if isinstance(part, np.ndarray) else part
        digest.update(orjson.dumps(data, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY, default=str))
        digest.update(b"\n")
    return digest.hexdigest()


def hash_pixels(pixels: NDArray[Any]) -> str:
    """SHA-256 of an array with its type and shape."""
    digest = hashlib.sha256(f"{pixels.dtype} {pixels.shape} ".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode uint8 [H, W] or [H, W, 3 or 4] as PNG; the same pixels give the same bytes."""
    if pixels.ndim == 2:
        return encode_grey_png(pixels)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _decode_png(data: bytes) -> NDArray[np.uint8]:
    """The pixels of one of our own files, [H, W] where it is grey."""
    pixels = decode_image(data)
    is_grey = data[25] == 0  # the colour type of the header
    return np.ascontiguousarray(pixels[:, :, 0]) if is_grey else pixels

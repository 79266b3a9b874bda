"""What is sent to a service, and what is read from its answer. Everything that is read is untrusted."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from annotation.images import ImageError, RgbImage, decode_image
from editfhf.chat.replies import TokenCount, UnreadableReply

MAX_ANSWER_BYTES = 64 << 20
"""Largest answer in bytes that is parsed; the client reads no more."""

MAX_TOKENS = 1 << 40

MAX_VALUES = 10_000
"""Commas and brackets of an answer: it has one image in one text, and few other values."""


class FormFile(NamedTuple):
    """One file of a form: the field, the file's name, its bytes and their type."""

    field: str
    name: str
    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request: a form (`fields` and `files`), or JSON (`fields` alone).

    path: below the URL of the service; max_output_tokens: of its answer; max_input_tokens: of the request
    """

    path: str
    fields: Mapping[str, Any] = field(repr=False)
    files: tuple[FormFile, ...] | None = field(default=None, repr=False)
    max_input_tokens: int = 0
    max_output_tokens: int = 0

    def compute_digest(self, *more: str) -> str:
        """SHA-256 of all that is sent, and of more texts."""
        files = [(file.field, hashlib.sha256(file.data).hexdigest()) for file in self.files or ()]
        content = [self.path, dict(self.fields), files, list(more)]
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def render_body(self) -> Mapping[str, Any]:
        """Arguments of `AsyncOpenAI.post`."""
        if self.files is None:
            return {"content": orjson.dumps(self.fields)}
        return {
            "body": dict(self.fields),
            "files": [(file.field, (file.name, file.data, file.media_type)) for file in self.files],
        }

    @property
    def content_type(self) -> str:
        return "application/json" if self.files is None else "multipart/form-data"


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """What a service answered.

    finish: "image", "content_filter" or "no_image"
    image: base64 text of the image, or ""; url: where the service says that it is, or ""
    """

    finish: str
    image: str = field(default="", repr=False)
    url: str = field(default="", repr=False)
    served_by: str = ""
    count: TokenCount | None = None

    def pack_text(self) -> str | None:
        """The image or its address as the text of a stored reply."""
        return orjson.dumps([self.image, self.url]).decode() if self.image or self.url else None


def unpack_text(text: str) -> tuple[str, str]:
    """What `ServiceAnswer.pack_text` packed: base64 text and address, one of them ""."""
    image, url = orjson.loads(text)
    return image, url


def parse_answer(data: bytes) -> dict[str, Any]:
    """The JSON object of an answer; `UnreadableReply` when it is none, or far larger than an answer with an image."""
    if len(data) > MAX_ANSWER_BYTES or sum(data.count(mark) for mark in b"[{,") > MAX_VALUES:
        raise UnreadableReply
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise UnreadableReply from None
    if not isinstance(content, dict):
        raise UnreadableReply
    return content


def decode_answer(text: str) -> RgbImage:
    """The image of a base64 text; `ImageError` when it is none that the safe reader takes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("broken_image", "The answer is not base64: expected an image.") from None
    return decode_image(data)


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def encode_alpha_mask(mask: NDArray[np.uint8]) -> bytes:
    """PNG with transparency 0 where the image may change, as OpenAI wants it; black everywhere, so that it is small."""
    alpha = Image.fromarray(np.where(mask > 0, 0, 255).astype(np.uint8))
    black = Image.new("L", alpha.size)
    stream = BytesIO()
    Image.merge("RGBA", (black, black, black, alpha)).save(stream, "PNG")
    return stream.getvalue()


def read_object(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def read_list(value: object) -> list[Any]:
    """The value if it is a JSON list, else an empty one."""
    return value if isinstance(value, list) else []


def read_text(value: object) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def read_count(value: object) -> int | None:
    """The value if it is a plausible number of tokens."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MAX_TOKENS else None  # type: ignore[operator, return-value]


def choose_name(value: object) -> str:
    """A model's name by the server, cut and without characters that are no text."""
    return read_text(value).encode("utf-8", "replace").decode()[:100]

"""A request to a model: its text and images, the strict JSON schema of its reply, and its cache key."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Self

import orjson
from pydantic import BaseModel

from annotation.images import inspect_image
from annotation.text import is_unicode
from mos.errors import UserError

UNSUPPORTED_KEYWORDS = ("minLength", "maxLength", "default")
"""Keywords that OpenAI does not accept in a strict schema; lengths are checked when the reply is parsed.

Source: https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas"""


_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")


@lru_cache(maxsize=64)
def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Schema of a pydantic model in which every property is required and no other allowed; do not modify the result."""
    import openai

    tool = openai.pydantic_function_tool(model, name=schema_name(model))
    schema: dict[str, Any] = tool["function"]["parameters"]
    _remove_keywords(schema)
    return schema


def schema_name(model: type[BaseModel]) -> str:
    """Name of a schema: at most 64 letters, digits, `_` and `-`."""
    return _NOT_IN_NAME.sub("_", model.__name__)[:64]


def _remove_keywords(node: Any, properties: bool = False) -> None:
    if isinstance(node, list):
        for item in node:
            _remove_keywords(item)
    elif isinstance(node, dict):
        if not properties:
            for word in UNSUPPORTED_KEYWORDS:
                node.pop(word, None)
        for name, value in node.items():
            # Names of properties are no keywords: a property may be called "default".
            _remove_keywords(value, properties=not properties and name in ("properties", "$defs"))


JsonValue = None | bool | int | float | str | list[Any] | dict[str, Any]


RESERVED_PARAMETERS = frozenset(
    {"model", "messages", "response_format", "max_completion_tokens", "max_tokens", "n", "stream", "stream_options"}
)
"""Parameters that are set by fields of a request, or that would make its maximum usage wrong."""


MAX_REQUEST_NAME = 200


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image. Its base64 text is made once and shared by all requests with this object.

    Parameters
    ----------
    data : bytes
        The encoded image, which is sent unchanged.
    media_type : str
        image/png, image/jpeg or image/webp.

    Raises
    ------
    ImageError
        The data is no PNG, JPEG or WebP image. It is a `UserError`.
    UserError
        The media type is not that of the data.
    """

    data: bytes = field(repr=False)
    media_type: str

    def __post_init__(self) -> None:
        info = inspect_image(self.data)
        if self.media_type != f"image/{info.format.lower()}":
            raise UserError(
                f"The media type is {self.media_type[:40]!r}: expected 'image/{info.format.lower()}' for this image."
            )
        # Fill the cached properties of this frozen dataclass with what is known already.
        self.__dict__.update(digest=info.sha256, width=info.width, height=info.height)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def width(self) -> int:
        """Pixels as displayed, after EXIF orientation."""
        return inspect_image(self.data).width

    @cached_property
    def height(self) -> int:
        """Pixels as displayed, after EXIF orientation."""
        return inspect_image(self.data).height

    @cached_property
    def url(self) -> str:
        """The image as a data URL."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"

    def without_data(self) -> Self:
        """A copy with digest and size but without the bytes: it cannot be sent."""
        copy = object.__new__(type(self))
        copy.__dict__.update(
            data=b"", media_type=self.media_type, digest=self.digest, width=self.width, height=self.height
        )
        return copy


@dataclass(frozen=True)
class ModelRequest:
    """One request to a model whose reply is one JSON object.

    Parameters
    ----------
    name : str
        Label in the ledger and in logs; not part of the key.
    model : str
        Name of the model on the server, 1 to 200 characters.
    system : str
        System message.
    parts : tuple of str or EncodedImage
        User message: texts and images in order.
    reply : type of BaseModel
        Pydantic model of the reply; its JSON schema is sent.
    prompt_version : str
        Version of the prompt; part of the key.
    max_output_tokens : int
        Limit of the reply, reasoning tokens included.
    parameters : mapping, optional
        Other parameters that are sent unchanged (temperature, seed, reasoning_effort, ...). `detail` is set on each
        image.
    redo : int
        How many times the same request was repeated on purpose before; part of the key.

    Raises
    ------
    UserError
        A value is out of range, the name is not Unicode, or a parameter is reserved.
    """

    name: str
    model: str
    system: str = field(repr=False)
    parts: tuple[str | EncodedImage, ...] = field(repr=False)
    reply: type[BaseModel]
    prompt_version: str
    max_output_tokens: int
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    redo: int = 0

    def __post_init__(self) -> None:
        if not is_unicode(self.name):
            raise UserError(f"The request {self.name[:MAX_REQUEST_NAME]!r} has a name that is not valid Unicode.")
        reserved = sorted(RESERVED_PARAMETERS & set(self.parameters))
        if reserved:
            raise UserError(f"The parameter {reserved[0]} is reserved: it is set by the fields of the request.")
        if not 0 < len(self.model) <= MAX_REQUEST_NAME:
            raise UserError(f"The name of a model has {len(self.model)} characters: expected 1 to {MAX_REQUEST_NAME}.")
        if self.max_output_tokens < 1:
            raise UserError(f"max_output_tokens is {self.max_output_tokens}: expected at least 1.")

    @cached_property
    def key(self) -> str:
        """SHA-256 (hexadecimal) of everything that is sent, images by their digests; without `name`."""
        content = {
            "model": self.model,
            "messages": self.messages(digests=True),
            "parameters": dict(self.parameters),
            "max_output_tokens": self.max_output_tokens,
            "schema": [schema_name(self.reply), strict_schema(self.reply)],
            "prompt_version": self.prompt_version,
            "redo": self.redo,
        }
        return hashlib.sha256(_dump_json(content, self.name, orjson.OPT_SORT_KEYS)).hexdigest()

    @property
    def images(self) -> tuple[EncodedImage, ...]:
        return tuple(part for part in self.parts if isinstance(part, EncodedImage))

    def messages(self, digests: bool = False) -> list[dict[str, Any]]:
        """Messages of the chat completions API; with `digests`, images are digests instead of data URLs."""
        parts = [self._render_part(part, digests) for part in self.parts]
        return [{"role": "system", "content": self.system}, {"role": "user", "content": parts}]

    def body(self) -> bytes:
        """Request body as JSON."""
        content: dict[str, Any] = {
            "model": self.model,
            "messages": self.messages(),
            "max_completion_tokens": self.max_output_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": schema_name(self.reply), "schema": strict_schema(self.reply), "strict": True},
            },
        }
        content |= {name: value for name, value in self.parameters.items() if name != "detail"}
        return _dump_json(content, self.name)

    def without_image_data(self) -> ModelRequest:
        """A copy without the bytes of its images: it cannot be sent."""
        copy = object.__new__(ModelRequest)
        parts = tuple(part.without_data() if isinstance(part, EncodedImage) else part for part in self.parts)
        copy.__dict__.update(self.__dict__ | {"parts": parts, "key": self.key})
        return copy

    def _render_part(self, part: str | EncodedImage, digests: bool) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        image: dict[str, JsonValue] = {"url": part.digest if digests else part.url}
        if "detail" in self.parameters:
            image["detail"] = self.parameters["detail"]
        return {"type": "image_url", "image_url": image}


def _dump_json(content: dict[str, Any], name: str, option: int = 0) -> bytes:
    try:
        return orjson.dumps(content, option=option)
    except (TypeError, orjson.JSONEncodeError):
        label = name[:MAX_REQUEST_NAME]
        raise UserError(
            f"The request {label!r} contains text that is not valid Unicode, or a value that is no JSON."
        ) from None

"""What is asked of a model: pictures, a request, and the key that says that two requests are the same."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import orjson
from pydantic import BaseModel

from annotation.images import inspect
from annotation.text import is_unicode
from editfhf.chat.schema import name_of, strict_schema
from mos.errors import UserError

JSON = None | bool | int | float | str | list[Any] | dict[str, Any]

OURS = frozenset(
    {"model", "messages", "response_format", "max_completion_tokens", "max_tokens", "n", "stream", "stream_options"}
)
"""What a request says in fields of its own, or what would break the count of what it costs."""

LONGEST_NAME = 200


@dataclass(frozen=True)
class Picture:
    """An encoded picture; `ImageError` (a `UserError`) when it is no PNG, JPEG or WebP.

    Its base64 is made once, when it is first asked for, and shared by all requests that hold this object.

    data: the encoded bytes, which are sent as they are
    media_type: image/png, image/jpeg or image/webp
    """

    data: bytes = field(repr=False)
    media_type: str

    def __post_init__(self) -> None:
        info = inspect(self.data)
        if self.media_type != f"image/{info.format.lower()}":
            raise UserError(f"A picture is named {self.media_type[:40]!r} but is {info.format}: name it as it is.")
        # A frozen dataclass with cached properties: what is known is put where they would keep it.
        self.__dict__.update(digest=info.sha256, width=info.width, height=info.height)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def width(self) -> int:
        """Pixels, as displayed."""
        return inspect(self.data).width

    @cached_property
    def height(self) -> int:
        """Pixels, as displayed."""
        return inspect(self.data).height

    @cached_property
    def url(self) -> str:
        """The picture as a data URL."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"

    def without_data(self) -> Self:
        """The same picture to look at from outside (digest, size), without its bytes: it cannot be sent."""
        hull = object.__new__(type(self))
        hull.__dict__.update(
            data=b"", media_type=self.media_type, digest=self.digest, width=self.width, height=self.height
        )
        return hull


@dataclass(frozen=True)
class Request:
    """One question to a model whose reply is one JSON object.

    name: a label for people, in the ledger and in progress; no part of the key
    model: as the server calls it
    system: the instructions
    parts: what the user says: texts and pictures, in order
    reply: the pydantic model of the reply; its JSON schema is sent
    prompt_version: which version of the prompt this is; part of the key
    max_output_tokens: of the reply, thinking included
    parameters: what else is sent as it is (temperature, seed, reasoning_effort, ...), but for `detail`, which goes to
        each picture
    redo: 0, or how many times the same was asked before on purpose: another number is another request
    """

    name: str
    model: str
    system: str = field(repr=False)
    parts: tuple[str | Picture, ...] = field(repr=False)
    reply: type[BaseModel]
    prompt_version: str
    max_output_tokens: int
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    redo: int = 0

    def __post_init__(self) -> None:
        if not is_unicode(self.name):
            raise UserError(f"The request {self.name[:LONGEST_NAME]!r} has a name that is not Unicode: mend it.")
        taken = sorted(OURS & set(self.parameters))
        if taken:
            raise UserError(f"The parameter {taken[0]} cannot be given to a request: it is set by its other fields.")
        if not 0 < len(self.model) <= LONGEST_NAME:
            raise UserError(f"The name of a model has {len(self.model)} characters: expected 1 to {LONGEST_NAME}.")
        if self.max_output_tokens < 1:
            raise UserError(f"A request allows {self.max_output_tokens} tokens of reply: expected at least 1.")

    @cached_property
    def key(self) -> str:
        """SHA-256 (hexadecimal) of everything that is sent, pictures by their digests; `name` is no part of it."""
        content = {
            "model": self.model,
            "messages": self.messages(digests=True),
            "parameters": dict(self.parameters),
            "max_output_tokens": self.max_output_tokens,
            "schema": [name_of(self.reply), strict_schema(self.reply)],
            "prompt_version": self.prompt_version,
            "redo": self.redo,
        }
        return hashlib.sha256(_json(content, self.name, orjson.OPT_SORT_KEYS)).hexdigest()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(part for part in self.parts if isinstance(part, Picture))

    def messages(self, digests: bool = False) -> list[dict[str, Any]]:
        """The messages as the chat completions API takes them; with `digests`, pictures are digests, not data."""
        parts = [self._part(part, digests) for part in self.parts]
        return [{"role": "system", "content": self.system}, {"role": "user", "content": parts}]

    def body(self) -> bytes:
        """The JSON that is sent."""
        content: dict[str, Any] = {
            "model": self.model,
            "messages": self.messages(),
            "max_completion_tokens": self.max_output_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": name_of(self.reply), "schema": strict_schema(self.reply), "strict": True},
            },
        }
        content |= {name: value for name, value in self.parameters.items() if name != "detail"}
        return _json(content, self.name)

    def without_pictures(self) -> Request:
        """The same request (name, key, reply) without the bytes of its pictures: it cannot be sent."""
        hull = object.__new__(Request)
        parts = tuple(part.without_data() if isinstance(part, Picture) else part for part in self.parts)
        hull.__dict__.update(self.__dict__ | {"parts": parts, "key": self.key})
        return hull

    def _part(self, part: str | Picture, digests: bool) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        picture: dict[str, JSON] = {"url": part.digest if digests else part.url}
        if "detail" in self.parameters:
            picture["detail"] = self.parameters["detail"]
        return {"type": "image_url", "image_url": picture}


def _json(content: dict[str, Any], name: str, option: int = 0) -> bytes:
    try:
        return orjson.dumps(content, option=option)
    except (TypeError, orjson.JSONEncodeError):
        label = name[:LONGEST_NAME]
        raise UserError(f"The request {label!r} holds text that is not Unicode, or no JSON: mend it.") from None

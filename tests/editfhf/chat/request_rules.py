"""What the fault server takes for a chat request, and how it counts tokens.

A token is four bytes of UTF-8, begun ones counted; a message costs 4 tokens more; a picture 85 and 170 for each tile
of 512 x 512 that it touches; the system message is a cached prefix from the second time that it is seen.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import io
import json
import re
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from PIL import Image

from tests.editfhf.chat import strict_schema

PARAMETERS = set(CompletionCreateParamsNonStreaming.__annotations__) | {
    name for base in CompletionCreateParamsNonStreaming.__orig_bases__ for name in getattr(base, "__annotations__", {})
}
DATA_URL = re.compile(r"data:image/(png|jpeg|webp|gif);base64,([A-Za-z0-9+/]+={0,2})\Z")
ROLES = {"system", "developer", "user", "assistant"}


class Refusal(Exception):
    """A request that the server does not take: status, code and sentence."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": "invalid_request_error", "param": None, "code": self.code}}


def digest(body: dict[str, Any]) -> str:
    """The content of a request, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check(body: Any, models: set[str]) -> None:
    """Raise `Refusal` for what the real server does not take."""
    if not isinstance(body, dict):
        raise Refusal(400, "We could not parse the JSON body of your request.")
    if unknown := sorted(set(body) - PARAMETERS):
        raise Refusal(400, f"Unrecognized request argument supplied: {unknown[0]}")
    if body.get("model") not in models:
        raise Refusal(404, f"The model `{body.get('model')}` does not exist.", "model_not_found")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "Invalid 'messages': empty array.")
    for message in messages:
        _check_message(message)
    _check_format(body.get("response_format"))


def _check_message(message: Any) -> None:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise Refusal(400, "Invalid value for 'messages[].role'.")
    for part in parts(message):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            continue
        if kind != "image_url" or message["role"] != "user":
            raise Refusal(400, "Invalid 'messages[].content[]'.")
        _tokens_of_picture(part["image_url"]["url"])


def _check_format(wanted: Any) -> None:
    if wanted is None or wanted.get("type") in ("text", "json_object"):
        return
    named = wanted.get("json_schema")
    if wanted.get("type") != "json_schema" or not isinstance(named, dict):
        raise Refusal(400, "Invalid 'response_format'.")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", str(named.get("name"))):
        raise Refusal(400, "Invalid 'response_format.json_schema.name'.")
    if named.get("strict") and (wrong := strict_schema.problem(named.get("schema"))):
        raise Refusal(400, f"Invalid schema for response_format '{named['name']}': {wrong}.")


def parts(message: dict[str, Any]) -> list[Any]:
    """The parts of a message; a plain text is one part."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not content:
        raise Refusal(400, "Invalid 'messages[].content'.")
    return content


def text(body: dict[str, Any]) -> str:
    """All that people wrote in a request, without the system's message."""
    said = [part for message in body["messages"] if message["role"] != "system" for part in parts(message)]
    return "\n".join(part["text"] for part in said if part["type"] == "text")


@functools.lru_cache(maxsize=1024)
def _picture_of(url_digest: bytes, url: bytes) -> int:
    del url_digest
    match = DATA_URL.match(url.decode("ascii", "replace"))
    if match is None:
        raise Refusal(400, "Invalid image: only data URLs of PNG, JPEG, WebP and GIF are taken.", "invalid_image_url")
    try:
        with Image.open(io.BytesIO(base64.b64decode(match[2], validate=True))) as picture:
            picture.load()
            if (picture.format or "").lower() != match[1]:
                raise Refusal(400, "Invalid image: not of the stated type.", "invalid_image_format")
            across, down = (-(-side // 512) for side in picture.size)
    except (OSError, binascii.Error, ValueError) as error:
        raise Refusal(400, "Invalid image: cannot be decoded.", "invalid_image_format") from error
    return 85 + 170 * across * down


def _tokens_of_picture(url: Any) -> int:
    if not isinstance(url, str):
        raise Refusal(400, "Invalid image.", "invalid_image_url")
    plain = url.encode()
    return _picture_of(hashlib.sha256(plain).digest(), plain)


def tokens(words: str) -> int:
    """Tokens of a text."""
    return -(-len(words.encode()) // 4)


class Counter:
    """Counts input tokens and remembers which system messages are cached."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def input(self, body: dict[str, Any]) -> dict[str, int]:
        """`input` and, of these, `cached` tokens of a request that was checked."""
        count, cached = 0, 0
        for message in body["messages"]:
            size = 4 + sum(
                tokens(part["text"]) if part["type"] == "text" else _tokens_of_picture(part["image_url"]["url"])
                for part in parts(message)
            )
            if message["role"] == "system":
                prefix = json.dumps(message)
                cached += size if prefix in self._seen else 0
                self._seen.add(prefix)
            count += size
        return {"input": count + tokens(json.dumps(body.get("response_format") or "")), "cached": cached}

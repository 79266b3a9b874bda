"""What a request holds: pairs with images as base64, read with limits before any work is done."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annotation.images import ImageError, inspect_image
from annotation.text import MAX_TEXT_LENGTH

MAX_JSON_PARTS = 400_000
"""Commas and opening brackets of one body: a short text of brackets would need much memory as Python objects."""


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """What one client may ask of the server.

    Attributes
    ----------
    body_bytes : int
        Largest request body. All bodies that are held at one time are at most four times as large.
    body_seconds : float
        Time in which a body must arrive.
    image_bytes, image_pixels : int
        Largest image, encoded and decoded.
    batch : int
        Most pairs of one request.
    waiting : int
        Pairs that wait or are worked on at one time; more are refused with status 429.
    item_seconds : float
        Time for one pair, from its arrival; then its worker is stopped.
    """

    body_bytes: int = 64 << 20
    body_seconds: float = 30.0
    image_bytes: int = 16 << 20
    image_pixels: int = 1 << 24
    batch: int = 64
    waiting: int = 256
    item_seconds: float = 120.0


class PairItem(BaseModel):
    """One pair of a request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: str
    edited: str
    instruction: str = Field(min_length=1, max_length=MAX_TEXT_LENGTH)
    options: dict[str, int | float | bool] = Field(default_factory=dict, max_length=20)


@dataclass(frozen=True, slots=True)
class PairBytes:
    """A pair whose images are still encoded."""

    source: bytes
    edited: bytes
    instruction: str
    options: dict[str, int | float | bool]


class RefusedItem(Exception):
    """A request or an item that is not worked on.

    Attributes
    ----------
    code : int
        HTTP status.
    reason : str
        A stable word.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    def as_dict(self) -> dict[str, Any]:
        """The item of a response."""
        return {"status": "error", "code": self.code, "reason": self.reason, "message": str(self)}


def read_pair_items(body: bytes, limits: ServeLimits) -> tuple[list[PairBytes | RefusedItem], bool]:
    """Read a body: one pair, or `{"items": [pair, ...]}`.

    Returns
    -------
    items : list
        The pairs in their order; one that cannot be used is a `RefusedItem`.
    batch : bool
        Whether the body is a list of pairs.

    Raises
    ------
    RefusedItem
        The body as a whole cannot be used.
    """
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) > MAX_JSON_PARTS:
        raise RefusedItem(413, "too_large", "The body has too many parts.")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusedItem(400, "bad_json", "The body is no JSON object in UTF-8.") from None
    if not isinstance(content, dict):
        raise RefusedItem(422, "bad_request", 'Expected a pair, or {"items": [pair, ...]}.')
    batch = "items" in content
    given = content["items"] if batch else [content]
    if batch and set(content) != {"items"}:
        raise RefusedItem(422, "bad_request", "A body with items has no other field.")
    if not isinstance(given, list) or not given:
        raise RefusedItem(422, "bad_request", "items must be a list with at least one pair.")
    if len(given) > limits.batch:
        raise RefusedItem(413, "too_many_items", f"The request has {len(given)} pairs: at most {limits.batch}.")
    return [_read_item(value, limits) for value in given], batch


def _read_item(value: Any, limits: ServeLimits) -> PairBytes | RefusedItem:
    try:
        item = PairItem.model_validate(value)
        source, edited = (_read_image(getattr(item, name), name, limits) for name in ("source", "edited"))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = next((name for name in PairItem.model_fields if name in first["loc"]), "")
        where = f"The field {field}" if field else "The pair"
        return RefusedItem(422, "bad_request", f"{where}: {first['msg']}.")
    except RefusedItem as refused:
        return refused
    return PairBytes(source, edited, item.instruction, item.options)


def _read_image(text: str, name: str, limits: ServeLimits) -> bytes:
    """The bytes of an image, whose header alone is read."""
    if len(text) > limits.image_bytes * 4 // 3 + 4:
        raise RefusedItem(413, "too_large", f"The {name} image has more than {limits.image_bytes:,} bytes.")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedItem(422, "bad_base64", f"The {name} image is no base64; addresses are never fetched.") from None
    try:
        inspect_image(data, max_pixels=limits.image_pixels)
    except ImageError as error:
        code = 413 if error.reason == "too_large" else 422
        raise RefusedItem(code, error.reason, f"The {name} image: {error}") from None
    return data

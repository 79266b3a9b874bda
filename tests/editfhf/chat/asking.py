"""What the tests of the chat client ask, and of whom: small questions about numbered regions, with small pictures."""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from editfhf.chat import (
    Chat,
    ChatConnection,
    EncodedImage,
    Limits,
    ModelRequest,
    Price,
    Prices,
    RequestOutcome,
    RetryPolicy,
)
from editfhf.chat.costs import ImageTokenRule
from tests.editfhf.chat.fault_server import KEY, MODEL

PRICE = Price(input=Decimal(2), cached=Decimal("0.5"), output=Decimal(8), picture=ImageTokenRule(tiles=(85, 170)))
PRICES = Prices(models={MODEL: PRICE})
QUICK = {"retry_policy": RetryPolicy(timeout=20, first_pause=0.01, usual_pause=0.05)}
SYSTEM = "You look at a picture before and after an edit. Say for each numbered region what is wrong. Reply in JSON."


class Flaw(BaseModel):
    model_config = ConfigDict(extra="forbid")

    region: int = Field(ge=1, le=10_000)
    flaw_type: Literal["shadow", "edge", "colour"]
    text: str = Field(min_length=3, max_length=2_000)


class Flaws(BaseModel):
    model_config = ConfigDict(extra="forbid")

    regions: list[Flaw] = Field(min_length=1)


@functools.cache
def picture(number: int = 0, side: int = 24, kind: str = "PNG") -> EncodedImage:
    """A picture of one colour, the same object for the same number."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), (number % 256, number // 256 % 256, 99)).save(file, kind)
    return EncodedImage(file.getvalue(), f"image/{kind.lower()}")


def question(number: int, text: str = "", pictures: int = 1, **changes: Any) -> ModelRequest:
    """Question `number`, about one region; `text` may hold the marker of a planned fault."""
    said = f"Pair {number}. {text}\nRegion 1: a box around the wheel."
    given: dict[str, Any] = {
        "name": f"pair-{number}", "model": MODEL, "system": SYSTEM, "reply": Flaws, "prompt_version": "1",
        "parts": (said, *(picture(place) for place in range(pictures))), "max_output_tokens": 300,
    }  # fmt: skip
    return ModelRequest(**given | changes)


def connection(url: str, key: str = KEY) -> ChatConnection:
    return ChatConnection(url, SecretStr(key))


async def gather(chat: Chat, requests: Iterable[ModelRequest]) -> dict[str, RequestOutcome]:
    """Every outcome, by the name of its request."""
    return {request.name: outcome async for request, outcome in chat.ask_all(requests)}


def ask_all(
    url: str,
    folder: Path,
    requests: Iterable[ModelRequest],
    limits: Limits | None = None,
    key: str = KEY,
    **options: Any,
) -> tuple[dict[str, RequestOutcome], Any]:
    """Open a chat, ask, close it; gives the outcomes and the usage of the whole ledger."""

    async def run() -> tuple[dict[str, RequestOutcome], Any]:
        given: dict[str, Any] = {"prices": PRICES, "concurrency": 8} | options
        async with Chat(connection(url, key), folder, limits or Limits(), **given) as chat:
            found = await gather(chat, requests)
            return found, chat.usage

    return asyncio.run(run())


def ask_one(url: str, folder: Path, request: ModelRequest, **options: Any) -> RequestOutcome:
    found, _ = ask_all(url, folder, [request], **options)
    return found[request.name]

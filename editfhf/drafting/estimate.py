"""What a run would cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from annotation.images import ImageError
from editfhf.chat import Picture, Prices, Request, Usage
from editfhf.chat.bounds import picture_tokens, worst
from editfhf.drafting.requests import Asking, Chunk, first_request, pictures_of

BYTES_PER_TOKEN = 4
"""Of English text."""
REPLY_TOKENS = 30
ENTRY_TOKENS = 90
"""Tokens of a reply, and of each region in it, without thinking."""


@dataclass
class Estimate:
    """regions, requests: that would be asked about, and sent; bad_pictures: regions whose pictures cannot be used

    most: what cannot be passed if no reply has to be asked for again; typical: what a model that does not think uses
    """

    regions: int = 0
    requests: int = 0
    bad_pictures: int = 0
    most: Usage = field(default_factory=Usage)
    typical: Usage = field(default_factory=Usage)


def estimate(
    root: Path, chunks: Iterable[Chunk], asking: Asking, prices: Prices, advance: Callable[[int], None]
) -> Estimate:
    """Make every request and add up what each can cost; `advance` is told the regions of each."""
    found = Estimate()
    for chunk in chunks:
        try:
            request = first_request(chunk, pictures_of(root, chunk, asking.encoding), asking)
        except ImageError:
            found.bad_pictures += len(chunk.wanted)
        else:
            found.requests += 1
            found.regions += len(chunk.wanted)
            found.most += worst(request, prices)
            found.typical += typical(request, len(chunk.asked), prices)
        advance(len(chunk.wanted))
    return found


def typical(request: Request, regions: int, prices: Prices) -> Usage:
    """One request answered briefly; without a price of the model its cost is not known."""
    price = prices.of(request.model)
    rule = price.picture if price else None
    texts = sum(len(part.encode()) for part in (request.system, *request.parts) if isinstance(part, str))
    pictures = sum(picture_tokens(part, rule) for part in request.parts if isinstance(part, Picture))
    read, written = texts // BYTES_PER_TOKEN + pictures, REPLY_TOKENS + ENTRY_TOKENS * regions
    return Usage(1, 0, read, 0, written, price.cost(read, 0, written) if price else None)

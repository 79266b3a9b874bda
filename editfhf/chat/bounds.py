"""What a request can cost at most, known before it is sent: the budget sets this aside until the reply is counted.

Text: a token of a byte-level BPE vocabulary stands for at least one byte, so the bytes are an upper bound.
Pictures: OpenAI counts squares of 512 px ("tiles") or of 32 px ("patches") by model, see prices.yaml and
https://developers.openai.com/api/docs/guides/images-vision#calculating-costs.  For other models the bound is a token
for each square of 14 px, the finest patch of an open model's encoder (LLaVA-OneVision keeps each, Qwen2-VL merges
four, https://arxiv.org/abs/2408.03326 and 2409.12191), but at least 3072: small pictures are made larger, and
LLaVA-NeXT has 2880 tokens for any.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from math import ceil

import orjson

from editfhf.chat.prices import PictureRule, Prices
from editfhf.chat.request import Picture, Request
from editfhf.chat.schema import strict_schema
from editfhf.chat.usage import Usage

TEMPLATE = 512
"""Tokens that a chat template may add to a conversation (a system prompt of its own, marks of roles and tools)."""
PER_PART = 16

FEWEST = 3072
SQUARE = 14


def worst(request: Request, prices: Prices, factor: Decimal = Decimal(1)) -> Usage:
    """One answered request with as many tokens as there can be; `factor` is part of the price that is paid."""
    price = prices.of(request.model)
    rule = price.picture if price else None
    tokens = TEMPLATE + text_tokens(request.system) + len(orjson.dumps(strict_schema(request.reply)))
    for part in request.parts:
        tokens += picture_tokens(part, rule) if isinstance(part, Picture) else text_tokens(part)
    return bounded(request.model, tokens, request.max_output_tokens, prices, factor)


def bounded(model: str, input_tokens: int, output_tokens: int, prices: Prices, factor: Decimal) -> Usage:
    """A request of so many tokens, at the price of input that nothing is cached of."""
    price = prices.of(model)
    cost = price.most(input_tokens, output_tokens) * factor if price else None
    return Usage(requests=1, input_tokens=input_tokens, output_tokens=output_tokens, cost=cost)


def text_tokens(text: str) -> int:
    """An upper bound for one part of a message."""
    return len(text.encode("utf-8", "surrogatepass")) + PER_PART


def picture_tokens(picture: Picture, rule: PictureRule | None) -> int:
    """An upper bound for one picture, whatever its `detail`."""
    if rule is not None and rule.tiles is not None:
        base, tile = rule.tiles
        return base + tile * _tiles(picture.width, picture.height) + PER_PART
    if rule is not None and rule.patches is not None:
        factor, most = rule.patches
        return _up(factor * min(_squares(picture, 32), most)) + PER_PART
    return max(FEWEST, _squares(picture, SQUARE)) + PER_PART


def _squares(picture: Picture, side: int) -> int:
    return ceil(picture.width / side) * ceil(picture.height / side)


def _tiles(width: int, height: int) -> int:
    """Tiles after fitting 2048 x 2048 and shrinking the short side to 768; a shorter one may be made larger."""
    fit = min(1.0, 2048 / max(width, height))
    width, height = ceil(width * fit), ceil(height * fit)
    scale = 768 / min(width, height)
    scaled = _grid(ceil(width * scale), ceil(height * scale))
    return scaled if scale <= 1 else max(scaled, _grid(width, height))


def _grid(width: int, height: int) -> int:
    return ceil(width / 512) * ceil(height / 512)


def _up(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_CEILING))

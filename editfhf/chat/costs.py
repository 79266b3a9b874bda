"""The price table, and the maximum tokens and cost of a request, known before it is sent.

Text: a token of a byte-level BPE vocabulary stands for at least one byte, so the bytes are an upper bound.
Images: OpenAI counts squares of 512 px ("tiles") or of 32 px ("patches") by model, see prices.yaml and
https://developers.openai.com/api/docs/guides/images-vision#calculating-costs.  For other models the bound is a token
for each square of 14 px, the finest patch of an open model's encoder (LLaVA-OneVision keeps each, Qwen2-VL merges
four, https://arxiv.org/abs/2408.03326 and 2409.12191), but at least 3072: small images are enlarged, and
LLaVA-NeXT has 2880 tokens for any.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import cache
from math import ceil
from pathlib import Path
from typing import Annotated, Self

import orjson
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator

from editfhf.chat.budget import Usage
from editfhf.chat.request import EncodedImage, ModelRequest, strict_schema
from mos.errors import UserError
from mos.files import read_regular_file
from mos.plain_yaml import describe_yaml_error, load_plain_yaml

PRICES_FILE = Path(__file__).with_name("prices.yaml")


MAX_PRICES_BYTES = 1 << 20


MILLION = Decimal(1_000_000)


_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def _parse_decimal(value: object) -> Decimal:
    # YAML reads 0.1 as a binary number; its shortest decimal form is the text of the file.
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("expected a number")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError("expected a number") from None


Dollars = Annotated[Decimal, BeforeValidator(_parse_decimal), Field(ge=0, allow_inf_nan=False)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageTokenRule(_StrictModel):
    """Rule for the maximum number of tokens of an image: exactly one of the two (see prices.yaml)."""

    tiles: tuple[NonNegativeInt, NonNegativeInt] | None = None
    patches: tuple[Dollars, NonNegativeInt] | None = None

    @model_validator(mode="after")
    def _require_one_rule(self) -> Self:
        if (self.tiles is None) == (self.patches is None):
            raise ValueError("expected tiles or patches")
        return self


class Price(_StrictModel):
    """Price of a model in US dollars per million tokens; `request` is in US dollars for each answered request."""

    input: Dollars
    cached: Dollars
    output: Dollars
    request: Dollars = Decimal(0)
    picture: ImageTokenRule | None = None

    def cost(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> Decimal:
        """Exact cost in US dollars; `cached_tokens` are part of `input_tokens`."""
        fresh = self.input * (input_tokens - cached_tokens)
        return (fresh + self.cached * cached_tokens + self.output * output_tokens) / MILLION + self.request

    def max_cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Maximum cost in US dollars: no input token is cached, or all are if that costs more."""
        return (max(self.input, self.cached) * input_tokens + self.output * output_tokens) / MILLION + self.request


class Prices(_StrictModel):
    """Price table.

    Attributes
    ----------
    models : dict of str to Price
        Prices by model.
    batch_factor : Decimal
        Price of the Batch API as a fraction of the normal price.
    """

    models: dict[str, Price]
    batch_factor: Annotated[Dollars, Field(le=1)] = Decimal("0.5")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a table from a YAML file in the form of prices.yaml; `UserError` when that is impossible."""
        try:
            data = read_regular_file(path)
            content = load_plain_yaml(data.decode("utf-8-sig")) if len(data) <= MAX_PRICES_BYTES else None
            return cls.model_validate(content)
        except OSError as error:
            raise UserError(f"The price table {path} cannot be read ({error.strerror}).") from None
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the file"
            raise UserError(f"The price table {path} is invalid at {where}. Compare it with {PRICES_FILE}.") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            where = describe_yaml_error(error)
            raise UserError(
                f"The price table {path} is not valid YAML{where}. Compare it with {PRICES_FILE}."
            ) from None

    def find_price(self, model: str) -> Price | None:
        """Price of a model by its name, or by its name without a date; None when it is not in the table."""
        return self.models.get(model) or self.models.get(_DATE.sub("", model))


@cache
def default_prices() -> Prices:
    """Read the price table of the package."""
    return Prices.read(PRICES_FILE)


TEMPLATE_TOKENS = 512
"""Tokens that a chat template may add to a conversation (its own system prompt, marks of roles and tools)."""


TOKENS_PER_PART = 16


MIN_IMAGE_TOKENS = 3072


PATCH_SIDE = 14


def max_usage(request: ModelRequest, prices: Prices, factor: Decimal = Decimal(1)) -> Usage:
    """Maximum usage of one answered request; `factor` is the fraction of the price that is paid."""
    price = prices.find_price(request.model)
    rule = price.picture if price else None
    tokens = TEMPLATE_TOKENS + max_text_tokens(request.system) + len(orjson.dumps(strict_schema(request.reply)))
    for part in request.parts:
        tokens += max_image_tokens(part, rule) if isinstance(part, EncodedImage) else max_text_tokens(part)
    return usage_bound(request.model, tokens, request.max_output_tokens, prices, factor)


def usage_bound(model: str, input_tokens: int, output_tokens: int, prices: Prices, factor: Decimal) -> Usage:
    """Usage of one request with these token counts, at the maximum cost."""
    price = prices.find_price(model)
    cost = price.max_cost(input_tokens, output_tokens) * factor if price else None
    return Usage(requests=1, input_tokens=input_tokens, output_tokens=output_tokens, cost=cost)


def max_text_tokens(text: str) -> int:
    """Upper bound of the tokens of one text part of a message."""
    return len(text.encode("utf-8", "surrogatepass")) + TOKENS_PER_PART


def max_image_tokens(image: EncodedImage, rule: ImageTokenRule | None) -> int:
    """Upper bound of the tokens of one image with any `detail`."""
    if rule is not None and rule.tiles is not None:
        base, tile = rule.tiles
        return base + tile * _count_tiles(image.width, image.height) + TOKENS_PER_PART
    if rule is not None and rule.patches is not None:
        factor, most = rule.patches
        return _round_up(factor * min(_count_patches(image, 32), most)) + TOKENS_PER_PART
    return max(MIN_IMAGE_TOKENS, _count_patches(image, PATCH_SIDE)) + TOKENS_PER_PART


def _count_patches(image: EncodedImage, side: int) -> int:
    return ceil(image.width / side) * ceil(image.height / side)


def _count_tiles(width: int, height: int) -> int:
    """Tiles of an image that is fitted into 2048 x 2048 and then scaled so that its short side is 768 pixels.

    A shorter side may be enlarged or not: the larger count is returned.
    """
    fit = min(1.0, 2048 / max(width, height))
    width, height = ceil(width * fit), ceil(height * fit)
    scale = 768 / min(width, height)
    scaled = _tile_grid(ceil(width * scale), ceil(height * scale))
    return scaled if scale <= 1 else max(scaled, _tile_grid(width, height))


def _tile_grid(width: int, height: int) -> int:
    return ceil(width / 512) * ceil(height / 512)


def _round_up(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_CEILING))

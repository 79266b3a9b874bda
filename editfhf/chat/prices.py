"""The table of prices that people can edit, and what usage costs by it."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator

from mos.errors import UserError

SHIPPED = Path(__file__).with_name("prices.yaml")
MAX_BYTES = 1 << 20
MILLION = Decimal(1_000_000)

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def _decimal(value: object) -> Decimal:
    # YAML reads 0.1 as a binary number; its shortest form is what the person wrote.
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("expected a number")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError("expected a number") from None


Dollars = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PictureRule(_Strict):
    """How many tokens a picture has at most; exactly one of the two (see prices.yaml)."""

    tiles: tuple[NonNegativeInt, NonNegativeInt] | None = None
    patches: tuple[Dollars, NonNegativeInt] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.tiles is None) == (self.patches is None):
            raise ValueError("expected tiles or patches")
        return self


class Price(_Strict):
    """US dollars per million tokens."""

    input: Dollars
    cached: Dollars
    output: Dollars
    picture: PictureRule | None = None

    def cost(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> Decimal:
        """Exact; `cached_tokens` are part of `input_tokens`."""
        fresh = self.input * (input_tokens - cached_tokens)
        return (fresh + self.cached * cached_tokens + self.output * output_tokens) / MILLION

    def most(self, input_tokens: int, output_tokens: int) -> Decimal:
        """The cost when nothing is found in the server's cache (or everything, should that be dearer)."""
        return (max(self.input, self.cached) * input_tokens + self.output * output_tokens) / MILLION


class Prices(_Strict):
    """Prices by model; `batch_factor` is what the Batch API costs as a part of them."""

    models: dict[str, Price]
    batch_factor: Annotated[Dollars, Field(le=1)] = Decimal("0.5")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The table in a file; `UserError` when it cannot be read or is not as prices.yaml explains."""
        try:
            data = path.read_bytes()
            found = yaml.safe_load(data) if len(data) <= MAX_BYTES else None
            return cls.model_validate(found)
        except OSError as error:
            raise UserError(f"The table of prices {path} cannot be read ({error.strerror}).") from None
        except (yaml.YAMLError, UnicodeDecodeError):
            raise UserError(f"The table of prices {path} is no YAML. Compare it with {SHIPPED}.") from None
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the file"
            raise UserError(f"The table of prices {path} is wrong at {where}. Compare it with {SHIPPED}.") from None

    def of(self, model: str) -> Price | None:
        """The price of a model by its name, or by its name without a date; None when it is not in the table."""
        return self.models.get(model) or self.models.get(_DATE.sub("", model))


@cache
def shipped() -> Prices:
    """The table that comes with the package."""
    return Prices.read(SHIPPED)

"""What requests used, and how much they may use."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mos.errors import UserError


@dataclass(frozen=True, slots=True)
class Usage:
    """What one or more requests used; adds up with `+`.

    requests: requests that a server answered (what it bills)
    retries: times that something was sent and no usable answer came: an error, a time-out, a cut line
    input_tokens, output_tokens: as the server counts them, thinking included in the output
    cached_tokens: those of the input that the server had in its prompt cache
    cost: US dollars; None when the price of a model is not known
    """

    requests: int = 0
    retries: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = Decimal(0)

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.retries + other.retries,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
        )

    def __sub__(self, other: Usage) -> Usage:
        """What is left of a sum when a part that was added is taken out again."""
        return Usage(
            self.requests - other.requests,
            self.retries - other.retries,
            self.input_tokens - other.input_tokens,
            self.cached_tokens - other.cached_tokens,
            self.output_tokens - other.output_tokens,
            None if self.cost is None or other.cost is None else self.cost - other.cost,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """A budget over the whole ledger of a folder, earlier runs included; None is no limit.

    requests: answered requests (see `Usage.requests`)
    tokens: input and output together
    money: US dollars
    """

    requests: int | None = None
    tokens: int | None = None
    money: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("requests", "tokens", "money"):
            value = getattr(self, name)
            if value is not None and (not Decimal(value).is_finite() or value < 0):
                raise UserError(f"The budget has {name} {value}: expected a number of 0 or more.")

    def allow(self, usage: Usage) -> bool:
        """Whether this much stays within every limit; a cost that is not known does not pass a limit of money."""
        return not self.passed(usage)

    def passed(self, usage: Usage) -> str:
        """The name of the first limit that this much would pass, or nothing."""
        if self.requests is not None and usage.requests > self.requests:
            return "requests"
        if self.tokens is not None and usage.tokens > self.tokens:
            return "tokens"
        if self.money is not None and (usage.cost is None or usage.cost > self.money):
            return "money"
        return ""

"""Usage (requests, tokens, cost), limits on it, and the budget that keeps a folder within its limits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mos.errors import UserError


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one or more requests; two can be added and subtracted.

    Attributes
    ----------
    requests : int
        Requests that the server answered, which it bills.
    retries : int
        Attempts without a usable response: an error, a time-out, a lost connection.
    input_tokens, output_tokens : int
        Tokens as the server counts them; the output includes reasoning tokens.
    cached_tokens : int
        Input tokens that were in the server's prompt cache; part of `input_tokens`.
    cost : Decimal or None
        US dollars; None when the price of a model is not known.

    Examples
    --------
    >>> (Usage(requests=1, input_tokens=300) + Usage(requests=1, output_tokens=40)).tokens
    340
    """

    requests: int = 0
    retries: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = Decimal(0)

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
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
        """Take out of a sum what was added to it before."""
        return Usage(
            self.requests - other.requests,
            self.retries - other.retries,
            self.input_tokens - other.input_tokens,
            self.cached_tokens - other.cached_tokens,
            self.output_tokens - other.output_tokens,
            None if self.cost is None or other.cost is None else self.cost - other.cost,
        )


def format_cost(usage: Usage) -> str:
    """The cost as text: "$1,234.50", or "price unknown".

    Examples
    --------
    >>> format_cost(Usage())
    '$0.00'
    """
    return "price unknown" if usage.cost is None else f"${usage.cost:,.2f}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on everything that the ledger of a folder counts, earlier runs included.

    Parameters
    ----------
    requests : int, optional
        Answered requests, see `Usage.requests`. None means no limit, here and below.
    tokens : int, optional
        Input and output tokens together.
    money : Decimal, optional
        US dollars.

    Raises
    ------
    UserError
        A limit is negative or not finite.
    """

    requests: int | None = None
    tokens: int | None = None
    money: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("requests", "tokens", "money"):
            value = getattr(self, name)
            if value is not None and (not Decimal(value).is_finite() or value < 0):
                raise UserError(f"The limit on {name} is {value}: expected a number of 0 or more.")

    def allows(self, usage: Usage) -> bool:
        """Whether the usage stays within every limit. An unknown cost never stays within a limit on money."""
        return not self.first_exceeded(usage)

    def first_exceeded(self, usage: Usage) -> str:
        """Name of the first limit that the usage exceeds, or an empty string."""
        if self.requests is not None and usage.requests > self.requests:
            return "requests"
        if self.tokens is not None and usage.tokens > self.tokens:
            return "tokens"
        if self.money is not None and (usage.cost is None or usage.cost > self.money):
            return "money"
        return ""


@dataclass(frozen=True, slots=True)
class BudgetBlock:
    """A request does not fit into the budget.

    limit: name of the limit; for_now: whether it may fit when the requests in flight have ended
    """

    limit: str
    for_now: bool


class Budget:
    """Three sums of usage that together never exceed the limits.

    spent: usage of attempts that ended
    unresolved: maximum usage of attempts whose outcome is unknown (no response came) or comes later (batches)
    in_flight: maximum usage of attempts that wait for a response
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reserved: dict[str, Usage] = {}
        self.spent = Usage()
        self.unresolved = Usage()
        self.in_flight = Usage()

    def reserve(self, name: str, max_usage: Usage) -> None:
        """Reserve the maximum usage of an attempt that is about to be sent."""
        self._reserved[name] = max_usage
        self.in_flight += max_usage

    def mark_unresolved(self, name: str) -> None:
        """Move an attempt from in flight to unresolved: no response came."""
        max_usage = self._reserved.pop(name)
        self.in_flight -= max_usage
        self.unresolved += max_usage

    def release(self, name: str, max_usage: Usage) -> None:
        """End the reservation of an attempt whose outcome is known."""
        if self._reserved.pop(name, None) is None:
            self.unresolved -= max_usage
        else:
            self.in_flight -= max_usage

    def check_room(self, max_usage: Usage, instead_of: Usage) -> BudgetBlock | None:
        """The limit that another attempt would exceed, or None; `instead_of` is unresolved usage that it replaces."""
        settled = self.spent + self.unresolved - instead_of + max_usage
        limit = self._limits.first_exceeded(settled + self.in_flight)
        return BudgetBlock(limit, for_now=not self._limits.first_exceeded(settled)) if limit else None

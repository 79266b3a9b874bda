"""The budget: whatever is asked for, in whatever order it ends, no limit is ever passed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from editfhf.chat.budget import Budget, Limits, Usage
from mos.errors import UserError

LIMITS = Limits(requests=20, tokens=5_000, money=Decimal("0.5"))


def worst(tokens: int) -> Usage:
    return Usage(1, 0, tokens, 0, tokens // 4, Decimal(tokens) / 1000)


class Spending(RuleBasedStateMachine):
    """Takes, holds and settles at random; a model of what was taken out is kept beside."""

    flying = Bundle("flying")
    lost = Bundle("lost")

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(LIMITS)
        self.names = 0

    @rule(target=flying, tokens=st.integers(1, 900))
    def ask(self, tokens: int) -> tuple[str, Usage] | None:
        most = worst(tokens)
        if self.budget.check_room(most, Usage()):
            return None
        self.names += 1
        self.budget.reserve(str(self.names), most)
        return str(self.names), most

    @rule(taken=consumes(flying), share=st.integers(0, 100))
    def answer(self, taken: tuple[str, Usage] | None, share: int) -> None:
        if taken is None:
            return
        name, most = taken
        self.budget.release(name, most)
        assert most.cost is not None
        tokens = most.input_tokens * share // 100
        self.budget.spent += Usage(1, 0, tokens, 0, 0, most.cost * share / 100)

    @rule(target=lost, taken=consumes(flying))
    def lose(self, taken: tuple[str, Usage] | None) -> tuple[str, Usage] | None:
        if taken is not None:
            self.budget.mark_unresolved(taken[0])
        return taken

    @rule(target=flying, taken=consumes(lost))
    def ask_again(self, taken: tuple[str, Usage] | None) -> tuple[str, Usage] | None:
        if taken is not None:
            name, most = taken
            assert self.budget.check_room(most, most) is None
            self.budget.unresolved -= most
            self.budget.reserve(name, most)
        return taken

    @invariant()
    def no_limit_is_passed(self) -> None:
        assert LIMITS.allows(self.budget.spent + self.budget.unresolved + self.budget.in_flight)
        assert (
            min(self.budget.in_flight.requests, self.budget.unresolved.requests, self.budget.in_flight.input_tokens)
            >= 0
        )


TestSpending = Spending.TestCase


def test_a_limit_is_reached_but_not_passed() -> None:
    budget = Budget(Limits(requests=2))
    for name in "ab":
        assert budget.check_room(worst(1), Usage()) is None
        budget.reserve(name, worst(1))
    blocked = budget.check_room(worst(1), Usage())
    assert blocked is not None and blocked.limit == "requests" and blocked.for_now
    budget.release("a", worst(1))
    budget.release("b", worst(1))
    budget.spent = Usage(requests=2)
    blocked = budget.check_room(worst(1), Usage())
    assert blocked is not None and not blocked.for_now


def test_without_a_price_nothing_fits_a_limit_of_money() -> None:
    free = Usage(1, cost=None)
    assert Limits(money=Decimal(1)).first_exceeded(free) == "money" and Limits().allows(free)


@pytest.mark.parametrize(
    "limits", [{"requests": -1}, {"tokens": -1}, {"money": Decimal(-1)}, {"money": Decimal("NaN")}]
)
def test_a_limit_below_nothing_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(UserError, match="limit on"):
        Limits(**limits)


usages = st.builds(
    Usage,
    *[st.integers(0, 10**9)] * 5,
    st.none() | st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=9),
)


@given(usages, usages)
def test_usage_adds_up_and_down(one: Usage, other: Usage) -> None:
    assert one + other == other + one and one + Usage() == one
    if one.cost is not None and other.cost is not None:
        assert (one + other) - other == one

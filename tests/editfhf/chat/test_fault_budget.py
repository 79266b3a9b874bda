"""The budget is never passed: not by a request, a token or a cent, whoever asks at once and whatever goes wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editfhf.chat import Limits, ModelAnswer, OverBudget, Usage
from tests.editfhf.chat.asking import PRICE, QUICK, ask_all, question
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import FaultServer, running
from tests.editfhf.chat.server_bill import Total

FAULTS = {"500": 0.08, "cut": 0.08, "bad_json": 0.1, "length": 0.05, "no_usage": 0.1, "refusal": 0.05}
NUMBERS = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with running(tmp_path_factory.mktemp("server"), Plan(), latency=0.01) as started:
        yield started


def spent(before: Total, after: Total) -> Total:
    return Total(*(getattr(after, part) - getattr(before, part) for part in ("requests", "input", "cached", "output")))


def cost(total: Total) -> Decimal:
    return PRICE.cost(total.input, total.cached, total.output)


def within(total: Total, limits: Limits) -> bool:
    return limits.allows(Usage(total.requests, 0, total.input, total.cached, total.output, cost(total)))


LIMITS = st.builds(
    Limits,
    requests=st.none() | st.integers(0, 25),
    tokens=st.none() | st.integers(0, 60_000),
    money=st.none() | st.decimals(0, Decimal("0.12"), places=4),
)


@pytest.mark.parametrize(
    ("heeds_the_key", "bills_once"),
    [
        pytest.param(True, True, id="a server that heeds the key, as is known"),
        pytest.param(True, None, id="a server that heeds the key, as is not known"),
        pytest.param(False, None, id="a server that bills whatever it is sent, as is not known"),
        pytest.param(False, False, id="a server that bills whatever it is sent, as is known"),
    ],
)
@settings(max_examples=20)
@given(limits=LIMITS, concurrency=st.integers(1, 12), seed=st.integers(0, 2**16))
def test_no_limit_is_ever_passed(
    server: FaultServer, heeds_the_key: bool, bills_once: bool | None, limits: Limits, concurrency: int, seed: int
) -> None:
    server.plan.rates, server.plan.seed, server.bills_once = FAULTS, seed, heeds_the_key
    before = server.bill.total()
    questions = [question(next(NUMBERS)) for _ in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        options = QUICK | {"concurrency": concurrency, "bills_once": bills_once}
        found, usage = ask_all(server.url, Path(folder) / "chat", questions, limits=limits, **options)
        server.bills_once = True
        paid = spent(before, server.bill.total())
        assert len(found) == 20
        assert within(paid, limits), f"{paid} is over {limits}"
        if bills_once is not None:  # else what was not answered is set aside, not counted as used
            assert usage.requests >= paid.requests and usage.tokens >= paid.tokens  # without usage it counts as most


@pytest.mark.parametrize("limit", [0, 1, 7, 30])
def test_a_limit_in_requests_is_used_to_the_last_one(server: FaultServer, tmp_path: Path, limit: int) -> None:
    server.plan.rates = {}
    before = server.bill.total()
    questions = [question(next(NUMBERS)) for _ in range(30)]
    found, _ = ask_all(server.url, tmp_path / "chat", questions, limits=Limits(requests=limit))
    assert spent(before, server.bill.total()).requests == limit
    assert sum(isinstance(outcome, ModelAnswer) for outcome in found.values()) == limit
    assert sum(isinstance(outcome, OverBudget) for outcome in found.values()) == 30 - limit


def test_a_limit_in_money_lets_as_many_through_as_fit(server: FaultServer, tmp_path: Path) -> None:
    server.plan.rates = {}
    before = server.bill.total()
    limits = Limits(money=Decimal("0.05"))
    ask_all(server.url, tmp_path / "chat", [question(next(NUMBERS)) for _ in range(100)], limits=limits)
    paid = cost(spent(before, server.bill.total()))
    dearest = PRICE.max_cost(4_000, 300)  # one that might not have fitted any more
    assert limits.money is not None and limits.money - dearest < paid <= limits.money


def test_what_earlier_runs_spent_counts(server: FaultServer, tmp_path: Path) -> None:
    server.plan.rates = {}
    before = server.bill.total()
    for _ in range(3):
        questions = [question(next(NUMBERS)) for _ in range(10)]
        ask_all(server.url, tmp_path / "chat", questions, limits=Limits(requests=12))
    assert spent(before, server.bill.total()).requests == 12


def test_what_was_answered_before_is_answered_with_no_budget_left(server: FaultServer, tmp_path: Path) -> None:
    server.plan.rates = {}
    questions = [question(next(NUMBERS)) for _ in range(5)]
    ask_all(server.url, tmp_path / "chat", questions)
    found, _ = ask_all(server.url, tmp_path / "chat", questions, limits=Limits(requests=0, tokens=0, money=Decimal(0)))
    assert all(isinstance(outcome, ModelAnswer) and outcome.cached for outcome in found.values())

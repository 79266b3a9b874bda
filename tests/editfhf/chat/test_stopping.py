"""Stopping: nothing new is sent, and what is in flight is waited for and kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from editfhf.chat import Chat, ChatStopped, Limits, ModelAnswer, ModelRequest, RequestOutcome, RetryPolicy
from mos.errors import UserError
from tests.editfhf.chat.asking import PRICES, connection, question
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import FaultServer, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    (tmp_path / "server").mkdir()
    with running(tmp_path / "server", Plan()) as started:
        started.latency = 0.3
        yield started


def chat(server: FaultServer, folder: Path, retry_policy: RetryPolicy | None = None, concurrency: int = 4) -> Chat:
    return Chat(connection(server.url), folder, Limits(), concurrency, PRICES, retry_policy)


def test_after_drain_what_is_in_flight_is_kept_and_nothing_else_is_sent(server: FaultServer, tmp_path: Path) -> None:
    async def run() -> list[RequestOutcome]:
        async with chat(server, tmp_path / "chat") as asked:
            asyncio.get_running_loop().call_later(0.15, asked.drain)
            return [outcome async for _, outcome in asked.ask_all(question(n) for n in range(40))]

    outcomes = asyncio.run(run())
    assert len(outcomes) == server.bill.total().requests == 4
    assert all(isinstance(outcome, ModelAnswer) for outcome in outcomes)


def test_after_drain_a_pause_ends_at_once(server: FaultServer, tmp_path: Path) -> None:
    server.plan.script = ["429:600"]

    async def run() -> float:
        async with chat(server, tmp_path / "chat") as asked:
            asyncio.get_running_loop().call_later(0.3, asked.drain)
            began = time.monotonic()
            with pytest.raises(ChatStopped):
                await asked.ask(question(1))
            return time.monotonic() - began

    assert asyncio.run(run()) < 30


def test_what_was_answered_before_is_answered_after_drain(server: FaultServer, tmp_path: Path) -> None:
    async def run() -> RequestOutcome:
        async with chat(server, tmp_path / "chat") as asked:
            await asked.ask(question(1))
            asked.drain()
            with pytest.raises(ChatStopped):
                await asked.ask(question(2))
            return await asked.ask(question(1))

    outcome = asyncio.run(run())
    assert isinstance(outcome, ModelAnswer) and outcome.cached


def test_who_leaves_the_loop_loses_nothing_that_is_paid_for(server: FaultServer, tmp_path: Path) -> None:
    async def leave() -> None:
        async with chat(server, tmp_path / "chat") as asked:
            async for _ in asked.ask_all(question(n) for n in range(40)):
                break

    async def again() -> int:
        async with chat(server, tmp_path / "chat") as asked:
            return sum(asked.known_outcome(question(n)) is not None for n in range(40))

    asyncio.run(leave())
    paid = server.bill.total().requests
    assert asyncio.run(again()) == paid <= 8


def test_a_mistake_in_the_requests_stops_the_rest_and_keeps_what_was_sent(server: FaultServer, tmp_path: Path) -> None:
    def requests() -> Iterator[ModelRequest]:
        yield from (question(n) for n in range(3))
        raise UserError("The picture is broken.")

    async def run() -> int:
        async with chat(server, tmp_path / "chat") as asked:
            with pytest.raises(UserError, match="broken"):
                async for _ in asked.ask_all(requests()):
                    pass
            return sum(asked.known_outcome(question(n)) is not None for n in range(3))

    assert asyncio.run(run()) == server.bill.total().requests == 3


def test_when_cancelled_nothing_is_waited_for_and_the_next_run_pays_nothing_twice(
    server: FaultServer, tmp_path: Path
) -> None:
    server.latency = 0.6

    async def ask(asked: Chat) -> int:
        return len([None async for _ in asked.ask_all(question(n) for n in range(4))])

    async def cancelled() -> None:
        async with chat(server, tmp_path / "chat") as asked:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ask(asked), 0.3)
            assert asked.reserved.requests == 4

    async def whole() -> int:
        async with chat(server, tmp_path / "chat") as asked:
            return await ask(asked)

    asyncio.run(cancelled())
    assert asyncio.run(whole()) == 4
    assert server.bill.total().requests == 4 and server.bill.paid_twice() == []


def test_requests_are_taken_only_as_there_is_room(server: FaultServer, tmp_path: Path) -> None:
    taken = 0

    def requests() -> Iterator[ModelRequest]:
        nonlocal taken
        for number in range(20):
            taken += 1
            yield question(number)

    async def run() -> int:
        given, most = 0, 0
        async with chat(server, tmp_path / "chat", concurrency=3) as asked:
            async for _ in asked.ask_all(requests()):
                most = max(most, taken - given)
                given += 1
        return most

    server.latency = 0.02
    assert asyncio.run(run()) <= 3


def test_a_server_that_asks_for_too_long_a_pause_is_not_waited_for(server: FaultServer, tmp_path: Path) -> None:
    server.plan.script = ["429:7200"]

    async def run() -> RequestOutcome:
        async with chat(server, tmp_path / "chat") as asked:
            return await asked.ask(question(1))

    assert "7200 s" in asyncio.run(run()).message

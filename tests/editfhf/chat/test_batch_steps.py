"""A batch that is cut short at each of its steps: it goes on from there, and nothing is paid or sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from editfhf.chat import BatchOptions, Chat, FailedRequest, Limits, ModelAnswer, RequestOutcome, Usage, run_batch
from editfhf.chat.batch_server import BatchServer
from editfhf.chat.batch_store import BATCH_FOLDER, BatchStore
from editfhf.chat.ledger import Journal
from tests.editfhf.chat.asking import PRICES, connection, question
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import FaultServer, running

STEPS = [
    (BatchStore, "add_batch"), (BatchServer, "upload_file"), (BatchStore, "update_batch"),
    (BatchServer, "create_batch"), (BatchServer, "read_status"), (BatchServer, "download_file"),
    (BatchStore, "remove_batch"), (Journal, "write"),
]  # fmt: skip


class Killed(BaseException):
    """What stops a run on the spot, as a kill does: nobody catches it."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    (tmp_path / "server").mkdir()
    with running(tmp_path / "server", Plan()) as started:
        yield started


async def batched(server: FaultServer, folder: Path, number: int = 10) -> tuple[list[RequestOutcome], Usage, Usage]:
    options = BatchOptions(most_lines=4, interval=0.01, at_once=2)
    async with Chat(connection(server.url), folder, Limits(requests=number), 4, PRICES) as chat:
        pairs = run_batch(chat, (question(n) for n in range(number)), options)
        outcomes = [outcome async for _, outcome in pairs]
        return outcomes, chat.usage, chat.reserved


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[name for _, name in STEPS])
def test_cut_short_at_a_step_it_goes_on(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, after: bool
) -> None:
    cut = [cut_short(server, tmp_path / "chat", monkeypatch, killing(getattr(owner, name), n, after), owner, name)
           for n in (1, 2, 3)]  # fmt: skip
    assert cut[0]
    outcomes, usage, held = asyncio.run(batched(server, tmp_path / "chat"))
    bill = server.bill.total()
    assert len(outcomes) == 10 and all(isinstance(outcome, ModelAnswer) for outcome in outcomes)
    assert (usage.requests, usage.tokens) == (bill.requests, bill.tokens) == (10, usage.tokens)
    assert held.requests == 0 and server.bill.paid_twice() == []
    assert len(server.desk.batches) == 3
    assert list((tmp_path / "chat" / BATCH_FOLDER).iterdir()) == []


def cut_short(server: FaultServer, folder: Path, patch: pytest.MonkeyPatch, step: Any, owner: Any, name: str) -> bool:
    """Whether a run reached the step that kills it."""
    with patch.context() as patched:
        patched.setattr(owner, name, step)
        try:
            asyncio.run(batched(server, folder))
        except Killed:
            return True
    return False


def killing(step: Any, count: int, after: bool) -> Any:
    """A step that kills when it is taken for the `count`-th time, before or after it does its work."""
    taken = 0

    async def killed(*arguments: Any, **options: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken == count and not after:
            raise Killed
        result = await step(*arguments, **options)
        if taken == count:
            raise Killed
        return result

    return killed


def test_a_request_in_a_batch_is_not_sent_alone_as_well(server: FaultServer, tmp_path: Path) -> None:
    async def run() -> RequestOutcome:
        async with Chat(connection(server.url), tmp_path / "chat", prices=PRICES) as chat:
            options = BatchOptions(interval=600)
            asyncio.get_running_loop().call_later(0.5, chat.drain)
            assert [pair async for pair in run_batch(chat, [question(1)], options)] == []
        async with Chat(connection(server.url), tmp_path / "chat", prices=PRICES) as chat:
            return await chat.ask(question(1))

    outcome = asyncio.run(run())
    assert isinstance(outcome, FailedRequest) and "in batch" in outcome.message
    assert server.bill.arrived() == 0


def test_batches_are_collected_whatever_is_asked_next(server: FaultServer, tmp_path: Path) -> None:
    async def drained() -> None:
        async with Chat(connection(server.url), tmp_path / "chat", prices=PRICES) as chat:
            asyncio.get_running_loop().call_later(0.5, chat.drain)
            assert [pair async for pair in run_batch(chat, [question(1)], BatchOptions(interval=600))] == []

    async def other() -> int:
        async with Chat(connection(server.url), tmp_path / "chat", prices=PRICES) as chat:
            found = [pair async for pair in run_batch(chat, [question(2)], BatchOptions(interval=0.01))]
            assert isinstance(await chat.ask(question(1)), ModelAnswer)
            return len(found)

    asyncio.run(drained())
    assert asyncio.run(other()) == 1
    assert server.bill.total().requests == 2

"""The Batch API gone wrong: lines doubled, missing, foreign, broken, failed or expired, and kills at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from editfhf.chat import (
    Chat,
    FailedRequest,
    InvalidReply,
    Limits,
    ModelAnswer,
    ModelRefusal,
    ModelRequest,
    OverBudget,
    RequestOutcome,
    TruncatedReply,
    Usage,
)
from editfhf.chat.batch import BatchOptions, run_batch
from mos.errors import UserError
from tests.editfhf.chat.asking import PRICE, PRICES, QUICK, ask_all, connection, question
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import KEY, ROOT, FaultServer, running, serving
from tests.editfhf.chat.server_bill import Bill

HALF = Decimal("0.5")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    with running(folder, Plan()) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "chat"


def batched(
    server: FaultServer, folder: Path, requests: Sequence[ModelRequest], limits: Limits | None = None, **options: Any
) -> tuple[dict[str, RequestOutcome], Usage]:
    """Ask in batches; the outcomes by name, and the usage of the whole ledger."""
    given = BatchOptions(**{"interval": 0.01} | options)

    async def run() -> tuple[dict[str, RequestOutcome], Usage]:
        async with Chat(connection(server.url), folder, limits or Limits(), prices=PRICES, **QUICK) as chat:
            found = {request.name: outcome async for request, outcome in run_batch(chat, requests, given)}
            return found, chat.usage

    return asyncio.run(run())


def questions(number: int, **changes: Any) -> list[ModelRequest]:
    return [question(place, **changes) for place in range(number)]


def assert_bill(server: FaultServer, usage: Usage) -> None:
    """The ledger is the server's bill, at half the price."""
    bill = server.bill.total()
    assert (usage.requests, usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (
        bill.requests, bill.input, bill.cached, bill.output,
    )  # fmt: skip
    assert usage.cost == HALF * PRICE.cost(bill.input, bill.cached, bill.output)


def test_answers_in_any_order_reach_their_requests_at_half_the_price(server: FaultServer, folder: Path) -> None:
    asked = questions(20)
    found, usage = batched(server, folder, asked)
    assert {name: type(outcome) for name, outcome in found.items()} == {request.name: ModelAnswer for request in asked}
    assert_bill(server, usage)
    alone, _ = ask_all(server.url, folder.parent / "other", asked)
    assert {name: a.value for name, a in found.items()} == {name: a.value for name, a in alone.items()}  # type: ignore[union-attr]


def test_what_a_batch_answered_is_not_asked_again(server: FaultServer, folder: Path) -> None:
    batched(server, folder, questions(5))
    visits = len(server.bill.visits())
    again, _ = batched(server, folder, questions(5))
    live, _ = ask_all(server.url, folder, questions(5))
    assert all(isinstance(outcome, ModelAnswer) and outcome.cached for outcome in [*again.values(), *live.values()])
    assert len(server.bill.visits()) == visits


def test_files_are_cut_by_lines_and_by_bytes(server: FaultServer, folder: Path) -> None:
    server.desk.most_lines, server.desk.most_bytes = 7, 12_000
    found, usage = batched(server, folder, questions(20), most_lines=7, most_bytes=12_000)
    assert all(isinstance(outcome, ModelAnswer) for outcome in found.values()) and len(found) == 20
    assert len(server.desk.batches) >= 3 and all(len(batch.lines) <= 7 for batch in server.desk.batches.values())
    assert_bill(server, usage)


def test_a_request_larger_than_a_file_fails_alone(server: FaultServer, folder: Path) -> None:
    found, _ = batched(server, folder, [*questions(3), question(9, "x" * 20_000)], most_bytes=12_000)
    assert isinstance(found.pop("pair-9"), FailedRequest)
    assert len(found) == 3 and all(isinstance(outcome, ModelAnswer) for outcome in found.values())


@pytest.mark.parametrize("faults", [["doubled"], ["foreign"], ["expired:0.5"], ["expired:0"], ["failed"]])
def test_a_damaged_batch_loses_nothing_and_pays_nothing_twice(
    server: FaultServer, folder: Path, faults: list[str]
) -> None:
    server.plan.batches = [faults]
    found, usage = batched(server, folder, questions(12))
    assert len(found) == 12 and all(isinstance(outcome, ModelAnswer) for outcome in found.values())
    assert server.bill.paid_twice() == []
    assert_bill(server, usage)


@pytest.mark.parametrize("faults", [["missing"], ["broken_line"], ["doubled", "missing", "foreign", "broken_line"]])
def test_lines_that_never_came_are_asked_again_and_counted_as_paid(
    server: FaultServer, folder: Path, faults: list[str]
) -> None:
    server.plan.batches = [faults]
    found, usage = batched(server, folder, questions(12))
    assert len(found) == 12 and all(isinstance(outcome, ModelAnswer) for outcome in found.values())
    bill = server.bill.total()
    assert usage.requests >= bill.requests and usage.tokens >= bill.tokens


def test_lines_that_failed_in_passing_go_into_the_next_batch(server: FaultServer, folder: Path) -> None:
    server.plan.by_text = {"Pair 3.": ["500"], "Pair 5.": ["429", "503"]}
    found, usage = batched(server, folder, questions(8))
    assert len(found) == 8 and all(isinstance(outcome, ModelAnswer) for outcome in found.values())
    assert len(server.desk.batches) == 3 and server.bill.paid_twice() == []
    assert_bill(server, usage)


def test_lines_that_always_fail_are_given_up(server: FaultServer, folder: Path) -> None:
    server.plan.by_text = {"Pair 3.": ["500", "..."], "Pair 4.": ["400", "..."]}
    found, _ = batched(server, folder, questions(8))
    assert [type(found[f"pair-{n}"]) for n in range(8)] == [ModelAnswer] * 3 + [FailedRequest, FailedRequest] + [
        ModelAnswer
    ] * 3


def test_a_line_has_the_outcome_that_it_would_have_alone(server: FaultServer, folder: Path) -> None:
    server.plan.by_text = {"Pair 1.": ["refusal"], "Pair 2.": ["length"], "Pair 3.": ["bad_json", "..."]}
    found, usage = batched(server, folder, questions(5))
    assert [type(found[f"pair-{n}"]) for n in range(5)] == [
        ModelAnswer,
        ModelRefusal,
        TruncatedReply,
        InvalidReply,
        ModelAnswer,
    ]
    assert_bill(server, usage)


def test_a_broken_reply_is_mended_in_the_next_batch(server: FaultServer, folder: Path) -> None:
    server.plan.script = ["bad_json"]
    found, usage = batched(server, folder, questions(3))
    assert sorted(outcome.repaired for outcome in found.values() if isinstance(outcome, ModelAnswer)) == [
        False,
        False,
        True,
    ]
    assert_bill(server, usage)


def test_batches_that_are_never_taken_fail_with_a_reason(server: FaultServer, folder: Path) -> None:
    server.plan.batches = [["failed"]] * 20
    found, usage = batched(server, folder, questions(3))
    assert all(isinstance(outcome, FailedRequest) and outcome.message for outcome in found.values())
    assert usage.requests == server.bill.total().requests == 0


@pytest.mark.parametrize("limit", [0, 5, 12])
def test_a_batch_holds_to_the_budget(server: FaultServer, folder: Path, limit: int) -> None:
    found, _ = batched(server, folder, questions(12), limits=Limits(requests=limit))
    assert server.bill.total().requests == limit
    assert sum(isinstance(outcome, OverBudget) for outcome in found.values()) == 12 - limit


def test_a_batch_holds_to_a_budget_of_money(server: FaultServer, folder: Path) -> None:
    limits = Limits(money=Decimal("0.02"))
    server.plan.rates = {"bad_json": 0.3}
    batched(server, folder, questions(60), limits=limits, most_lines=10)
    bill = server.bill.total()
    assert limits.money is not None and 0 < HALF * PRICE.cost(bill.input, bill.cached, bill.output) <= limits.money


def test_a_server_without_batches_is_one_sentence(server: FaultServer, folder: Path) -> None:
    server.url = server.url.removesuffix("/v1") + "/v2"
    with pytest.raises(UserError) as caught:
        batched(server, folder, questions(3))
    assert "\n" not in str(caught.value) and KEY not in str(caught.value)


def test_a_key_that_is_not_accepted_is_one_sentence(server: FaultServer, folder: Path) -> None:
    server.key = "sk-another"
    with pytest.raises(UserError, match="key"):
        batched(server, folder, questions(3))


def test_an_unknown_model_fails_its_requests_with_a_reason(server: FaultServer, folder: Path) -> None:
    """The real server finds it when it validates the file, not when it is sent."""
    try:
        found, _ = batched(server, folder, questions(2, model="gpt-9000"))
    except UserError as error:
        assert "gpt-9000" in str(error) or "does not accept" in str(error)
    else:
        assert all(isinstance(outcome, FailedRequest) and outcome.message for outcome in found.values())
    assert server.bill.total().requests == 0


def begin(url: str, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.editfhf.chat.ask_many", url, str(folder), "300", "batch"]
    environment = os.environ | {"OPENAI_API_KEY": KEY}
    with log.open("ab") as said:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said, start_new_session=True)


@pytest.mark.slow
def test_three_hundred_questions_in_batches_survive_ten_kills(tmp_path: Path) -> None:
    rng = random.Random(9)
    (tmp_path / "server").mkdir()
    plan = {"rates": {"500": 0.03, "bad_json": 0.03, "refusal": 0.02}, "seed": 9, "batches": [["doubled"], ["expired"]]}
    with serving(tmp_path / "server", "--plan", json.dumps(plan)) as url:
        bill = Bill(tmp_path / "server" / "bill.sqlite")
        for _ in range(10):
            process = begin(url, tmp_path / "chat", tmp_path / "log")
            enough = len(bill.visits()) + rng.randint(1, 5)
            while process.poll() is None and len(bill.visits()) < enough:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.03))
            assert process.poll() is None, "ended before it could be killed"
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        last = begin(url, tmp_path / "chat", tmp_path / "log")
        last.wait(timeout=200)
        said = (tmp_path / "log").read_text().splitlines()
        assert last.returncode == 0, said[-20:]
        total, twice = bill.total(), bill.paid_twice()
        bill.close()
    found = json.loads(said[-1])
    assert sum(found["kinds"].values()) == 300
    assert set(found["kinds"]) <= {"ModelAnswer", "ModelRefusal", "InvalidReply"}
    assert twice == []
    assert (found["requests"], found["input"], found["cached"], found["output"]) == (
        total.requests, total.input, total.cached, total.output,
    )  # fmt: skip
    leaks = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert leaks == []

"""Every way in which a model server goes wrong, and what becomes of the request: one row, one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from editfhf.chat import (
    FailedRequest,
    FilteredReply,
    InvalidReply,
    ModelAnswer,
    ModelRefusal,
    RequestOutcome,
    RetryPolicy,
    TruncatedReply,
)
from mos.errors import UserError
from tests.editfhf.chat.asking import QUICK, ask_all, ask_one, question
from tests.editfhf.chat.fault_plan import Plan
from tests.editfhf.chat.fault_server import KEY, FaultServer, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    with running(folder, Plan()) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "chat"


def met(server: FaultServer, folder: Path, *faults: str, **options: Any) -> RequestOutcome:
    """What becomes of one request that meets these faults, one an attempt."""
    server.plan.script = list(faults)
    return ask_one(server.url, folder, question(1), **QUICK | options)


HASTY = RetryPolicy(attempts=3, timeout=0.5, first_pause=0.01, usual_pause=0.02)
PASSING = ("429", "429:0", "429-ms:20", "500", "503", "408", "409", "400-retry:true", "page", "reset")


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_nothing_but_a_retry(server: FaultServer, folder: Path, fault: str) -> None:
    outcome = met(server, folder, fault, fault)
    assert isinstance(outcome, ModelAnswer)
    assert outcome.usage.retries == 2 and outcome.usage.requests == server.bill.total().requests == 1
    assert [row["fault"] for row in server.bill.arrivals()] == [fault, fault, "ok"]


@pytest.mark.parametrize("fault", ["cut", "timeout:5"])
def test_a_reply_that_was_paid_for_and_lost_is_asked_for_again_and_not_paid_again(
    server: FaultServer, folder: Path, fault: str
) -> None:
    outcome = met(server, folder, fault, retry_policy=HASTY)
    assert isinstance(outcome, ModelAnswer) and outcome.usage.retries == 1
    assert server.bill.total().requests == 1 and outcome.usage.tokens == server.bill.total().tokens


@pytest.mark.parametrize("between", ["500", "429:0", "reset", "page"])
def test_a_reply_that_was_lost_stays_under_its_idempotency_key_whatever_comes_next(
    server: FaultServer, folder: Path, between: str
) -> None:
    outcome = met(server, folder, "cut", between, "cut")
    assert isinstance(outcome, ModelAnswer) and outcome.usage.retries == 3
    assert len({row["key"] for row in server.bill.arrivals()}) == 1 and len(server.bill.arrivals()) == 4
    assert server.bill.total().requests == 1


@pytest.mark.parametrize(("fault", "least"), [("429:1", 1.0), ("429-date:2", 0.9), ("503:1", 1.0)])
def test_a_retry_waits_as_long_as_the_server_says(server: FaultServer, folder: Path, fault: str, least: float) -> None:
    assert isinstance(met(server, folder, fault), ModelAnswer)
    first, second = (row["at"] for row in server.bill.arrivals())
    assert isinstance(first, float) and isinstance(second, float) and second - first >= least


@pytest.mark.parametrize("fault", ["429", "500", "reset", "timeout:5"])
def test_a_fault_that_stays_fails_the_request_and_another_day_answers_it(
    server: FaultServer, folder: Path, fault: str
) -> None:
    outcome = met(server, folder, *[fault] * 50, retry_policy=HASTY)
    assert isinstance(outcome, FailedRequest) and outcome.message
    server.plan.script = []
    assert isinstance(ask_one(server.url, folder, question(1), **QUICK), ModelAnswer)
    assert server.bill.total().requests == 1


def test_what_the_server_says_is_not_worth_a_retry_gets_none(server: FaultServer, folder: Path) -> None:
    outcome = met(server, folder, "500-retry:false")
    assert isinstance(outcome, FailedRequest) and outcome.status == 500
    assert len(server.bill.arrivals()) == 1


def test_a_request_that_the_server_does_not_take_fails_alone(server: FaultServer, folder: Path) -> None:
    wrong = question(1, parameters={"temprature": 0})
    found, usage = ask_all(server.url, folder, [wrong, question(2)])
    assert isinstance(found["pair-1"], FailedRequest) and found["pair-1"].status == 400
    assert isinstance(found["pair-2"], ModelAnswer) and usage.requests == 1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [({"key": "sk-wrong-0123456789"}, "key"), ({"model": "gpt-9000"}, "gpt-9000")],
)
def test_a_wrong_key_or_model_stops_everything_with_one_sentence(
    server: FaultServer, folder: Path, wrong: dict[str, str], expected: str
) -> None:
    model = {"model": wrong["model"]} if "model" in wrong else {}
    with pytest.raises(UserError, match=expected) as caught:
        ask_all(server.url, folder, [question(n, **model) for n in range(40)], key=wrong.get("key", KEY))
    assert "\n" not in str(caught.value) and "sk-" not in str(caught.value)
    assert server.bill.total().requests == 0


def test_an_account_without_credit_stops_everything(server: FaultServer, folder: Path) -> None:
    server.plan.script = ["429-quota"] * 400
    with pytest.raises(UserError, match=r"credit|quota"):
        ask_all(server.url, folder, [question(n) for n in range(40)], **QUICK)
    assert len(server.bill.arrivals()) <= 16


def test_no_server_at_the_address_fails_with_one_sentence(folder: Path) -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9"):
        ask_all("http://127.0.0.1:9/v1", folder, [question(1)], **QUICK)


TYPED: list[tuple[str, type[RequestOutcome]]] = [
    ("refusal", ModelRefusal), ("length", TruncatedReply), ("content_filter", FilteredReply),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "kind"), TYPED)
def test_what_a_model_does_not_answer_is_typed_paid_once_and_remembered(
    server: FaultServer, folder: Path, fault: str, kind: type[RequestOutcome]
) -> None:
    assert type(met(server, folder, fault)) is kind
    again = met(server, folder)
    assert type(again) is kind and server.bill.total().requests == 1
    assert "sorry" not in again.message and again.message


@pytest.mark.parametrize("fault", ["fenced", "chatter", "extra_envelope"])
def test_json_in_a_wrapping_is_unwrapped(server: FaultServer, folder: Path, fault: str) -> None:
    outcome = met(server, folder, fault)
    assert isinstance(outcome, ModelAnswer) and not outcome.repaired
    assert server.bill.total().requests == 1


BROKEN = ("bad_json", "ignored", "empty_object", "extra", "deep", "huge_number", "nan", "surrogate", "null")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_reply_is_mended_in_one_more_round(server: FaultServer, folder: Path, fault: str) -> None:
    outcome = met(server, folder, fault)
    assert isinstance(outcome, ModelAnswer) and outcome.repaired
    assert outcome.usage.requests == server.bill.total().requests == 2
    assert outcome.usage.tokens == server.bill.total().tokens


@pytest.mark.parametrize("fault", [*BROKEN, "no_choices"])
def test_what_stays_broken_is_set_aside_paid_for_and_not_asked_again(
    server: FaultServer, folder: Path, fault: str
) -> None:
    outcome = met(server, folder, *[fault] * 9)
    assert isinstance(outcome, InvalidReply)
    paid = server.bill.total()
    assert paid.requests <= 2 and outcome.usage.tokens == paid.tokens
    assert type(met(server, folder)) is InvalidReply and server.bill.total() == paid


def test_a_very_long_reply_is_no_answer_and_no_crash(server: FaultServer, folder: Path) -> None:
    assert isinstance(met(server, folder, *["long"] * 9), InvalidReply | TruncatedReply)


@pytest.mark.parametrize("fault", ["wrong_ids", "missing_ids", "doubled_ids", "hostile"])
def test_what_a_reply_means_is_for_others_to_judge(server: FaultServer, folder: Path, fault: str) -> None:
    assert isinstance(
        met(server, folder, fault, fault), ModelAnswer | InvalidReply
    )  # without its one region, a list is empty


@pytest.mark.parametrize("fault", ["no_usage", "null_usage"])
def test_a_reply_without_usage_counts_at_its_worst(server: FaultServer, folder: Path, fault: str) -> None:
    outcome = met(server, folder, fault)
    assert isinstance(outcome, ModelAnswer)
    assert outcome.usage.requests == 1 and outcome.usage.tokens >= server.bill.total().tokens


def test_one_fault_touches_no_other_request(server: FaultServer, folder: Path) -> None:
    server.plan.by_text = {"BROKEN": ["ignored", "..."], "REFUSED": ["refusal"], "SLOW": ["429", "500", "reset"]}
    markers = {3: "BROKEN", 11: "REFUSED", 17: "SLOW"}
    found, usage = ask_all(server.url, folder, [question(n, markers.get(n, "")) for n in range(30)], **QUICK)
    assert {name: type(outcome) for name, outcome in found.items() if not isinstance(outcome, ModelAnswer)} == {
        "pair-3": InvalidReply,
        "pair-11": ModelRefusal,
    }
    assert len(found) == 30 and usage.retries == 3 and usage.requests == server.bill.total().requests == 31


MIXED = {
    "429:0": 0.06, "500": 0.05, "cut": 0.05, "reset": 0.04, "bad_json": 0.04, "refusal": 0.02, "length": 0.02,
    "fenced": 0.04, "content_filter": 0.02, "page": 0.02, "extra_envelope": 0.03,
}  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_ledger_is_the_bill_of_the_server(server: FaultServer, folder: Path, seed: int) -> None:
    server.plan.rates, server.plan.seed = MIXED, seed
    found, usage = ask_all(server.url, folder, [question(n, pictures=n % 3) for n in range(120)], **QUICK)
    bill = server.bill.total()
    assert len(found) == 120 and not any(isinstance(outcome, FailedRequest) for outcome in found.values())
    assert (usage.requests, usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (
        bill.requests, bill.input, bill.cached, bill.output,
    )  # fmt: skip
    assert server.bill.paid_twice() == []
    retried = [row for row in server.bill.arrivals() if row["fault"] in ("429:0", "500", "cut", "reset", "page")]
    assert usage.retries == len(retried) > 10
    assert sum((outcome.usage for outcome in found.values()), type(usage)()) == usage


def test_no_more_requests_are_alive_than_asked_for(server: FaultServer, folder: Path) -> None:
    server.latency = 0.02
    ask_all(server.url, folder, (question(n) for n in range(60)), concurrency=5)
    assert 2 <= server.highest <= 5  # how many of them meet depends on how busy the machine is


def test_the_same_question_under_two_names_is_sent_once(server: FaultServer, folder: Path) -> None:
    server.latency = 0.05
    found, usage = ask_all(server.url, folder, [question(1), question(1, name="twin"), question(1, name="third")])
    assert {name: type(outcome) for name, outcome in found.items()} == dict.fromkeys(
        ("pair-1", "twin", "third"), ModelAnswer
    )
    assert usage.requests == server.bill.total().requests == 1

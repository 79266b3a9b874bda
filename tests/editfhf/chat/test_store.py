"""Cache, ledger and budget in a folder: in step with each other, whatever a crash leaves behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from editfhf.chat import Limits, Usage, ledger
from editfhf.chat.budget import BudgetBlock
from editfhf.chat.ledger import RequestAttempt
from editfhf.chat.outcomes import Exchange, next_round
from editfhf.chat.replies import ModelReply
from editfhf.chat.store import CHAT_LEDGER_FILE, RequestStore
from mos.errors import UserError
from tests.editfhf.chat.asking import PRICES, question

SPENT = Usage(1, 0, 100, 20, 50, Decimal("0.00057"))
ANSWER = ModelReply("stop", '{"a": 1}', False, "gpt-test", SPENT)


def books(folder: Path, limits: Limits | None = None, bills_once: bool = True) -> RequestStore:
    return RequestStore(folder, limits or Limits(), PRICES, bills_once)


def exchange(number: int = 1, model: str = "gpt-test") -> Exchange:
    return next_round(question(number, model=model), [], PRICES)


def within(folder: Path, work: Callable[[RequestStore], Awaitable[None]], limits: Limits | None = None) -> Usage:
    """Open, work, close; what the ledger counts then."""

    async def run() -> Usage:
        opened = books(folder, limits)
        try:
            await work(opened)
            return opened.budget.spent
        finally:
            opened.close()

    return asyncio.run(run())


async def begun(opened: RequestStore, number: int = 1, retry: bool = False) -> RequestAttempt:
    attempt = await opened.begin_attempt(exchange(number), retry)
    assert isinstance(attempt, RequestAttempt)
    return attempt


def ask_and_answer(folder: Path) -> None:
    async def answer(opened: RequestStore) -> None:
        await opened.record_answer(await begun(opened), ANSWER, 200, 0.5)

    within(folder, answer)


def lines(folder: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in (folder / CHAT_LEDGER_FILE).read_bytes().splitlines()]


def test_an_answer_is_kept_and_counted(tmp_path: Path) -> None:
    async def answer(opened: RequestStore) -> None:
        await opened.record_answer(await begun(opened), ANSWER, 200, 0.5)
        assert opened.read_replies(question(1).key) == [ANSWER]

    assert within(tmp_path, answer) == SPENT
    started, ended = lines(tmp_path)
    assert (started["event"], started["name"], started["id"]) == ("started", "pair-1", ended["id"])
    assert (ended["status"], ended["input_tokens"], ended["cost"]) == (200, 100, "0.00057")
    again = books(tmp_path)
    assert (
        again.budget.spent == SPENT
        and again.budget.unresolved == Usage()
        and again.read_replies(question(1).key) == [ANSWER]
    )
    again.close()


def test_what_was_in_flight_counts_at_its_worst_until_it_is_sent_again_under_its_id(tmp_path: Path) -> None:
    names = []

    async def vanish(opened: RequestStore) -> None:
        names.append((await begun(opened)).id)

    within(tmp_path, vanish)
    most = exchange().max_usage
    again = books(tmp_path)
    assert again.budget.unresolved == most and again.budget.spent == Usage()
    again.close()

    async def repeat(opened: RequestStore) -> None:
        attempt = await begun(opened)
        names.append(attempt.id)
        assert opened.budget.unresolved.requests == 0 and opened.budget.in_flight == most
        await opened.record_answer(attempt, ANSWER, 200, 0.5)

    assert within(tmp_path, repeat, Limits(requests=1)) == SPENT + Usage(retries=1)
    assert names[0] == names[1]


def test_where_the_server_bills_twice_a_lost_attempt_counts_for_ever(tmp_path: Path) -> None:
    async def lose(opened: RequestStore) -> None:
        await opened.record_loss(await begun(opened), "TimeoutError", 1.0)

    within(tmp_path, lose)

    async def repeat() -> tuple[str, Usage]:
        opened = books(tmp_path, bills_once=False)
        attempt = await begun(opened)
        await opened.record_answer(attempt, ANSWER, 200, 0.5)
        opened.close()
        return attempt.id, opened.budget.spent

    name, spent = asyncio.run(repeat())
    assert spent == SPENT + exchange().max_usage and name.endswith("-2")


def test_an_error_after_a_loss_does_not_tell_what_became_of_it(tmp_path: Path) -> None:
    async def lose(opened: RequestStore) -> None:
        await opened.record_loss(await begun(opened), "TimeoutError", 1.0)
        await opened.record_unanswered(await begun(opened, retry=True), 500, 1.0)
        assert opened.budget.unresolved == exchange().max_usage

    within(tmp_path, lose)
    again = books(tmp_path)
    assert again.budget.unresolved == exchange().max_usage
    again.close()


def test_a_retry_after_an_error_keeps_its_id_and_another_day_has_another(tmp_path: Path) -> None:
    names = []

    async def fail(opened: RequestStore) -> None:
        for retry in (False, True, False):
            attempt = await begun(opened, retry=retry)
            names.append(attempt.id[-3:])
            await opened.record_unanswered(attempt, 500, 0.1)

    assert within(tmp_path, fail) == Usage(retries=3)
    assert names == ["0-1", "0-1", "0-2"]


def test_a_reply_in_the_cache_without_its_line_in_the_ledger_is_counted_on_the_next_start(tmp_path: Path) -> None:
    async def answer(opened: RequestStore) -> None:
        await opened.record_answer(await begun(opened), ANSWER, 200, 0.5)

    within(tmp_path, answer)
    path = tmp_path / CHAT_LEDGER_FILE
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    for _ in range(2):
        again = books(tmp_path)
        assert again.budget.spent == SPENT and again.budget.unresolved == Usage()
        again.close()
    assert len(lines(tmp_path)) == 2


@pytest.mark.parametrize("left", [1, 5, 40])
def test_a_last_line_that_was_cut_is_dropped(tmp_path: Path, left: int) -> None:
    async def answer(opened: RequestStore) -> None:
        await opened.record_answer(await begun(opened), ANSWER, 200, 0.5)

    within(tmp_path, answer)
    whole = (tmp_path / CHAT_LEDGER_FILE).read_bytes()
    (tmp_path / CHAT_LEDGER_FILE).write_bytes(whole + whole[:left])
    again = books(tmp_path)
    again.close()
    assert again.budget.spent == SPENT and (tmp_path / CHAT_LEDGER_FILE).read_bytes() == whole


@pytest.mark.parametrize("line", [b"{}", b"[]", b"x", b'{"event": "ended", "id": "nobody"}', b'{"event": "started"}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / CHAT_LEDGER_FILE).write_bytes(line + b"\n")
    with pytest.raises(UserError, match=r"Line 1 of .* is damaged"):
        ledger.read_ledger(tmp_path / CHAT_LEDGER_FILE, PRICES)


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    first = books(tmp_path)
    with pytest.raises(UserError, match="Another process"):
        books(tmp_path)
    first.close()
    books(tmp_path).close()


def test_a_model_without_a_price_cannot_be_held_to_a_limit_of_money(tmp_path: Path) -> None:
    async def ask(opened: RequestStore) -> None:
        await opened.begin_attempt(exchange(model="llama"))

    with pytest.raises(UserError, match="no model 'llama'"):
        within(tmp_path, ask, Limits(money=Decimal(1)))
    within(tmp_path, ask)
    with pytest.raises(UserError, match="without a price"):
        books(tmp_path, Limits(money=Decimal(1)))


def test_who_does_not_fit_waits_for_what_is_in_flight_and_no_longer(tmp_path: Path) -> None:
    async def crowd(opened: RequestStore) -> None:
        first = await begun(opened, 1)
        second = asyncio.create_task(opened.begin_attempt(exchange(2)))
        await asyncio.sleep(0.05)
        assert not second.done()
        await opened.record_unanswered(first, 500, 0.1)
        attempt = await second
        assert isinstance(attempt, RequestAttempt)
        await opened.record_answer(attempt, ANSWER, 200, 0.1)
        assert await opened.begin_attempt(exchange(3)) == BudgetBlock("requests", False)

    assert within(tmp_path, crowd, Limits(requests=1)) == SPENT + Usage(retries=1)


def test_usage_without_a_price_is_priced_when_the_table_has_it(tmp_path: Path) -> None:
    async def answer(opened: RequestStore) -> None:
        reply = ModelReply("stop", "x", False, "m", Usage(1, 0, 100, 20, 50, None))
        await opened.record_answer(await begun(opened), reply, 200, 0.5)

    within(tmp_path, answer)
    again = books(tmp_path)
    again.close()
    assert again.budget.spent.cost == PRICES.models["gpt-test"].cost(100, 20, 50)


@pytest.mark.parametrize("reply", [b"{", b"[]", b'{"usage": 3}', b'{"usage": {"cost": "x"}}', b"\xff"])
def test_a_reply_that_was_damaged_is_one_sentence(tmp_path: Path, reply: bytes) -> None:
    ask_and_answer(tmp_path)
    with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as database:
        database.execute("UPDATE replies SET reply = ?", (reply,))
        database.commit()
    with closing(books(tmp_path)) as opened, pytest.raises(UserError, match=r"cache\.sqlite is damaged\. Restore it"):
        opened.read_replies(question(1).key)


def test_a_cache_with_damaged_pages_is_one_sentence(tmp_path: Path) -> None:
    ask_and_answer(tmp_path)
    path = tmp_path / "cache.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes(len(whole) - 100))
    with (
        pytest.raises(UserError, match=r"cache\.sqlite (is damaged|cannot be opened)"),
        closing(books(tmp_path)) as opened,
    ):
        opened.read_replies(question(1).key)

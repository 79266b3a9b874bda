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
from editfhf.chat.books import LEDGER, Books
from editfhf.chat.budget import Blocked
from editfhf.chat.ledger import Attempt
from editfhf.chat.replies import Reply
from editfhf.chat.rounds import Exchange, next_round
from mos.errors import UserError
from tests.editfhf.chat.asking import PRICES, question

SPENT = Usage(1, 0, 100, 20, 50, Decimal("0.00057"))
ANSWER = Reply("stop", '{"a": 1}', False, "gpt-test", SPENT)


def books(folder: Path, limits: Limits | None = None, bills_once: bool = True) -> Books:
    return Books(folder, limits or Limits(), PRICES, bills_once)


def exchange(number: int = 1, model: str = "gpt-test") -> Exchange:
    return next_round(question(number, model=model), [], PRICES)


def within(folder: Path, work: Callable[[Books], Awaitable[None]], limits: Limits | None = None) -> Usage:
    """Open, work, close; what the ledger counts then."""

    async def run() -> Usage:
        opened = books(folder, limits)
        try:
            await work(opened)
            return opened.budget.spent
        finally:
            opened.close()

    return asyncio.run(run())


async def begun(opened: Books, number: int = 1, retry: bool = False) -> Attempt:
    attempt = await opened.begin(exchange(number), retry)
    assert isinstance(attempt, Attempt)
    return attempt


def ask_and_answer(folder: Path) -> None:
    async def answer(opened: Books) -> None:
        await opened.answered(await begun(opened), ANSWER, 200, 0.5)

    within(folder, answer)


def lines(folder: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in (folder / LEDGER).read_bytes().splitlines()]


def test_an_answer_is_kept_and_counted(tmp_path: Path) -> None:
    async def answer(opened: Books) -> None:
        await opened.answered(await begun(opened), ANSWER, 200, 0.5)
        assert opened.replies(question(1).key) == [ANSWER]

    assert within(tmp_path, answer) == SPENT
    started, ended = lines(tmp_path)
    assert (started["event"], started["name"], started["id"]) == ("started", "pair-1", ended["id"])
    assert (ended["status"], ended["input_tokens"], ended["cost"]) == (200, 100, "0.00057")
    again = books(tmp_path)
    assert again.budget.spent == SPENT and again.budget.held == Usage() and again.replies(question(1).key) == [ANSWER]
    again.close()


def test_what_was_in_flight_counts_at_its_worst_until_it_is_sent_again_under_its_id(tmp_path: Path) -> None:
    names = []

    async def vanish(opened: Books) -> None:
        names.append((await begun(opened)).id)

    within(tmp_path, vanish)
    most = exchange().worst
    again = books(tmp_path)
    assert again.budget.held == most and again.budget.spent == Usage()
    again.close()

    async def repeat(opened: Books) -> None:
        attempt = await begun(opened)
        names.append(attempt.id)
        assert opened.budget.held.requests == 0 and opened.budget.live == most
        await opened.answered(attempt, ANSWER, 200, 0.5)

    assert within(tmp_path, repeat, Limits(requests=1)) == SPENT + Usage(retries=1)
    assert names[0] == names[1]


def test_where_the_server_bills_twice_a_lost_attempt_counts_for_ever(tmp_path: Path) -> None:
    async def lose(opened: Books) -> None:
        await opened.lost(await begun(opened), "TimeoutError", 1.0)

    within(tmp_path, lose)

    async def repeat() -> tuple[str, Usage]:
        opened = books(tmp_path, bills_once=False)
        attempt = await begun(opened)
        await opened.answered(attempt, ANSWER, 200, 0.5)
        opened.close()
        return attempt.id, opened.budget.spent

    name, spent = asyncio.run(repeat())
    assert spent == SPENT + exchange().worst and name.endswith("-2")


def test_an_error_after_a_loss_does_not_tell_what_became_of_it(tmp_path: Path) -> None:
    async def lose(opened: Books) -> None:
        await opened.lost(await begun(opened), "TimeoutError", 1.0)
        await opened.unanswered(await begun(opened, retry=True), 500, 1.0)
        assert opened.budget.held == exchange().worst

    within(tmp_path, lose)
    again = books(tmp_path)
    assert again.budget.held == exchange().worst
    again.close()


def test_a_retry_after_an_error_keeps_its_id_and_another_day_has_another(tmp_path: Path) -> None:
    names = []

    async def fail(opened: Books) -> None:
        for retry in (False, True, False):
            attempt = await begun(opened, retry=retry)
            names.append(attempt.id[-3:])
            await opened.unanswered(attempt, 500, 0.1)

    assert within(tmp_path, fail) == Usage(retries=3)
    assert names == ["0-1", "0-1", "0-2"]


def test_a_reply_in_the_cache_without_its_line_in_the_ledger_is_counted_on_the_next_start(tmp_path: Path) -> None:
    async def answer(opened: Books) -> None:
        await opened.answered(await begun(opened), ANSWER, 200, 0.5)

    within(tmp_path, answer)
    path = tmp_path / LEDGER
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    for _ in range(2):
        again = books(tmp_path)
        assert again.budget.spent == SPENT and again.budget.held == Usage()
        again.close()
    assert len(lines(tmp_path)) == 2


@pytest.mark.parametrize("left", [1, 5, 40])
def test_a_last_line_that_was_cut_is_dropped(tmp_path: Path, left: int) -> None:
    async def answer(opened: Books) -> None:
        await opened.answered(await begun(opened), ANSWER, 200, 0.5)

    within(tmp_path, answer)
    whole = (tmp_path / LEDGER).read_bytes()
    (tmp_path / LEDGER).write_bytes(whole + whole[:left])
    again = books(tmp_path)
    again.close()
    assert again.budget.spent == SPENT and (tmp_path / LEDGER).read_bytes() == whole


@pytest.mark.parametrize("line", [b"{}", b"[]", b"x", b'{"event": "ended", "id": "nobody"}', b'{"event": "started"}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / LEDGER).write_bytes(line + b"\n")
    with pytest.raises(UserError, match=r"Line 1 of .* is damaged"):
        ledger.read(tmp_path / LEDGER, PRICES)


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    first = books(tmp_path)
    with pytest.raises(UserError, match="Another command"):
        books(tmp_path)
    first.close()
    books(tmp_path).close()


def test_a_model_without_a_price_cannot_be_held_to_a_limit_of_money(tmp_path: Path) -> None:
    async def ask(opened: Books) -> None:
        await opened.begin(exchange(model="llama"))

    with pytest.raises(UserError, match="no model 'llama'"):
        within(tmp_path, ask, Limits(money=Decimal(1)))
    within(tmp_path, ask)
    with pytest.raises(UserError, match="without a price"):
        books(tmp_path, Limits(money=Decimal(1)))


def test_who_does_not_fit_waits_for_what_is_in_flight_and_no_longer(tmp_path: Path) -> None:
    async def crowd(opened: Books) -> None:
        first = await begun(opened, 1)
        second = asyncio.create_task(opened.begin(exchange(2)))
        await asyncio.sleep(0.05)
        assert not second.done()
        await opened.unanswered(first, 500, 0.1)
        attempt = await second
        assert isinstance(attempt, Attempt)
        await opened.answered(attempt, ANSWER, 200, 0.1)
        assert await opened.begin(exchange(3)) == Blocked("requests", False)

    assert within(tmp_path, crowd, Limits(requests=1)) == SPENT + Usage(retries=1)


def test_usage_without_a_price_is_priced_when_the_table_has_it(tmp_path: Path) -> None:
    async def answer(opened: Books) -> None:
        reply = Reply("stop", "x", False, "m", Usage(1, 0, 100, 20, 50, None))
        await opened.answered(await begun(opened), reply, 200, 0.5)

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
        opened.replies(question(1).key)


def test_a_cache_with_damaged_pages_is_one_sentence(tmp_path: Path) -> None:
    ask_and_answer(tmp_path)
    path = tmp_path / "cache.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes(len(whole) - 100))
    with (
        pytest.raises(UserError, match=r"cache\.sqlite (is damaged|cannot be opened)"),
        closing(books(tmp_path)) as opened,
    ):
        opened.replies(question(1).key)

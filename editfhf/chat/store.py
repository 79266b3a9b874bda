"""Request store of a folder: cache, ledger and budget, kept consistent and written before a request is sent."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from editfhf.chat.budget import Budget, BudgetBlock, Limits, Usage
from editfhf.chat.costs import Prices
from editfhf.chat.ledger import (
    DatabaseChange,
    Journal,
    RequestAttempt,
    damaged_cache_error,
    ended_line,
    lost_line,
    read_ledger,
    started_line,
)
from editfhf.chat.outcomes import ChatStopped, Exchange
from editfhf.chat.replies import ChatCompletion, ModelReply, UnreadableReply, unpack_reply
from mos.errors import UserError
from mos.files import try_lock

CHAT_DATABASE_FILE = "cache.sqlite"
CHAT_LEDGER_FILE = "ledger.jsonl"
CHAT_LOCK_FILE = "lock"

INSERT_REPLY = "INSERT OR IGNORE INTO replies (key, round, attempt, reply) VALUES (?, ?, ?, ?)"


class PendingInBatch(Exception):
    """The round is in an open batch; the message is the name of the batch."""


class RequestStore:
    """Requests, replies and usage of a folder, by this process and earlier ones; one process at a time.

    bills_once says whether the server bills a repeated request with the same Idempotency-Key once. It decides about an
    attempt without a response that is sent again:
    True: the same id, and the new attempt replaces the old one in the budget
    False: a new id, and the old attempt counts as spent at its maximum usage
    None (unknown): the same id, it counts once, but the budget keeps the maximum usage of the old attempt reserved
    """

    def __init__(self, folder: Path, limits: Limits, prices: Prices, bills_once: bool | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.prices = prices
        self._limits = limits
        self._bills_once = bills_once
        self._stopped = False
        self._freed = asyncio.Event()
        self._lock = _lock_folder(folder / CHAT_LOCK_FILE)
        try:
            self._state = read_ledger(folder / CHAT_LEDGER_FILE, prices)
            self.journal = Journal(folder / CHAT_DATABASE_FILE, folder / CHAT_LEDGER_FILE)
        except BaseException:
            os.close(self._lock)
            raise
        try:
            self._recover_attempts()
            self.budget = Budget(limits)
            self.budget.spent = self._state.spent
            self.budget.unresolved = sum((attempt.max_usage for attempt in self._state.open.values()), Usage())
            if not bills_once:
                self.budget.unresolved += self._state.unanswered
            if limits.money is not None and (self.budget.spent + self.budget.unresolved).cost is None:
                raise UserError(
                    f"{folder / CHAT_LEDGER_FILE} has requests to a model without a price, so a limit on money cannot "
                    "be checked. Add the model to the price table."
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Write the rest and unlock the folder."""
        self.journal.close()
        os.close(self._lock)

    def stop(self) -> None:
        """Begin no more attempts; those that wait for room raise `ChatStopped`."""
        self._stopped = True
        self._freed.set()

    def read_replies(self, key: str) -> list[ModelReply]:
        """Stored replies to a request, one per round."""
        rows = self.journal.read_rows("SELECT reply FROM replies WHERE key = ? ORDER BY round", (key,))
        return [self._unpack_reply(data) for (data,) in rows]

    def open_attempt(self, key: str, number: int) -> RequestAttempt | None:
        """Open attempt at a round, if there is one."""
        last = self._state.attempt_numbers.get((key, number))
        return self._state.open.get(RequestAttempt(key, number, last, "", "", Usage()).id) if last else None

    def open_attempt_by_id(self, name: str) -> RequestAttempt | None:
        """Open attempt with an id, if there is one."""
        return self._state.open.get(name)

    def open_attempts_in(self, batch: str) -> dict[str, RequestAttempt]:
        """Open attempts of a batch, by id."""
        return {name: attempt for name, attempt in self._state.open.items() if attempt.batch == batch}

    async def begin_attempt(self, exchange: Exchange, retry: bool = False) -> RequestAttempt | BudgetBlock:
        """Reserve the maximum usage of an attempt and announce it in the ledger; wait for requests in flight if needed.

        A retry has the id of the attempt before it. `PendingInBatch` when the round is in an open batch; `ChatStopped`
        after `stop`.
        """
        while True:
            if self._stopped:
                raise ChatStopped
            attempt = self.admit_attempt(exchange, retry)
            if isinstance(attempt, RequestAttempt):
                await self.journal.write([started_line(attempt)])
                return attempt
            if not attempt.for_now:
                return attempt
            self._freed.clear()
            await self._freed.wait()

    def admit_attempt(self, exchange: Exchange, retry: bool = False, batch: str = "") -> RequestAttempt | BudgetBlock:
        """Reserve the maximum usage of an attempt if the budget allows it; nothing is written yet.

        An open attempt at the round is sent again under its id, unless the server may bill it twice (see the class);
        in a batch every server does.
        """
        self._require_price(exchange.model)
        before = self.open_attempt(exchange.key, exchange.round)
        if before is not None and before.batch:
            raise PendingInBatch(before.batch)
        if before is not None and (batch or self._bills_once is False):
            self._write_off_attempt(before)
            before = None
        freed = before.max_usage if before is not None and self._bills_once else Usage()
        blocked = self.budget.check_room(exchange.max_usage, freed)
        if blocked:
            return blocked
        if before is not None:
            self.budget.unresolved -= freed
            attempt = replace(before, doubtful=True, max_usage=exchange.max_usage)
        else:
            last = self._state.attempt_numbers.get((exchange.key, exchange.round), 0)
            number = last if retry and last else last + 1
            attempt = RequestAttempt(
                exchange.key, exchange.round, number, exchange.name, exchange.model, exchange.max_usage, batch=batch
            )
        self._state.start(attempt)
        self.budget.spent = self._state.spent
        if batch:
            self.budget.unresolved += attempt.max_usage
        else:
            self.budget.reserve(attempt.id, attempt.max_usage)
        return attempt

    async def record_answer(self, attempt: RequestAttempt, reply: ModelReply, status: int, seconds: float) -> None:
        """Store a reply; it is on the disk when this returns."""
        line, change = self.settle_attempt(attempt, reply, status, seconds)
        await self.journal.write([line], [change])

    def settle_attempt(
        self, attempt: RequestAttempt, reply: ModelReply, status: int, seconds: float
    ) -> tuple[bytes, DatabaseChange]:
        """Count a reply; returns the ledger line and the database change to write."""
        usage = _without_retries(reply.usage)
        self._end_attempt(attempt, usage, answered=True)
        row = (attempt.key, attempt.round, attempt.id, reply.pack())
        return ended_line(attempt, usage, status, seconds, True, reply.counted), (INSERT_REPLY, row)

    async def record_unanswered(self, attempt: RequestAttempt, status: int, seconds: float) -> None:
        """Count and write an attempt that the server rejected, which costs nothing."""
        await self.journal.write([self.end_unbilled(attempt, status, seconds)])

    def end_unbilled(self, attempt: RequestAttempt, status: int, seconds: float) -> bytes:
        """Count an attempt that cost nothing; returns the ledger line to write.

        status: of the HTTP response, 0 when the request did not reach the server. If the attempt was sent before
        without a response, the outcome of that is still unknown, and it stays open.
        """
        if attempt.doubtful:
            if self._bills_once:
                self.mark_unresolved(attempt)
            else:
                self.budget.release(attempt.id, attempt.max_usage)
                self._freed.set()
            return lost_line(attempt, f"status {status}", seconds)
        usage = Usage(retries=1 if status else 0)
        self._end_attempt(attempt, usage, answered=False)
        return ended_line(attempt, usage, status, seconds, False)

    async def record_loss(self, attempt: RequestAttempt, problem: str, seconds: float) -> None:
        """Keep the maximum usage of an attempt without a response reserved, and write that to the ledger."""
        self.mark_unresolved(attempt)
        await self.journal.write([lost_line(attempt, problem, seconds)])

    def mark_unresolved(self, attempt: RequestAttempt) -> None:
        """Keep the maximum usage of an attempt reserved; the ledger has its start already."""
        self.budget.mark_unresolved(attempt.id)
        self._freed.set()

    def withdraw_attempt(self, attempt: RequestAttempt) -> None:
        """Undo `admit_attempt` for an attempt that is not in the ledger."""
        self._end_attempt(attempt, Usage(), answered=False)

    def end_at_max_usage(self, attempt: RequestAttempt, status: int) -> bytes:
        """Count an attempt finally, at its maximum usage; returns the ledger line to write."""
        self._end_attempt(attempt, attempt.max_usage, answered=False)
        return ended_line(attempt, attempt.max_usage, status, 0.0, False, counted=False)

    def price_reply(
        self, completion: ChatCompletion, max_usage: Usage, model: str, factor: Decimal = Decimal(1)
    ) -> ModelReply:
        """Add the usage to a completion; without token counts of the server, the maximum usage."""
        usage, count = max_usage, completion.count
        if count is not None:
            price = self.prices.find_price(model)
            tokens = count.input_tokens, count.cached_tokens, count.output_tokens
            usage = Usage(1, 0, *tokens, price.cost(*tokens) * factor if price else None)
        return ModelReply(
            completion.finish, completion.text, completion.refused, completion.served_by, usage, count is not None
        )

    def _require_price(self, model: str) -> None:
        if self._limits.money is not None and self.prices.find_price(model) is None:
            raise UserError(
                f"The price table has no model {model[:80]!r}, so a limit on money cannot be checked. Add the model "
                "to a copy of the table, or remove the limit."
            )

    def _write_off_attempt(self, attempt: RequestAttempt) -> None:
        self.journal.submit([self.end_at_max_usage(attempt, 0)])

    def _end_attempt(self, attempt: RequestAttempt, usage: Usage, answered: bool) -> None:
        self.budget.release(attempt.id, attempt.max_usage)
        self._state.end(attempt, usage, answered)
        self.budget.spent = self._state.spent
        self._freed.set()

    def _unpack_reply(self, data: bytes) -> ModelReply:
        try:
            return unpack_reply(data)
        except UnreadableReply:
            raise damaged_cache_error(self.folder / CHAT_DATABASE_FILE) from None

    def _recover_attempts(self) -> None:
        """End attempts whose reply reached the cache, but whose line did not reach the ledger before a crash."""
        lines = []
        for attempt in list(self._state.open.values()):
            where = attempt.key, attempt.round, attempt.id
            rows = self.journal.read_rows(
                "SELECT reply FROM replies WHERE key = ? AND round = ? AND attempt = ?", where
            )
            for (data,) in rows:
                reply = self._unpack_reply(data)
                usage = _without_retries(reply.usage)
                self._state.end(attempt, usage, answered=True)
                lines.append(ended_line(attempt, usage, 200, 0.0, True, reply.counted))
        if lines:
            self.journal.submit(lines).result()


def _without_retries(usage: Usage) -> Usage:
    """Usage of one reply: the retries before it have their own ledger lines."""
    return replace(usage, retries=0)


def _lock_folder(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not try_lock(handle):
        os.close(handle)
        raise UserError(f"Another process uses {path.parent}. Wait until it ends.")
    return handle

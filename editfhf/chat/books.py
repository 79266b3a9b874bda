"""The books of a folder: cache, ledger and budget, kept in step with each other and ahead of what is sent."""

from __future__ import annotations

import asyncio
import fcntl
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from editfhf.chat import ledger
from editfhf.chat.budget import Blocked, Budget
from editfhf.chat.journal import Change, Journal, damaged
from editfhf.chat.ledger import Attempt
from editfhf.chat.outcomes import Stopped
from editfhf.chat.prices import Prices
from editfhf.chat.replies import Envelope, Reply, Unreadable, unpack
from editfhf.chat.rounds import Exchange
from editfhf.chat.usage import Limits, Usage
from mos.errors import UserError

DATABASE = "cache.sqlite"
LEDGER = "ledger.jsonl"
LOCK = "lock"

STORE = "INSERT OR IGNORE INTO replies (key, round, attempt, reply) VALUES (?, ?, ?, ?)"


class InBatch(Exception):
    """The round is part of a batch that has not been collected; the message is the batch's name."""


class Books:
    """What was asked, answered and spent in a folder, by this process and earlier ones; one process at a time.

    bills_once: whether the server bills what is sent twice with one Idempotency-Key once.  If not, an attempt whose
    fate nobody knows counts as spent at its worst, besides the one that follows it.  None where that is not known: it
    is sent again under its key and counts once, but the budget keeps its worst set aside besides.
    """

    def __init__(self, folder: Path, limits: Limits, prices: Prices, bills_once: bool | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.prices = prices
        self._limits = limits
        self._bills_once = bills_once
        self._stopped = False
        self._freed = asyncio.Event()
        self._lock = _locked(folder / LOCK)
        try:
            self._state = ledger.read(folder / LEDGER, prices)
            self.journal = Journal(folder / DATABASE, folder / LEDGER)
        except BaseException:
            os.close(self._lock)
            raise
        try:
            self._recover()
            self.budget = Budget(limits)
            self.budget.spent = self._state.spent
            self.budget.held = sum((attempt.worst for attempt in self._state.open.values()), Usage())
            if not bills_once:
                self.budget.held += self._state.unheard
            if limits.money is not None and (self.budget.spent + self.budget.held).cost is None:
                raise UserError(
                    f"{folder / LEDGER} counts requests to a model without a price, so that no budget of money can be "
                    "kept. Add the model to the table of prices."
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Write what is left and let go of the folder."""
        self.journal.close()
        os.close(self._lock)

    def stop(self) -> None:
        """Admit nothing more: whoever waits for room gets `Stopped`."""
        self._stopped = True
        self._freed.set()

    def replies(self, key: str) -> list[Reply]:
        """The replies to a request that are kept, one a round."""
        rows = self.journal.read("SELECT reply FROM replies WHERE key = ? ORDER BY round", (key,))
        return [self._unpacked(data) for (data,) in rows]

    def open_attempt(self, key: str, number: int) -> Attempt | None:
        """The attempt at a round that started and has not ended, if there is one."""
        last = self._state.tries.get((key, number))
        return self._state.open.get(ledger.Attempt(key, number, last, "", "", Usage()).id) if last else None

    def open_attempt_of(self, name: str) -> Attempt | None:
        """The attempt with an id, if it is not settled yet."""
        return self._state.open.get(name)

    def open_in(self, batch: str) -> dict[str, Attempt]:
        """The attempts of a batch that are not settled yet, by id."""
        return {name: attempt for name, attempt in self._state.open.items() if attempt.batch == batch}

    async def begin(self, exchange: Exchange, retry: bool = False) -> Attempt | Blocked:
        """Set the worst case aside, waiting for what is in flight if need be, and announce the attempt in the ledger.

        A retry has the id of the attempt before it.  `InBatch` when the round is in a batch; `Stopped` after `stop`.
        """
        while True:
            if self._stopped:
                raise Stopped
            attempt = self.admit(exchange, retry)
            if isinstance(attempt, Attempt):
                await self.journal.write([ledger.started(attempt)])
                return attempt
            if not attempt.for_now:
                return attempt
            self._freed.clear()
            await self._freed.wait()

    def admit(self, exchange: Exchange, retry: bool = False, batch: str = "") -> Attempt | Blocked:
        """Set the worst case of an attempt aside if there is room; nothing is written yet.

        A round whose last attempt has an unknown fate has it again under the same id, and where it is sure that the
        server bills once, in the place of what is set aside for it; in a batch no server does.
        """
        self._need_price(exchange.model)
        before = self.open_attempt(exchange.key, exchange.round)
        if before is not None and before.batch:
            raise InBatch(before.batch)
        if before is not None and (batch or self._bills_once is False):
            self._write_off(before)
            before = None
        freed = before.worst if before is not None and self._bills_once else Usage()
        blocked = self.budget.room(exchange.worst, freed)
        if blocked:
            return blocked
        if before is not None:
            self.budget.held -= freed
            attempt = replace(before, doubtful=True, worst=exchange.worst)
        else:
            last = self._state.tries.get((exchange.key, exchange.round), 0)
            number = last if retry and last else last + 1
            attempt = Attempt(
                exchange.key, exchange.round, number, exchange.name, exchange.model, exchange.worst, batch=batch
            )
        self._state.start(attempt)
        self.budget.spent = self._state.spent
        if batch:
            self.budget.held += attempt.worst
        else:
            self.budget.take(attempt.id, attempt.worst)
        return attempt

    async def answered(self, attempt: Attempt, reply: Reply, status: int, seconds: float) -> None:
        """Keep a reply: it is on the disk when this returns."""
        line, change = self.settle(attempt, reply, status, seconds)
        await self.journal.write([line], [change])

    def settle(self, attempt: Attempt, reply: Reply, status: int, seconds: float) -> tuple[bytes, Change]:
        """Count a reply; the line and the row that are to be written."""
        usage = _without_retries(reply.usage)
        self._end(attempt, usage, answered=True)
        row = (attempt.key, attempt.round, attempt.id, reply.pack())
        return ledger.ended(attempt, usage, status, seconds, True, reply.counted), (STORE, row)

    async def unanswered(self, attempt: Attempt, status: int, seconds: float) -> None:
        """Count an attempt that the server turned down, which costs nothing."""
        await self.journal.write([self.turn_down(attempt, status, seconds)])

    def turn_down(self, attempt: Attempt, status: int, seconds: float) -> bytes:
        """Count an attempt that cost nothing (status 0: that never reached the server); the line to be written.

        If the same was sent before and not answered, that is what is still not known.
        """
        if attempt.doubtful:
            if self._bills_once:
                self.hold(attempt)
            else:
                self.budget.release(attempt.id, attempt.worst)
                self._freed.set()
            return ledger.lost(attempt, f"status {status}", seconds)
        usage = Usage(retries=1 if status else 0)
        self._end(attempt, usage, answered=False)
        return ledger.ended(attempt, usage, status, seconds, False)

    async def lost(self, attempt: Attempt, problem: str, seconds: float) -> None:
        """Keep the worst case of an attempt set aside, since nobody knows whether it was answered."""
        self.hold(attempt)
        await self.journal.write([ledger.lost(attempt, problem, seconds)])

    def hold(self, attempt: Attempt) -> None:
        """The same for a process that is about to end: the ledger says already that the attempt started."""
        self.budget.hold(attempt.id)
        self._freed.set()

    def withdraw(self, attempt: Attempt) -> None:
        """Undo `admit` for what was never announced in the ledger."""
        self._end(attempt, Usage(), answered=False)

    def presume(self, attempt: Attempt, status: int) -> bytes:
        """Count an attempt at its worst, once and for all; the line that is to be written."""
        self._end(attempt, attempt.worst, answered=False)
        return ledger.ended(attempt, attempt.worst, status, 0.0, False, counted=False)

    def priced(self, envelope: Envelope, worst: Usage, model: str, factor: Decimal = Decimal(1)) -> Reply:
        """A reply with what it cost; at the worst case where the server did not count."""
        usage, count = worst, envelope.count
        if count is not None:
            price = self.prices.of(model)
            tokens = count.input_tokens, count.cached_tokens, count.output_tokens
            usage = Usage(1, 0, *tokens, price.cost(*tokens) * factor if price else None)
        return Reply(envelope.finish, envelope.text, envelope.refused, envelope.served_by, usage, count is not None)

    def _need_price(self, model: str) -> None:
        if self._limits.money is not None and self.prices.of(model) is None:
            raise UserError(
                f"The table of prices has no model {model[:80]!r}, so that no budget of money can be kept. Add it to a "
                "copy of the table, or leave the limit of money out."
            )

    def _write_off(self, attempt: Attempt) -> None:
        self.journal.submit([self.presume(attempt, 0)])

    def _end(self, attempt: Attempt, usage: Usage, answered: bool) -> None:
        self.budget.release(attempt.id, attempt.worst)
        self._state.end(attempt, usage, answered)
        self.budget.spent = self._state.spent
        self._freed.set()

    def _unpacked(self, data: bytes) -> Reply:
        try:
            return unpack(data)
        except Unreadable:
            raise damaged(self.folder / DATABASE) from None

    def _recover(self) -> None:
        """End attempts whose reply reached the cache before a crash kept its line from reaching the ledger."""
        lines = []
        for attempt in list(self._state.open.values()):
            where = attempt.key, attempt.round, attempt.id
            rows = self.journal.read("SELECT reply FROM replies WHERE key = ? AND round = ? AND attempt = ?", where)
            for (data,) in rows:
                reply = self._unpacked(data)
                usage = _without_retries(reply.usage)
                self._state.end(attempt, usage, answered=True)
                lines.append(ledger.ended(attempt, usage, 200, 0.0, True, reply.counted))
        if lines:
            self.journal.submit(lines).result()


def _without_retries(usage: Usage) -> Usage:
    """What one answer used: the retries before it have lines of their own."""
    return replace(usage, retries=0)


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UserError(f"Another command asks a model in {path.parent}. Wait until it ends.") from None
    return handle

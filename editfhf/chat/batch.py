"""Asking through the Batch API: half the price, an answer within a day, and nothing lost whenever it is killed.

Requests go into files cut at the server's limits.  Every step of a batch is kept before and after it is taken; one that
was cut short is looked for on the server by name before it is taken again.  Lines of answers may come in any order,
twice, or not at all; what failed in passing goes into the next batch.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, replace

from editfhf.chat import ledger
from editfhf.chat.batch_collecting import Collected, Collector
from editfhf.chat.batch_files import BatchFile, body_at, line_size
from editfhf.chat.batch_server import BatchServer, Seen
from editfhf.chat.batch_store import BatchLine, BatchRow, BatchStore
from editfhf.chat.books import InBatch
from editfhf.chat.budget import Blocked
from editfhf.chat.client import Chat
from editfhf.chat.outcomes import Failed, Outcome, OverBudget, Stopped
from editfhf.chat.request import Request
from editfhf.chat.rounds import Exchange, conclude, next_round

LOG = logging.getLogger("editfhf.chat")

Pair = tuple[Request, Outcome]

NO_ROOM = frozenset({"token_limit_exceeded", "rate_limit_exceeded"})
"""Codes of a batch that was refused because too much is waiting already."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """most_lines, most_bytes: of one file (OpenAI takes 50,000 and 200 MB)
    at_once: batches that are worked off at the same time; disk and memory are bounded by it
    interval: seconds between looks at a batch
    """

    most_lines: int = 50_000
    most_bytes: int = 200_000_000
    at_once: int = 8
    interval: float = 60.0


async def run_batch(
    chat: Chat, requests: Iterable[Request], options: BatchOptions | None = None
) -> AsyncIterator[Pair]:
    """What becomes of each request, as batches are collected; the requests that are given have no picture data.

    Cache, ledger and budget are those of `chat`.  Killed at any moment, it goes on when it is called again with the
    same requests; batches that went on meanwhile are collected, whatever the requests.  It ends when all are settled,
    or after `Chat.drain`, when batches at the server go on without us.  `UserError` as `Chat.ask`.
    """
    run = _Run(chat, options or BatchOptions())
    try:
        async for pair in run.pairs(requests):
            yield pair
    except Stopped:
        return
    finally:
        run.drop()


class _Run:
    def __init__(self, chat: Chat, options: BatchOptions) -> None:
        self._chat = chat
        self._books = chat.books
        self._options = options
        self._store = BatchStore(chat.books.journal, chat.books.folder)
        self._server = BatchServer(chat.wire, chat.retries)
        self._collector = Collector(chat.books, chat.wire.url, self._store, self._server)
        self._waiting: dict[str, list[Request]] = {}
        self._failures: dict[tuple[str, int], int] = {}
        self._file: BatchFile | None = None
        self._ready: list[Pair] = []

    async def pairs(self, requests: Iterable[Request]) -> AsyncIterator[Pair]:
        """Everything, as it is settled."""
        await self._resume()
        waiting = iter(requests)
        while (request := await asyncio.to_thread(next, waiting, None)) is not None:
            if self._chat.stopped:
                raise Stopped
            await self._take(request)
            while len(self._store.rows()) >= self._options.at_once:
                await self._wait()
            for pair in self._given():
                yield pair
        while self._file is not None or self._store.rows():
            await self._send_file()
            await self._wait()
            for pair in self._given():
                yield pair
        for pair in self._given():
            yield pair

    def drop(self) -> None:
        """Let go of a file that was not sent: nothing of it was announced."""
        if self._file is not None:
            self._file.drop()
            for attempt in self._file.attempts:
                self._books.withdraw(attempt)
            self._file = None

    def _given(self) -> Iterator[Pair]:
        while self._ready:
            yield self._ready.pop(0)

    async def _take(self, request: Request) -> None:
        known = self._chat.known(request)
        if known is not None:
            self._ready.append((request.without_pictures(), known))
            return
        mine = self._waiting.setdefault(request.key, [])
        mine.append(request.without_pictures())
        if len(mine) == 1 and not self._store.has(request.key):
            replies = self._books.replies(request.key)
            await self._put(next_round(request, replies, self._chat.prices, self._chat.prices.batch_factor))

    async def _put(self, exchange: Exchange) -> None:
        """Put a round into the file that is being written, or say why not."""
        if line_size(exchange) > self._options.most_bytes:
            self._settle(Failed(key=exchange.key, message="The request is larger than a batch file may be."))
            return
        if self._file is not None and not self._file.fits(exchange):
            await self._send_file()
        if self._file is None:
            self._file = self._new_file()
        try:
            attempt = self._books.admit(exchange, batch=self._file.name)
        except InBatch as busy:
            self._settle(Failed(key=exchange.key, message=f"The ledger has it in the batch {busy}, which is gone."))
            return
        if isinstance(attempt, Blocked):
            self._settle(OverBudget(key=exchange.key, message=f"The limit of {attempt.limit} would be passed."))
        else:
            self._file.add(attempt, exchange)

    def _new_file(self) -> BatchFile:
        name = uuid.uuid4().hex
        return BatchFile(name, self._store.path(name), self._options.most_lines, self._options.most_bytes)

    async def _send_file(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if not file.lines:
            file.drop()
            self._store.path(file.name).unlink()
            return
        await asyncio.to_thread(file.seal)
        row = await self._store.add(file.name, file.lines, [ledger.started(attempt) for attempt in file.attempts])
        await self._submit(row)

    async def _submit(self, row: BatchRow) -> BatchRow:
        """Take the steps that are left until the server works at a batch."""
        if row.state == "written":
            file_id = await self._server.upload(self._store.path(row.name), row.name)
            row = await self._store.note(replace(row, state="uploaded", file_id=file_id))
        if row.state in ("uploaded", "creating") and row.file_id is not None:
            look_first = row.state == "creating"
            row = await self._store.note(replace(row, state="creating"))
            batch_id = await self._server.create(row.file_id or "", row.name, look_first)
            row = await self._store.note(replace(row, state="submitted", batch_id=batch_id))
            LOG.info("batch %s was submitted", row.name)
        return row

    async def _resume(self) -> None:
        for row in self._store.rows():
            if row.state == "written" and not self._books.open_in(row.name):
                # Killed between its row and its lines in the ledger: nothing was sent.
                await self._store.remove(row.name)
            else:
                await self._submit(row)
        self._store.sweep()

    async def _wait(self) -> None:
        """Look at every batch; collect those that are done; pause if none was."""
        if self._chat.stopped:
            raise Stopped
        collected = False
        for row in self._store.rows():
            row = await self._submit(row)
            seen = await self._server.look(row.batch_id or "")
            if seen.done:
                collected = True
                await self._collect(row, seen)
        if not collected and self._store.rows():
            await self._chat.retries.sleep(self._options.interval)

    async def _collect(self, row: BatchRow, seen: Seen) -> None:
        found = await self._collector.collect(row, seen)
        lines = self._store.lines(row.name)
        alone = len(self._store.rows()) == 1
        for key in {line.key: None for line in lines.values()}:
            await self._advance(row, key, found, lines, free=seen.code in NO_ROOM and not alone)
        await self._store.remove(row.name)
        for file_id in (row.file_id, seen.output_file, seen.error_file):
            if file_id is not None:
                await self._server.delete(file_id)
        if found.stop:
            raise found.stop

    async def _advance(
        self, row: BatchRow, key: str, found: Collected, lines: dict[str, BatchLine], free: bool
    ) -> None:
        """Settle a request of a batch that was collected, or put what it still needs into the next."""
        requests = self._waiting.get(key)
        if not requests:
            return
        request, replies = requests[0], self._books.replies(key)
        outcome = conclude(request, replies, cached=False)
        if outcome is not None:
            self._settle(outcome)
            return
        line = next(line for line in lines.values() if line.key == key)
        if failed := found.failed.get(key):
            self._settle(failed)
            return
        if found.stop:
            return
        due = len(replies)
        body = body_at(self._store.path(row.name), line)
        exchange = next_round(request, replies, self._chat.prices, self._chat.prices.batch_factor, body)
        if due == line.round:
            failures = self._failures.get((key, due), 0) + (0 if free else 1)
            self._failures[key, due] = failures
            if failures >= self._chat.retries.patience.attempts:
                message = f"No batch had an answer to it ({found.why}). Tried {failures} times."
                self._settle(Failed(key=key, message=message))
                return
            exchange = replace(exchange, body=body)
        await self._put(exchange)

    def _settle(self, outcome: Outcome) -> None:
        for request in self._waiting.pop(outcome.key, []):
            self._ready.append((request, outcome))

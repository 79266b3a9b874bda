"""Send requests through the Batch API: half the price, answers within a day, resumable after a crash at any time.

Requests are written to files within the server's limits. The state of a batch is stored before and after every step;
after an interruption, the batch is searched on the server by its name before the step is repeated. Answer lines may
come in any order, twice, or not at all. Requests with a transient failure go into the next batch.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from editfhf.chat.batch_server import BatchServer, BatchStatus
from editfhf.chat.batch_store import (
    BatchAnswer,
    BatchFile,
    BatchLine,
    BatchRow,
    BatchStore,
    max_line_size,
    read_batch_answers,
    read_request_body,
)
from editfhf.chat.budget import BudgetBlock, Usage
from editfhf.chat.client import Chat
from editfhf.chat.ledger import DatabaseChange, RequestAttempt, started_line
from editfhf.chat.outcomes import (
    ChatStopped,
    Exchange,
    FailedRequest,
    OverBudget,
    RequestOutcome,
    conclude_request,
    next_round,
)
from editfhf.chat.replies import ModelReply, UnreadableReply, read_completion
from editfhf.chat.request import ModelRequest
from editfhf.chat.retry import ResponseKind, classify_response
from editfhf.chat.store import PendingInBatch, RequestStore
from mos.errors import UserError

_LOG = logging.getLogger("editfhf.chat")

LINES_PER_WRITE = 500
"""Answer lines that are stored with one write."""


@dataclass(slots=True)
class CollectedBatch:
    """Result of a batch apart from its replies, which are in the cache.

    why: reason why the other requests have no reply
    failed: requests that the server will never answer, by key
    stop: error that every other request would get too, if there was one
    answered: custom_ids of lines with a reply
    """

    why: str
    failed: dict[str, FailedRequest] = field(default_factory=dict)
    stop: UserError | None = None
    answered: set[str] = field(default_factory=set)


class BatchCollector:
    """Reads answer files of batches into the request store."""

    def __init__(self, store: RequestStore, url: str, batches: BatchStore, server: BatchServer) -> None:
        self._store = store
        self._url = url
        self._batches = batches
        self._server = server
        self._lines: list[bytes] = []
        self._changes: list[DatabaseChange] = []

    async def collect(self, row: BatchRow, seen: BatchStatus) -> CollectedBatch:
        """Store every reply of a finished batch; may be repeated after an interruption."""
        found = CollectedBatch(why=seen.code if seen.status == "failed" else f"the batch is {seen.status}")
        known = self._batches.read_lines(row.name)
        met: set[str] = set()
        for kind, file_id in (("output", seen.output_file), ("error", seen.error_file)):
            if file_id is None:
                continue
            path = self._batches.result_file(row.name, kind)
            await self._server.download_file(file_id, path)
            odd = 0
            for line in read_batch_answers(path):
                if line is None or line.custom_id not in known or line.custom_id in met:
                    odd += 1
                    continue
                met.add(line.custom_id)
                self._collect_line(line, known, self._store.open_attempt_by_id(line.custom_id), found)
                if len(self._lines) >= LINES_PER_WRITE:
                    await self._write_entries()
            if odd:
                _LOG.warning(
                    "batch %s: %d lines are repeated, unreadable or belong to no request of the batch", row.name, odd
                )
        self._settle_missing_lines(row, seen, found)
        await self._write_entries()
        _LOG.info("batch %s: %d of %d requests answered", row.name, len(found.answered), len(known))
        return found

    def _collect_line(
        self, line: BatchAnswer, known: Mapping[str, BatchLine], attempt: RequestAttempt | None, found: CollectedBatch
    ) -> None:
        """Count a line if its attempt is still open, and add what it means to `found`."""
        key = known[line.custom_id].key
        if line.status == 0:
            self._end_unbilled(attempt, 0)
            return
        classified = classify_response(line.status, {}, line.body, self._url, attempt.model if attempt else "")
        match classified.kind:
            case ResponseKind.ok:
                found.answered.add(line.custom_id)
                if attempt is not None:
                    self._store_completion(line, attempt)
            case ResponseKind.filtered:
                if attempt is not None:
                    self._record_reply(attempt, ModelReply("content_filter", None, False, "", Usage()), line.status)
            case ResponseKind.retry:
                self._end_unbilled(attempt, line.status)
            case ResponseKind.failed:
                self._end_unbilled(attempt, line.status)
                found.failed[key] = FailedRequest(key=key, message=classified.message, status=line.status)
            case ResponseKind.stop:
                self._end_unbilled(attempt, line.status)
                found.stop = UserError(classified.message)

    def _store_completion(self, line: BatchAnswer, attempt: RequestAttempt) -> None:
        try:
            completion = read_completion(line.body)
        except UnreadableReply:
            self._lines.append(self._store.end_at_max_usage(attempt, line.status))
            return
        factor = self._store.prices.batch_factor
        self._record_reply(
            attempt, self._store.price_reply(completion, attempt.max_usage, attempt.model, factor), line.status
        )

    def _record_reply(self, attempt: RequestAttempt, reply: ModelReply, status: int) -> None:
        line, change = self._store.settle_attempt(attempt, reply, status, 0.0)
        self._lines.append(line)
        self._changes.append(change)

    def _end_unbilled(self, attempt: RequestAttempt | None, status: int) -> None:
        if attempt is not None:
            self._lines.append(self._store.end_unbilled(attempt, status, 0.0))

    def _settle_missing_lines(self, row: BatchRow, seen: BatchStatus, found: CollectedBatch) -> None:
        """Count attempts without a line: as many as the server billed at their maximum usage, the rest as unbilled."""
        missing = [attempt for _, attempt in sorted(self._store.open_attempts_in(row.name).items())]
        billed = max(0, seen.completed - len(found.answered))
        if missing:
            _LOG.warning("batch %s: %d requests have no line, %d of them billed", row.name, len(missing), billed)
        for attempt in missing[:billed]:
            self._lines.append(self._store.end_at_max_usage(attempt, 0))
        for attempt in missing[billed:]:
            self._end_unbilled(attempt, 0)

    async def _write_entries(self) -> None:
        lines, self._lines = self._lines, []
        changes, self._changes = self._changes, []
        await self._store.journal.write(lines, changes)


RequestResult = tuple[ModelRequest, RequestOutcome]


QUEUE_FULL_CODES = frozenset({"token_limit_exceeded", "rate_limit_exceeded"})
"""Error codes of a batch that the server refused because its queue is full."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Options of the Batch API.

    Parameters
    ----------
    most_lines, most_bytes : int
        Largest request file. OpenAI accepts 50,000 lines and 200 MB.
    at_once : int
        Batches that are open at the same time; bounds disk space and memory.
    interval : float
        Seconds between two status requests.
    """

    most_lines: int = 50_000
    most_bytes: int = 200_000_000
    at_once: int = 8
    interval: float = 60.0


async def run_batch(
    chat: Chat, requests: Iterable[ModelRequest], options: BatchOptions | None = None
) -> AsyncIterator[RequestResult]:
    """Send requests in batches and yield outcomes as batches finish.

    After an interruption at any time, call it again with the same requests: it continues, and it collects batches that
    finished in the meantime. After `Chat.drain` it ends; open batches continue on the server.

    Parameters
    ----------
    chat : Chat
        Gives the connection, cache, ledger and budget.
    requests : iterable of ModelRequest
        Read one by one, in a thread.
    options : BatchOptions, optional
        Sizes and intervals.

    Yields
    ------
    tuple of ModelRequest and RequestOutcome
        In any order; the request is without the bytes of its images.

    Raises
    ------
    UserError
        As `Chat.ask`.
    """
    run = _BatchRun(chat, options or BatchOptions())
    try:
        async for pair in run.run_requests(requests):
            yield pair
    except ChatStopped:
        return
    finally:
        run.discard_file()


class _BatchRun:
    def __init__(self, chat: Chat, options: BatchOptions) -> None:
        self._chat = chat
        self._store = chat.store
        self._options = options
        self._batches = BatchStore(chat.store.journal, chat.store.folder)
        self._server = BatchServer(chat.http, chat.retrier)
        self._collector = BatchCollector(chat.store, chat.http.url, self._batches, self._server)
        self._waiting: dict[str, list[ModelRequest]] = {}
        self._failures: dict[tuple[str, int], int] = {}
        self._file: BatchFile | None = None
        self._ready: list[RequestResult] = []

    async def run_requests(self, requests: Iterable[ModelRequest]) -> AsyncIterator[RequestResult]:
        """Yield every outcome as soon as it is known."""
        await self._resume_batches()
        waiting = iter(requests)
        while (request := await asyncio.to_thread(next, waiting, None)) is not None:
            if self._chat.stopped:
                raise ChatStopped
            await self._accept_request(request)
            while len(self._batches.read_batches()) >= self._options.at_once:
                await self._poll_batches()
            for pair in self._pop_results():
                yield pair
        while self._file is not None or self._batches.read_batches():
            await self._send_file()
            await self._poll_batches()
            for pair in self._pop_results():
                yield pair
        for pair in self._pop_results():
            yield pair

    def discard_file(self) -> None:
        """Discard a file that was not sent: its attempts are not in the ledger yet."""
        if self._file is not None:
            self._file.discard()
            for attempt in self._file.attempts:
                self._store.withdraw_attempt(attempt)
            self._file = None

    def _pop_results(self) -> Iterator[RequestResult]:
        while self._ready:
            yield self._ready.pop(0)

    async def _accept_request(self, request: ModelRequest) -> None:
        known = self._chat.known_outcome(request)
        if known is not None:
            self._ready.append((request.without_image_data(), known))
            return
        mine = self._waiting.setdefault(request.key, [])
        mine.append(request.without_image_data())
        if len(mine) == 1 and not self._batches.has_request(request.key):
            replies = self._store.read_replies(request.key)
            await self._add_round(next_round(request, replies, self._chat.prices, self._chat.prices.batch_factor))

    async def _add_round(self, exchange: Exchange) -> None:
        """Write a round into the current request file, or settle its request if that is impossible."""
        if max_line_size(exchange) > self._options.most_bytes:
            self._settle_request(
                FailedRequest(key=exchange.key, message="The request is larger than a batch file may be.")
            )
            return
        if self._file is not None and not self._file.has_room_for(exchange):
            await self._send_file()
        if self._file is None:
            self._file = self._new_file()
        try:
            attempt = self._store.admit_attempt(exchange, batch=self._file.name)
        except PendingInBatch as busy:
            self._settle_request(
                FailedRequest(
                    key=exchange.key, message=f"The ledger says that batch {busy} has it, but that batch is gone."
                )
            )
            return
        if isinstance(attempt, BudgetBlock):
            self._settle_request(OverBudget(key=exchange.key, message=f"It could exceed the limit on {attempt.limit}."))
        else:
            self._file.add_line(attempt, exchange)

    def _new_file(self) -> BatchFile:
        name = uuid.uuid4().hex
        return BatchFile(name, self._batches.request_file(name), self._options.most_lines, self._options.most_bytes)

    async def _send_file(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if not file.lines:
            file.discard()
            self._batches.request_file(file.name).unlink()
            return
        await asyncio.to_thread(file.flush_and_close)
        row = await self._batches.add_batch(file.name, file.lines, [started_line(attempt) for attempt in file.attempts])
        await self._submit_batch(row)

    async def _submit_batch(self, row: BatchRow) -> BatchRow:
        """Do the remaining steps until the server works on a batch."""
        if row.state == "written":
            file_id = await self._server.upload_file(self._batches.request_file(row.name), row.name)
            row = await self._batches.update_batch(replace(row, state="uploaded", file_id=file_id))
        if row.state in ("uploaded", "creating") and row.file_id is not None:
            find_first = row.state == "creating"
            row = await self._batches.update_batch(replace(row, state="creating"))
            batch_id = await self._server.create_batch(row.file_id or "", row.name, find_first)
            row = await self._batches.update_batch(replace(row, state="submitted", batch_id=batch_id))
            _LOG.info("batch %s was submitted", row.name)
        return row

    async def _resume_batches(self) -> None:
        for row in self._batches.read_batches():
            if row.state == "written" and not self._store.open_attempts_in(row.name):
                # The process was killed before the attempts reached the ledger: nothing was sent.
                await self._batches.remove_batch(row.name)
            else:
                await self._submit_batch(row)
        self._batches.delete_unknown_files()

    async def _poll_batches(self) -> None:
        """Read the status of every batch and collect the finished ones; pause if there is none."""
        if self._chat.stopped:
            raise ChatStopped
        collected = False
        for row in self._batches.read_batches():
            row = await self._submit_batch(row)
            seen = await self._server.read_status(row.batch_id or "")
            if seen.done:
                collected = True
                await self._collect_batch(row, seen)
        if not collected and self._batches.read_batches():
            await self._chat.retrier.sleep(self._options.interval)

    async def _collect_batch(self, row: BatchRow, seen: BatchStatus) -> None:
        found = await self._collector.collect(row, seen)
        lines = self._batches.read_lines(row.name)
        alone = len(self._batches.read_batches()) == 1
        for key in {line.key: None for line in lines.values()}:
            await self._advance_request(row, key, found, lines, free=seen.code in QUEUE_FULL_CODES and not alone)
        await self._batches.remove_batch(row.name)
        for file_id in (row.file_id, seen.output_file, seen.error_file):
            if file_id is not None:
                await self._server.delete_file(file_id)
        if found.stop:
            raise found.stop

    async def _advance_request(
        self, row: BatchRow, key: str, found: CollectedBatch, lines: dict[str, BatchLine], free: bool
    ) -> None:
        """Settle a request of a collected batch, or add its next round to the next batch."""
        requests = self._waiting.get(key)
        if not requests:
            return
        request, replies = requests[0], self._store.read_replies(key)
        outcome = conclude_request(request, replies, cached=False)
        if outcome is not None:
            self._settle_request(outcome)
            return
        line = next(line for line in lines.values() if line.key == key)
        if failed := found.failed.get(key):
            self._settle_request(failed)
            return
        if found.stop:
            return
        due = len(replies)
        body = read_request_body(self._batches.request_file(row.name), line)
        exchange = next_round(request, replies, self._chat.prices, self._chat.prices.batch_factor, body)
        if due == line.round:
            failures = self._failures.get((key, due), 0) + (0 if free else 1)
            self._failures[key, due] = failures
            if failures >= self._chat.retrier.policy.attempts:
                message = f"No batch answered it ({found.why}). Tried {failures} times."
                self._settle_request(FailedRequest(key=key, message=message))
                return
            exchange = replace(exchange, body=body)
        await self._add_round(exchange)

    def _settle_request(self, outcome: RequestOutcome) -> None:
        for request in self._waiting.pop(outcome.key, []):
            self._ready.append((request, outcome))

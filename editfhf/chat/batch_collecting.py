"""Collecting a batch: the lines of its answers into the books, whatever their order, number and truth."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from editfhf.chat.batch_files import Line, read_lines
from editfhf.chat.batch_server import BatchServer, Seen
from editfhf.chat.batch_store import BatchLine, BatchRow, BatchStore
from editfhf.chat.books import Books
from editfhf.chat.journal import Change
from editfhf.chat.ledger import Attempt
from editfhf.chat.outcomes import Failed
from editfhf.chat.replies import Reply, Unreadable, read_envelope
from editfhf.chat.usage import Usage
from editfhf.chat.verdicts import Fate, judge
from mos.errors import UserError

LOG = logging.getLogger("editfhf.chat")

CHUNK = 500
"""Lines that are kept with one write."""


@dataclass(slots=True)
class Collected:
    """What a batch came to besides replies, which are in the cache.

    failed: requests that the server will never answer, by key; stop: why no other can be answered either, if so
    why: what is said of the rest
    """

    why: str
    failed: dict[str, Failed] = field(default_factory=dict)
    stop: UserError | None = None
    answered: set[str] = field(default_factory=set)


class Collector:
    """Reads the answers of batches of one server into books."""

    def __init__(self, books: Books, url: str, store: BatchStore, server: BatchServer) -> None:
        self._books = books
        self._url = url
        self._store = store
        self._server = server
        self._lines: list[bytes] = []
        self._changes: list[Change] = []

    async def collect(self, row: BatchRow, seen: Seen) -> Collected:
        """Keep every reply of a batch that is done.  Safe to be repeated after it was cut short."""
        found = Collected(why=seen.code if seen.status == "failed" else f"the batch is {seen.status}")
        known = self._store.lines(row.name)
        met: set[str] = set()
        for kind, file_id in (("output", seen.output_file), ("error", seen.error_file)):
            if file_id is None:
                continue
            path = self._store.fetched(row.name, kind)
            await self._server.fetch(file_id, path)
            odd = 0
            for line in read_lines(path):
                if line is None or line.custom_id not in known or line.custom_id in met:
                    odd += 1
                    continue
                met.add(line.custom_id)
                self._take(line, known, self._books.open_attempt_of(line.custom_id), found)
                if len(self._lines) >= CHUNK:
                    await self._write()
            if odd:
                LOG.warning("batch %s: %d lines are doubled, broken or of no request of it", row.name, odd)
        self._close(row, seen, found)
        await self._write()
        LOG.info("batch %s: %d of %d requests answered", row.name, len(found.answered), len(known))
        return found

    def _take(self, line: Line, known: Mapping[str, BatchLine], attempt: Attempt | None, found: Collected) -> None:
        """Count a line if its attempt is still open; say what it means in any case."""
        key = known[line.custom_id].key
        if line.status == 0:
            self._turn_down(attempt, 0)
            return
        verdict = judge(line.status, {}, line.body, self._url, attempt.model if attempt else "")
        match verdict.fate:
            case Fate.ok:
                found.answered.add(line.custom_id)
                if attempt is not None:
                    self._keep(line, attempt)
            case Fate.filtered:
                if attempt is not None:
                    self._settle(attempt, Reply("content_filter", None, False, "", Usage()), line.status)
            case Fate.again:
                self._turn_down(attempt, line.status)
            case Fate.failed:
                self._turn_down(attempt, line.status)
                found.failed[key] = Failed(key=key, message=verdict.sentence, status=line.status)
            case Fate.stop:
                self._turn_down(attempt, line.status)
                found.stop = UserError(verdict.sentence)

    def _keep(self, line: Line, attempt: Attempt) -> None:
        try:
            envelope = read_envelope(line.body)
        except Unreadable:
            self._lines.append(self._books.presume(attempt, line.status))
            return
        factor = self._books.prices.batch_factor
        self._settle(attempt, self._books.priced(envelope, attempt.worst, attempt.model, factor), line.status)

    def _settle(self, attempt: Attempt, reply: Reply, status: int) -> None:
        line, change = self._books.settle(attempt, reply, status, 0.0)
        self._lines.append(line)
        self._changes.append(change)

    def _turn_down(self, attempt: Attempt | None, status: int) -> None:
        if attempt is not None:
            self._lines.append(self._books.turn_down(attempt, status, 0.0))

    def _close(self, row: BatchRow, seen: Seen, found: Collected) -> None:
        """Attempts without a line: as many as the server says it answered besides are counted at their worst."""
        missing = [attempt for _, attempt in sorted(self._books.open_in(row.name).items())]
        billed = max(0, seen.completed - len(found.answered))
        if missing:
            LOG.warning("batch %s: %d requests have no line, %d of them billed", row.name, len(missing), billed)
        for attempt in missing[:billed]:
            self._lines.append(self._books.presume(attempt, 0))
        for attempt in missing[billed:]:
            self._turn_down(attempt, 0)

    async def _write(self) -> None:
        lines, self._lines = self._lines, []
        changes, self._changes = self._changes, []
        await self._books.journal.write(lines, changes)

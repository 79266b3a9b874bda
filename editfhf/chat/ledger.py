"""The ledger, a JSON-lines file that announces every attempt before it is sent, and the thread that writes it.

    {"event": "started", "id": ..., "at": ..., "name": ..., "model": ..., "input_tokens": 900, ...}   maximum usage
    {"event": "ended", "id": ..., "status": 200, "input_tokens": 312, ..., "cost": "0.00061"}         actual usage
    {"event": "lost", "id": ..., "problem": "TimeoutError"}                                           unknown

An attempt that started and did not end is open: the server may have answered and billed it. It stays open until it is
answered, even if sending it again gives errors.

`Journal` writes rows of the cache first, then lines of the ledger, in one thread, so that the event loop never waits
for the disk. Entries that arrive during a write are written together, with one commit and one `fsync`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import orjson

from editfhf.chat.budget import Usage
from editfhf.chat.costs import Prices
from mos.errors import UserError
from mos.files import open_regular_file, repair_last_line, require_regular_file

_LOG = logging.getLogger("editfhf.chat")


MAX_LEDGER_LINE = 1 << 16


MAX_LEDGER_NAME = 200


KEY_DIGITS_IN_ID = 40
"""Digits of a request key in an attempt id: OpenAI accepts up to 64 characters."""


RoundId = tuple[str, int]
"""Request key and number of the round."""


@dataclass(frozen=True, slots=True)
class RequestAttempt:
    """One attempt at a round of a request, with its retries.

    number: counted from 1; a new attempt after the previous one was abandoned gets the next number
    max_usage: maximum usage of the attempt
    doubtful: whether the server may have answered it before, without a response reaching us
    batch: name of its batch, or ""
    """

    key: str
    round: int
    number: int
    name: str
    model: str
    max_usage: Usage
    doubtful: bool = False
    batch: str = ""

    @property
    def id(self) -> str:
        """Id of the attempt: also its Idempotency-Key, and its custom_id in a batch."""
        return f"{self.key[:KEY_DIGITS_IN_ID]}-{self.round}-{self.number}"


@dataclass(slots=True)
class LedgerState:
    """State that the lines of a ledger add up to.

    spent: usage of attempts that ended
    unanswered: maximum usage of attempts without a response that were sent again under the same id
    open: open attempts by id
    attempt_numbers: number of the last attempt at each round that is not answered
    """

    spent: Usage = field(default_factory=Usage)
    unanswered: Usage = field(default_factory=Usage)
    open: dict[str, RequestAttempt] = field(default_factory=dict)
    attempt_numbers: dict[RoundId, int] = field(default_factory=dict)

    def start(self, attempt: RequestAttempt) -> None:
        if attempt.doubtful:
            # The earlier sending under this id, which got no response, counts as a retry.
            self.spent += Usage(retries=1)
            self.unanswered += self.open[attempt.id].max_usage
        self.open[attempt.id] = attempt
        self.attempt_numbers[attempt.key, attempt.round] = attempt.number

    def end(self, attempt: RequestAttempt, usage: Usage, answered: bool) -> None:
        self.open.pop(attempt.id, None)
        self.spent += usage
        if answered:
            self.attempt_numbers.pop((attempt.key, attempt.round), None)


def started_line(attempt: RequestAttempt) -> bytes:
    """Line that announces an attempt before it is sent, with its maximum usage."""
    fields = {"key": attempt.key, "round": attempt.round, "attempt": attempt.number}
    fields |= {"name": attempt.name[:MAX_LEDGER_NAME], "model": attempt.model, "batch": attempt.batch}
    fields |= {"doubtful": attempt.doubtful}
    return _render_line("started", attempt.id, fields | _usage_fields(attempt.max_usage))


def ended_line(
    attempt: RequestAttempt, usage: Usage, status: int, seconds: float, answered: bool, counted: bool = True
) -> bytes:
    """Line of an attempt whose outcome is known.

    answered: whether a reply is stored; counted: whether the tokens are the server's count instead of the maximum
    """
    fields = {"status": status, "seconds": round(seconds, 3), "answered": answered, "counted": counted}
    fields |= {"requests": usage.requests, "retries": usage.retries, "cached_tokens": usage.cached_tokens}
    return _render_line("ended", attempt.id, fields | _usage_fields(usage))


def lost_line(attempt: RequestAttempt, problem: str, seconds: float) -> bytes:
    """Line of an attempt without a response; it stays open."""
    return _render_line("lost", attempt.id, {"problem": problem, "seconds": round(seconds, 3)})


def read_ledger(path: Path, prices: Prices) -> LedgerState:
    """Read the state from a ledger; a missing file is an empty ledger.

    An incomplete last line is removed: it was not on the disk before the crash, so its request was not sent. Usage
    without a price is priced now if the table has the model. `UserError` when a line is damaged.
    """
    state = LedgerState()
    if not path.exists():
        return state
    _truncate_torn_line(path)
    for row, line in _read_lines(path):
        try:
            _apply_line(state, orjson.loads(line), prices)
        except (ValueError, KeyError, TypeError, InvalidOperation):
            raise UserError(
                f"Line {row} of {path} is damaged. It counts what was spent: repair the line or restore the file."
            ) from None
    return state


def _apply_line(state: LedgerState, line: dict[str, Any], prices: Prices) -> None:
    match line["event"]:
        case "started":
            cost, price = _parse_cost(line), prices.find_price(line["model"])
            if cost is None and price:
                cost = price.max_cost(line["input_tokens"], line["output_tokens"])
            max_usage = Usage(1, 0, line["input_tokens"], 0, line["output_tokens"], cost)
            attempt = RequestAttempt(
                line["key"],
                line["round"],
                line["attempt"],
                line["name"],
                line["model"],
                max_usage,
                line["doubtful"],
                line["batch"],
            )
            state.start(attempt)
        case "ended":
            attempt = state.open[line["id"]]
            tokens = line["input_tokens"], line["cached_tokens"], line["output_tokens"]
            cost = _parse_cost(line)
            if cost is None and (price := prices.find_price(attempt.model)):
                cost = price.cost(*tokens) * (prices.batch_factor if attempt.batch else 1)
            state.end(attempt, Usage(line["requests"], line["retries"], *tokens, cost), line["answered"])


def _render_line(event: str, attempt: str, fields: dict[str, Any]) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return orjson.dumps({"event": event, "id": attempt, "at": at, **fields}, option=orjson.OPT_APPEND_NEWLINE)


def _usage_fields(usage: Usage) -> dict[str, Any]:
    cost = None if usage.cost is None else format(usage.cost.normalize(), "f")
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost": cost}


def _parse_cost(line: dict[str, Any]) -> Decimal | None:
    return None if line["cost"] is None else Decimal(line["cost"])


def _truncate_torn_line(path: Path) -> None:
    with open_regular_file(path, "r+b") as stream:
        if dropped := repair_last_line(stream, path=path):
            _LOG.warning("removed an incomplete last line of the ledger (%d bytes)", len(dropped))


def _read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with open_regular_file(path) as stream:
        yield from enumerate(iter(lambda: stream.readline(MAX_LEDGER_LINE), b""), start=1)


DatabaseChange = tuple[str, Sequence[Any]]
"""SQL statement that changes the database, and its values."""


_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT NOT NULL, round INTEGER NOT NULL, attempt TEXT NOT NULL, reply BLOB NOT NULL,
    PRIMARY KEY (key, round)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, file_id TEXT, batch_id TEXT
);
CREATE TABLE IF NOT EXISTS batch_lines (
    batch TEXT NOT NULL, attempt TEXT NOT NULL, key TEXT NOT NULL, round INTEGER NOT NULL,
    offset INTEGER NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (batch, attempt)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batch_lines_by_key ON batch_lines (key);
"""


@dataclass(frozen=True, slots=True)
class _JournalEntry:
    lines: Sequence[bytes]
    changes: Sequence[DatabaseChange]
    done: Future[None]


class Journal:
    """Database and ledger of a folder, open for writing; `close` writes what is left."""

    def __init__(self, database: Path, ledger: Path) -> None:
        self._path = database
        self._database = _open_database(database)
        self._reader = _open_database(database)
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._entries: SimpleQueue[_JournalEntry | None] = SimpleQueue()
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="chat-journal", daemon=True)
        self._thread.start()

    def submit(self, lines: Sequence[bytes] = (), changes: Sequence[DatabaseChange] = ()) -> Future[None]:
        """Queue an entry: first its changes are written, in one transaction. The future is done when all is on disk."""
        entry = _JournalEntry(lines, changes, Future())
        self._entries.put(entry)
        return entry.done

    async def write(self, lines: Sequence[bytes] = (), changes: Sequence[DatabaseChange] = ()) -> None:
        """Write an entry and wait until it is on the disk; `UserError` when it cannot be written."""
        await asyncio.wrap_future(self.submit(lines, changes))

    def read_rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query; `UserError` when the database is damaged."""
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error:
            raise damaged_cache_error(self._path) from None

    def close(self) -> None:
        self._entries.put(None)
        self._thread.join()
        self._reader.close()
        self._database.close()
        os.close(self._ledger)

    def _run(self) -> None:
        closing = False
        while not closing:
            group = [self._entries.get()]
            while True:
                try:
                    group.append(self._entries.get_nowait())
                except Empty:
                    break
            closing = None in group
            self._write_group([entry for entry in group if entry is not None])

    def _write_group(self, group: list[_JournalEntry]) -> None:
        error = None
        try:
            if self._broken:
                raise OSError("an earlier entry could not be written")
            self._apply_changes([change for entry in group for change in entry.changes])
            self._append_to_ledger(b"".join(line for entry in group for line in entry.lines))
        except (OSError, sqlite3.Error) as failure:
            # Nothing is written after a failure: the ledger may end with half a line.
            self._broken = True
            reason = (failure.strerror if isinstance(failure, OSError) else None) or failure
            error = UserError(f"The cache and ledger cannot be written ({reason}). Make room and run it again.")
        for entry in group:
            if not entry.done.set_running_or_notify_cancel():
                continue
            if error is None:
                entry.done.set_result(None)
            else:
                entry.done.set_exception(error)

    def _apply_changes(self, changes: list[DatabaseChange]) -> None:
        if not changes:
            return
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in changes:
                self._database.execute(statement, values)
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _append_to_ledger(self, data: bytes) -> None:
        if not data:
            return
        left = memoryview(data)
        while left:
            left = left[os.write(self._ledger, left) :]
        os.fdatasync(self._ledger)


def damaged_cache_error(path: Path) -> UserError:
    """Error for a cache that cannot be read."""
    return UserError(
        f"The cache {path} is damaged. Restore it, or move it away: its requests are then sent and paid for again."
    )


def _open_database(path: Path) -> sqlite3.Connection:
    with suppress(FileNotFoundError):
        require_regular_file(path)
    try:
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30.0)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_TABLES)
    except sqlite3.Error as error:
        raise UserError(f"The cache {path} cannot be opened ({error}). Restore it or move it away.") from None
    return database

"""One thread that puts things on the disk: rows of the cache first, then lines of the ledger.

The event loop never waits for the disk.  Whatever is handed over while the last was being written goes to the disk
together, with one commit and one `fsync`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from mos.errors import UserError

Change = tuple[str, Sequence[Any]]
"""An SQL statement that changes the database, and its values."""

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
class _Entry:
    lines: Sequence[bytes]
    changes: Sequence[Change]
    done: Future[None]


class Journal:
    """The database and the ledger of a folder, open for writing; `close` writes what is left."""

    def __init__(self, database: Path, ledger: Path) -> None:
        self._path = database
        self._database = _opened(database)
        self._reader = _opened(database)
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._entries: SimpleQueue[_Entry | None] = SimpleQueue()
        self._broken = False
        self._thread = threading.Thread(target=self._work, name="chat-journal", daemon=True)
        self._thread.start()

    def submit(self, lines: Sequence[bytes] = (), changes: Sequence[Change] = ()) -> Future[None]:
        """Hand over; done when it is on the disk, the changes in one transaction and before the lines."""
        entry = _Entry(lines, changes, Future())
        self._entries.put(entry)
        return entry.done

    async def write(self, lines: Sequence[bytes] = (), changes: Sequence[Change] = ()) -> None:
        """Hand over, and wait until it is on the disk; `UserError` when it cannot be written."""
        await asyncio.wrap_future(self.submit(lines, changes))

    def read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of the database as it is on the disk; `UserError` when it is damaged."""
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error:
            raise damaged(self._path) from None

    def close(self) -> None:
        self._entries.put(None)
        self._thread.join()
        self._reader.close()
        self._database.close()
        os.close(self._ledger)

    def _work(self) -> None:
        ended = False
        while not ended:
            group = [self._entries.get()]
            while True:
                try:
                    group.append(self._entries.get_nowait())
                except Empty:
                    break
            ended = None in group
            self._put([entry for entry in group if entry is not None])

    def _put(self, group: list[_Entry]) -> None:
        error = None
        try:
            if self._broken:
                raise OSError("an earlier entry could not be written")
            self._change([change for entry in group for change in entry.changes])
            self._append(b"".join(line for entry in group for line in entry.lines))
        except (OSError, sqlite3.Error) as fault:
            # What was half written would be glued to what comes next.
            self._broken = True
            said = (fault.strerror if isinstance(fault, OSError) else None) or fault
            error = UserError(f"The cache and ledger cannot be written ({said}). Make room and run it again.")
        for entry in group:
            if not entry.done.set_running_or_notify_cancel():
                continue
            if error is None:
                entry.done.set_result(None)
            else:
                entry.done.set_exception(error)

    def _change(self, changes: list[Change]) -> None:
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

    def _append(self, data: bytes) -> None:
        if not data:
            return
        left = memoryview(data)
        while left:
            left = left[os.write(self._ledger, left) :]
        os.fdatasync(self._ledger)


def damaged(path: Path) -> UserError:
    """What to say of a database that cannot be read."""
    return UserError(
        f"The cache {path} is damaged. Restore it, or move it away: what it held is then asked and paid for again."
    )


def _opened(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30.0)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_TABLES)
    except sqlite3.Error as error:
        raise UserError(f"The cache {path} cannot be opened ({error}). Restore it, or move it away.") from None
    return database

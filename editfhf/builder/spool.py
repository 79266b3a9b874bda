"""The annotation spool: all submissions about regions on disk, sorted by pair.

A studio task of an export is kept as its JSON text; only the worker that makes the pair's shard parses it, so that
memory does not grow with the corpus. The file is made anew by every run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from annotation.records import Place

SpoolKind = Literal["regions", "expert", "rationales", "flags"]
SPOOL_FILE = "spool.sqlite"
SPOOL_BATCH = 2000


class SpooledRecord(NamedTuple):
    """One studio task of an export, or one flag, about one pair."""

    kind: SpoolKind
    place: Place
    payload: bytes


class AnnotationSpool:
    """Writes the spool; `digest(pair)` identifies all records about a pair, in reading order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = create_scratch_table(
            path, "CREATE TABLE records (pair INTEGER, kind TEXT, file TEXT, row INTEGER, payload BLOB)"
        )
        self._waiting: list[tuple[int, str, str, int, bytes]] = []
        self._digests: dict[int, bytes] = {}

    def add(self, pair: int, record: SpooledRecord) -> None:
        """Add a record about the pair with this ordinal."""
        kind, place, payload = record
        self._waiting.append((pair, kind, place.file, place.row, payload))
        before = self._digests.get(pair, b"")
        head = f"{kind}\0{place.file}\0{place.row}\0".encode()
        self._digests[pair] = hashlib.blake2b(before + head + payload, digest_size=16).digest()
        if len(self._waiting) >= SPOOL_BATCH:
            self._flush()

    def digest(self, pair: int) -> str:
        """Hex digest of the records about a pair; "" without a record."""
        return self._digests.get(pair, b"").hex()

    def close(self) -> None:
        """Finish the file; it can be read from now on."""
        self._flush()
        with translate_disk_errors(self._path):
            self._connection.execute("CREATE INDEX by_pair ON records (pair)")
            self._connection.execute("COMMIT")
        self._connection.close()

    def _flush(self) -> None:
        with translate_disk_errors(self._path):
            self._connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", self._waiting)
        self._waiting.clear()


@contextmanager
def open_spool(path: Path) -> Iterator[sqlite3.Connection]:
    """A finished spool, opened for reading only (also from another machine on a shared file system)."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def read_spooled_records(spool: sqlite3.Connection, pair: int) -> list[SpooledRecord]:
    """All records about one pair, in reading order."""
    rows = spool.execute("SELECT kind, file, row, payload FROM records WHERE pair = ? ORDER BY rowid", (pair,))
    return [SpooledRecord(kind, Place(file, row), payload) for kind, file, row, payload in rows]


def list_spooled_places(spool: sqlite3.Connection) -> Iterator[tuple[int, Place]]:
    """(ordinal of the pair, place) of every studio task or flag, each once."""
    for pair, file, row in spool.execute("SELECT pair, file, row FROM records GROUP BY pair, file, row"):
        yield pair, Place(file, row)


def create_scratch_table(path: Path, schema: str) -> sqlite3.Connection:
    """A scratch file with one table: nobody else reads it while it is written, and a crash makes it worthless."""
    path.unlink(missing_ok=True)
    with translate_disk_errors(path):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript(
            f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; {schema}; BEGIN"
        )
    return connection


@contextmanager
def translate_disk_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about a full or failing disk into the OSError that the operating system would raise."""
    try:
        yield
    except sqlite3.OperationalError as error:
        full = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
        code = errno.ENOSPC if full else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error

"""What people said, sorted by pair on disk: exports of any size go in, one pair's annotations come out.

A task of an export is kept as its JSON text; only the worker that builds the pair's shard turns it into records.
Memory therefore does not grow with the corpus.  The file is made anew by every run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

from annotation.records import Place, Rejection

Stage = Literal["regions", "expert", "rationales", "flags"]
BATCH = 2000


class Said(NamedTuple):
    """One task of one export (or one flag), for one pair."""

    stage: Stage
    place: Place
    payload: bytes


class Spool:
    """Writes the spool; `digest(pair)` identifies all that was said about a pair, in reading order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = _new(
            path, "CREATE TABLE said (pair INTEGER, stage TEXT, file TEXT, row INTEGER, payload BLOB)"
        )
        self._waiting: list[tuple[int, str, str, int, bytes]] = []
        self._digests: dict[int, bytes] = {}

    def add(self, pair: int, said: Said) -> None:
        self._waiting.append((pair, said.stage, said.place.file, said.place.row, said.payload))
        before = self._digests.get(pair, b"")
        head = f"{said.stage}\0{said.place.file}\0{said.place.row}\0".encode()
        self._digests[pair] = hashlib.blake2b(before + head + said.payload, digest_size=16).digest()
        if len(self._waiting) >= BATCH:
            self._flush()

    def digest(self, pair: int) -> str:
        return self._digests.get(pair, b"").hex()

    def close(self) -> None:
        self._flush()
        with _writing(self._path):
            self._connection.execute("CREATE INDEX by_pair ON said (pair)")
            self._connection.execute("COMMIT")
        self._connection.close()

    def _flush(self) -> None:
        with _writing(self._path):
            self._connection.executemany("INSERT INTO said VALUES (?, ?, ?, ?, ?)", self._waiting)
        self._waiting.clear()


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A finished spool, opened for reading only (also from another machine on a shared file system)."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        yield connection
    finally:
        connection.close()


def said_of(connection: sqlite3.Connection, pair: int) -> list[Said]:
    """All that was said about one pair, in reading order."""
    rows = connection.execute("SELECT stage, file, row, payload FROM said WHERE pair = ? ORDER BY rowid", (pair,))
    return [Said(stage, Place(file, row), payload) for stage, file, row, payload in rows]


class RejectionLog:
    """Everything set aside, on disk, and given back in one order whatever the order of the work."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = _new(
            path, "CREATE TABLE rejected (file TEXT, row INTEGER, what TEXT, reason TEXT, line BLOB, named BOOLEAN)"
        )
        self._waiting: list[tuple[str, int, str, str, bytes, bool]] = []

    def add(self, rejections: Iterable[Rejection], named: bool = False) -> None:
        """Take rejections; `named` when their annotator is a pseudonym already."""
        for item in map(_written_in_utf8, rejections):
            self._waiting.append((item.file, item.row, item.what, item.reason, orjson.dumps(item), named))
        if len(self._waiting) >= BATCH:
            self._flush()

    def counts(self) -> dict[tuple[str, str], int]:
        """How many things of a kind were set aside for a reason: (what, reason) -> count."""
        self._flush()
        rows = self._connection.execute("SELECT what, reason, COUNT(*) FROM rejected GROUP BY 1, 2 ORDER BY 1, 2")
        return {(what, reason): count for what, reason, count in rows}

    def __iter__(self) -> Iterator[tuple[Rejection, bool]]:
        self._flush()
        ordered = "SELECT line, named FROM rejected ORDER BY file, row, what, reason, line"
        for line, named in self._connection.execute(ordered):
            yield Rejection(**orjson.loads(line)), bool(named)

    def close(self) -> None:
        self._connection.close()

    def _flush(self) -> None:
        with _writing(self._path):
            self._connection.executemany("INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?)", self._waiting)
        self._waiting.clear()


def _new(path: Path, schema: str) -> sqlite3.Connection:
    """A scratch file of one table: never read by anyone else while it is written, and made anew after a crash."""
    path.unlink(missing_ok=True)
    with _writing(path):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript(
            f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; {schema}; BEGIN"
        )
    return connection


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What SQLite says of a full or failing disk, said as the operating system would."""
    try:
        yield
    except sqlite3.OperationalError as error:
        full = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
        code = errno.ENOSPC if full else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error


def _written_in_utf8(item: Rejection) -> Rejection:
    """The rejection with bytes that are no UTF-8 (of a file's name, say) spelled out."""
    try:
        orjson.dumps(item)
    except TypeError:
        spelled: dict[str, Any] = {
            name: value.encode("utf-8", "backslashreplace").decode()
            for name, value in asdict(item).items()
            if isinstance(value, str)
        }
        return replace(item, **spelled)
    return item

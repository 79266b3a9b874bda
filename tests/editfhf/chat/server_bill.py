"""What a model server remembers of the money: every arrival, every charge, every reply kept by its Idempotency-Key."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS arrival (key TEXT, digest TEXT, fault TEXT, retry TEXT, at REAL);
CREATE TABLE IF NOT EXISTS charge (
    channel TEXT, key TEXT, digest TEXT, model TEXT, input INTEGER, cached INTEGER, output INTEGER, fault TEXT);
CREATE TABLE IF NOT EXISTS visit (what TEXT);
CREATE TABLE IF NOT EXISTS reply (key TEXT PRIMARY KEY, digest TEXT, body TEXT);
"""


@dataclass(frozen=True)
class Total:
    """Sums over charges."""

    requests: int
    input: int
    cached: int
    output: int

    @property
    def tokens(self) -> int:
        return self.input + self.output


class Bill:
    """A bill in an SQLite file, which the server writes and tests read, each through a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._open = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._open.execute("PRAGMA journal_mode=WAL")
        self._open.execute("PRAGMA synchronous=OFF")  # outlives a kill of the process, which is all that tests do
        self._open.executescript(TABLES)

    def close(self) -> None:
        self._open.close()

    def arrive(self, key: str | None, digest: str, fault: str, retry: str | None, at: float) -> None:
        self._open.execute("INSERT INTO arrival VALUES (?,?,?,?,?)", (key, digest, fault, retry, at))

    def visit(self, what: str) -> None:
        self._open.execute("INSERT INTO visit VALUES (?)", (what,))

    def visits(self) -> list[str]:
        """Method and path of everything that anybody asked of the server, in order."""
        return [what for (what,) in self._open.execute("SELECT what FROM visit ORDER BY rowid")]

    def charge(self, channel: str, key: str | None, digest: str, model: str, usage: dict[str, int], fault: str) -> None:
        counts = (usage["input"], usage["cached"], usage["output"])
        self._open.execute("INSERT INTO charge VALUES (?,?,?,?,?,?,?,?)", (channel, key, digest, model, *counts, fault))

    def keep(self, key: str, digest: str, body: str) -> None:
        self._open.execute("INSERT INTO reply VALUES (?,?,?)", (key, digest, body))

    def kept(self, key: str) -> tuple[str, str] | None:
        """The digest of the request and the reply stored under a key."""
        return self._open.execute("SELECT digest, body FROM reply WHERE key = ?", (key,)).fetchone()

    def total(self, channel: str = "%") -> Total:
        """What was charged so far."""
        sums = "SELECT count(*), total(input), total(cached), total(output) FROM charge WHERE channel LIKE ?"
        return Total(*(int(value) for value in self._open.execute(sums, (channel,)).fetchone()))

    def paid_twice(self) -> list[str]:
        """Digests of requests that were charged more than once."""
        rows = self._open.execute("SELECT digest FROM charge GROUP BY digest HAVING count(*) > 1 ORDER BY digest")
        return [digest for (digest,) in rows]

    def digests(self) -> set[str]:
        """Every request that was charged."""
        return {digest for (digest,) in self._open.execute("SELECT digest FROM charge")}

    def arrived(self) -> int:
        """How many requests came, paid for or not."""
        return int(self._open.execute("SELECT count(*) FROM arrival").fetchone()[0])

    def arrivals(self) -> list[dict[str, str | float | None]]:
        """Every request that came, in order: key, digest, fault, the client's retry count, seconds since the epoch."""
        names = ("key", "digest", "fault", "retry", "at")
        rows = self._open.execute(f"SELECT {','.join(names)} FROM arrival ORDER BY rowid")
        return [dict(zip(names, row, strict=True)) for row in rows]

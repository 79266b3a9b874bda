"""Open batches (not collected yet): their rows in the database, and their request and answer files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from editfhf.chat.ledger import DatabaseChange, Journal, RequestAttempt
from editfhf.chat.outcomes import Exchange
from mos.json_limits import describe_json_excess

BATCH_FOLDER = "batches"


BatchState = Literal["written", "uploaded", "creating", "submitted"]


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch and its state.

    written: the request file is on the disk; uploaded: it is on the server; creating: the batch was requested, but no
    response came yet; submitted: the batch has an id
    """

    name: str
    state: BatchState
    file_id: str | None = None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class BatchLine:
    """Position of a request in the file of its batch, in bytes."""

    attempt: str
    key: str
    round: int
    offset: int
    size: int


class BatchStore:
    """Open batches of a folder."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self._journal = journal
        self._folder = folder / BATCH_FOLDER
        self._folder.mkdir(exist_ok=True)

    def request_file(self, name: str) -> Path:
        """Path of the request file of a batch."""
        return self._folder / f"{name}.jsonl"

    def result_file(self, name: str, kind: str) -> Path:
        """Path to which the file of answers ("output") or errors ("error") of a batch is downloaded."""
        return self._folder / f"{name}.{kind}"

    def read_batches(self) -> list[BatchRow]:
        """All open batches, the oldest first."""
        found = self._journal.read_rows("SELECT name, state, file_id, batch_id FROM batches ORDER BY rowid")
        return [BatchRow(*row) for row in found]

    def read_lines(self, name: str) -> dict[str, BatchLine]:
        """The lines of a batch by the id of their attempt."""
        query = "SELECT attempt, key, round, offset, size FROM batch_lines WHERE batch = ?"
        return {row[0]: BatchLine(*row) for row in self._journal.read_rows(query, (name,))}

    def has_request(self, key: str) -> bool:
        """Whether a request is in an open batch."""
        return bool(self._journal.read_rows("SELECT 1 FROM batch_lines WHERE key = ? LIMIT 1", (key,)))

    async def add_batch(self, name: str, lines: Iterable[BatchLine], announcements: list[bytes]) -> BatchRow:
        """Store a new batch, together with the ledger lines that announce its attempts."""
        insert = "INSERT INTO batch_lines (batch, attempt, key, round, offset, size) VALUES (?, ?, ?, ?, ?, ?)"
        changes: list[DatabaseChange] = [("INSERT INTO batches (name, state) VALUES (?, 'written')", (name,))]
        changes += [(insert, (name, line.attempt, line.key, line.round, line.offset, line.size)) for line in lines]
        await self._journal.write(announcements, changes)
        return BatchRow(name, "written")

    async def update_batch(self, row: BatchRow) -> BatchRow:
        """Store the state of a batch."""
        update = "UPDATE batches SET state = ?, file_id = ?, batch_id = ? WHERE name = ?"
        await self._journal.write(changes=[(update, (row.state, row.file_id, row.batch_id, row.name))])
        return row

    async def remove_batch(self, name: str) -> None:
        """Remove a collected batch and its files."""
        changes = ("DELETE FROM batch_lines WHERE batch = ?", (name,)), ("DELETE FROM batches WHERE name = ?", (name,))
        await self._journal.write(changes=changes)
        for path in self._folder.glob(f"{name}.*"):
            path.unlink()

    def delete_unknown_files(self) -> None:
        """Delete files of unknown batches, which a crash leaves behind."""
        known = {row.name for row in self.read_batches()}
        for path in self._folder.iterdir():
            if path.name.partition(".")[0] not in known:
                path.unlink()


BATCH_ENDPOINT: Final = "/v1/chat/completions"


MAX_ANSWER_LINE = 64 << 20
"""Longest line of an answer file in bytes; a longer one is read as several unreadable lines."""


class BatchFile:
    """A request file while it is written; it counts from `flush_and_close` on."""

    def __init__(self, name: str, path: Path, most_lines: int, most_bytes: int) -> None:
        self.name = name
        self.attempts: list[RequestAttempt] = []
        self.lines: list[BatchLine] = []
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._size = 0
        self._stream = path.open("wb")

    def has_room_for(self, exchange: Exchange) -> bool:
        """Whether the file has room for another request."""
        return len(self.lines) < self._most_lines and self._size + max_line_size(exchange) <= self._most_bytes

    def add_line(self, attempt: RequestAttempt, exchange: Exchange) -> None:
        line = _render_line(attempt.id, exchange.body)
        self._stream.write(line)
        self.attempts.append(attempt)
        self.lines.append(BatchLine(attempt.id, attempt.key, attempt.round, self._size, len(line)))
        self._size += len(line)

    def flush_and_close(self) -> None:
        """Write the file to the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def discard(self) -> None:
        self._stream.close()


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """One line of an answer file, which stands for an HTTP response.

    status: HTTP status, 0 when the request was not executed; code: error code in that case
    """

    custom_id: str
    status: int
    code: str = ""
    body: dict[str, Any] = field(default_factory=dict, repr=False)


def max_line_size(exchange: Exchange) -> int:
    """Upper bound of the size of a line in bytes."""
    return len(exchange.body) + 200


def read_request_body(path: Path, line: BatchLine) -> bytes:
    """Read the request body of a line from the file of its batch."""
    with path.open("rb") as stream:
        stream.seek(line.offset)
        content = orjson.loads(stream.read(line.size))
    return orjson.dumps(content["body"])


def read_batch_answers(path: Path) -> Iterator[BatchAnswer | None]:
    """Yield the lines of an answer file in order; None for an unreadable line."""
    with path.open("rb") as stream:
        while data := stream.readline(MAX_ANSWER_LINE):
            if data.strip():
                yield _parse_answer(data)


def _render_line(custom_id: str, body: bytes) -> bytes:
    head = orjson.dumps({"custom_id": custom_id, "method": "POST", "url": BATCH_ENDPOINT})
    # The body is not parsed again: it may hold megabytes of images.
    return head[:-1] + b',"body":' + body + b"}\n"


def _parse_answer(data: bytes) -> BatchAnswer | None:
    if describe_json_excess(data) is not None:
        return None
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("custom_id"), str):
        return None
    response, error = content.get("response"), content.get("error")
    if isinstance(response, dict) and isinstance(response.get("status_code"), int):
        body = response.get("body")
        return BatchAnswer(content["custom_id"], response["status_code"], body=body if isinstance(body, dict) else {})
    code = error.get("code") if isinstance(error, dict) else None
    return BatchAnswer(content["custom_id"], 0, code if isinstance(code, str) else "")

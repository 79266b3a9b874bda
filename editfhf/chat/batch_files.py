"""The files of batches: the one that is sent, cut at the server's limits, and those that come back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from editfhf.chat.batch_store import BatchLine
from editfhf.chat.ledger import Attempt
from editfhf.chat.rounds import Exchange

URL: Final = "/v1/chat/completions"
MAX_LINE = 64 << 20
"""Bytes of the longest line of an answer that is read."""


class BatchFile:
    """A file of requests that is being written; nothing of it counts before `seal`."""

    def __init__(self, name: str, path: Path, most_lines: int, most_bytes: int) -> None:
        self.name = name
        self.attempts: list[Attempt] = []
        self.lines: list[BatchLine] = []
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._size = 0
        self._stream = path.open("wb")

    def fits(self, exchange: Exchange) -> bool:
        """Whether another request still goes in."""
        return len(self.lines) < self._most_lines and self._size + line_size(exchange) <= self._most_bytes

    def add(self, attempt: Attempt, exchange: Exchange) -> None:
        line = _line(attempt.id, exchange.body)
        self._stream.write(line)
        self.attempts.append(attempt)
        self.lines.append(BatchLine(attempt.id, attempt.key, attempt.round, self._size, len(line)))
        self._size += len(line)

    def seal(self) -> None:
        """Put it on the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def drop(self) -> None:
        self._stream.close()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer: what would have been an HTTP answer.

    status: 0 when the request was not carried out; code: why
    """

    custom_id: str
    status: int
    code: str = ""
    body: dict[str, Any] = field(default_factory=dict, repr=False)


def line_size(exchange: Exchange) -> int:
    """An upper bound for the bytes of a line."""
    return len(exchange.body) + 200


def body_at(path: Path, line: BatchLine) -> bytes:
    """The request of a line as it was sent."""
    with path.open("rb") as stream:
        stream.seek(line.offset)
        content = orjson.loads(stream.read(line.size))
    return orjson.dumps(content["body"])


def read_lines(path: Path) -> Iterator[Line | None]:
    """The lines of an answer in the order of the file; None for one that cannot be read."""
    with path.open("rb") as stream:
        while data := stream.readline(MAX_LINE):
            if data.strip():
                yield _read(data)


def _line(custom_id: str, body: bytes) -> bytes:
    head = orjson.dumps({"custom_id": custom_id, "method": "POST", "url": URL})
    # The body is put in as it is: it may hold megabytes of pictures.
    return head[:-1] + b',"body":' + body + b"}\n"


def _read(data: bytes) -> Line | None:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("custom_id"), str):
        return None
    response, error = content.get("response"), content.get("error")
    if isinstance(response, dict) and isinstance(response.get("status_code"), int):
        body = response.get("body")
        return Line(content["custom_id"], response["status_code"], body=body if isinstance(body, dict) else {})
    code = error.get("code") if isinstance(error, dict) else None
    return Line(content["custom_id"], 0, code if isinstance(code, str) else "")

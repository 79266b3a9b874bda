"""The Batch API of a server: files up, batches begun and found again, answers down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from editfhf.chat.batch_files import URL
from editfhf.chat.patience import Again, Retries
from editfhf.chat.verdicts import Fate, judge
from editfhf.chat.wire import Lost, NotSent, Response, Wire
from mos.errors import UserError

if TYPE_CHECKING:
    from openai.types import Batch

T = TypeVar("T")

MARK = "editfhf"
"""The name under which a batch carries its own name in its metadata."""
PAGE = 100
MOST_PAGES = 200
TRANSFER_TIMEOUT = 3600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server says of a batch.

    done: whether anything is still to happen; completed: how many requests it says were answered, and billed
    """

    batch_id: str
    status: str
    done: bool
    output_file: str | None
    error_file: str | None
    completed: int
    code: str


class BatchServer:
    """One server's batches; every call is tried again as long as there is patience."""

    def __init__(self, wire: Wire, retries: Retries) -> None:
        self._wire = wire
        self._retries = retries

    async def upload(self, path: Path, name: str) -> str:
        """Send a file of requests; its id there.  A file that was sent twice costs nothing."""

        async def send() -> Any:
            with path.open("rb") as stream:
                return await self._wire.client.files.create(
                    file=(f"{name}.jsonl", stream), purpose="batch", extra_headers={"Idempotency-Key": f"{name}-file"}
                )

        return _id(await self._call(send, TRANSFER_TIMEOUT))

    async def create(self, file_id: str, name: str, look_first: bool) -> str:
        """Begin a batch; its id.  Where it may have begun already, it is looked for by its name first."""
        asked = look_first

        async def begin() -> str:
            nonlocal asked
            found = await self._find(name) if asked else None
            asked = True
            if found is not None:
                return found
            begun = await self._wire.attempt(
                self._wire.client.batches.create(
                    completion_window="24h",
                    endpoint=URL,
                    input_file_id=file_id,
                    metadata={MARK: name},
                    extra_headers={"Idempotency-Key": f"{name}-batch"},
                )
            )
            return _id(self._good(begun))

        return await self._retry(begin)

    async def look(self, batch_id: str) -> Seen:
        """How a batch is getting on."""
        found = await self._call(lambda: self._wire.client.batches.retrieve(batch_id))
        try:
            return _seen(found, batch_id)
        except (AttributeError, TypeError):
            raise UserError(f"What answers at {self._wire.url} has no Batch API. Run without it.") from None

    async def fetch(self, file_id: str, target: Path) -> None:
        """Put a file of the server on the disk."""

        async def receive() -> None:
            async with self._wire.client.files.with_streaming_response.content(file_id) as response:
                with target.open("wb") as stream:
                    async for chunk in response.iter_bytes():
                        stream.write(chunk)

        await self._call(receive, TRANSFER_TIMEOUT)

    async def delete(self, file_id: str) -> None:
        """Remove a file, pictures and all, from the server; one that does not do that keeps it."""
        try:
            await self._wire.attempt(self._wire.client.files.delete(file_id))
        except (Lost, NotSent):
            return

    async def _find(self, name: str) -> str | None:
        """The id of the batch that carries a name, the newest first."""
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._wire.attempt(self._page(after))
            rows = getattr(self._good(page), "data", None) or []
            for row in rows:
                if (getattr(row, "metadata", None) or {}).get(MARK) == name:
                    return _id(row)
            if not rows or not getattr(page, "has_more", False):
                return None
            after = _id(rows[-1])
        return None

    async def _page(self, after: str | None) -> Any:
        batches = self._wire.client.batches
        return await (batches.list(limit=PAGE, after=after) if after else batches.list(limit=PAGE))

    async def _call(self, make: Callable[[], Awaitable[T]], timeout: float | None = None) -> T:
        async def once() -> T:
            return self._good(await self._wire.attempt(make(), timeout))

        return await self._retry(once)

    async def _retry(self, once: Callable[[], Awaitable[T]]) -> T:
        async def attempt(_: None) -> T:
            try:
                return await once()
            except (Lost, NotSent) as problem:
                failure = Again(f"No answer came ({problem}).")
            raise failure

        try:
            return await self._retries.run(attempt, None)
        except Again as again:
            sentence = f"The batches at {self._wire.url} cannot be reached now: {again} Run it again: nothing is lost."
        raise UserError(sentence)

    def _good(self, result: T | Response) -> T:
        if not isinstance(result, Response):
            return result
        verdict = judge(result.status, result.headers, result.content, self._wire.url, "")
        if verdict.fate is Fate.again:
            raise Again(verdict.sentence, result.status, verdict.pause)
        if result.status == 404:
            raise UserError(f"{self._wire.url} has no Batch API, or has the batch no longer (404). Run without it.")
        if verdict.fate is Fate.stop:
            raise UserError(verdict.sentence)
        raise UserError(f"{self._wire.url} refuses a batch: {verdict.sentence}")


DONE = frozenset({"completed", "expired", "cancelled", "failed"})


def _seen(batch: Batch, batch_id: str) -> Seen:
    counts = batch.request_counts
    completed = counts.completed if counts is not None and isinstance(counts.completed, int) else 0
    errors = batch.errors.data if batch.errors is not None else None
    code = errors[0].code if errors else None
    status = str(batch.status)
    return Seen(
        batch_id,
        status,
        status in DONE,
        batch.output_file_id or None,
        batch.error_file_id or None,
        completed,
        code if isinstance(code, str) and code.replace("_", "").isalnum() else "no reason given",
    )


def _id(thing: object) -> str:
    """The id of a file or batch; it becomes part of an address."""
    value = getattr(thing, "id", None)
    if not isinstance(value, str) or not value.replace("-", "").replace("_", "").isalnum():
        raise UserError("The server answered without the id of a file or batch: it has no Batch API. Run without it.")
    return value

"""Calls of the Batch API: upload and download files, create and find batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from editfhf.chat.batch_store import BATCH_ENDPOINT
from editfhf.chat.http_client import HttpClient, HttpResponse, RequestNotSent, ResponseLost
from editfhf.chat.retry import ResponseKind, Retrier, TransientFailure, classify_response
from mos.errors import UserError

if TYPE_CHECKING:
    from openai.types import Batch


_T = TypeVar("_T")

METADATA_KEY = "editfhf"
"""Metadata key that holds the name of a batch."""
BATCHES_PER_PAGE = 100
MAX_BATCH_PAGES = 200
TRANSFER_TIMEOUT = 3600.0


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """Status of a batch on the server.

    done: whether the status is final; completed: requests that the server counts as answered, and bills
    """

    batch_id: str
    status: str
    done: bool
    output_file: str | None
    error_file: str | None
    completed: int
    code: str


class BatchServer:
    """Batches of one server; every call is retried by the retry policy."""

    def __init__(self, http: HttpClient, retrier: Retrier) -> None:
        self._http = http
        self._retrier = retrier

    async def upload_file(self, path: Path, name: str) -> str:
        """Upload a request file and return its id. A repeated upload costs nothing."""

        async def send() -> Any:
            with path.open("rb") as stream:
                return await self._http.client.files.create(
                    file=(f"{name}.jsonl", stream), purpose="batch", extra_headers={"Idempotency-Key": f"{name}-file"}
                )

        return _require_id(await self._call(send, TRANSFER_TIMEOUT))

    async def create_batch(self, file_id: str, name: str, find_first: bool) -> str:
        """Create a batch and return its id. With `find_first`, return the batch of that name if there is one."""
        search_first = find_first

        async def find_or_create() -> str:
            nonlocal search_first
            found = await self._find_batch(name) if search_first else None
            search_first = True  # a second attempt: the first may have created it
            if found is not None:
                return found
            created = await self._http.await_response(
                self._http.client.batches.create(
                    completion_window="24h",
                    endpoint=BATCH_ENDPOINT,
                    input_file_id=file_id,
                    metadata={METADATA_KEY: name},
                    extra_headers={"Idempotency-Key": f"{name}-batch"},
                )
            )
            return _require_id(self._require_success(created))

        return await self._retry_call(find_or_create)

    async def read_status(self, batch_id: str) -> BatchStatus:
        """Read the status of a batch."""
        found = await self._call(lambda: self._http.client.batches.retrieve(batch_id))
        try:
            return _parse_batch_status(found, batch_id)
        except (AttributeError, TypeError):
            raise UserError(f"The server at {self._http.url} has no Batch API. Run without --batch.") from None

    async def download_file(self, file_id: str, target: Path) -> None:
        """Download a file of the server to `target`."""

        async def receive() -> None:
            async with self._http.client.files.with_streaming_response.content(file_id) as response:
                with target.open("wb") as stream:
                    async for chunk in response.iter_bytes():
                        stream.write(chunk)

        await self._call(receive, TRANSFER_TIMEOUT)

    async def delete_file(self, file_id: str) -> None:
        """Delete a file, which holds images, from the server; a failure is ignored."""
        try:
            await self._http.await_response(self._http.client.files.delete(file_id))
        except (ResponseLost, RequestNotSent):
            return

    async def _find_batch(self, name: str) -> str | None:
        """Id of the newest batch with a name in its metadata, or None."""
        after: str | None = None
        for _ in range(MAX_BATCH_PAGES):
            page = await self._http.await_response(self._page(after))
            rows = getattr(self._require_success(page), "data", None) or []
            for row in rows:
                if (getattr(row, "metadata", None) or {}).get(METADATA_KEY) == name:
                    return _require_id(row)
            if not rows or not getattr(page, "has_more", False):
                return None
            after = _require_id(rows[-1])
        return None

    async def _page(self, after: str | None) -> Any:
        batches = self._http.client.batches
        return await (
            batches.list(limit=BATCHES_PER_PAGE, after=after) if after else batches.list(limit=BATCHES_PER_PAGE)
        )

    async def _call(self, make: Callable[[], Awaitable[_T]], timeout: float | None = None) -> _T:
        async def once() -> _T:
            return self._require_success(await self._http.await_response(make(), timeout))

        return await self._retry_call(once)

    async def _retry_call(self, once: Callable[[], Awaitable[_T]]) -> _T:
        async def attempt(_: None) -> _T:
            try:
                return await once()
            except (ResponseLost, RequestNotSent) as error:
                failure = TransientFailure(f"No response came ({error}).")
            raise failure

        try:
            return await self._retrier.run(attempt, None)
        except TransientFailure as failure:
            message = f"The batches at {self._http.url} cannot be reached: {failure} Run the command again to continue."
        raise UserError(message)

    def _require_success(self, result: _T | HttpResponse) -> _T:
        if not isinstance(result, HttpResponse):
            return result
        classified = classify_response(result.status, result.headers, result.content, self._http.url, "")
        if classified.kind is ResponseKind.retry:
            raise TransientFailure(classified.message, result.status, classified.pause)
        if result.status == 404:
            raise UserError(f"{self._http.url} has no Batch API, or deleted the batch (404). Run without --batch.")
        if classified.kind is ResponseKind.stop:
            raise UserError(classified.message)
        raise UserError(f"{self._http.url} does not accept a batch: {classified.message}")


FINAL_BATCH_STATUSES = frozenset({"completed", "expired", "cancelled", "failed"})


def _parse_batch_status(batch: Batch, batch_id: str) -> BatchStatus:
    counts = batch.request_counts
    completed = counts.completed if counts is not None and isinstance(counts.completed, int) else 0
    errors = batch.errors.data if batch.errors is not None else None
    code = errors[0].code if errors else None
    status = str(batch.status)
    return BatchStatus(
        batch_id,
        status,
        status in FINAL_BATCH_STATUSES,
        batch.output_file_id or None,
        batch.error_file_id or None,
        completed,
        code if isinstance(code, str) and code.replace("_", "").isalnum() else "no reason given",
    )


def _require_id(resource: object) -> str:
    """Id of a file or batch, checked because it becomes part of a URL."""
    value = getattr(resource, "id", None)
    if not isinstance(value, str) or not value.replace("-", "").replace("_", "").isalnum():
        raise UserError("The response has no id of a file or batch: the server has no Batch API. Run without --batch.")
    return value

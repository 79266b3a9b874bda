"""Ask a service from code that is not asynchronous: with the budget, ledger, cache and retries of `editfhf.chat`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from editfhf.chat.budget import Limits
from editfhf.chat.costs import Prices
from editfhf.chat.http_client import ChatConnection, HttpClient, HttpResponse
from editfhf.chat.outcomes import Exchange, FailedRequest, OverBudget
from editfhf.chat.replies import ChatCompletion, ModelReply
from editfhf.chat.retry import Retrier, RetryPolicy
from editfhf.chat.sender import ExchangeSender
from editfhf.chat.store import RequestStore
from editfhf.editors.http_editors.edit_dialect import EditDialect
from editfhf.editors.http_editors.wire import WireRequest

_T = TypeVar("_T")


class EditService:
    """One service, and the folder with what it answered and what that cost; one request at a time.

    An answer is on the disk before it is returned, and the same request is never sent again. The event loop runs in a
    thread of its own, so that an interrupt of the caller does not lose an answer that is paid for.

    Parameters
    ----------
    dialect : EditDialect
    connection : ChatConnection
        Address and key.
    folder : Path
        Folder of the cache, the ledger and the lock; one process at a time.
    limits : Limits
        Budget of everything that the ledger of the folder counts.
    prices : Prices
    retry_policy : RetryPolicy

    Raises
    ------
    UserError
        Another process uses the folder, or its cache or ledger is damaged.
    """

    def __init__(
        self,
        dialect: EditDialect,
        connection: ChatConnection,
        folder: Path,
        limits: Limits,
        prices: Prices,
        retry_policy: RetryPolicy,
    ) -> None:
        self._dialect = dialect
        self._headers = _make_key_headers(dialect, connection)
        self._http = HttpClient(connection, 1, retry_policy.timeout)
        self._retrier = Retrier(retry_policy)
        # Hosted services do not document what an Idempotency-Key does; servers of one's own bill nothing.
        hosted = bool(dialect.base_url) or connection.is_openai
        self.store = RequestStore(folder, limits, prices, False if hosted else None)
        self._sender = ExchangeSender(self._http.url, self.store, self._retrier)
        self._asking = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="edit-service", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write the rest, close connections and unlock the folder; may be called twice."""
        if self._loop.is_closed():
            return
        self._run(self._http.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.store.close()

    def ask(self, exchange: Exchange, wire: WireRequest) -> ModelReply | FailedRequest | OverBudget:
        """The reply to a request: the stored one, or that of the service.

        Raises
        ------
        UserError
            An error that every other request would get too: wrong key, unknown model, no server, full disk.
        ChatStopped
            After an interrupt.
        """
        with self._asking:
            known = self.store.read_replies(exchange.key)
            return known[0] if known else self._run(self._send(exchange, wire))

    async def _send(self, exchange: Exchange, wire: WireRequest) -> ModelReply | FailedRequest | OverBudget:
        async def post(idempotency_key: str) -> HttpResponse:
            headers = {"Idempotency-Key": idempotency_key, "Content-Type": wire.content_type, **self._headers}
            return await self._http.post_request(wire.path, wire.render_body(), headers)

        return await self._sender.send_exchange(exchange, post, self._read)

    def _read(self, data: bytes) -> ChatCompletion:
        answer = self._dialect.read(data)
        return ChatCompletion(answer.finish, answer.pack_text(), False, answer.served_by, answer.count)

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            # The request in flight is billed: its answer is awaited and stored, and nothing more is sent.
            self.store.stop()
            self._loop.call_soon_threadsafe(self._retrier.stop)
            future.exception()
            raise


def _make_key_headers(dialect: EditDialect, connection: ChatConnection) -> Mapping[str, Any]:
    if not dialect.key_header:
        return {}
    from openai import Omit

    return {"Authorization": Omit(), dialect.key_header: connection.api_key.get_secret_value()}

"""The client: sends requests to a model, one or many at a time, and stores every reply and its cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from editfhf.chat.budget import Limits, Usage
from editfhf.chat.costs import Prices, default_prices, max_usage
from editfhf.chat.first_token import FirstTokenRequest, read_first_token
from editfhf.chat.http_client import ChatConnection, HttpClient
from editfhf.chat.outcomes import ChatStopped, RequestOutcome, conclude_request, next_round
from editfhf.chat.replies import ModelReply, read_completion
from editfhf.chat.request import ModelRequest
from editfhf.chat.retry import Retrier, RetryPolicy
from editfhf.chat.sender import ExchangeSender
from editfhf.chat.store import RequestStore
from mos.errors import UserError


class Chat:
    """Client of one server; use it as an async context manager.

    Parameters
    ----------
    connection : ChatConnection
        Address and key.
    folder : Path
        Folder of the cache, the ledger and the lock; created if it does not exist.
    limits : Limits, optional
        Budget of everything that the ledger of the folder counts, earlier runs included (default: none).
    concurrency : int
        Requests that are processed at the same time; bounds memory.
    prices : Prices, optional
        Price table (default: the one of the package).
    retry_policy : RetryPolicy, optional
        Attempts, pauses and time-out.
    bills_once : bool, optional
        Whether the server bills a repeated request with the same Idempotency-Key once. None means unknown; for OpenAI,
        which does not document it, it means False. See `RequestStore`.

    Raises
    ------
    UserError
        The concurrency is below 1, another process uses the folder, or its cache or ledger is damaged.
    """

    def __init__(
        self,
        connection: ChatConnection,
        folder: Path,
        limits: Limits | None = None,
        concurrency: int = 8,
        prices: Prices | None = None,
        retry_policy: RetryPolicy | None = None,
        bills_once: bool | None = None,
    ) -> None:
        if concurrency < 1:
            raise UserError(f"The concurrency is {concurrency}: expected at least 1.")
        self.prices = prices or default_prices()
        retry_policy = retry_policy or RetryPolicy()
        self.http = HttpClient(connection, concurrency, retry_policy.timeout)
        self.retrier = Retrier(retry_policy)
        once = False if bills_once is None and connection.is_openai else bills_once
        self.store = RequestStore(folder, limits or Limits(), self.prices, once)
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._asking: dict[str, asyncio.Future[RequestOutcome]] = {}
        self._sender = ExchangeSender(self.http.url, self.store, self.retrier)
        self._stopped = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop sending, wait for requests in flight, write the rest, unlock the folder."""
        self.drain()
        try:
            if self._asking:
                await asyncio.wait(list(self._asking.values()))
            await self.http.close()
        finally:
            self.store.close()

    def drain(self) -> None:
        """Stop sending. Replies to requests in flight are still stored, since they are billed.

        `ask` raises `ChatStopped` for requests that were not sent; `ask_all` ends after those in flight. May be called
        from a signal handler of the event loop.
        """
        self._stopped = True
        self.store.stop()
        self.retrier.stop()

    @property
    def stopped(self) -> bool:
        """Whether `drain` was called."""
        return self._stopped

    @property
    def usage(self) -> Usage:
        """Usage that the ledger counts, earlier runs included, without requests in flight."""
        return self.store.budget.spent

    @property
    def reserved(self) -> Usage:
        """Maximum usage of requests in flight, in batches, or sent without a response."""
        return self.store.budget.unresolved + self.store.budget.in_flight

    def estimate(self, request: ModelRequest) -> Usage:
        """Maximum usage of a request; nothing is sent."""
        return max_usage(request, self.prices)

    def known_outcome(self, request: ModelRequest) -> RequestOutcome | None:
        """Outcome of a request that was answered before; None when it would have to be sent."""
        return conclude_request(request, self.store.read_replies(request.key), cached=True)

    async def ask(self, request: ModelRequest) -> RequestOutcome:
        """Send a request, unless it was answered before.

        Parameters
        ----------
        request : ModelRequest
            With the bytes of its images.

        Returns
        -------
        RequestOutcome
            The answer, or the reason why there is none.

        Raises
        ------
        UserError
            An error that every other request would get too: wrong key, unknown model, no server, full disk.
        ChatStopped
            After `drain`.
        """
        replies = self.store.read_replies(request.key)
        known = conclude_request(request, replies, cached=True)
        if known is not None:
            return known
        running = self._asking.get(request.key)
        if running is not None:
            return await asyncio.shield(running)
        future = self._asking[request.key] = asyncio.get_running_loop().create_future()
        try:
            async with self._slots:
                outcome = await self._ask_rounds(request, replies)
        except BaseException as error:
            _set_exception(future, error)
            raise
        finally:
            del self._asking[request.key]
        future.set_result(outcome)
        return outcome

    async def ask_all(self, requests: Iterable[ModelRequest]) -> AsyncIterator[tuple[ModelRequest, RequestOutcome]]:
        """Send many requests and yield outcomes in the order in which they end.

        A request over budget yields `OverBudget`, and the next ones are still tried: leave the loop to stop. However
        the loop ends, replies to requests in flight are awaited and stored, unless the task is cancelled.

        Parameters
        ----------
        requests : iterable of ModelRequest
            Read one by one, in a thread, so that at most `concurrency` of them (and their images) are in memory.

        Yields
        ------
        tuple of ModelRequest and RequestOutcome

        Raises
        ------
        UserError
            As `ask`.
        """
        waiting = iter(requests)
        done: asyncio.Queue[asyncio.Task[tuple[ModelRequest, RequestOutcome]]] = asyncio.Queue()
        alive: set[asyncio.Task[tuple[ModelRequest, RequestOutcome]]] = set()
        more = True
        try:
            while True:
                while more and len(alive) < self._concurrency and done.empty():
                    request = None if self._stopped else await _next_request(waiting)
                    if request is None:
                        more = False
                        break
                    task = asyncio.create_task(self._ask_with_request(request))
                    alive.add(task)
                    task.add_done_callback(done.put_nowait)
                    del request, task
                if not alive:
                    return
                ended = await done.get()
                alive.remove(ended)
                try:
                    pair = ended.result()
                except ChatStopped:
                    continue
                del ended
                yield pair
                del pair
        except asyncio.CancelledError:
            for task in alive:
                task.cancel()
            raise
        except UserError:
            self.drain()
            raise
        finally:
            await _await_tasks(alive)

    async def _ask_with_request(self, request: ModelRequest) -> tuple[ModelRequest, RequestOutcome]:
        return request, await self.ask(request)

    async def _ask_rounds(self, request: ModelRequest, replies: list[ModelReply]) -> RequestOutcome:
        while (outcome := conclude_request(request, replies, cached=False)) is None:
            exchange = next_round(request, replies, self.prices)
            post = partial(self.http.post_completion, exchange.body)
            read = read_first_token if isinstance(request, FirstTokenRequest) else read_completion
            result = await self._sender.send_exchange(exchange, post, read)
            if not isinstance(result, ModelReply):
                return replace(result, usage=sum((reply.usage for reply in replies), result.usage))
            replies.append(result)
        return outcome


async def _next_request(waiting: Iterator[ModelRequest]) -> ModelRequest | None:
    # In a thread: building a request may mean to read images and draw on them.
    return await asyncio.to_thread(next, waiting, None)


async def _await_tasks(tasks: set[asyncio.Task[tuple[ModelRequest, RequestOutcome]]]) -> None:
    if not tasks:
        return
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


def _set_exception(future: asyncio.Future[RequestOutcome], error: BaseException) -> None:
    if isinstance(error, asyncio.CancelledError):
        future.cancel()
        return
    future.set_exception(error)
    # Retrieved once, so that asyncio does not warn when no other task awaits it.
    future.exception()

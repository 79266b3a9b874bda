"""The client: asks a model, one request at a time or many at once, and keeps every answer and what it cost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from editfhf.chat.books import Books, InBatch
from editfhf.chat.bounds import worst
from editfhf.chat.budget import Blocked
from editfhf.chat.connection import Connection
from editfhf.chat.ledger import Attempt
from editfhf.chat.outcomes import Failed, Outcome, OverBudget, Stopped
from editfhf.chat.patience import Again, Patience, Retries
from editfhf.chat.prices import Prices, shipped
from editfhf.chat.replies import Reply, Unreadable, read_envelope
from editfhf.chat.request import Request
from editfhf.chat.rounds import Exchange, conclude, next_round
from editfhf.chat.usage import Limits, Usage
from editfhf.chat.verdicts import Fate, Verdict, judge
from editfhf.chat.wire import Lost, NotSent, Response, Wire
from mos.errors import UserError

LOG = logging.getLogger("editfhf.chat")

FIRST_CONTACT = 2
"""Attempts at a server that never answered: it is more likely absent than restarting."""
SHOWN = 12
"""Digits of a key in logs."""


class Chat:
    """Asks the models of one server; a folder keeps cache, ledger and lock.

    folder: made if need be; `UserError` when another process uses it
    limits: over everything that the ledger of the folder counts, earlier runs included
    concurrency: how many requests are alive at once; memory is bounded by it
    prices: the table that came with the package if None
    bills_once: whether the server bills what is sent twice with one Idempotency-Key once; None: perhaps, but OpenAI,
        which promises nothing of the kind.  See `Books`.
    """

    def __init__(
        self,
        connection: Connection,
        folder: Path,
        limits: Limits | None = None,
        concurrency: int = 8,
        prices: Prices | None = None,
        patience: Patience | None = None,
        bills_once: bool | None = None,
    ) -> None:
        if concurrency < 1:
            raise UserError(f"The concurrency is {concurrency}: expected at least 1.")
        self.prices = prices or shipped()
        patience = patience or Patience()
        self.wire = Wire(connection, concurrency, patience.timeout)
        self.retries = Retries(patience)
        once = False if bills_once is None and connection.is_openai else bills_once
        self.books = Books(folder, limits or Limits(), self.prices, once)
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._asking: dict[str, asyncio.Future[Outcome]] = {}
        self._heard = False
        self._stopped = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Send nothing more, wait for what is in flight, write what is left, let go of the folder."""
        self.drain()
        try:
            if self._asking:
                await asyncio.wait(list(self._asking.values()))
            await self.wire.close()
        finally:
            self.books.close()

    def drain(self) -> None:
        """Send nothing more.  Replies in flight are waited for and kept, since they are paid for.

        `ask` raises `Stopped` for what was not sent; `ask_all` ends after what is in flight.  May be called from a
        signal handler of the event loop.
        """
        self._stopped = True
        self.books.stop()
        self.retries.stop()

    @property
    def stopped(self) -> bool:
        """Whether `drain` was called."""
        return self._stopped

    @property
    def usage(self) -> Usage:
        """What the ledger counts, earlier runs included; without what is in flight."""
        return self.books.budget.spent

    @property
    def held(self) -> Usage:
        """The worst case of what is in flight, in batches, or was sent without anybody knowing what became of it."""
        return self.books.budget.held + self.books.budget.live

    def estimate(self, request: Request) -> Usage:
        """The most that the request can cost; nothing is sent."""
        return worst(request, self.prices)

    def known(self, request: Request) -> Outcome | None:
        """What became of a request that was answered before; None when it would have to be sent."""
        return conclude(request, self.books.replies(request.key), cached=True)

    async def ask(self, request: Request) -> Outcome:
        """What becomes of a request; one that was answered before is not sent again.

        `UserError` for what would befall every request (wrong key, unknown model, no server); `Stopped` after `drain`.
        """
        replies = self.books.replies(request.key)
        known = conclude(request, replies, cached=True)
        if known is not None:
            return known
        running = self._asking.get(request.key)
        if running is not None:
            return await asyncio.shield(running)
        future = self._asking[request.key] = asyncio.get_running_loop().create_future()
        try:
            async with self._slots:
                outcome = await self._ask(request, replies)
        except BaseException as error:
            _pass_on(future, error)
            raise
        finally:
            del self._asking[request.key]
        future.set_result(outcome)
        return outcome

    async def ask_all(self, requests: Iterable[Request]) -> AsyncIterator[tuple[Request, Outcome]]:
        """What becomes of each request, in the order in which they end.

        Requests are taken one by one, in a thread, when there is room for another, so that at most `concurrency` (and
        their pictures) are alive.  What is over budget is given as such, and the rest is still tried: leave the loop
        to stop.  However the loop ends, what is in flight is waited for and kept, unless the task is cancelled.
        """
        waiting = iter(requests)
        done: asyncio.Queue[asyncio.Task[tuple[Request, Outcome]]] = asyncio.Queue()
        alive: set[asyncio.Task[tuple[Request, Outcome]]] = set()
        more = True
        try:
            while True:
                while more and len(alive) < self._concurrency and done.empty():
                    request = None if self._stopped else await _next(waiting)
                    if request is None:
                        more = False
                        break
                    task = asyncio.create_task(self._paired(request))
                    alive.add(task)
                    task.add_done_callback(done.put_nowait)
                    del request, task
                if not alive:
                    return
                ended = await done.get()
                alive.remove(ended)
                try:
                    pair = ended.result()
                except Stopped:
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
            await _finish(alive)

    async def _paired(self, request: Request) -> tuple[Request, Outcome]:
        return request, await self.ask(request)

    async def _ask(self, request: Request, replies: list[Reply]) -> Outcome:
        while (outcome := conclude(request, replies, cached=False)) is None:
            result = await self._exchange(next_round(request, replies, self.prices))
            if not isinstance(result, Reply):
                return replace(result, usage=sum((reply.usage for reply in replies), result.usage))
            replies.append(result)
        return outcome

    async def _exchange(self, exchange: Exchange) -> Reply | Failed | OverBudget:
        turn = _Turn(exchange)
        try:
            return await self.retries.run(self._send, turn, None if self._heard else FIRST_CONTACT)
        except Again as again:
            failure = again
        except InBatch as busy:
            return Failed(key=exchange.key, message=f"It is in the batch {busy}, which is to be collected first.")
        if failure.unreachable:
            raise UserError(f"No server answers at {self.wire.url}. Start it, or check the address.")
        waited = f" It asks to wait {failure.pause:.0f} s." if failure.pause else ""
        message = f"{failure}{waited} Tried {turn.failures} times."
        return Failed(key=exchange.key, usage=Usage(retries=turn.failures), message=message, status=failure.status)

    async def _send(self, turn: _Turn) -> Reply | Failed | OverBudget:
        exchange = turn.exchange
        attempt = await self.books.begin(exchange, retry=turn.failures > 0)
        if isinstance(attempt, Blocked):
            message = f"The limit of {attempt.limit} would be passed."
            return OverBudget(key=exchange.key, usage=Usage(retries=turn.failures), message=message)
        began = time.monotonic()
        try:
            response = await self.wire.complete(exchange.body, attempt.id)
        except NotSent:
            await self.books.unanswered(attempt, 0, time.monotonic() - began)
            raise Again("Nothing answers at the address.", unreachable=True) from None
        except Lost as problem:
            await self._lost(turn, attempt, str(problem), began)
        except BaseException:
            self.books.hold(attempt)
            raise
        self._heard = True
        return await self._received(turn, attempt, response, began)

    async def _received(
        self, turn: _Turn, attempt: Attempt, response: Response, began: float
    ) -> Reply | Failed | OverBudget:
        """What an HTTP answer means.  Nothing may be awaited before it is in the books: it is paid for."""
        verdict = judge(response.status, response.headers, response.content, self.wire.url, attempt.model)
        seconds = time.monotonic() - began
        if verdict.fate is Fate.ok or verdict.fate is Fate.filtered:
            try:
                reply = self._reply(turn, response, verdict.fate)
            except Unreadable:
                await self._lost(turn, attempt, "an answer that is no chat completion", began)
            await self.books.answered(attempt, reply, response.status, seconds)
            LOG.debug("%s answered in %.1f s, %d tokens", attempt.key[:SHOWN], seconds, reply.usage.tokens)
            return reply
        LOG.info("%s got %d in %.1f s", attempt.key[:SHOWN], response.status, seconds)
        if verdict.unsure:
            await self._lost(turn, attempt, f"status {response.status}", began, verdict, response.status)
        turn.failures += 1
        await self.books.unanswered(attempt, response.status, seconds)
        if verdict.fate is Fate.stop:
            raise UserError(verdict.sentence)
        if verdict.fate is Fate.again:
            raise Again(verdict.sentence, response.status, verdict.pause)
        usage = Usage(retries=turn.failures)
        return Failed(key=attempt.key, usage=usage, message=verdict.sentence, status=response.status)

    def _reply(self, turn: _Turn, response: Response, fate: Fate) -> Reply:
        """The reply to keep, which remembers how often it had to be asked for."""
        if fate is Fate.filtered:
            return Reply("content_filter", None, False, "", Usage(retries=turn.failures))
        exchange = turn.exchange
        reply = self.books.priced(read_envelope(response.content), exchange.worst, exchange.model)
        return replace(reply, usage=replace(reply.usage, retries=turn.failures))

    async def _lost(
        self,
        turn: _Turn,
        attempt: Attempt,
        problem: str,
        began: float,
        verdict: Verdict | None = None,
        status: int = 0,
    ) -> NoReturn:
        turn.failures += 1
        LOG.info("%s is lost: %s", attempt.key[:SHOWN], problem)
        await self.books.lost(attempt, problem, time.monotonic() - began)
        if verdict is None:
            raise Again(f"No answer came ({problem}).")
        raise Again(verdict.sentence, status, verdict.pause)


@dataclass(slots=True)
class _Turn:
    """An exchange on its way, and how often it failed."""

    exchange: Exchange
    failures: int = 0


async def _next(waiting: Iterator[Request]) -> Request | None:
    # In a thread: the request may have to be made, with pictures read and drawn on.
    return await asyncio.to_thread(next, waiting, None)


async def _finish(tasks: set[asyncio.Task[tuple[Request, Outcome]]]) -> None:
    if not tasks:
        return
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


def _pass_on(future: asyncio.Future[Outcome], error: BaseException) -> None:
    if isinstance(error, asyncio.CancelledError):
        future.cancel()
        return
    future.set_exception(error)
    # Perhaps nobody else waits for it.
    future.exception()

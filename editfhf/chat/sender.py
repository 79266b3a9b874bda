"""Send one exchange: budget and ledger before, retries between, cache and ledger after."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import NoReturn

from editfhf.chat.budget import BudgetBlock, Usage
from editfhf.chat.http_client import HttpResponse, RequestNotSent, ResponseLost
from editfhf.chat.ledger import RequestAttempt
from editfhf.chat.outcomes import Exchange, FailedRequest, OverBudget
from editfhf.chat.replies import ChatCompletion, ModelReply, UnreadableReply
from editfhf.chat.retry import ClassifiedResponse, ResponseKind, Retrier, TransientFailure, classify_response
from editfhf.chat.store import PendingInBatch, RequestStore
from mos.errors import UserError

_LOG = logging.getLogger("editfhf.chat")

FIRST_CONTACT_ATTEMPTS = 2
"""Attempts at an unreachable server that has not answered yet: it is probably not running."""

KEY_DIGITS_SHOWN = 12
"""Digits of a request key that are logged."""

PostRequest = Callable[[str], Awaitable[HttpResponse]]

ReadContent = Callable[[bytes], ChatCompletion]


class ExchangeSender:
    """Sends exchanges to one server; url: its address, for messages."""

    def __init__(self, url: str, store: RequestStore, retrier: Retrier) -> None:
        self._url = url
        self._store = store
        self._retrier = retrier
        self._server_answered = False

    async def send_exchange(
        self, exchange: Exchange, post: PostRequest, read: ReadContent
    ) -> ModelReply | FailedRequest | OverBudget:
        """Send an exchange within the budget, with retries, and store its reply.

        Parameters
        ----------
        exchange : Exchange
        post : callable
            Posts the request under an Idempotency-Key; `RequestNotSent` or `ResponseLost` when no response came.
        read : callable
            Reads the content of a response; `UnreadableReply` when it is none, which counts as a lost response.

        Raises
        ------
        UserError
            An error that every other request would get too.
        ChatStopped
            After `stop` of the store or the retrier.
        """
        state = _ExchangeState(exchange, post, read)
        try:
            return await self._retrier.run(
                self._attempt_exchange, state, None if self._server_answered else FIRST_CONTACT_ATTEMPTS
            )
        except TransientFailure as error:
            failure = error
        except PendingInBatch as pending:
            return FailedRequest(
                key=exchange.key, message=f"It is in batch {pending}: collect the batch first (--batch)."
            )
        if failure.unreachable:
            raise UserError(f"No server answers at {self._url}. Start it or check the address.")
        waited = f" The server asks to wait {failure.pause:.0f} s." if failure.pause else ""
        message = f"{failure}{waited} Tried {state.failures} times."
        return FailedRequest(
            key=exchange.key, usage=Usage(retries=state.failures), message=message, status=failure.status
        )

    async def _attempt_exchange(self, state: _ExchangeState) -> ModelReply | FailedRequest | OverBudget:
        exchange = state.exchange
        attempt = await self._store.begin_attempt(exchange, retry=state.failures > 0)
        if isinstance(attempt, BudgetBlock):
            message = f"It could exceed the limit on {attempt.limit}."
            return OverBudget(key=exchange.key, usage=Usage(retries=state.failures), message=message)
        began = time.monotonic()
        try:
            response = await state.post(attempt.id)
        except RequestNotSent:
            await self._store.record_unanswered(attempt, 0, time.monotonic() - began)
            raise TransientFailure("No server answers at the address.", unreachable=True) from None
        except ResponseLost as error:
            await self._record_loss(state, attempt, str(error), began)
        except BaseException:
            self._store.mark_unresolved(attempt)
            raise
        self._server_answered = True
        return await self._handle_response(state, attempt, response, began)

    async def _handle_response(
        self, state: _ExchangeState, attempt: RequestAttempt, response: HttpResponse, began: float
    ) -> ModelReply | FailedRequest | OverBudget:
        """Handle an HTTP response. Nothing may be awaited before it is in the store: it is billed."""
        classified = classify_response(response.status, response.headers, response.content, self._url, attempt.model)
        seconds = time.monotonic() - began
        if classified.kind is ResponseKind.ok or classified.kind is ResponseKind.filtered:
            try:
                reply = self._read_reply(state, response, classified.kind)
            except UnreadableReply:
                await self._record_loss(state, attempt, "the response is not what was asked for", began)
            await self._store.record_answer(attempt, reply, response.status, seconds)
            _LOG.debug("%s answered in %.1f s, %d tokens", attempt.key[:KEY_DIGITS_SHOWN], seconds, reply.usage.tokens)
            return reply
        _LOG.info("%s got %d in %.1f s", attempt.key[:KEY_DIGITS_SHOWN], response.status, seconds)
        if classified.uncertain:
            await self._record_loss(state, attempt, f"status {response.status}", began, classified, response.status)
        state.failures += 1
        await self._store.record_unanswered(attempt, response.status, seconds)
        if classified.kind is ResponseKind.stop:
            raise UserError(classified.message)
        if classified.kind is ResponseKind.retry:
            raise TransientFailure(classified.message, response.status, classified.pause)
        usage = Usage(retries=state.failures)
        return FailedRequest(key=attempt.key, usage=usage, message=classified.message, status=response.status)

    def _read_reply(self, state: _ExchangeState, response: HttpResponse, kind: ResponseKind) -> ModelReply:
        """The reply to store, with the number of retries before it."""
        if kind is ResponseKind.filtered:
            return ModelReply("content_filter", None, False, "", Usage(retries=state.failures))
        exchange = state.exchange
        reply = self._store.price_reply(state.read(response.content), exchange.max_usage, exchange.model)
        return replace(reply, usage=replace(reply.usage, retries=state.failures))

    async def _record_loss(
        self,
        state: _ExchangeState,
        attempt: RequestAttempt,
        problem: str,
        began: float,
        classified: ClassifiedResponse | None = None,
        status: int = 0,
    ) -> NoReturn:
        state.failures += 1
        _LOG.info("%s got no response: %s", attempt.key[:KEY_DIGITS_SHOWN], problem)
        await self._store.record_loss(attempt, problem, time.monotonic() - began)
        if classified is None:
            raise TransientFailure(f"No response came ({problem}).")
        raise TransientFailure(classified.message, status, classified.pause)


@dataclass(slots=True)
class _ExchangeState:
    """An exchange that is being sent, and how often it failed."""

    exchange: Exchange
    post: PostRequest
    read: ReadContent
    failures: int = 0

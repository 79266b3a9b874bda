"""How often, and after which pauses, something is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from editfhf.chat.outcomes import Stopped

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """attempts: at one thing, the first included
    timeout: seconds that one attempt may take
    first_pause, usual_pause: seconds; pauses grow at random from the first to the usual when the server names none
    longest_pause: seconds; a server that asks for a longer one is not waited for
    """

    attempts: int = 6
    timeout: float = 600.0
    first_pause: float = 0.5
    usual_pause: float = 60.0
    longest_pause: float = 3600.0


class Again(Exception):
    """A failure that may pass.

    pause: seconds that the server asks to wait, if it does; unreachable: nothing answers at the address
    """

    def __init__(self, sentence: str, status: int = 0, pause: float | None = None, unreachable: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.pause = pause
        self.unreachable = unreachable


class Retries:
    """Trying again with a patience; after `stop` every pause ends with `Stopped`."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._stopped = asyncio.Event()
        self._grow = wait_random_exponential(multiplier=patience.first_pause, max=patience.usual_pause)

    def stop(self) -> None:
        self._stopped.set()

    async def run(self, attempt: Callable[[A], Awaitable[T]], thing: A, unreachable_attempts: int | None = None) -> T:
        """The result of the first attempt at a thing that raises no `Again`, or the last `Again`.

        unreachable_attempts: after how many one gives up if nothing answers at all; None for as many as any
        """
        most = self.patience.attempts
        fewer = most if unreachable_attempts is None else min(most, unreachable_attempts)

        def worth_it(error: BaseException) -> bool:
            return isinstance(error, Again) and not (error.pause or 0.0) > self.patience.longest_pause

        def enough(state: RetryCallState) -> bool:
            error = _error(state)
            return state.attempt_number >= (fewer if error and error.unreachable else most)

        retrying = AsyncRetrying(
            stop=enough,
            wait=self._pause,
            retry=retry_if_exception(worth_it),
            sleep=self.sleep,
            reraise=True,
        )
        return await retrying(attempt, thing)

    async def sleep(self, seconds: float) -> None:
        """Wait; `Stopped` as soon as there is no more to wait for."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return
        raise Stopped

    def _pause(self, state: RetryCallState) -> float:
        error = _error(state)
        return self._grow(state) if error is None or error.pause is None else error.pause


def _error(state: RetryCallState) -> Again | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, Again) else None

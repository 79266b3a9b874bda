"""Classify HTTP responses of a model server, and retry what may succeed later.

The classification is the same for a live response and for a line of a batch.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from enum import Enum
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from editfhf.chat.outcomes import ChatStopped
from mos.json_limits import describe_json_excess

TRANSIENT_STATUSES = frozenset({408, 409, 429})
"""Statuses, besides 500 and above, after which the `openai` package retries."""


UNCERTAIN_STATUSES = frozenset({408, 409, 502, 504, *range(520, 528)})
"""Statuses of gateways, and of servers that process the same request already: the model may answer it anyway."""


FATAL_CODES = frozenset({"unsupported_parameter", "unsupported_value", "model_not_found", "invalid_api_key"})
"""Error codes of status 400 that every other request would get too."""


NO_CREDIT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "moderation_blocked",  # of OpenAI's images; the last three of Seedream
        "InputTextSensitiveContentDetected",
        "InputImageSensitiveContentDetected",
        "OutputImageSensitiveContentDetected",
    }
)


_CODE = re.compile(r"^[A-Za-z0-9_.\[\]-]{1,60}$")


class ResponseKind(Enum):
    """What to do after a response.

    ok: read the completion; retry: send the request again; filtered: a content filter blocked it; failed: give this
    request up; stop: stop, since every request would fail
    """

    ok = "ok"
    retry = "retry"
    filtered = "filtered"
    failed = "failed"
    stop = "stop"


@dataclass(frozen=True, slots=True)
class ClassifiedResponse:
    """A response and what to do after it.

    message: what happened, without text of the server
    pause: seconds that the server asks to wait, if it does
    uncertain: whether the model may have answered in spite of this response
    """

    kind: ResponseKind
    message: str = ""
    pause: float | None = None
    uncertain: bool = False


def classify_response(
    status: int, headers: Mapping[str, str], content: bytes | dict[str, Any], url: str, model: str
) -> ClassifiedResponse:
    """Classify an HTTP response by status, headers and error code; header names are lower case."""
    if 200 <= status < 300:
        return ClassifiedResponse(ResponseKind.ok)
    code = _error_code(content)
    described = f"{status} ({code})" if code else str(status)
    if code in NO_CREDIT_CODES:
        return ClassifiedResponse(
            ResponseKind.stop, f"The account at {url} has no credit left: {described}. Add credit and run it again."
        )
    if 300 <= status < 400:
        return ClassifiedResponse(ResponseKind.stop, f"{url} redirects to another address: use that address directly.")
    if status == 401 or code == "invalid_api_key":
        return ClassifiedResponse(
            ResponseKind.stop, f"{url} does not accept the key: {described}. Check the key and the address."
        )
    if status == 403:
        return ClassifiedResponse(
            ResponseKind.stop, f"{url} does not allow this key to use the model {model!r}: {described}. Use another."
        )
    if status == 404 or code in FATAL_CODES:
        return ClassifiedResponse(ResponseKind.stop, _unknown_model_message(described, code, url, model))
    if code in FILTER_CODES:
        return ClassifiedResponse(ResponseKind.filtered, f"A content filter blocked the request: {described}.")
    should_retry = headers.get("x-should-retry", "").lower()
    if should_retry == "true" or (should_retry != "false" and (status in TRANSIENT_STATUSES or status >= 500)):
        return ClassifiedResponse(
            ResponseKind.retry,
            f"The server answered {described}.",
            parse_retry_after(headers),
            status in UNCERTAIN_STATUSES,
        )
    return ClassifiedResponse(ResponseKind.failed, f"The server does not accept the request: {described}.")


def parse_retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by `retry-after` (RFC 9110, section 10.2.3) or `retry-after-ms` (OpenAI); None without either."""
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / divisor
        except ValueError:
            continue
        return max(0.0, seconds) if not math.isnan(seconds) else None
    date = parsedate_tz(headers.get("retry-after", ""))
    if date is None:
        return None
    try:
        return max(0.0, mktime_tz(date) - (time.time() if now is None else now))
    except (ValueError, OverflowError):
        return None


def _unknown_model_message(described: str, code: str, url: str, model: str) -> str:
    if code.startswith("unsupported"):
        return f"The model {model[:80]!r} at {url} does not accept a parameter of the requests: {described}. Change it."
    return f"{url} has no model {model[:80]!r}, or is not the address of a model server: {described}. Check both."


def _error_code(content: bytes | dict[str, Any]) -> str:
    """Machine-readable code of an error, or an empty string; never free text."""
    if isinstance(content, bytes) and describe_json_excess(content) is not None:
        return ""
    try:
        body = json.loads(content) if isinstance(content, bytes) else content
    except (ValueError, RecursionError):
        return ""
    error = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    found = (error.get(name) for name in ("code", "type"))
    return next((value for value in found if isinstance(value, str) and _CODE.match(value)), "")


_A = TypeVar("_A")


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to retry.

    Parameters
    ----------
    attempts : int
        Attempts at one request, the first included.
    timeout : float
        Seconds that one attempt may take.
    first_pause, usual_pause : float
        Seconds. Random pauses grow exponentially from the first to the usual one, unless the server gives a time.
    longest_pause : float
        Seconds. If the server asks for a longer pause, the request fails at once.
    """

    attempts: int = 6
    timeout: float = 600.0
    first_pause: float = 0.5
    usual_pause: float = 60.0
    longest_pause: float = 3600.0


class TransientFailure(Exception):
    """A failure after which a retry may succeed.

    pause: seconds that the server asks to wait, if it does; unreachable: no server answers at the address
    """

    def __init__(self, message: str, status: int = 0, pause: float | None = None, unreachable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.pause = pause
        self.unreachable = unreachable


class Retrier:
    """Retries by a policy; after `stop` every pause raises `ChatStopped`."""

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = policy
        self._stopped = asyncio.Event()
        self._grow = wait_random_exponential(multiplier=policy.first_pause, max=policy.usual_pause)

    def stop(self) -> None:
        self._stopped.set()

    async def run(
        self, attempt: Callable[[_A], Awaitable[_T]], argument: _A, unreachable_attempts: int | None = None
    ) -> _T:
        """Result of the first attempt without a `TransientFailure`, or the last `TransientFailure`.

        unreachable_attempts: fewer attempts for a server that does not answer at all; None for the normal number
        """
        normal = self.policy.attempts
        fewer = normal if unreachable_attempts is None else min(normal, unreachable_attempts)

        def may_succeed(error: BaseException) -> bool:
            return isinstance(error, TransientFailure) and not (error.pause or 0.0) > self.policy.longest_pause

        def is_last(state: RetryCallState) -> bool:
            error = _transient_failure(state)
            return state.attempt_number >= (fewer if error and error.unreachable else normal)

        retrying = AsyncRetrying(
            stop=is_last,
            wait=self._next_pause,
            retry=retry_if_exception(may_succeed),
            sleep=self.sleep,
            reraise=True,
        )
        return await retrying(attempt, argument)

    async def sleep(self, seconds: float) -> None:
        """Wait, or raise `ChatStopped` as soon as `stop` is called."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return
        raise ChatStopped

    def _next_pause(self, state: RetryCallState) -> float:
        error = _transient_failure(state)
        return self._grow(state) if error is None or error.pause is None else error.pause


def _transient_failure(state: RetryCallState) -> TransientFailure | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, TransientFailure) else None

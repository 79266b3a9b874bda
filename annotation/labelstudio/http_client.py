"""The HTTP client under the SDK's methods and our own requests: the key, time limits, and errors as one sentence.

Imported only when a server is contacted: httpx comes with `pip install 'editfhf[campaign]'`.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
import orjson

from annotation.labelstudio.connection import (
    StudioNotFoundError,
    StudioRefusedError,
    StudioTransientError,
    StudioUnavailableError,
)
from mos.errors import UserError

CONNECT_TIMEOUT = 10.0

BUSY_STATUSES = {429}

PASSING_STATUSES = {408, 429, 500, 502, 503, 504}
"""Statuses after which an idempotent request is sent again."""

IDEMPOTENT_METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE")

MAX_REASON_LENGTH = 300


class StudioHttpClient(httpx.Client):
    """Sends requests to one server with one key; every answer other than success is raised as an error.

    Parameters
    ----------
    url
        Address of the server, without a slash at its end.
    api_key
        Token or personal access token of a user. It is in no error message and no log.
    timeout
        Seconds that the server may take to answer; connecting may take `CONNECT_TIMEOUT`.

    Raises
    ------
    StudioTransientError
        By `send`, where the same request may succeed later.
    StudioRefusedError, StudioNotFoundError, StudioUnavailableError, UserError
        By `send`, where it will not.
    """

    def __init__(self, url: str, api_key: str, timeout: float) -> None:
        self._url = url
        super().__init__(
            base_url=url,
            auth=_KeyAuth(api_key, f"{url}/api/token/refresh/"),
            timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
            # A redirect may lead to another host, which must not receive the key.
            follow_redirects=False,
            trust_env=False,
        )

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request and return its answer, which is a success."""
        try:
            response = super().send(request, **options)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise StudioTransientError(
                f"No server answers at {self._url}: expected Label Studio. Check the address."
            ) from None
        except httpx.TimeoutException:
            self._raise_lost(request.method, "did not answer in time")
        except httpx.TransportError as error:
            self._raise_lost(request.method, f"closed the connection ({error.__class__.__name__})")
        if not response.is_success:
            self._raise_for_status(request, response)
        return response

    def _raise_lost(self, method: str, what: str) -> NoReturn:
        message = f"Label Studio at {self._url} {what}. Check its log and run the command again: nothing is lost."
        if method in IDEMPOTENT_METHODS:
            raise StudioTransientError(message) from None
        raise StudioUnavailableError(message) from None

    def _raise_for_status(self, request: httpx.Request, response: httpx.Response) -> NoReturn:
        """Raise the error that an answer stands for."""
        status, method = response.status_code, request.method
        path = request.url.path.removeprefix(urlsplit(self._url).path)
        reason = _format_reason(response)
        server = f"Label Studio at {self._url}"
        if status in BUSY_STATUSES or (status in PASSING_STATUSES and method in IDEMPOTENT_METHODS):
            raise StudioTransientError(
                f"{server} answers {status} to {method} {path}{reason}. "
                "Check its log and run the command again: nothing is lost.",
                _parse_retry_after(response),
            )
        if response.is_redirect:
            target = response.headers.get("location", "another address")[:MAX_REASON_LENGTH]
            raise UserError(f"{self._url} redirects to {target}. Use that address directly.")
        match status:
            case 400:
                raise StudioRefusedError(f"{server} refuses {method} {path} with {status}{reason}.")
            case 401:
                raise UserError(f"{server} does not know the key. Copy it again from the account page.")
            case 403:
                raise UserError(f"{server} does not let this account do {method} {path}. Use another account.")
            case 404:
                raise StudioNotFoundError(f"{server} has no {path}: it was deleted, or the address is wrong.")
        message = f"{server} refuses {method} {path} with {status}{reason}."
        raise StudioUnavailableError(message) if status >= 500 else UserError(message)


class _KeyAuth(httpx.Auth):
    """Authorisation by a token, or by a personal access token that is exchanged for an access token of a few minutes.

    The SDK can do this too, but it computes the end of an access token with the local clock: where that is more than
    five minutes slow, requests fail with 401 after five minutes. Here a 401 leads to one new exchange.
    """

    def __init__(self, api_key: str, refresh_url: str) -> None:
        self._api_key = api_key
        self._refresh_url = refresh_url
        self._personal = api_key.startswith("eyJ") and api_key.count(".") == 2
        self._access: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._personal:
            request.headers["Authorization"] = f"Token {self._api_key}"
            yield request
            return
        if self._access is None:
            yield from self._exchange_token(request)
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        if response.status_code == 401:
            yield from self._exchange_token(request)
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _exchange_token(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        exchange = httpx.Request(
            "POST", self._refresh_url, json={"refresh": self._api_key}, extensions=request.extensions
        )
        response = yield exchange
        response.read()
        # If the exchange fails, the answer to the request itself says what is wrong with the key.
        self._access = response.json().get("access") if response.is_success else None


def _parse_retry_after(response: httpx.Response) -> float | None:
    """Seconds after which the server wants to be asked again (RFC 9110, section 10.2.3); None if it does not say."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _format_reason(response: httpx.Response) -> str:
    """The reason that the server gives, shortened, in brackets."""
    try:
        reason = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return ""
    if isinstance(reason, dict):
        reason = reason.get("validation_errors") or reason.get("detail") or reason
    text = reason if isinstance(reason, str) else orjson.dumps(reason).decode()
    return f" ({' '.join(text.split())[:MAX_REASON_LENGTH]})"

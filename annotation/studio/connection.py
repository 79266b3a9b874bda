"""The wire to a Label Studio server: authorisation, time limits, retries, and every failure as one sentence.

Requests are made here rather than through the SDK's typed methods: those parse what people wrote into models, so that
what is archived would no longer be what the server said, and they send a request again after an answer was lost, which
doubles the tasks of an import.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import orjson
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from mos.errors import UserError

TIMEOUT = 120.0
ATTEMPTS = 6
MAX_PAUSE = 30.0
BUSY = {429}
PASSING = {408, 429, 500, 502, 503, 504}
"""Answers after which a request that changes nothing, or the same thing again, is worth another try."""
SAFE = ("GET", "HEAD", "PUT", "PATCH", "DELETE")
EXCERPT = 300


class NotReady(UserError):
    """The server cannot be reached, or not now; it may be later."""


class Refused(UserError):
    """The server understands what it is asked to do and says why it does not (status 400)."""


class Gone(UserError):
    """The server has no such thing (any more)."""


class _Again(Exception):
    """A failure that may pass: what the user is told when it does not, and how long the server asked us to wait."""

    def __init__(self, sentence: str, pause: float | None = None) -> None:
        super().__init__(sentence)
        self.pause = pause


class Connection:
    """Requests to one server in the name of one user."""

    def __init__(self, url: str, api_key: str, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> None:
        self.url = _checked(url)
        self._attempts = attempts
        self._client = httpx2.Client(
            base_url=self.url,
            auth=_Key(api_key, f"{self.url}/api/token/refresh/"),
            timeout=httpx2.Timeout(timeout, connect=10.0),
            # A redirect may lead to another host, which must not be handed the key.
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, path: str, **query: str | int) -> Any:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any, **query: str | int) -> Any:
        return self.request("POST", path, body, query)

    def patch(self, path: str, body: Any) -> Any:
        return self.request("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Make sure that a thing is not there; nothing happens when it is gone already."""
        try:
            self.request("DELETE", path)
        except Gone:
            return

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str | int] | None = None,
        attempts: int | None = None,
    ) -> Any:
        """The JSON that the server answers (None for an empty answer).

        attempts: how often at most, if not as often as usual.

        Tried again, with growing pauses or after the time that the server asks for: what cannot be reached at all, and,
        unless it is a POST, which may have been obeyed although its answer was lost, what fails in passing.
        """
        retrying = Retrying(
            stop=stop_after_attempt(min(attempts or self._attempts, self._attempts)),
            wait=_pause,
            retry=retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            return retrying(self._once, method, path, body, query)
        except _Again as error:
            raise NotReady(str(error)) from None

    def _once(self, method: str, path: str, body: Any, query: Mapping[str, str | int] | None) -> Any:
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        with self._sentences(method):
            response = self._client.request(method, path, params=query, content=content, headers=headers)
        return self._answer(method, path, response)

    @contextmanager
    def _sentences(self, method: str) -> Iterator[None]:
        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise _Again(f"No server answers at {self.url}: expected Label Studio. Check the address.") from None
        except httpx2.TimeoutException:
            self._lost(method, "did not answer in time")
        except httpx2.TransportError as error:
            self._lost(method, f"broke the connection ({error.__class__.__name__})")

    def _lost(self, method: str, what: str) -> None:
        sentence = f"Label Studio at {self.url} {what}. Look at its log and run the command again: nothing is lost."
        if method in SAFE:
            raise _Again(sentence) from None
        raise NotReady(sentence) from None

    def _answer(self, method: str, path: str, response: httpx2.Response) -> Any:
        status = response.status_code
        if status in BUSY or (status in PASSING and method in SAFE):
            sentence = f"Label Studio at {self.url} answers {status} to {method} {path}{_said(response)}."
            raise _Again(f"{sentence} Look at its log and run the command again: nothing is lost.", _asked(response))
        if response.is_success:
            return self._json(response)
        if response.is_redirect:
            target = response.headers.get("location", "elsewhere")[:EXCERPT]
            raise UserError(
                f"{self.url} sends requests on to {target}: expected Label Studio itself. Use that address."
            )
        match status:
            case 400:
                raise Refused(f"Label Studio at {self.url} refuses {method} {path} with {status}{_said(response)}.")
            case 401:
                raise UserError(
                    f"Label Studio at {self.url} does not know the key. Copy it anew from the account page."
                )
            case 403:
                raise UserError(
                    f"Label Studio at {self.url} does not let this account do {method} {path}. Use another."
                )
            case 404:
                raise Gone(f"Label Studio at {self.url} has no {path}: it was removed, or the address is wrong.")
            case _:
                sentence = f"Label Studio at {self.url} refuses {method} {path} with {status}{_said(response)}."
                raise NotReady(sentence) if status >= 500 else UserError(sentence)

    def _json(self, response: httpx2.Response) -> Any:
        if not response.content:
            return None
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError:
            pass
        try:
            # Label Studio stores whatever number it is sent, also one that orjson has no room for.
            return json.loads(response.content, parse_int=_number)
        except (ValueError, RecursionError):
            raise UserError(
                f"What answers at {self.url} is not Label Studio: expected JSON. Check the address."
            ) from None


class _Key(httpx2.Auth):
    """Authorisation with either kind of key: a token as it is, or a personal access token.

    The latter is a JSON web token that is good for nothing but an access token of a few minutes.
    """

    def __init__(self, api_key: str, refresh_url: str) -> None:
        self._api_key = api_key
        self._refresh_url = refresh_url
        self._personal = api_key.startswith("eyJ") and api_key.count(".") == 2
        self._access: str | None = None

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if not self._personal:
            request.headers["Authorization"] = f"Token {self._api_key}"
            yield request
            return
        if self._access is None:
            yield from self._exchange(request)
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        if response.status_code == 401:
            yield from self._exchange(request)
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _exchange(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        asking = httpx2.Request(
            "POST", self._refresh_url, json={"refresh": self._api_key}, extensions=request.extensions
        )
        response = yield asking
        response.read()
        # Whatever is wrong with the token shows in the answer to the request itself.
        self._access = response.json().get("access") if response.is_success else None


def _checked(url: str) -> str:
    """The address of a server without a slash at its end; `UserError` when it is none, or holds a password."""
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise UserError(f"{url[:EXCERPT]!r} is no address of a server: expected one such as http://127.0.0.1:8080.")
    if parts.username or parts.password:
        raise UserError("The address of the server holds a user or a password: expected http(s)://host:port alone.")
    return url.strip().rstrip("/")


_grow = wait_exponential_jitter(multiplier=0.3, max=MAX_PAUSE, jitter=0.3)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.pause if isinstance(error, _Again) else None
    return min(asked, MAX_PAUSE) if asked is not None else _grow(state)


def _asked(response: httpx2.Response) -> float | None:
    """Seconds after which the server wants to be asked again (RFC 9110, section 10.2.3), if it said so."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _said(response: httpx2.Response) -> str:
    """What the server gave as its reason, shortened, in brackets."""
    try:
        said = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return ""
    if isinstance(said, dict):
        said = said.get("validation_errors") or said.get("detail") or said
    text = said if isinstance(said, str) else orjson.dumps(said).decode()
    return f" ({' '.join(text.split())[:EXCERPT]})"


def _number(digits: str) -> int | float:
    """An integer, or the nearest float where it has more than 64 bits."""
    return int(digits) if len(digits) < 19 else float(digits)

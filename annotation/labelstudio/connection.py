"""Calls to a Label Studio server: by the SDK's client where it is safe, by our own requests elsewhere.

Both go through one HTTP client (`http_client`), so that key, time limits, retries and error messages are the same. The
SDK repeats a POST whose answer was lost (two retries by default), which would import tasks twice: its retries are off.
What was measured against Label Studio 1.23.2 with label-studio-sdk 2.1.2:

=====================================================  ====  ==========================================================
call                                                   by    reason
=====================================================  ====  ==========================================================
version, current user, users, invitation link          SDK
projects: list, create, validate, update               SDK   pages are requested one by one: the SDK's own iteration
                                                             takes a 404 in the middle for the end of the list
tasks: import, delete                                  SDK   the same bytes; 0.4 s of 11 s for 1,000 tasks
annotations: create                                    SDK
storages of local files, webhooks                      SDK
tasks: read all, changed ones, chosen ones             own   the SDK's models add 16 keys that the server did not send,
                                                             turn times into objects and take 8 times as long to parse
annotations: read one                                  own   as above: the archive keeps what the server sent
export of one task with its drafts                     own   the SDK sends `ids`, the server reads `ids[]`: it exports
                                                             the whole project
exchange of a personal access token                    own   see `http_client._KeyAuth`
sign up, log in, create a personal access token        own   pages for browsers, not part of the API (`accounts`)
=====================================================  ====  ==========================================================

Label Studio 1.23 on SQLite stores half of a surrogate pair ("\\ud800") and then answers 500 to every request that
includes it: such a task is found by halving, and its annotations are fetched one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import orjson
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from annotation.labelstudio.environment import STUDIO_VERSION
from mos.errors import UserError

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

ResultT = TypeVar("ResultT")

STUDIO_TIMEOUT = 120.0
STUDIO_ATTEMPTS = 6
MAX_RETRY_PAUSE = 30.0
MAX_URL_LENGTH = 300

UNREADABLE_KEY = "unreadable"
"""Key, with the value True, of an annotation or a task whose result or data the server failed to send."""


class StudioUnavailableError(UserError):
    """The server cannot be reached now; a later attempt may succeed."""


class StudioRefusedError(UserError):
    """The server refuses a request and gives the reason (status 400)."""


class StudioNotFoundError(UserError):
    """The server does not have what was requested, or no longer."""


class StudioTransientError(Exception):
    """A failure that may pass: the message for the user if it does not, and the pause that the server asked for."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class StudioConnection:
    """A connection to one server with the key of one user.

    Parameters
    ----------
    url
        Address of the server, such as `http://127.0.0.1:8080`.
    api_key
        Token or personal access token of a user.
    timeout
        Seconds that the server may take to answer a request.
    attempts
        How often a request is sent at most.

    Raises
    ------
    UserError
        If the address is invalid or contains a password.
    """

    def __init__(
        self, url: str, api_key: str, timeout: float = STUDIO_TIMEOUT, attempts: int = STUDIO_ATTEMPTS
    ) -> None:
        self.url = _check_server_url(url)
        # Imported here: the SDK takes two seconds, and whoever only reads exports or the archive needs neither.
        from label_studio_sdk import LabelStudio

        from annotation.labelstudio.http_client import StudioHttpClient

        self._attempts = attempts
        self._http = StudioHttpClient(self.url, api_key, timeout)
        # The HTTP client replaces the Authorization header of the SDK, which never sees the key.
        self._sdk = LabelStudio(base_url=self.url, api_key="-", httpx_client=self._http, max_retries=0)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, method: Callable[[LabelStudio], ResultT]) -> ResultT:
        """Call the SDK's client, with the retries and errors of `request`.

        Parameters
        ----------
        method
            Receives the client and makes one request with it, such as `lambda sdk: sdk.users.whoami()`.

        Returns
        -------
        ResultT
            What `method` returns: a model of the SDK. It is not validated; a field that the server did not send is
            absent from its `model_fields_set`.
        """
        return self._retry(lambda: self._call_once(method), self._attempts)

    def get(self, path: str, **query: str | int) -> Any:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any, **query: str | int) -> Any:
        return self.request("POST", path, body, query)

    def patch(self, path: str, body: Any) -> Any:
        return self.request("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Delete an object; nothing happens if it does not exist."""
        try:
            self.request("DELETE", path)
        except StudioNotFoundError:
            return

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str | int] | None = None,
        attempts: int | None = None,
    ) -> Any:
        """Send one request of our own.

        Parameters
        ----------
        method
            `"GET"`, `"POST"`, `"PATCH"` or `"DELETE"`.
        path
            Path on the server, such as `/api/tasks/`.
        body
            JSON of the request; None sends none.
        query
            Parameters of the query.
        attempts
            How often the request is sent at most, if less often than the connection allows.

        Returns
        -------
        Any
            JSON of the answer as the server sent it; None if the answer is empty.

        Raises
        ------
        StudioUnavailableError
            If the server cannot be reached, or every attempt failed.
        StudioRefusedError, StudioNotFoundError, UserError
            If the server refuses the request.

        Notes
        -----
        A request is repeated, after a growing pause or the one that the server asks for, if the server was not reached
        or answered 429. Other failures that may pass repeat it only if it is no POST: the server may have obeyed a POST
        whose answer was lost.
        """
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else {"Content-Type": "application/json"}

        def send() -> Any:
            response = self._http.request(method, path, params=query, content=content, headers=headers)
            return self._parse_json(response.content)

        return self._retry(send, min(attempts or self._attempts, self._attempts))

    def _retry(self, send: Callable[[], ResultT], attempts: int) -> ResultT:
        retrying = Retrying(
            stop=stop_after_attempt(attempts),
            wait=_choose_pause,
            retry=retry_if_exception_type(StudioTransientError),
            reraise=True,
        )
        try:
            return retrying(send)
        except StudioTransientError as error:
            raise StudioUnavailableError(str(error)) from None

    def _call_once(self, method: Callable[[LabelStudio], ResultT]) -> ResultT:
        from label_studio_sdk.core import ApiError
        from label_studio_sdk.core.parse_error import ParsingError

        try:
            return method(self._sdk)
        except (ApiError, ParsingError, AttributeError, TypeError, ValueError) as error:
            # Refusals were raised by the HTTP client; these mean an answer of a form that the SDK does not expect.
            raise self._not_label_studio() from error

    def _parse_json(self, content: bytes) -> Any:
        if not content:
            return None
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            pass
        try:
            # Label Studio stores integers of any size, also those that orjson cannot read.
            return json.loads(content, parse_int=_parse_integer)
        except (ValueError, RecursionError):
            raise self._not_label_studio() from None

    def _not_label_studio(self) -> UserError:
        return UserError(f"The server at {self.url} is not Label Studio: expected JSON. Check the address.")


def _check_server_url(url: str) -> str:
    """The address of a server without a slash at its end; `UserError` if it is invalid or contains a password."""
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise UserError(f"Invalid server URL {url[:MAX_URL_LENGTH]!r}: expected e.g. http://127.0.0.1:8080.")
    if parts.username or parts.password:
        raise UserError("The server URL contains a user or a password: expected http(s)://host:port alone.")
    return url.strip().rstrip("/")


_backoff_wait = wait_exponential_jitter(multiplier=0.3, max=MAX_RETRY_PAUSE, jitter=0.3)


def _choose_pause(state: RetryCallState) -> float:
    """Seconds before the next attempt: those that the server asked for, else a growing pause."""
    error = state.outcome.exception() if state.outcome is not None else None
    pause = error.pause if isinstance(error, StudioTransientError) else None
    return min(pause, MAX_RETRY_PAUSE) if pause is not None else _backoff_wait(state)


def _parse_integer(digits: str) -> int | float:
    """An integer, or the nearest float if it has more than 64 bits."""
    return int(digits) if len(digits) < 19 else float(digits)


def require_field(answer: Any, name: str) -> Any:
    """A field of a JSON object or of a model of the SDK; `UserError` if the server did not send it."""
    fields = answer if isinstance(answer, dict) else getattr(answer, "model_fields_set", ())
    if name not in fields:
        raise UserError(
            f"The server answered without {name!r}: expected Label Studio {STUDIO_VERSION}. Check the address."
        )
    return answer[name] if isinstance(answer, dict) else getattr(answer, name)


def require_text(answer: Any, name: str) -> str:
    return str(require_field(answer, name))


def require_list(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise UserError(
            f"The server answered without a list: expected Label Studio {STUDIO_VERSION}. Check the address."
        )
    return answer

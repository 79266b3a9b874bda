"""Connection to a model server, and HTTP requests to it through the `openai` package.

No exception of the package leaves this module: it holds the request, and with it the key and the images.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr

from annotation.labelstudio.credentials import read_secret
from mos.errors import UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI


API_KEY_VARIABLE = "OPENAI_API_KEY"


BASE_URL_VARIABLE = "OPENAI_BASE_URL"


OPENAI_URL = "https://api.openai.com/v1"


NO_KEY = "none"
"""Key that is sent to a server which needs none."""


LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ChatConnection:
    """Address and key of a model server.

    Parameters
    ----------
    base_url : str or None
        URL of an OpenAI-compatible server, including `/v1`. None means OpenAI.
    api_key : SecretStr
        Never printed or logged.
    """

    base_url: str | None
    api_key: SecretStr

    @property
    def url(self) -> str:
        """URL without a trailing slash; `UserError` when it is invalid or contains a password."""
        return _check_url(self.base_url or OPENAI_URL)

    @property
    def is_openai(self) -> bool:
        return urlsplit(self.url).hostname == urlsplit(OPENAI_URL).hostname


def find_connection(
    environ: Mapping[str, str],
    base_url: str | None = None,
    key_file: Path | None = None,
    key_variable: str = API_KEY_VARIABLE,
) -> ChatConnection:
    """Find the model server and the key.

    Parameters
    ----------
    environ : mapping of str to str
        Environment variables; OPENAI_BASE_URL and OPENAI_API_KEY are read.
    base_url : str, optional
        URL of the server (default: OPENAI_BASE_URL, else OpenAI).
    key_file : Path, optional
        File that only its owner can read, with the key alone or a line `OPENAI_API_KEY=...` (default: OPENAI_API_KEY).
    key_variable : str
        Another variable than OPENAI_API_KEY, for another service, whose `base_url` must be given.

    Returns
    -------
    ChatConnection
        A server on this machine needs no key.

    Raises
    ------
    UserError
        The URL is invalid, or the key is missing or malformed.
    """
    connection = ChatConnection(base_url or environ.get(BASE_URL_VARIABLE) or None, SecretStr(NO_KEY))
    host = urlsplit(connection.url).hostname
    if key_file is not None:
        text = read_secret(key_file)
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        key = (lines[0] if len(lines) == 1 else "").strip().removeprefix(f"{key_variable}=")
        where = str(key_file)
    else:
        key, where = environ.get(key_variable, "").strip(), f"the environment variable {key_variable}"
        if not key and host in LOOPBACK_HOSTS:
            return connection
        if not key:
            raise UserError(
                f"No API key for {connection.url}: set {key_variable}, or name a file of mode 600 with --key-file."
            )
    if not key or not key.isascii() or not key.isprintable() or any(character.isspace() for character in key):
        raise UserError(f"{where} holds no API key: expected one word. Copy the key from the page of your account.")
    return ChatConnection(connection.base_url, SecretStr(key))


def _check_url(url: str) -> str:
    # An invalid URL is not shown: it may be a key or contain a password.
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise UserError("Invalid URL of the model server: expected e.g. http://127.0.0.1:8000/v1.")
    if parts.username or parts.password:
        raise UserError("The URL of the model server contains a user or a password: expected http(s)://host:port/v1.")
    return url.strip().rstrip("/")


_T = TypeVar("_T")


COMPLETIONS_PATH = "/chat/completions"


MAX_RESPONSE_BYTES = 64 << 20
"""Largest response in bytes that is read into memory."""


MAX_DOWNLOAD_BYTES = 4 << 30
"""Largest file in bytes that is downloaded to the disk."""


CONNECT_TIMEOUT = 10.0


class RequestNotSent(Exception):
    """The server cannot be reached; it did not receive the request."""


class ResponseLost(Exception):
    """No complete response came; whether the server processed the request is unknown. The message names the problem."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response of any status; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


class HttpClient:
    """At most `connections` connections to one server; `timeout` is in seconds for a request and its response."""

    def __init__(self, connection: ChatConnection, connections: int, timeout: float) -> None:
        self.url = connection.url
        self.timeout = timeout
        self._connection = connection
        self._connections = connections
        self._client: AsyncOpenAI | None = None

    @property
    def client(self) -> AsyncOpenAI:
        """The client of the package `openai`, created on first use; it never retries."""
        if self._client is None:
            self._client = self._make_client()
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def post_completion(self, body: bytes, idempotency_key: str) -> HttpResponse:
        """Post a chat completion; `RequestNotSent` or `ResponseLost` when no response came."""
        # The body is built once, by us; `chat.completions.create` would build it again, images included.
        return await self.post_request(COMPLETIONS_PATH, {"content": body}, {"Idempotency-Key": idempotency_key})

    async def post_request(self, path: str, body: Mapping[str, Any], headers: Mapping[str, Any]) -> HttpResponse:
        """Post a body in the form of `AsyncOpenAI.post`; `RequestNotSent` or `ResponseLost` when no response came.

        body: `content`, or `body` (fields) and `files` for a form
        """
        sending = self.client.post(path, cast_to=httpx2.Response, **body, options={"headers": headers})
        response = await self.await_response(sending)
        if isinstance(response, HttpResponse):
            return response
        return HttpResponse(response.status_code, _lowercase_headers(response), response.content)

    async def await_response(self, sending: Awaitable[_T], timeout: float | None = None) -> _T | HttpResponse:
        """Result of a call of the package, or the HTTP response when the server answers with an error."""
        import openai

        try:
            async with asyncio.timeout(timeout or self.timeout):
                return await sending
        except openai.APIStatusError as error:
            return HttpResponse(error.status_code, _lowercase_headers(error.response), error.response.content)
        except openai.APIConnectionError as error:
            failure = _classify_failure(error.__cause__ or error)
        except TimeoutError:
            failure = ResponseLost("no response in time")
        except (openai.OpenAIError, TooLong, ValueError) as error:
            # The package, or the HTTP client below it, cannot read the response.
            failure = ResponseLost(type(error).__name__)
        # Outside the handlers, so that the new exception has no reference to that of the package.
        raise failure

    def _make_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        timeout = httpx2.Timeout(self.timeout, connect=CONNECT_TIMEOUT, pool=None)
        limits = httpx2.Limits(max_connections=self._connections, max_keepalive_connections=self._connections)
        return AsyncOpenAI(
            api_key=self._connection.api_key.get_secret_value(),
            base_url=self.url,
            max_retries=0,
            timeout=timeout,
            http_client=httpx2.AsyncClient(
                timeout=timeout,
                limits=limits,
                # A redirect may lead to another host, which must not receive images.
                follow_redirects=False,
                headers={"Accept-Encoding": "identity"},
                event_hooks={"response": [_bound_response]},
            ),
        )


class TooLong(Exception):
    """The response exceeds the size limit. The name of this class is written to the ledger: do not rename it."""


async def _bound_response(response: httpx2.Response) -> None:
    """Limit the size of a response, and refuse a compressed one, whose size is not known."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise TooLong
    if isinstance(response.stream, httpx2.AsyncByteStream):
        fetched = response.request.method == "GET" and response.request.url.path.endswith("/content")
        response.stream = _BoundedStream(response.stream, MAX_DOWNLOAD_BYTES if fetched else MAX_RESPONSE_BYTES)


class _BoundedStream(httpx2.AsyncByteStream):
    """Bytes of a response up to a limit."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise TooLong
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _lowercase_headers(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _classify_failure(cause: BaseException) -> RequestNotSent | ResponseLost:
    kind = type(cause).__name__
    unreached = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    return RequestNotSent(kind) if unreached else ResponseLost(kind)

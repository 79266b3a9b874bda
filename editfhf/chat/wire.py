"""The wire to a model server: one HTTP request at a time through the `openai` package, and what came of it.

No exception of the package leaves this module: it holds the request, and with it the key and the pictures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import httpx2

from editfhf.chat.connection import Connection

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")

COMPLETIONS = "/chat/completions"
MAX_BODY = 64 << 20
"""Bytes of the largest answer that is read into memory."""
MAX_FILE = 4 << 30
"""Bytes of the largest file that is fetched to the disk."""
CONNECT_TIMEOUT = 10.0


class NotSent(Exception):
    """The server cannot be reached: it has seen nothing."""


class Lost(Exception):
    """No whole answer came: whether the server did what it was asked is not known.  The message names the problem."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer, whatever its status; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


class Wire:
    """Connections to one server, at most `connections` of them.

    timeout: seconds for a request and its answer, all in all
    """

    def __init__(self, connection: Connection, connections: int, timeout: float) -> None:
        self.url = connection.url
        self.timeout = timeout
        self._connection = connection
        self._connections = connections
        self._made: AsyncOpenAI | None = None

    @property
    def client(self) -> AsyncOpenAI:
        """The client of the package, made when it is first needed; it tries nothing twice."""
        if self._made is None:
            self._made = self._make()
        return self._made

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    async def complete(self, body: bytes, idempotency_key: str) -> Response:
        """Post a chat completion; `NotSent` or `Lost` when no answer came."""
        # The whole body is made by us, once; `chat.completions.create` would build it anew, pictures included.
        sending = self.client.post(
            COMPLETIONS,
            cast_to=httpx2.Response,
            content=body,
            options={"headers": {"Idempotency-Key": idempotency_key}},
        )
        response = await self.attempt(sending)
        if isinstance(response, Response):
            return response
        return Response(response.status_code, _headers(response), response.content)

    async def attempt(self, sending: Awaitable[T], timeout: float | None = None) -> T | Response:
        """What a call of the package gives, or the answer of the server when that is an error."""
        import openai

        try:
            async with asyncio.timeout(timeout or self.timeout):
                return await sending
        except openai.APIStatusError as error:
            return Response(error.status_code, _headers(error.response), error.response.content)
        except openai.APIConnectionError as error:
            failure = _told(error.__cause__ or error)
        except TimeoutError:
            failure = Lost("no answer in time")
        except (openai.OpenAIError, TooLong, ValueError) as error:
            # A response that the package, or the HTTP client below it, cannot make sense of.
            failure = Lost(type(error).__name__)
        # Outside of the handlers, so that the new exception does not carry the package's with it.
        raise failure

    def _make(self) -> AsyncOpenAI:
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
                # A redirect may lead to another host, which must not be handed pictures.
                follow_redirects=False,
                headers={"Accept-Encoding": "identity"},
                event_hooks={"response": [_bound]},
            ),
        )


class TooLong(Exception):
    """An answer is longer than any that is read."""


async def _bound(response: httpx2.Response) -> None:
    """Keep an answer from filling the memory: by its length, or by what it unpacks to."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise TooLong
    if isinstance(response.stream, httpx2.AsyncByteStream):
        fetched = response.request.method == "GET" and response.request.url.path.endswith("/content")
        response.stream = _Bounded(response.stream, MAX_FILE if fetched else MAX_BODY)


class _Bounded(httpx2.AsyncByteStream):
    """The bytes of an answer, up to a limit."""

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


def _headers(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _told(cause: BaseException) -> NotSent | Lost:
    kind = type(cause).__name__
    unreached = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    return NotSent(kind) if unreached else Lost(kind)

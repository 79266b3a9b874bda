"""Webhooks of Label Studio: a receiver, and the wait of a sync for a hint or for its next full reading.

Label Studio signs nothing, does not say how often it delivers, and does not repeat a failed delivery.  So a post is
only a hint that a project changed, and its body is not parsed: with the secret, a sender can make us read a project of
ours once more, which is harmless, and the next poll makes up for a missing hint.  Webhooks exist only while a sync
waits; each sync makes a new secret, which is stored nowhere, finds webhooks of a killed sync by their header and
removes them.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from annotation.labelstudio.connection import StudioUnavailableError
from mos.errors import UserError

WEBHOOK_PATH = "/hint"


SECRET_HEADER, PROJECT_HEADER = "X-EditFHF-Secret", "X-EditFHF-Project"
"""Headers of a webhook: without a payload, which we do not need, Label Studio names only the action."""


MAX_HOOK_BODY = 1 << 16


MAX_PROJECT_ID = (1 << 31) - 1


MIN_SECRET_LENGTH = 16


SENDER_TIMEOUT = 5.0
"""Seconds after which a silent sender is cut off."""


GATHER_SECONDS = 0.3
"""Seconds for which hints are gathered, because one submission causes several."""


SHUTDOWN_POLL_SECONDS = 0.05


OnHint = Callable[[frozenset[int]], None]


class WebhookListener:
    """A running receiver; a context manager that closes it."""

    def __init__(self, host: str, port: int, secret: str, on_hint: OnHint) -> None:
        self._secret = secret
        self._hints = _HintQueue(on_hint)
        try:
            self._server = _WebhookServer((host, port), _make_request_handler(secret.encode(), self._hints.add))
        except OSError as error:
            where = f"{host}:{port} ({error.strerror})"
            raise UserError(
                f"Cannot listen for webhooks at {where}. Choose another port, or 0 for a free one."
            ) from None
        self.url = f"http://{host}:{self._server.server_address[1]}{WEBHOOK_PATH}"
        self._threads = (
            threading.Thread(
                target=self._server.serve_forever, args=(SHUTDOWN_POLL_SECONDS,), name="webhooks", daemon=True
            ),
            threading.Thread(target=self._hints.run, name="hints", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def headers(self, project_id: int) -> dict[str, str]:
        """Headers that a project's webhook must send, for `StudioClient.ensure_webhook`."""
        return {SECRET_HEADER: self._secret, PROJECT_HEADER: str(project_id)}

    def close(self) -> None:
        """Stop listening and wait for a running call of `on_hint`; raises the first exception of these calls."""
        self._server.shutdown()
        self._server.server_close()
        self._hints.close()
        for thread in self._threads:
            thread.join()
        if self._hints.failure is not None:
            failure, self._hints.failure = self._hints.failure, None
            raise failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def listen_for_webhooks(host: str, port: int, secret: str, on_hint: OnHint) -> WebhookListener:
    """Receive webhooks at `http://host:port/hint` until the listener is closed.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    secret
        At least 16 ASCII characters without blanks, such as `secrets.token_urlsafe()`.
    on_hint
        Called with the ids of all projects with a hint since the last call, in a thread of the listener and never twice
        at a time, so that many hints cause one sync.  The ids are the sender's: they may name any project or none.
    """
    if len(secret) < MIN_SECRET_LENGTH or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise UserError(
            f"The secret of the webhooks must have {MIN_SECRET_LENGTH} or more ASCII characters without blanks."
        )
    return WebhookListener(host, port, secret, on_hint)


class _HintQueue:
    """Passes project ids from the threads of the server to the thread that calls `on_hint`."""

    def __init__(self, on_hint: OnHint) -> None:
        self._on_hint = on_hint
        self._waiting: set[int] = set()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._closed = threading.Event()
        self.failure: BaseException | None = None

    def add(self, project_id: int) -> None:
        with self._lock:
            self._waiting.add(project_id)
            self._some.set()

    def close(self) -> None:
        self._closed.set()
        self._some.set()

    def run(self) -> None:
        while True:
            self._some.wait()
            if self._closed.wait(GATHER_SECONDS):
                return
            with self._lock:
                found = frozenset(self._waiting)
                self._waiting.clear()
                self._some.clear()
            try:
                self._on_hint(found)
            except BaseException as failure:  # later hints may succeed; the first failure is raised at the end
                self.failure = self.failure or failure


class _WebhookServer(ThreadingTCPServer):
    # `http.server.HTTPServer` looks up its own name in the domain name system, which can take seconds.
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore senders that hang up or are silent; a traceback would show what they sent."""


def _make_request_handler(secret: bytes, add: Callable[[int], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SENDER_TIMEOUT
        server_version = "editfhf"
        sys_version = ""

        def do_POST(self) -> None:
            self._answer(self._judge())

        def _judge(self) -> HTTPStatus:
            if self.path != WEBHOOK_PATH:
                return HTTPStatus.NOT_FOUND
            length = _parse_bounded_int(self.headers.get("Content-Length", ""), MAX_PROJECT_ID)
            if length is None:
                return HTTPStatus.LENGTH_REQUIRED
            if length > MAX_HOOK_BODY:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            # Always read the body: closing with unread bytes resets the connection, and the answer is lost.
            complete = len(self.rfile.read(length)) == length
            if not hmac.compare_digest(str(self.headers.get(SECRET_HEADER, "")).encode("latin-1", "replace"), secret):
                return HTTPStatus.FORBIDDEN
            project_id = _parse_bounded_int(self.headers.get(PROJECT_HEADER, ""), MAX_PROJECT_ID)
            if project_id is None or not complete:
                return HTTPStatus.BAD_REQUEST
            add(project_id)
            return HTTPStatus.NO_CONTENT

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            """Answer an unreadable request with a status only, without repeating any of it."""
            self.close_connection = True
            self._answer(code)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    return Handler


def _parse_bounded_int(text: str, most: int) -> int | None:
    """A decimal number from 0 to `most`, else None."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        return None
    return number if (number := int(text)) <= most else None


WILDCARD_HOSTS = ("", "0.0.0.0")
"""Hosts to listen at to which nothing can be sent."""


class WebhookServer(Protocol):
    """The part of `annotation.labelstudio.client.StudioClient` that webhooks need."""

    def ensure_webhook(self, project_id: int, url: str, headers: Mapping[str, str]) -> None: ...
    def remove_webhooks(self, project_ids: Collection[int], header: str) -> None: ...


class WebhookHints:
    """Webhooks of a campaign's projects; a context manager that removes them at the end.

    Parameters
    ----------
    server
        The Label Studio server.
    where
        `HOST:PORT` to listen at; port 0 takes a free one.
    url
        URL at which the server reaches the listener, if not `http://HOST:PORT/hint`.
    say
        Called with a sentence when the server accepts no webhooks, or when they could not be removed.
    """

    def __init__(self, server: WebhookServer, where: str, url: str | None, say: Callable[[str], None]) -> None:
        host, port = _parse_host_port(where)
        if url is None and host in WILDCARD_HOSTS:
            raise UserError(f"Label Studio cannot send to {where}. Give the URL of this listener with --listen-url.")
        if url is not None and urlsplit(url).scheme not in ("http", "https"):
            raise UserError(f"Invalid webhook URL {url!r}: expected http(s)://host:port/hint.")
        self._server = server
        self._say = say
        self._covered: set[int] = set()
        self._refused = False
        self._hinted: set[int] = set()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._due: float | None = None
        self._listener = listen_for_webhooks(host, port, secrets.token_urlsafe(), self._add_projects)
        self.url = url or self._listener.url

    def cover(self, projects: Collection[int]) -> None:
        """Create the webhooks of these projects, where they do not exist."""
        new = set(projects) - self._covered
        if not new or self._refused:
            return
        try:
            if not self._covered:
                self._server.remove_webhooks(projects, SECRET_HEADER)
            for project_id in sorted(new):
                self._server.ensure_webhook(project_id, self.url, self._listener.headers(project_id))
                self._covered.add(project_id)
        except StudioUnavailableError:
            raise
        except UserError as error:
            self._refused = True
            self._say(f"Continuing without webhooks, reading the server at intervals: {error}")

    def wait(self, seconds: float) -> frozenset[int] | None:
        """Wait for hints: ids of the projects that changed, or None when all projects are due.

        All are due `seconds` after they were due the last time.  Hints between two calls are kept.  The ids are the
        senders'.
        """
        now = time.monotonic()
        if self._due is None:
            self._due = now + seconds
        if not self._some.wait(max(0.0, self._due - now)) or time.monotonic() >= self._due:
            self._due = None
            return None
        with self._lock:
            self._some.clear()
            hinted = frozenset(self._hinted)
            self._hinted.clear()
        return hinted

    def _add_projects(self, projects: frozenset[int]) -> None:
        with self._lock:
            self._hinted |= projects
            self._some.set()

    def close(self) -> None:
        """Remove the webhooks and stop listening."""
        try:
            if self._covered:
                self._server.remove_webhooks(self._covered, SECRET_HEADER)
        except UserError as error:
            self._say(f"The webhooks stay on the server until the next sync with --listen: {error}")
        finally:
            self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _parse_host_port(where: str) -> tuple[str, int]:
    host, colon, port = where.rpartition(":")
    if not colon or ":" in host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise UserError(f"Invalid address to listen at {where!r}: expected HOST:PORT, e.g. 127.0.0.1:0.")
    return host, int(port)

"""A small receiver of Label Studio's webhooks: a post is a hint that a project changed, and nothing else.

Label Studio signs nothing, does not say how often it delivers, and forgets what it could not deliver.  So what is in
the body is not even parsed: who has the secret can make us look at a project of ours once more, which is harmless, and
a hint that never comes is made good by the next poll.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, Self

from mos.errors import UserError

PATH = "/hint"
SECRET, PROJECT = "X-EditFHF-Secret", "X-EditFHF-Project"
"""Headers of a webhook: without its payload, which we do not want, Label Studio names only the action."""

MAX_BODY = 1 << 16
MAX_PROJECT = (1 << 31) - 1
LEAST_SECRET = 16
TIMEOUT = 5.0
"""Seconds that a sender may be silent."""
GATHER = 0.3
"""Seconds for which hints are gathered: one submission makes several."""
STEP = 0.05

OnHint = Callable[[frozenset[int]], None]


class Listener:
    """A running receiver; as a context manager it is closed at the end."""

    def __init__(self, host: str, port: int, secret: str, on_hint: OnHint) -> None:
        self._secret = secret
        self._hints = _Hints(on_hint)
        try:
            self._server = _Server((host, port), _handler(secret.encode(), self._hints.add))
        except OSError as error:
            where = f"{host}:{port} ({error.strerror})"
            raise UserError(
                f"Cannot listen for webhooks at {where}. Choose another port; 0 takes a free one."
            ) from None
        self.url = f"http://{host}:{self._server.server_address[1]}{PATH}"
        self._threads = (
            threading.Thread(target=self._server.serve_forever, args=(STEP,), name="webhooks", daemon=True),
            threading.Thread(target=self._hints.run, name="hints", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def headers(self, project_id: int) -> dict[str, str]:
        """What a project's webhook has to send along, for `Studio.ensure_webhook`."""
        return {SECRET: self._secret, PROJECT: str(project_id)}

    def close(self) -> None:
        """Stop listening, and wait for a call of `on_hint` to end; what one of them raised is raised here."""
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


def listen(host: str, port: int, secret: str, on_hint: OnHint) -> Listener:
    """Receive webhooks at `http://host:port/hint` until the listener is closed; port 0 takes a free one.

    on_hint: is called with the ids of all projects that were heard of since the last call, in a thread of the
    listener's own and never twice at a time, so that many hints make one sync.  Ids are what a sender says: they may
    name any project or none.
    secret: at least 16 ASCII characters without blanks, such as `secrets.token_urlsafe()`.
    """
    if len(secret) < LEAST_SECRET or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise UserError(f"The secret of the webhooks is no word of {LEAST_SECRET} or more ASCII characters. Make one.")
    return Listener(host, port, secret, on_hint)


class _Hints:
    """Ids of projects on their way from the threads of the server to the one that calls `on_hint`."""

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
            if self._closed.wait(GATHER):
                return
            with self._lock:
                found = frozenset(self._waiting)
                self._waiting.clear()
                self._some.clear()
            try:
                self._on_hint(found)
            except BaseException as failure:  # a later hint may fare better, and the first reason is told at the end
                self.failure = self.failure or failure


class _Server(ThreadingTCPServer):
    # Of the classes in `http.server`, the server asks the domain name system for its own name, which can take seconds.
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that hangs up or is silent is no matter of ours, and the traceback would show what it sent."""


def _handler(secret: bytes, add: Callable[[int], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT
        server_version = "editfhf"
        sys_version = ""

        def do_POST(self) -> None:
            self._answer(self._judge())

        def _judge(self) -> HTTPStatus:
            if self.path != PATH:
                return HTTPStatus.NOT_FOUND
            length = _number(self.headers.get("Content-Length", ""), MAX_PROJECT)
            if length is None:
                return HTTPStatus.LENGTH_REQUIRED
            if length > MAX_BODY:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            # Read in any case: a connection that is closed over unread bytes is reset, and the answer lost.
            complete = len(self.rfile.read(length)) == length
            if not hmac.compare_digest(str(self.headers.get(SECRET, "")).encode("latin-1", "replace"), secret):
                return HTTPStatus.FORBIDDEN
            project_id = _number(self.headers.get(PROJECT, ""), MAX_PROJECT)
            if project_id is None or not complete:
                return HTTPStatus.BAD_REQUEST
            add(project_id)
            return HTTPStatus.NO_CONTENT

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            """What cannot be read at all gets a number as well, and none of it back."""
            self.close_connection = True
            self._answer(code)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    return Handler


def _number(text: str, most: int) -> int | None:
    """A decimal number from 0 to `most`, else None."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        return None
    return number if (number := int(text)) <= most else None

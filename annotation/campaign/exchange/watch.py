"""What a sync that goes on waits for: a webhook's hint, and at the latest the time of the next look.

The webhooks are there only while it waits.  Their secret is made anew each time and kept nowhere, and those that a sync
left which was killed are removed by the next: they are known by the header in which they carry theirs.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

from annotation.campaign.exchange.webhooks import SECRET, listen
from annotation.studio.connection import NotReady
from mos.errors import UserError

ANYWHERE = ("", "0.0.0.0")
"""Hosts to listen at that are no host to send to."""


class Sender(Protocol):
    """What is asked of the server: a part of `annotation.studio.Studio`."""

    def ensure_webhook(self, project_id: int, url: str, headers: Mapping[str, str]) -> None: ...
    def remove_webhooks(self, project_ids: Collection[int], header: str) -> None: ...


class Hints:
    """Webhooks of a campaign's projects; as a context manager they are removed at the end.

    where: `HOST:PORT` to listen at; port 0 takes a free one.
    url: where the server reaches that, if not at `http://HOST:PORT/hint`.
    say: is told when the server takes no webhooks, or could not be asked to forget them.
    """

    def __init__(self, server: Sender, where: str, url: str | None, say: Callable[[str], None]) -> None:
        host, port = _place(where)
        if url is None and host in ANYWHERE:
            raise UserError(f"Where does Label Studio reach {where}? Name that address with --listen-url.")
        if url is not None and urlsplit(url).scheme not in ("http", "https"):
            raise UserError(f"{url!r} is no address of webhooks: expected http(s)://host:port/hint.")
        self._server = server
        self._say = say
        self._covered: set[int] = set()
        self._refused = False
        self._heard: set[int] = set()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._due: float | None = None
        self._listener = listen(host, port, secrets.token_urlsafe(), self._hear)
        self.url = url or self._listener.url

    def cover(self, projects: Collection[int]) -> None:
        """See to it that the server tells of every one of these projects."""
        new = set(projects) - self._covered
        if not new or self._refused:
            return
        try:
            if not self._covered:
                self._server.remove_webhooks(projects, SECRET)
            for project_id in sorted(new):
                self._server.ensure_webhook(project_id, self.url, self._listener.headers(project_id))
                self._covered.add(project_id)
        except NotReady:
            raise
        except UserError as error:
            self._refused = True
            self._say(f"Goes on without webhooks, looking from time to time: {error}")

    def wait(self, seconds: float) -> frozenset[int] | None:
        """Ids of the projects that were heard of; None when it is time to look at all, `seconds` after the last time.

        What is heard between two calls is not lost.  The ids are what senders say.
        """
        now = time.monotonic()
        if self._due is None:
            self._due = now + seconds
        if not self._some.wait(max(0.0, self._due - now)) or time.monotonic() >= self._due:
            self._due = None
            return None
        with self._lock:
            self._some.clear()
            heard = frozenset(self._heard)
            self._heard.clear()
        return heard

    def _hear(self, projects: frozenset[int]) -> None:
        with self._lock:
            self._heard |= projects
            self._some.set()

    def close(self) -> None:
        """Have the webhooks removed, and stop listening."""
        try:
            if self._covered:
                self._server.remove_webhooks(self._covered, SECRET)
        except UserError as error:
            self._say(f"The webhooks are still on the server, until the next sync with --listen: {error}")
        finally:
            self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _place(where: str) -> tuple[str, int]:
    host, colon, port = where.rpartition(":")
    if not colon or ":" in host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise UserError(f"{where!r} is no place to listen: expected HOST:PORT, such as 127.0.0.1:0.")
    return host, int(port)

"""Webhooks are hints: the secret opens the door, nothing that is sent matters, and many hints are one."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import Empty, Queue
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.campaign.sync.webhooks import (
    MAX_HOOK_BODY,
    PROJECT_HEADER,
    SECRET_HEADER,
    WebhookListener,
    listen_for_webhooks,
)
from annotation.labelstudio.client import StudioClient
from mos.errors import UserError
from tests.annotation.studio_server import LABEL_CONFIG, Live, box, task

WORD = "a-secret-of-the-tests"
PATIENCE = 30.0


class Heard:
    """What a listener called, in order."""

    def __init__(self) -> None:
        self.calls: Queue[frozenset[int]] = Queue()

    def next(self) -> frozenset[int]:
        return self.calls.get(timeout=PATIENCE)

    def rest(self, seconds: float = 0.6) -> list[frozenset[int]]:
        """What comes within some seconds."""
        found = []
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                found.append(self.calls.get(timeout=left))
            except Empty:
                break
        return found


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def listener(heard: Heard) -> Iterator[WebhookListener]:
    with listen_for_webhooks("127.0.0.1", 0, WORD, heard.calls.put) as listener:
        yield listener


def post(url: str, headers: dict[str, str] | dict[str, bytes], content: bytes = b"{}") -> httpx2.Response:
    with httpx2.Client(trust_env=False) as client:
        return client.post(url, headers=headers, content=content)


def test_a_post_with_the_secret_is_a_hint(listener: WebhookListener, heard: Heard) -> None:
    answer = post(listener.url, listener.headers(7), b'{"action": "ANNOTATION_CREATED"}')
    assert (answer.status_code, answer.content) == (204, b"")
    assert heard.next() == {7}


@pytest.mark.parametrize("secret", ["", "a-secret-of-the-test", WORD + " x", WORD.upper(), "ünïcode-secret-xx"])
def test_without_the_secret_the_door_is_shut_and_nobody_says_why(
    listener: WebhookListener, heard: Heard, secret: str
) -> None:
    answer = post(listener.url, {SECRET_HEADER: secret.encode("latin-1"), PROJECT_HEADER: b"7"})
    assert (answer.status_code, answer.content) == (403, b"")
    assert post(listener.url, {PROJECT_HEADER: "7"}).content == b""
    assert heard.rest() == []


@pytest.mark.parametrize("path", ["/", "/hint/", "/hint?secret=x", "/../hint", "/hintt", "/%68int"])
def test_there_is_one_path(listener: WebhookListener, heard: Heard, path: str) -> None:
    parts = urlsplit(listener.url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port)) as wire:
        wire.request("POST", path, b"{}", listener.headers(7))
        answer = wire.getresponse()
        assert (answer.status, answer.read()) == (404, b"")
    assert heard.rest() == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_there_is_one_method(listener: WebhookListener, heard: Heard, method: str) -> None:
    with httpx2.Client(trust_env=False) as client:
        answer = client.request(method, listener.url, headers=listener.headers(7))
    assert (answer.status_code, answer.content) == (501, b"")
    assert heard.rest() == []


@pytest.mark.parametrize("project", ["", "-1", "1.5", "x", "٣", "1" * 5000, str(1 << 31), "1;2"])
def test_a_project_is_a_number_of_the_server_s_or_no_hint(
    listener: WebhookListener, heard: Heard, project: str
) -> None:
    answer = post(listener.url, {SECRET_HEADER: WORD.encode(), PROJECT_HEADER: project.encode()})
    assert (answer.status_code, answer.content) == (400, b"")
    assert heard.rest() == []


def raw(listener: WebhookListener, *lines: str, body: bytes = b"") -> bytes:
    """What is answered to bytes that no client would send."""
    parts = urlsplit(listener.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as wire:
        wire.sendall("\r\n".join((*lines, "", "")).encode("latin-1") + body)
        wire.shutdown(socket.SHUT_WR)
        answer = b""
        while part := wire.recv(4096):
            answer += part
    return answer


@pytest.mark.parametrize(
    ("length", "status"),
    [(str(MAX_HOOK_BODY + 1), b"413"), ("9" * 30, b"411"), ("-1", b"411"), ("two", b"411"), ("2147483647", b"413")],
)
def test_a_body_has_a_length_within_the_limit(
    listener: WebhookListener, heard: Heard, length: str, status: bytes
) -> None:
    lines = (f"{name}: {value}" for name, value in listener.headers(7).items())
    assert raw(listener, "POST /hint HTTP/1.1", f"Content-Length: {length}", *lines).split()[1] == status
    assert heard.rest() == []


def test_a_body_of_unknown_length_or_cut_short_is_refused(listener: WebhookListener, heard: Heard) -> None:
    lines = [f"{name}: {value}" for name, value in listener.headers(7).items()]
    chunked = raw(listener, "POST /hint HTTP/1.1", "Transfer-Encoding: chunked", *lines, body=b"2\r\n{}\r\n0\r\n\r\n")
    assert chunked.split()[1] == b"411"
    assert raw(listener, "POST /hint HTTP/1.1", "Content-Length: 9", *lines, body=b"{}").split()[1] == b"400"
    assert heard.rest() == []


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[WebhookListener, Heard]]:
    heard = Heard()
    with listen_for_webhooks("127.0.0.1", 0, WORD, heard.calls.put) as listener:
        yield listener, heard


JUNK = st.one_of(
    st.binary(max_size=300),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5).map(
        lambda value: repr(value).encode("utf-8", "surrogatepass")
    ),
    st.sampled_from([b"[" * 60_000, b'{"project": {"id": 8}}', b'{"project": 8}', b"<script>", b"\0" * MAX_HOOK_BODY]),
)


@settings(max_examples=40)
@given(body=JUNK)
def test_whatever_the_body_it_is_the_same_hint(shared: tuple[WebhookListener, Heard], body: bytes) -> None:
    listener, heard = shared
    assert post(listener.url, listener.headers(7), body).status_code == 204
    assert post(listener.url, {SECRET_HEADER: "wrong", PROJECT_HEADER: "8"}, body).status_code == 403
    while not heard.calls.empty():
        assert heard.calls.get() == {7}


@settings(max_examples=40)
@given(junk=st.binary(min_size=1, max_size=200))
def test_whatever_comes_over_the_wire_it_goes_on_and_shows_nothing(
    shared: tuple[WebhookListener, Heard], junk: bytes
) -> None:
    listener, _ = shared
    parts = urlsplit(listener.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as wire:
        wire.sendall(junk + b"\r\n\r\n")
        wire.shutdown(socket.SHUT_WR)
        try:
            answer = wire.recv(4096)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or answer.endswith(b"\r\n\r\n")
    assert b"Traceback" not in answer


def test_many_hints_at_once_are_few_calls_and_none_is_lost(listener: WebhookListener, heard: Heard) -> None:
    with ThreadPoolExecutor(60) as senders:
        together = threading.Barrier(60)

        def send(project: int) -> int:
            together.wait()
            return post(listener.url, listener.headers(project)).status_code

        assert set(senders.map(send, range(60))) == {204}
    calls = [heard.next(), *heard.rest()]
    assert frozenset().union(*calls) == set(range(60))
    assert len(calls) < 20


def test_hints_that_come_during_a_sync_make_one_more() -> None:
    begun, go_on = threading.Event(), threading.Event()
    calls: list[frozenset[int]] = []

    def sync(projects: frozenset[int]) -> None:
        calls.append(projects)
        begun.set()
        assert go_on.wait(PATIENCE)

    with listen_for_webhooks("127.0.0.1", 0, WORD, sync) as listener:
        post(listener.url, listener.headers(1))
        assert begun.wait(PATIENCE)
        for project in (1, 2, 1, 2, 2):
            post(listener.url, listener.headers(project))
        go_on.set()
        end = time.monotonic() + PATIENCE
        while len(calls) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.5)
    assert calls == [{1}, {1, 2}]


def test_the_same_hint_twice_is_one_call_more_at_most(listener: WebhookListener, heard: Heard) -> None:
    for _ in range(2):
        post(listener.url, listener.headers(3))
    calls = [heard.next(), *heard.rest()]
    assert set(calls) == {frozenset({3})}
    assert len(calls) <= 2


def test_a_sync_that_fails_is_told_at_the_end_and_does_not_stop_the_next() -> None:
    calls: Queue[frozenset[int]] = Queue()

    def sync(projects: frozenset[int]) -> None:
        calls.put(projects)
        if projects == {1}:
            raise UserError("The disk is full.")

    listener = listen_for_webhooks("127.0.0.1", 0, WORD, sync)
    for project in (1, 2):
        post(listener.url, listener.headers(project))
        assert calls.get(timeout=PATIENCE) == {project}
    with pytest.raises(UserError, match="The disk is full"):
        listener.close()


def test_a_closed_listener_is_gone_and_its_port_free(heard: Heard) -> None:
    with listen_for_webhooks("127.0.0.1", 0, WORD, heard.calls.put) as listener:
        url = listener.url
    with pytest.raises(httpx2.ConnectError):
        post(url, {})
    with listen_for_webhooks("127.0.0.1", int(urlsplit(url).port or 0), WORD, heard.calls.put) as again:
        assert again.url == url


def test_nothing_is_printed(listener: WebhookListener, capfd: pytest.CaptureFixture[str]) -> None:
    post(listener.url, listener.headers(1), b"the body")
    post(listener.url, {SECRET_HEADER: "the wrong one"})
    raw(listener, "POST")
    with socket.create_connection(("127.0.0.1", int(urlsplit(listener.url).port or 0))) as wire:
        wire.sendall(b"POST /hint HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
    assert capfd.readouterr() == ("", "")


def test_a_silent_sender_keeps_nobody_waiting(listener: WebhookListener, heard: Heard) -> None:
    with socket.create_connection(("127.0.0.1", int(urlsplit(listener.url).port or 0))) as wire:
        wire.sendall(b"POST /hint HTTP/1.1\r\nContent-Le")
        assert post(listener.url, listener.headers(5)).status_code == 204
        assert heard.next() == {5}


@pytest.mark.parametrize("secret", ["", "short", "with a blank in it all", "ünïcode-secret-xx", "line\nfeed-secret-xx"])
def test_a_secret_is_a_long_word(secret: str) -> None:
    with pytest.raises(UserError, match="must have 16 or more"):
        listen_for_webhooks("127.0.0.1", 0, secret, lambda projects: None)


def test_a_busy_port_is_one_sentence(listener: WebhookListener) -> None:
    with pytest.raises(UserError, match=r"Cannot listen for webhooks at .*\. Choose another port"):
        listen_for_webhooks("127.0.0.1", int(urlsplit(listener.url).port or 0), WORD, lambda projects: None)


@pytest.mark.studio
def test_work_on_the_real_server_is_a_hint_within_seconds(live: Live, listener: WebhookListener, heard: Heard) -> None:
    with live.manager() as manager:
        project = manager.create_project("Hints", "Of a test.\neditfhf:test/hints/anna", LABEL_CONFIG).project_id
        manager.ensure_webhook(project, listener.url, listener.headers(project))
        [task_id] = manager.import_tasks(project, [task(1)])
        heard.rest()
        begun = time.monotonic()
        key, _ = live.person("anna")
        with StudioClient(live.server.url, key) as person:
            person.import_annotations(task_id, [{"result": [box("r0", 1.0)], "lead_time": 3.0}])
        assert heard.next() == {project}
        assert time.monotonic() - begun < 10
        # The server tells it a second time: one more look at most.
        post(listener.url, listener.headers(project), b'{"action": "ANNOTATION_CREATED"}')
        assert heard.rest() in ([], [{project}])
        manager.remove_webhooks([project], SECRET_HEADER)


@pytest.mark.studio
def test_a_listener_that_is_gone_does_not_hinder_work(live: Live, heard: Heard) -> None:
    with live.manager() as manager:
        project = manager.create_project("No one", "Of a test.\neditfhf:test/none/anna", LABEL_CONFIG).project_id
        with listen_for_webhooks("127.0.0.1", 0, WORD, heard.calls.put) as listener:
            manager.ensure_webhook(project, listener.url, listener.headers(project))
        [task_id] = manager.import_tasks(project, [task(1)])
        assert manager.import_annotations(task_id, [{"result": [box("r0", 1.0)]}])

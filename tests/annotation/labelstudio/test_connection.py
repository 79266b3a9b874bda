"""The connection to a server: which requests are repeated, by the SDK too, and that no error message shows the key."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from annotation.labelstudio.client import StudioClient
from annotation.labelstudio.connection import (
    MAX_RETRY_PAUSE,
    StudioConnection,
    StudioNotFoundError,
    StudioUnavailableError,
)
from mos.errors import UserError

KEY = "f" * 40
PERSONAL = "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl"

Answer = tuple[int, dict[str, str], bytes]


class Script:
    """A server that gives prepared answers, one after another, and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str]] = []
        self.url = ""

    def answer(self, method: str, path: str, key: str) -> Answer:
        self.asked.append((method, path, key))
        return self.answers.pop(0)


def answer(status: int, content: object = None, **headers: str) -> Answer:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(content).encode()


@contextmanager
def serving(script: Script) -> Iterator[Script]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = script.answer(self.command, self.path, self.headers.get("authorization", ""))
            if status == 0:  # hang up without an answer
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_one

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of them waited for."""
    made: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", made.append)
    return made


def ask(script: Script, method: str, key: str = KEY, attempts: int = 3) -> object:
    with serving(script), StudioConnection(script.url, key, attempts=attempts) as connection:
        return connection.request(method, "/api/x", None if method == "GET" else {})


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 0])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_may_be_done_twice_is_tried_again(method: str, status: int) -> None:
    script = Script(answer(status), answer(status), answer(200, {"ok": True}))
    assert ask(script, method) == {"ok": True}
    assert len(script.asked) == 3


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 0])
def test_a_post_that_may_have_been_obeyed_is_not_sent_again(status: int) -> None:
    script = Script(answer(status), answer(200))
    with pytest.raises(UserError):
        ask(script, "POST")
    assert len(script.asked) == 1


def test_a_post_that_was_surely_not_obeyed_is_sent_again() -> None:
    assert ask(Script(answer(429), answer(200, 1)), "POST") == 1


def test_in_the_end_it_gives_up_with_a_sentence() -> None:
    script = Script(*[answer(503, {"detail": "busy"})] * 3)
    with pytest.raises(StudioUnavailableError, match=r"answers 503 to GET /api/x \(busy\)"):
        ask(script, "GET")
    assert script.answers == []


@pytest.mark.parametrize("status", [0, 409, 500, 503])
def test_the_sdk_does_not_repeat_an_import_that_may_have_succeeded(status: int) -> None:
    script = Script(answer(status), answer(201, {"task_ids": [1]}))
    with serving(script), StudioClient(script.url, KEY) as studio, pytest.raises(UserError):
        studio.import_tasks(3, [{"data": {}}])
    assert script.asked == [("POST", "/api/projects/3/import?return_task_ids=true", f"Token {KEY}")]


def test_the_sdk_repeats_a_get_as_often_as_we_do() -> None:
    user = {"id": 7, "email": "ann@example.org"}
    script = Script(answer(503), answer(0), answer(200, user))
    with serving(script), StudioClient(script.url, KEY, attempts=3) as studio:
        assert studio.whoami().user_id == 7
    assert script.asked == [("GET", "/api/current-user/whoami", f"Token {KEY}")] * 3


def test_a_list_of_projects_that_breaks_off_is_an_error() -> None:
    project = {"id": 1, "title": "One", "label_config": "<View/>", "description": None}
    first = answer(200, {"count": 2, "next": "x", "previous": None, "results": [project]})
    with serving(Script(first, answer(404))) as script, StudioClient(script.url, KEY) as studio:
        projects = studio.projects()
        assert next(projects).title == "One"
        with pytest.raises(StudioNotFoundError):
            next(projects)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null", b"9" * 5000])
def test_an_answer_that_is_not_the_server_s_is_one_sentence_through_the_sdk_too(body: bytes) -> None:
    with (
        serving(Script((200, {}, body))) as script,
        StudioClient(script.url, KEY) as studio,
        pytest.raises(UserError, match=r"not Label Studio|expected Label Studio"),
    ):
        studio.whoami()


def test_the_sdk_does_not_see_the_key_and_does_not_log(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level("DEBUG"),
        serving(Script(answer(200, {"access": "access"}), answer(400, {"detail": "no"}))) as script,
        StudioConnection(script.url, PERSONAL) as connection,
        pytest.raises(UserError) as error,
    ):
        connection.call(lambda sdk: sdk.projects.create(title="x"))
    assert script.asked[1] == ("POST", "/api/projects/", "Bearer access")
    assert PERSONAL not in caplog.text + str(error.value) + repr(vars(connection._sdk._client_wrapper))


def test_reading_the_archive_loads_no_http_client() -> None:
    program = (
        "import sys, annotation.labelstudio.client, annotation.labelstudio.server, annotation.commands;"
        "print(sorted({'httpx', 'label_studio_sdk'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_sdk_one_sentence_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['label_studio_sdk'] = None\n"
        "import editfhf.cli, annotation.labelstudio.connection as connection\n"
        "editfhf.cli.app = lambda: connection.StudioConnection('http://127.0.0.1:9', 'key')\n"
        "editfhf.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'editfhf[campaign]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_pauses_grow_and_the_server_may_choose_them(pauses: list[float]) -> None:
    answers = [answer(503), answer(503), answer(429, retry_after="7"), answer(503, retry_after="9999"), answer(200, 1)]
    ask(Script(*answers), "GET", attempts=5)
    assert pauses[0] < pauses[1] < 7
    assert pauses[2:] == [7, MAX_RETRY_PAUSE]


def test_a_date_to_wait_for_that_is_past_means_now(pauses: list[float]) -> None:
    ask(Script(answer(503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), answer(200, 1)), "GET")
    assert pauses == [0.0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (answer(401), "does not know the key"),
        (answer(403), "does not let this account"),
        (answer(404), "has no /api/x"),
        (answer(400, {"validation_errors": {"title": ["too short"]}}), "refuses GET /api/x with 400 .*too short"),
        (answer(302, location="https://elsewhere.org/"), "redirects to https://elsewhere.org/"),
        ((200, {}, b"<html>"), "is not Label Studio: expected JSON"),
    ],
)
@pytest.mark.parametrize("key", [KEY, PERSONAL])
def test_a_failure_is_one_sentence_without_the_key(given: Answer, sentence: str, key: str) -> None:
    given = (given[0], given[1], given[2] + b" " * 10)
    tokens = [answer(200, {"access": "access"})] if key == PERSONAL else []
    with pytest.raises(UserError, match=sentence) as said:
        ask(Script(*tokens, given, *tokens, given), "GET", key)
    assert key not in str(said.value)
    assert said.value.__suppress_context__ or said.value.__context__ is None


def test_nothing_there_is_told_apart() -> None:
    with pytest.raises(StudioNotFoundError):
        ask(Script(answer(404)), "GET")


def test_no_server_is_one_sentence(pauses: list[float]) -> None:
    with serving(Script()) as script:
        url = script.url
    with (
        StudioConnection(url, KEY, attempts=3) as connection,
        pytest.raises(StudioUnavailableError, match=f"No server answers at {url}"),
    ):
        connection.post("/api/x", {})
    assert len(pauses) == 2


def test_a_personal_token_is_exchanged_once_and_again_when_it_ran_out() -> None:
    first, second = answer(200, {"access": "one"}), answer(200, {"access": "two"})
    script = Script(first, answer(200, 1), answer(200, 2), answer(401), second, answer(200, 3))
    with serving(script), StudioConnection(script.url, PERSONAL) as connection:
        assert [connection.get("/api/x") for _ in range(3)] == [1, 2, 3]
    refresh = ("POST", "/api/token/refresh/", "")
    one, two = ("GET", "/api/x", "Bearer one"), ("GET", "/api/x", "Bearer two")
    assert script.asked == [refresh, one, one, one, refresh, two]


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://a", "http://", "http://a:port", "http://a/?x=1", "http://[::1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="Invalid server URL"):
        StudioConnection(url, KEY)


def test_an_address_holds_no_password() -> None:
    with pytest.raises(UserError, match="host:port alone") as said:
        StudioConnection("http://user:hunter2@example.org", KEY)
    assert "hunter2" not in str(said.value)


def test_an_address_may_hold_a_path_and_end_with_a_slash() -> None:
    script = Script(answer(200, 1))
    with serving(script), StudioConnection(f"{script.url}/studio/", KEY) as connection:
        connection.get("/api/x", project=1, query="a b&c")
    assert script.asked == [("GET", "/studio/api/x?project=1&query=a+b%26c", f"Token {KEY}")]


@pytest.mark.parametrize(("release", "age"), [("1.22.0", "older"), ("1.24.0", "newer"), ("2.0.0.dev1", "newer")])
def test_a_release_that_was_not_tried_is_mentioned(release: str, age: str) -> None:
    script = Script(answer(200, {"release": release}))
    with serving(script), StudioClient(script.url, KEY) as studio:
        assert f"Label Studio {release} at {script.url} is {age} than" in str(studio.describe_version_gap())


def test_a_number_of_any_size_is_read() -> None:
    script = Script((200, {}, b"[" + b"9" * 5000 + b", 123456789012345678, 1]"))
    with serving(script), StudioConnection(script.url, KEY) as connection:
        assert connection.get("/api/x") == [float("inf"), 123456789012345678, 1]


def test_another_service_is_no_label_studio() -> None:
    script = Script(answer(200, {"version": "1"}))
    with (
        serving(script),
        StudioClient(script.url, KEY) as studio,
        pytest.raises(UserError, match="expected Label Studio"),
    ):
        studio.describe_version_gap()


TASK = {"data": {"key": "k"}, "predictions": [{"result": []}]}


def import_two(*answers: Answer) -> tuple[list[int], Script]:
    script = Script(*answers)
    with serving(script), StudioClient(script.url, KEY) as client:
        return client.import_tasks(1, [TASK, TASK]), script


def untouched(task_id: int, **kept: object) -> Answer:
    return answer(200, [{"id": task_id, "annotations": [], "drafts": []} | kept], content_type="application/json")


def imported(ids: list[int], predictions: object) -> Answer:
    return answer(201, {"task_ids": ids, "prediction_count": predictions}, content_type="application/json")


def test_tasks_that_lost_their_predictions_are_deleted_and_imported_again() -> None:
    gone = answer(204)
    ids, script = import_two(imported([1, 2], 0), untouched(1), gone, untouched(2), gone, imported([3, 4], 2))
    assert ids == [3, 4]
    assert [method for method, _, _ in script.asked] == ["POST", "GET", "DELETE", "GET", "DELETE", "POST"]


def test_tasks_that_somebody_began_keep_their_place_and_nothing_is_imported_for_them() -> None:
    ids, script = import_two(imported([1, 2], 0), untouched(1, drafts=[{}]), untouched(2, annotations=[{}]))
    assert ids == [1, 2]
    assert len(script.asked) == 3


@pytest.mark.parametrize(("ids", "predictions"), [([1], 2), ([1, 2, 3], 2), ([1, 2], None), ([1, 2], "2")])
def test_an_answer_that_does_not_fit_the_import_is_one_sentence(ids: list[int], predictions: object) -> None:
    with pytest.raises(UserError, match=r"an import of 2 tasks with \d ids"):
        import_two(imported(ids, predictions))

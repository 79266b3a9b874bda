"""Starting and stopping a server, with a stand-in for Label Studio that only says who its first user is."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from annotation.studio import find, start
from annotation.studio.environment import find_program
from mos.errors import UserError

STAND_IN = f"""#!{sys.executable}
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
data = Path(os.environ["LABEL_STUDIO_BASE_DATA_DIR"])
(data / "seen.json").write_text(json.dumps({{"words": sys.argv[1:], "environment": dict(os.environ)}}))
print("hello from the stand-in", flush=True)
if (data / "broken").exists():
    sys.exit(3)
(data / "label_studio.sqlite3").touch(0o600)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers["authorization"] == "Token " + os.environ["LABEL_STUDIO_USER_TOKEN"]
        body = json.dumps({{"id": 1, "email": os.environ["LABEL_STUDIO_USERNAME"]}}).encode()
        self.send_response(200 if known else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
port = int(sys.argv[sys.argv.index("--port") + 1])
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

SERVE = "import typer; from annotation.commands.serve import serve; typer.run(serve)"


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    program = tmp_path / "studio" / "bin" / "label-studio"
    program.parent.mkdir(parents=True)
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return tmp_path / "studio"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus" / "images").mkdir(parents=True)
    return tmp_path / "corpus"


def seen(data: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((data / "seen.json").read_text())
    return record


def test_a_server_is_on_the_loopback_interface_silent_and_strict(
    studio: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USERNAME", "somebody")
    monkeypatch.setenv("DEBUG", "true")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    data = tmp_path / "data"
    with start(data, corpus=corpus, studio=studio) as server:
        words, environment = seen(data)["words"], seen(data)["environment"]
        assert server.url == f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    assert words[words.index("--internal-host") + 1] == "127.0.0.1"
    assert not {"USERNAME", "DEBUG", "HTTPS_PROXY"} & set(environment)
    assert server.api_key not in " ".join(words)
    assert environment["LABEL_STUDIO_DJANGO_DB"] == "sqlite"
    assert environment["LABEL_STUDIO_COLLECT_ANALYTICS"] == "false"
    assert environment["LABEL_STUDIO_SENTRY_DSN"] == environment["LABEL_STUDIO_FRONTEND_SENTRY_DSN"] == ""
    assert environment["LABEL_STUDIO_LATEST_VERSION_CHECK"] == "false"
    assert environment["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"] == str(data / "served")
    assert environment["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"


def test_without_a_corpus_no_files_are_served(studio: Path, tmp_path: Path) -> None:
    with start(tmp_path / "data", studio=studio) as server:
        environment = seen(tmp_path / "data")["environment"]
    assert environment["LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED"] == "false"
    assert "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT" not in environment
    assert server.pictures is None


def test_a_restart_keeps_the_first_user_and_its_key(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start(data, studio=studio) as first:
        assert find(data).api_key == first.api_key
    with start(data, studio=studio) as second:
        assert second.credentials == first.credentials
        assert find(data).url == second.url
    assert not second.running


def test_a_busy_port_is_an_error(studio: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} is busy"):
            start(tmp_path / "data", port, studio=studio)


def test_a_folder_has_one_server_until_that_is_gone(studio: Path, tmp_path: Path) -> None:
    with start(tmp_path / "data", studio=studio) as server:
        with pytest.raises(UserError, match=f"already runs on .*{server.url}"):
            start(tmp_path / "data", studio=studio)
        server.kill()
        start(tmp_path / "data", studio=studio).stop()


def test_a_server_that_ends_at_once_points_to_its_log(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "broken").touch()
    with pytest.raises(UserError, match=r"ended before it answered.*server\.log"):
        start(data, studio=studio)
    assert "hello from the stand-in" in (data / "server.log").read_text()


def test_a_database_without_its_credentials_is_left_alone(studio: Path, tmp_path: Path) -> None:
    start(tmp_path / "data", studio=studio).stop()
    (tmp_path / "data" / "credentials").unlink()
    with pytest.raises(UserError, match="holds a database but no credentials"):
        start(tmp_path / "data", studio=studio)


def test_a_database_that_has_another_first_user_is_said_to_have_one(studio: Path, tmp_path: Path) -> None:
    start(tmp_path / "data", studio=studio).stop()
    program = studio / "bin" / "label-studio"
    program.write_text(program.read_text().replace('os.environ["LABEL_STUDIO_USER_TOKEN"]', '"another"'))
    with pytest.raises(UserError, match="begun with other credentials"):
        start(tmp_path / "data", studio=studio)


def test_credentials_that_others_can_read_are_refused(studio: Path, tmp_path: Path) -> None:
    start(tmp_path / "data", studio=studio).stop()
    (tmp_path / "data" / "credentials").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        start(tmp_path / "data", studio=studio)


def test_the_database_that_was_prepared_is_taken_for_the_first_start(studio: Path, tmp_path: Path) -> None:
    (studio / "template").mkdir()
    told(studio / "template" / "label_studio.sqlite3", "CREATE TABLE prepared (work TEXT)")
    said: list[str] = []
    start(tmp_path / "data", studio=studio, say=said.append).stop()
    database = tmp_path / "data" / "label_studio.sqlite3"
    told(database, "INSERT INTO prepared VALUES ('done')")
    start(tmp_path / "data", studio=studio, say=said.append).stop()
    assert told(database, "SELECT work FROM prepared") == [("done",)]
    assert said == ["Label Studio starts"] * 2


def test_those_who_read_and_those_who_write_do_not_wait_for_each_other(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    start(data, studio=studio).stop()
    told(data / "label_studio.sqlite3", "VACUUM")
    start(data, studio=studio).stop()
    assert told(data / "label_studio.sqlite3", "PRAGMA journal_mode") == [("wal",)]


def test_a_database_that_is_none_is_said_to_be_none(studio: Path, tmp_path: Path) -> None:
    start(tmp_path / "data", studio=studio).stop()
    (tmp_path / "data" / "label_studio.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError, match="cannot be opened"):
        start(tmp_path / "data", studio=studio)


def told(database: Path, statement: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def test_postgresql_is_named_by_a_url(studio: Path, tmp_path: Path) -> None:
    url = "postgresql://label%40studio:p%2Fw@db.example.org:5433/campaign"
    start(tmp_path / "data", studio=studio, database_url=url).stop()
    environment = seen(tmp_path / "data")["environment"]
    found = {name: environment[f"LABEL_STUDIO_POSTGRE_{name}"] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")}
    assert found == {
        "USER": "label@studio",
        "PASSWORD": "p/w",
        "HOST": "db.example.org",
        "PORT": "5433",
        "NAME": "campaign",
    }
    assert environment["LABEL_STUDIO_DJANGO_DB"] == "default"


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/n", "postgresql://u:hunter2@h", "postgresql://u:hunter2@h:x/n"])
def test_another_database_is_refused_without_showing_the_password(studio: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="expected postgresql://user:password@host:port/name") as said:
        start(tmp_path / "data", studio=studio, database_url=url)
    assert "hunter2" not in str(said.value)


def test_a_missing_label_studio_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.studio.environment.FOLDER", "no-such-folder")
    with pytest.raises(UserError, match="Run make studio"):
        find_program()
    with pytest.raises(UserError, match="expected a virtual environment with Label Studio"):
        find_program(tmp_path)


def test_a_folder_without_a_server_is_no_server(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Start it with editfhf annotate serve"):
        find(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_it_is_told_to_stop(studio: Path, corpus: Path, tmp_path: Path, how: signal.Signals) -> None:
    data = tmp_path / "data"
    words = [sys.executable, "-c", SERVE, "--data", data, "--corpus", corpus, "--studio", studio, "--port", "0"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not (data / "server.json").exists() and time.monotonic() < end:
            time.sleep(0.05)
        server = json.loads((data / "server.json").read_text())["process"]
        time.sleep(0.2)
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"Label Studio answers at {find(data).url}" in out
    assert str(data / "credentials") in out
    assert find(data).api_key not in out + err
    assert "Everything is kept" in err
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)

"""Starting and stopping a server, with a stand-in for Label Studio that only says who its first user is."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from annotation.labelstudio.environment import find_studio_program
from annotation.labelstudio.server import (
    find_studio_server,
    limit_server_log,
    start_studio_server,
    stop_studio_server,
)
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

SERVE = "import typer; from annotation.commands.serve import annotate_serve; typer.run(annotate_serve)"


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
    with start_studio_server(data, corpus=corpus, studio=studio) as server:
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
    with start_studio_server(tmp_path / "data", studio=studio) as server:
        environment = seen(tmp_path / "data")["environment"]
    assert environment["LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED"] == "false"
    assert "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT" not in environment
    assert server.images is None


def test_a_restart_keeps_the_first_user_and_its_key(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start_studio_server(data, studio=studio) as first:
        assert find_studio_server(data).api_key == first.api_key
    with start_studio_server(data, studio=studio) as second:
        assert second.credentials == first.credentials
        assert find_studio_server(data).url == second.url
    assert not second.running


def test_a_busy_port_is_an_error(studio: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} is busy"):
            start_studio_server(tmp_path / "data", port, studio=studio)


def test_a_folder_has_one_server_until_that_is_gone(studio: Path, tmp_path: Path) -> None:
    with start_studio_server(tmp_path / "data", studio=studio) as server:
        with pytest.raises(UserError, match=f"already runs on .*{server.url}"):
            start_studio_server(tmp_path / "data", studio=studio)
        server.kill()
        start_studio_server(tmp_path / "data", studio=studio).stop()


def test_a_server_that_ends_at_once_points_to_its_log(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "broken").touch()
    with pytest.raises(UserError, match=r"ended before it answered.*server\.log"):
        start_studio_server(data, studio=studio)
    assert "hello from the stand-in" in (data / "server.log").read_text()


def test_a_database_without_its_credentials_is_left_alone(studio: Path, tmp_path: Path) -> None:
    start_studio_server(tmp_path / "data", studio=studio).stop()
    (tmp_path / "data" / "credentials").unlink()
    with pytest.raises(UserError, match="holds a database but no credentials"):
        start_studio_server(tmp_path / "data", studio=studio)


def test_a_database_that_has_another_first_user_is_said_to_have_one(studio: Path, tmp_path: Path) -> None:
    start_studio_server(tmp_path / "data", studio=studio).stop()
    program = studio / "bin" / "label-studio"
    program.write_text(program.read_text().replace('os.environ["LABEL_STUDIO_USER_TOKEN"]', '"another"'))
    with pytest.raises(UserError, match="created with other credentials"):
        start_studio_server(tmp_path / "data", studio=studio)


def test_credentials_that_others_can_read_are_refused(studio: Path, tmp_path: Path) -> None:
    start_studio_server(tmp_path / "data", studio=studio).stop()
    (tmp_path / "data" / "credentials").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        start_studio_server(tmp_path / "data", studio=studio)


def test_the_database_that_was_prepared_is_taken_for_the_first_start(studio: Path, tmp_path: Path) -> None:
    (studio / "template").mkdir()
    told(studio / "template" / "label_studio.sqlite3", "CREATE TABLE prepared (work TEXT)")
    said: list[str] = []
    start_studio_server(tmp_path / "data", studio=studio, say=said.append).stop()
    database = tmp_path / "data" / "label_studio.sqlite3"
    told(database, "INSERT INTO prepared VALUES ('done')")
    start_studio_server(tmp_path / "data", studio=studio, say=said.append).stop()
    assert told(database, "SELECT work FROM prepared") == [("done",)]
    assert said == ["Label Studio starts"] * 2


def test_those_who_read_and_those_who_write_do_not_wait_for_each_other(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    start_studio_server(data, studio=studio).stop()
    told(data / "label_studio.sqlite3", "VACUUM")
    start_studio_server(data, studio=studio).stop()
    assert told(data / "label_studio.sqlite3", "PRAGMA journal_mode") == [("wal",)]


def test_a_database_that_is_none_is_said_to_be_none(studio: Path, tmp_path: Path) -> None:
    start_studio_server(tmp_path / "data", studio=studio).stop()
    (tmp_path / "data" / "label_studio.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError, match="cannot be opened"):
        start_studio_server(tmp_path / "data", studio=studio)


def told(database: Path, statement: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def test_postgresql_is_named_by_a_url(studio: Path, tmp_path: Path) -> None:
    url = "postgresql://label%40studio:p%2Fw@db.example.org:5433/campaign"
    start_studio_server(tmp_path / "data", studio=studio, database_url=url).stop()
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
        start_studio_server(tmp_path / "data", studio=studio, database_url=url)
    assert "hunter2" not in str(said.value)


def test_a_missing_label_studio_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.labelstudio.environment.STUDIO_FOLDER", "no-such-folder")
    with pytest.raises(UserError, match="Run make studio"):
        find_studio_program()
    with pytest.raises(UserError, match="expected a virtual environment with Label Studio"):
        find_studio_program(tmp_path)


def test_a_folder_without_a_server_is_no_server(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Start it with editfhf annotate serve"):
        find_studio_server(tmp_path)


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
    assert f"Label Studio answers at {find_studio_server(data).url}" in out
    assert str(data / "credentials") in out
    assert find_studio_server(data).api_key not in out + err
    assert "All data is kept" in err
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


def serve(data: Path, studio: Path, *words: str) -> subprocess.Popen[str]:
    """`editfhf annotate serve` as a process."""
    command = [sys.executable, "-c", SERVE, "--data", str(data), "--studio", str(studio), "--port", "0", *words]
    root = Path(__file__).parents[3]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answering(data: Path) -> int:
    """The number of the process that serves a folder, once it answers."""
    end = time.monotonic() + 60
    while not (data / "server.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    return int(json.loads((data / "server.json").read_text())["process"])


def ends(process: int) -> bool:
    """Whether a process ends within some seconds."""
    end = time.monotonic() + 20
    while Path(f"/proc/{process}").exists() and time.monotonic() < end:
        if "\nState:\tZ" in Path(f"/proc/{process}/status").read_text():
            return True
        time.sleep(0.05)
    return not Path(f"/proc/{process}").exists()


def test_a_server_ends_with_a_serve_that_is_killed(studio: Path, tmp_path: Path) -> None:
    with serve(tmp_path / "data", studio) as process:
        server = answering(tmp_path / "data")
        process.kill()
        process.communicate(timeout=60)
    assert ends(server)
    start_studio_server(tmp_path / "data", studio=studio).stop()


def test_stop_ends_the_server_of_a_folder_and_no_other(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        start_studio_server(data, studio=studio) as server,
        start_studio_server(tmp_path / "b", studio=studio) as other,
    ):
        with serve(data, studio, "--stop") as stopping:
            out, err = stopping.communicate(timeout=60)
        assert (stopping.returncode, err) == (0, "")
        assert f"Stopped the server at {server.url}; its data is kept." in out
        assert not server.running
        assert other.running
    assert stop_studio_server(data) is None


def test_stop_leaves_a_process_alone_that_has_the_number_of_an_earlier_server(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start_studio_server(data, studio=studio) as server:
        record = json.loads((data / "server.json").read_text()) | {"process": os.getpid()}
        (data / "server.json").write_text(json.dumps(record))
        with pytest.raises(UserError, match=r"starts on .* at this moment"):
            stop_studio_server(data)
        assert server.running


def test_stop_without_a_server_says_what_it_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no .*server\.lock: expected the folder of a server"):
        stop_studio_server(tmp_path)


@pytest.mark.parametrize(("size", "kept"), [(10, 10), (11, 0)])
def test_a_log_that_is_too_long_becomes_the_part_before(tmp_path: Path, size: int, kept: int) -> None:
    log = tmp_path / "server.log"
    with log.open("ab") as writer:
        writer.write(b"x" * size)
        writer.flush()
        limit_server_log(log, limit=10)
        assert log.stat().st_size == kept
        writer.write(b"later")
    assert log.read_bytes().endswith(b"later")
    assert len(log.read_bytes()) == kept + 5
    assert (tmp_path / "server.log.1").exists() == (kept == 0)


def test_the_settings_of_the_server_are_found_by_it_alone(studio: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    start_studio_server(data, studio=studio).stop()
    environment = seen(data)["environment"]
    folder = Path(environment["PYTHONPATH"])
    assert [path.name for path in folder.iterdir()] == [f"{environment['DJANGO_SETTINGS_MODULE']}.py"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

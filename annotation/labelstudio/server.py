"""A local Label Studio: one process on the loopback interface, with all its data in one folder.

DATA/credentials            first user and its key, mode 600
DATA/server.json            address, process id and folder of the images; no secret
DATA/server.log             log of the server; DATA/server.log.1 is the part before
DATA/settings               settings of the server, written at every start
DATA/label_studio.sqlite3   all annotations (unless the database is PostgreSQL)
DATA/served/images          link to the images; the server shows no file outside of `served`
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson

from annotation.labelstudio.client import StudioClient
from annotation.labelstudio.connection import StudioUnavailableError
from annotation.labelstudio.credentials import StudioCredentials, read_credentials, write_secret
from annotation.labelstudio.environment import (
    STUDIO_DATABASE,
    build_server_environment,
    find_studio_program,
    find_template_database,
    write_server_settings,
)
from annotation.labelstudio.image_urls import link_served_images
from mos.errors import UserError
from mos.files import open_regular_file, read_regular_file, try_lock

LOOPBACK_HOST = "127.0.0.1"
MANAGER_EMAIL = "manager@localhost"
CREDENTIALS_FILE = "credentials"
SERVER_FILE = "server.json"
SERVER_LOG = "server.log"
SERVER_LOCK = "server.lock"
SERVED_FOLDER = "served"
START_TIMEOUT = 600.0
"""Seconds that a server may take to start: on a slow machine, the first start prepares the database for minutes."""
STOP_TIMEOUT = 20.0
START_POLL_PAUSE = 0.2
MAX_LOG_BYTES = 20 << 20
LOG_CHECK_SECONDS = 60.0

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
"""Loaded here: between fork and exec nothing may be imported."""

SayProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """URL and key of a server, and the folder of its images on its own disk (None: it serves none)."""

    url: str
    api_key: str
    images: Path | None


class StudioServer:
    """A running Label Studio; as a context manager, it is stopped at the end."""

    def __init__(
        self,
        url: str,
        credentials: StudioCredentials,
        data: Path,
        images: Path | None,
        process: subprocess.Popen[bytes],
    ) -> None:
        self.url = url
        self.credentials = credentials
        self.data = data
        self.images = images
        self._process = process

    @property
    def api_key(self) -> str:
        return self.credentials.api_key

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait until the server ends by itself, and keep its log short; returns its exit status."""
        while True:
            try:
                return self._process.wait(LOG_CHECK_SECONDS)
            except subprocess.TimeoutExpired:
                limit_server_log(self.data / SERVER_LOG)

    def stop(self) -> None:
        """Stop the server, by SIGKILL if SIGTERM does not; its data stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.running:
            os.killpg(self._process.pid, how)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_studio_server(
    data: Path,
    port: int = 0,
    *,
    corpus: Path | None = None,
    studio: Path | None = None,
    database_url: str | None = None,
    say: SayProgress | None = None,
) -> StudioServer:
    """Start a server and wait until it answers.

    Parameters
    ----------
    data
        Folder of the server; created if missing.
    port
        Port on 127.0.0.1; 0 takes a free one.
    corpus
        Corpus whose folder `images` the server shows; None serves no files.
    studio
        Virtual environment with Label Studio; by default `.studio`, which `make studio` creates.
    database_url
        None for SQLite in `data`, or `postgresql://user:password@host:port/name`.
    say
        Receives a few words about what the start is waiting for.

    Returns
    -------
    StudioServer
        The running server.

    Raises
    ------
    UserError
        If the port is busy (Label Studio itself would silently take the next), another server uses the folder, or the
        server does not start.
    """
    program = find_studio_program(studio)
    data = data.absolute()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_regular_file(data / SERVER_LOCK, "ab") as lock:
        _lock_data_folder(lock, data)
        credentials = _ensure_credentials(data)
        images = link_served_images(corpus, data / SERVED_FOLDER) if corpus is not None else None
        new = database_url is None and not (data / STUDIO_DATABASE).exists()
        if new and (template := find_template_database(program)) is not None:
            _copy_template(template, data / STUDIO_DATABASE)
            new = False
        if database_url is None and not new:
            _enable_write_ahead_log(data / STUDIO_DATABASE)
        if say is not None:
            say("Label Studio prepares its database (only once)" if new else "Label Studio starts")
        url = f"http://{LOOPBACK_HOST}:{_find_free_port(port)}"
        served = data / SERVED_FOLDER if images is not None else None
        environment = build_server_environment(os.environ, data, url, credentials, served, database_url)
        write_server_settings(data)
        process = _launch_process(program, data, url, environment, lock)
    server = StudioServer(url, credentials, data, images, process)
    try:
        _wait_until_ready(server)
        _write_server_file(server)
    except BaseException:
        server.kill()
        raise
    return server


def find_studio_server(data: Path) -> ServerAddress:
    """The address of the server whose folder is `data`, as it was last started; `UserError` if it never was."""
    record = _read_server_file(data)
    images = record["pictures"]
    api_key = read_credentials(data / CREDENTIALS_FILE).api_key
    return ServerAddress(record["url"], api_key, Path(images) if images else None)


def stop_studio_server(data: Path) -> str | None:
    """Stop the server whose folder is `data`, whoever started it.

    Parameters
    ----------
    data
        Folder of the server.

    Returns
    -------
    str or None
        The address at which it answered; None if no server runs on the folder.

    Raises
    ------
    UserError
        If the folder is none of a server, or the server belongs to another user or does not end.
    """
    path = data / SERVER_LOCK
    if not path.is_file():
        raise UserError(f"There is no {path}: expected the folder of a server, which --data names.")
    with open_regular_file(path, "ab") as lock:
        if try_lock(lock):
            return None
        record = _read_server_file(data)
        if not _is_server_process(record["process"], data):
            raise UserError(f"A server starts on {data} at this moment. Try again when it answers.")
        try:
            os.killpg(record["process"], signal.SIGTERM)
        except PermissionError:
            raise UserError(f"Another user started the server on {data}: stop it as that user.") from None
        end = time.monotonic() + STOP_TIMEOUT
        while not try_lock(lock):
            if time.monotonic() > end:
                raise UserError(f"The server on {data} (process {record['process']}) does not end: kill it.")
            time.sleep(START_POLL_PAUSE)
    return str(record["url"])


def limit_server_log(log: Path, limit: int = MAX_LOG_BYTES) -> None:
    """Move the content of a log to `server.log.1` when it is longer than `limit` bytes.

    The server appends to the open file, so the file stays and becomes empty; what it writes in that moment is lost.
    """
    if log.is_file() and log.stat().st_size > limit:
        earlier = log.with_name(f"{log.name}.1")
        shutil.copyfile(log, earlier)
        earlier.chmod(0o600)
        os.truncate(log, 0)


def _read_server_file(data: Path) -> dict[str, Any]:
    """The content of `server.json`; `UserError` if it is missing or damaged."""
    path = data / SERVER_FILE
    try:
        record = orjson.loads(read_regular_file(path))
        return {"url": str(record["url"]), "process": int(record["process"]), "pictures": record["pictures"]}
    except FileNotFoundError:
        raise UserError(
            f"There is no {path}: expected the folder of a server. Start it with editfhf annotate serve --data {data}"
        ) from None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise UserError(f"{path} is damaged. Start the server again: it writes the file.") from None


def _is_server_process(process: int, data: Path) -> bool:
    """Whether a process is the server of the folder: the number may be that of an earlier one."""
    try:
        return os.fsencode(data.absolute()) in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _lock_data_folder(lock: BinaryIO, data: Path) -> None:
    """Lock the folder; the server inherits the open file, so that the lock lasts as long as the server does."""
    if not try_lock(lock):
        who = ""
        if (data / SERVER_FILE).is_file():
            record = _read_server_file(data)
            who = f" (process {record['process']}, {record['url']})"
        raise UserError(
            f"A server already runs on {data}{who}. Use it, or stop it: editfhf annotate serve --stop --data {data}"
        )


def _ensure_credentials(data: Path) -> StudioCredentials:
    path = data / CREDENTIALS_FILE
    if path.exists():
        return read_credentials(path)
    if (data / STUDIO_DATABASE).exists():
        raise UserError(
            f"{data} holds a database but no {CREDENTIALS_FILE}: expected those of its first user. Restore the file."
        )
    # Written before the user is created: an interrupted start loses no password.
    credentials = StudioCredentials.new(MANAGER_EMAIL)
    write_secret(path, credentials.text())
    return credentials


def _copy_template(template: Path, database: Path) -> None:
    draft = database.with_suffix(".draft")
    shutil.copyfile(template, draft)
    draft.chmod(0o600)
    draft.replace(database)


def _enable_write_ahead_log(database: Path) -> None:
    """Turn on the write-ahead log of the database, with which readers and writers do not wait for each other."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise UserError(
            f"{database} cannot be opened ({error}): expected Label Studio's database. Restore it."
        ) from None


def _find_free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK_HOST, port))
        except PermissionError:
            raise UserError(f"This account may not use port {port}: expected one above 1023.") from None
        except OSError:
            raise UserError(f"Port {port} is busy: another program uses it. Choose another with --port.") from None
        return int(probe.getsockname()[1])


def _launch_process(
    program: Path, data: Path, url: str, environment: dict[str, str], lock: BinaryIO
) -> subprocess.Popen[bytes]:
    port = url.rpartition(":")[2]
    limit_server_log(data / SERVER_LOG)
    descriptor = os.open(data / SERVER_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [program, "start", "--no-browser", "--internal-host", LOOPBACK_HOST, "--port", port, "--data-dir", data],
            cwd=data,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            # Ctrl-C must not reach the server, which would end in the middle of a request.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    finally:
        os.close(descriptor)


def _end_with_parent() -> None:
    """Make the kernel stop this process when its parent ends, also by SIGKILL (prctl, PR_SET_PDEATHSIG)."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(server: StudioServer) -> None:
    """Wait until the server accepts our key, which no other server does."""
    end = time.monotonic() + START_TIMEOUT
    with StudioClient(server.url, server.api_key, attempts=1, timeout=10) as studio:
        while True:
            if not server.running:
                raise UserError(f"Label Studio ended before it answered. The reason is in {server.data / SERVER_LOG}")
            try:
                studio.whoami()
                return
            except StudioUnavailableError as error:
                if time.monotonic() > end:
                    message = (
                        f"Label Studio did not answer within {START_TIMEOUT:.0f} s. See {server.data / SERVER_LOG}"
                    )
                    raise UserError(message) from error
            except UserError:
                path = server.data / CREDENTIALS_FILE
                raise UserError(
                    f"The database was created with other credentials than those in {path}. Restore them."
                ) from None
            time.sleep(START_POLL_PAUSE)


def _write_server_file(server: StudioServer) -> None:
    record = {
        "url": server.url,
        "process": server._process.pid,
        "pictures": str(server.images) if server.images is not None else None,
    }
    draft = server.data / f".{SERVER_FILE}"
    draft.write_bytes(orjson.dumps(record))
    draft.replace(server.data / SERVER_FILE)

"""A local Label Studio: one process on the loopback interface, with everything that it keeps in one folder.

DATA/credentials            the first user and its key, mode 600
DATA/server.json            where it answers, its process, and where its pictures are; no secret
DATA/server.log             what it said
DATA/label_studio.sqlite3   everything that people did (unless the database is PostgreSQL)
DATA/served/images          a link to the pictures: nothing but what is under `served` can be asked for
"""

from __future__ import annotations

import fcntl
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
from typing import BinaryIO, Self

import orjson

from annotation.studio.client import Studio
from annotation.studio.connection import NotReady
from annotation.studio.credentials import Credentials, read_credentials, write_secret
from annotation.studio.environment import DATABASE, find_program, quick_database, server_environment
from annotation.studio.pictures import link_pictures
from mos.errors import UserError

HOST = "127.0.0.1"
MANAGER = "manager@localhost"
CREDENTIALS = "credentials"
RECORD = "server.json"
LOG = "server.log"
LOCK = "server.lock"
SERVED = "served"
PATIENCE = 600.0
"""Seconds that a server may take to answer: its first start on a slow machine prepares the database for minutes."""
GRACE = 20.0
PAUSE = 0.2

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A server by its folder: where it answers, its key, and its own path to the pictures (None: it serves none)."""

    url: str
    api_key: str
    pictures: Path | None


class Server:
    """A running Label Studio; as a context manager it is stopped at the end."""

    def __init__(
        self, url: str, credentials: Credentials, data: Path, pictures: Path | None, process: subprocess.Popen[bytes]
    ) -> None:
        self.url = url
        self.credentials = credentials
        self.data = data
        self.pictures = pictures
        self._process = process

    @property
    def api_key(self) -> str:
        return self.credentials.api_key

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait until the server ends by itself; its exit status."""
        return self._process.wait()

    def stop(self) -> None:
        """Ask the server to end, and make it end where it does not; everything it was told stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.running:
            os.killpg(self._process.pid, how)
            try:
                self._process.wait(GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    data: Path,
    port: int = 0,
    *,
    corpus: Path | None = None,
    studio: Path | None = None,
    database_url: str | None = None,
    say: Say | None = None,
) -> Server:
    """Start the server whose folder is `data` and wait until it answers.

    port: 0 takes a free one.  A busy port is a `UserError`; Label Studio itself would silently take the next.
    corpus: whose folder `images` holds the only files that the server gives away; None serves no files.
    studio: the virtual environment with Label Studio; by default `.studio`, which `make studio` makes.
    database_url: None for SQLite in `data`, or `postgresql://user:password@host:port/name`.
    say: is told, in a few words, what is being waited for.
    """
    program = find_program(studio)
    data = data.absolute()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data / LOCK).open("ab") as lock:
        _take(lock, data)
        credentials = _credentials(data)
        pictures = link_pictures(corpus, data / SERVED) if corpus is not None else None
        new = database_url is None and not (data / DATABASE).exists()
        if new and (template := quick_database(program)) is not None:
            _copy(template, data / DATABASE)
            new = False
        if database_url is None and not new:
            _let_many_write(data / DATABASE)
        if say is not None:
            say("Label Studio prepares its database (only once)" if new else "Label Studio starts")
        url = f"http://{HOST}:{_free_port(port)}"
        served = data / SERVED if pictures is not None else None
        environment = server_environment(os.environ, data, url, credentials, served, database_url)
        process = _launch(program, data, url, environment, lock)
    server = Server(url, credentials, data, pictures, process)
    try:
        _await(server)
        _record(server)
    except BaseException:
        server.kill()
        raise
    return server


def find(data: Path) -> Found:
    """The server whose folder is `data`, as it was started last; `UserError` when none ever was."""
    path = data / RECORD
    try:
        record = orjson.loads(path.read_bytes())
        url, pictures = str(record["url"]), record["pictures"]
    except FileNotFoundError:
        raise UserError(
            f"There is no {path}: expected the folder of a server. Start it with editfhf annotate serve --data {data}"
        ) from None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise UserError(f"{path} is damaged. Start the server again: it is then written anew.") from None
    return Found(url, read_credentials(data / CREDENTIALS).api_key, Path(pictures) if pictures else None)


def _take(lock: BinaryIO, data: Path) -> None:
    """Hold the folder: the server inherits the open file, so the lock lives as long as it, even when we are killed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = ""
        if (data / RECORD).is_file():
            record = orjson.loads((data / RECORD).read_bytes())
            who = f" (process {record['process']}, {record['url']})"
        raise UserError(f"A server already runs on {data}{who}. Use it, or stop it first.") from None


def _credentials(data: Path) -> Credentials:
    path = data / CREDENTIALS
    if path.exists():
        return read_credentials(path)
    if (data / DATABASE).exists():
        raise UserError(
            f"{data} holds a database but no {CREDENTIALS}: expected those of its first user. Restore them."
        )
    # Written before the user is made: a start that is cut short loses no password.
    credentials = Credentials.new(MANAGER)
    write_secret(path, credentials.text())
    return credentials


def _copy(template: Path, database: Path) -> None:
    draft = database.with_suffix(".draft")
    shutil.copyfile(template, draft)
    draft.chmod(0o600)
    draft.replace(database)


def _let_many_write(database: Path) -> None:
    """Have the database keep a write-ahead log: who reads and who writes wait no more for each other."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise UserError(
            f"{database} cannot be opened ({error}): expected Label Studio's database. Restore it."
        ) from None


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise UserError(f"Port {port} may not be used by this account: expected one above 1023.") from None
        except OSError:
            raise UserError(f"Port {port} is busy: another program uses it. Choose another with --port.") from None
        return int(probe.getsockname()[1])


def _launch(
    program: Path, data: Path, url: str, environment: dict[str, str], lock: BinaryIO
) -> subprocess.Popen[bytes]:
    port = url.rpartition(":")[2]
    descriptor = os.open(data / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [program, "start", "--no-browser", "--internal-host", HOST, "--port", port, "--data-dir", data],
            cwd=data,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            # Ctrl-C is ours to hear, so that the server ends in the middle of nothing.
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _await(server: Server) -> None:
    """Wait for an answer that only our server can give: it knows our key."""
    end = time.monotonic() + PATIENCE
    with Studio(server.url, server.api_key, attempts=1, timeout=10) as studio:
        while True:
            if not server.running:
                raise UserError(f"Label Studio ended before it answered. The reason is in {server.data / LOG}")
            try:
                studio.whoami()
                return
            except NotReady as error:
                if time.monotonic() > end:
                    message = f"Label Studio did not answer within {PATIENCE:.0f} s. See {server.data / LOG}"
                    raise UserError(message) from error
            except UserError:
                path = server.data / CREDENTIALS
                raise UserError(
                    f"The database was begun with other credentials than those in {path}. Restore them."
                ) from None
            time.sleep(PAUSE)


def _record(server: Server) -> None:
    record = {
        "url": server.url,
        "process": server._process.pid,
        "pictures": str(server.pictures) if server.pictures is not None else None,
    }
    draft = server.data / f".{RECORD}"
    draft.write_bytes(orjson.dumps(record))
    draft.replace(server.data / RECORD)

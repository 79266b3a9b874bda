"""The command `editfhf` as processes that begin at once.

Python and the packages of a command take seconds to import, which a test that kills it thirty times would spend thirty
times. Here one process imports them and forks: each command is a process group of its own, with its own folder,
environment, standard streams and exit status, which can be signalled and killed as any other.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson

ROOT = Path(__file__).parents[1]
_LARGEST_ORDER = 1 << 20


class WarmCommands:
    """A process that has imported some modules, and forks a command whenever it is told to."""

    def __init__(self, *modules: str) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._statuses: dict[int, int] = {}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), *modules],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()
        self._process.wait(60)

    def begin(
        self, *words: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> WarmProcess:
        """Begin `editfhf WORDS`."""
        order = {
            "arguments": ["editfhf", *map(str, words)],
            "cwd": str(cwd or Path.cwd()),
            "environment": dict(os.environ if environment is None else environment),
        }
        with contextlib.ExitStack() as opened:
            out, err = (opened.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2))
            socket.send_fds(self._socket, [orjson.dumps(order)], [out.fileno(), err.fileno()])
            while "began" not in (answer := self._hear()):
                pass
            opened.pop_all()
        return WarmProcess(self, answer["began"], out, err)

    def run(self, *words: str | Path, timeout: float = 120.0, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run `editfhf WORDS` to its end."""
        with self.begin(*words, **more) as process:
            stdout, stderr = process.communicate(timeout)
            return subprocess.CompletedProcess(["editfhf", *map(str, words)], process.wait(0), stdout, stderr)

    def status(self, pid: int, timeout: float | None) -> int | None:
        """How a process ended, as `subprocess` says it; None while it runs after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while pid not in self._statuses:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                return None
            self._hear()
        return self._statuses[pid]

    def _hear(self) -> dict[str, Any]:
        message = self._socket.recv(_LARGEST_ORDER)
        if not message:
            raise ChildProcessError(f"The process that forks commands ended with {self._process.wait(60)}.")
        answer: dict[str, Any] = orjson.loads(message)
        if "ended" in answer:
            self._statuses[answer["ended"]] = answer["status"]
        return answer


class WarmProcess:
    """A command that runs, with the methods of `subprocess.Popen`."""

    def __init__(self, commands: WarmCommands, pid: int, out: IO[str], err: IO[str]) -> None:
        self.pid = pid
        self._commands = commands
        self._streams = out, err

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return self._commands.status(self.pid, 0.0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._commands.status(self.pid, timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("editfhf", timeout)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; what it printed."""
        self.wait(timeout)
        return self.read_output()

    def read_output(self) -> tuple[str, str]:
        """What was printed so far."""
        for stream in self._streams:
            stream.seek(0)
        out, err = self._streams
        return out.read(), err.read()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to the command and its workers, also when it has ended and they have not."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.signal_group(signal.SIGKILL)
        self.wait(60)
        for stream in self._streams:
            stream.close()


@functools.cache
def shared_commands(*modules: str) -> WarmCommands:
    """One for all tests of this process that need the same modules; it ends with this process."""
    begun = WarmCommands(*modules)
    atexit.register(begun.__exit__)
    return begun


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork a process for each order, and tell of those that end. In such a process: its order; None at the end."""
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    while True:
        ready = select.select([orders, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            for pid, status in _reap():
                orders.send(orjson.dumps({"ended": pid, "status": status}))
        if orders in ready:
            message, streams, _, _ = socket.recv_fds(orders, _LARGEST_ORDER, 2)
            if not message:
                return None
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(woken)
                os.close(wakes)
                for number, stream in enumerate(streams, start=1):
                    os.dup2(stream, number)
                    os.close(stream)
                order: dict[str, Any] = orjson.loads(message)
                return order
            for stream in streams:
                os.close(stream)
            orders.send(orjson.dumps({"began": pid}))


def _reap() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        for name in sys.argv[2:]:
            importlib.import_module(name)
        order = _serve(orders)
    if order is None:
        return
    os.setsid()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv[:] = order["arguments"]
    from editfhf.cli import main

    main()


if __name__ == "__main__":
    _main()

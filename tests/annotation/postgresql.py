"""A PostgreSQL of the tests' own, from Debian's package, on a free port of the loopback interface."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql")
USER = "postgres"


@contextmanager
def running() -> Iterator[str]:
    """The address of an empty database, `postgresql://user:password@host:port/name`, while its server runs."""
    programs = max(PROGRAMS.glob("*/bin"), key=lambda found: int(found.parent.name))
    # Not under pytest's folder, which is its user's alone: PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="editfhf-postgresql-"))
    secret, password = folder / "secret", secrets.token_hex(16)
    secret.write_text(password)
    if os.geteuid() == 0:
        shutil.chown(folder, USER)
        shutil.chown(secret, USER)
    data = folder / "data"
    try:
        command(
            programs / "initdb", "-D", data, "-U", "studio", "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        command(programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
        try:
            yield f"postgresql://studio:{password}@127.0.0.1:{port}/postgres"
        finally:
            command(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def command(*words: str | Path) -> None:
    """Run a program of PostgreSQL, as its own user if we are root."""
    as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*as_user, *words],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed: {done.stdout}")

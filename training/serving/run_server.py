"""Run the server until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from editfhf.chat.http_client import LOOPBACK_HOSTS
from mos.console import interrupt_on_sigterm
from mos.errors import UserError
from training.serving.pair_items import ServeLimits
from training.serving.workers import Service, WorkerPool

KEY_VARIABLE = "EDITFHF_SERVE_KEY"

LEAST_KEY_LENGTH = 16

GRACE_SECONDS = 30
"""Time that requests in flight have to end after SIGTERM."""


def find_serve_key(environ: Mapping[str, str], file: Path | None, host: str) -> str | None:
    """The key that clients must send; None on this machine only.

    Raises
    ------
    UserError
        The key is short, its file can be read by others, or there is none for a host that others reach.
    """
    from annotation.labelstudio.credentials import read_secret

    key = (read_secret(file) if file is not None else environ.get(KEY_VARIABLE, "")).strip()
    if not key and file is None and host in LOOPBACK_HOSTS:
        return None
    if len(key) < LEAST_KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        where = str(file) if file is not None else f"the variable {KEY_VARIABLE}"
        raise UserError(
            f"Expected a key of at least {LEAST_KEY_LENGTH} characters in {where}, since others reach {host[:80]}. "
            f"Make one with: openssl rand -hex 32"
        )
    return key


def run_server(
    service: Service,
    routes: Sequence[str],
    limits: ServeLimits,
    *,
    host: str,
    port: int,
    workers: int,
    key: str | None,
    on_ready: Callable[[str], None],
) -> None:
    """Load the agents, and serve until SIGTERM or Ctrl-C; requests in flight are answered.

    Parameters
    ----------
    service : Service
    routes : sequence of str
        Names of its routes.
    limits : ServeLimits
    host, port
        Where to listen; port 0 takes a free one.
    workers : int
    key : str or None
        From `find_serve_key`.
    on_ready : callable
        Called with the address when the server accepts requests.

    Raises
    ------
    UserError
        The port is taken, or the agents cannot be loaded.
    """
    import uvicorn

    from training.serving.app import ServerState, make_app

    listening = listen(host, port)
    shown = f"http://[{host}]" if ":" in host else f"http://{host}"
    with listening:
        pool = WorkerPool(service, workers, limits.item_seconds)
        try:
            app = make_app(ServerState(pool, routes, limits, key))
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=GRACE_SECONDS,
                limit_concurrency=1000,
            )
            on_ready(f"{shown}:{listening.getsockname()[1]}")
            # uvicorn stops in order, and then repeats the signal.
            with interrupt_on_sigterm(), suppress(KeyboardInterrupt):
                uvicorn.Server(config).run(sockets=[listening])
        finally:
            pool.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; UserError where the address or port cannot be had."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"Cannot listen on {host[:80]}:{port} ({reason}). Choose another --host or --port.") from None

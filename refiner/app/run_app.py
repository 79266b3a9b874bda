"""Run the app until it is told to stop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from annotation.images import RgbImage
from mos.console import interrupt_on_sigterm, print_line
from refiner.agent_calls import AgentTeam
from training.serving.run_server import listen

_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


def open_and_run(
    team: AgentTeam,
    host: str,
    port: int,
    pair: tuple[RgbImage, RgbImage, str] | None,
    open_page: Callable[[str], object] | None,
) -> None:
    """Listen, say where, open the page, and serve until SIGTERM or Ctrl-C.

    Parameters
    ----------
    team : AgentTeam
    host, port
        Where to listen; port 0 takes a free one.
    pair : (ndarray, ndarray, str), optional
        Source, edited image and instruction with which the page opens.
    open_page : callable, optional
        Called with the address.

    Raises
    ------
    UserError
        The port is taken.
    """
    import uvicorn

    from refiner.app.server import AppState, make_app

    with listen(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}/"
        names = _LOCAL_NAMES | {host} if host in _LOCAL_NAMES else None
        app = make_app(AppState(team, names, pair))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=5
        )
        print_line(f"The app is at {address} (Ctrl-C ends it).")
        sys.stdout.flush()  # whoever reads it through a pipe waits for it
        if open_page is not None:
            open_page(address)
        with interrupt_on_sigterm(), suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])

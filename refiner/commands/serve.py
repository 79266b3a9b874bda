"""`editfhf serve`: scores, diagnoses and refinements over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run_serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others than this machine need a key.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes; each loads its own agents.")] = 1,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File of mode 600 with the key of clients.")
    ] = None,
    perception: Annotated[str, typer.Option("--perception", help="Perception agent.")] = "auto",
    reasoning: Annotated[str, typer.Option("--reasoning", help="Reasoning agent, or none.")] = "auto",
    evaluation: Annotated[str, typer.Option("--evaluation", help="Evaluation agent, or none.")] = "auto",
    editor: Annotated[
        list[str] | None, typer.Option("--editor", help="Editor, can be repeated; auto: those without weights.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Most pairs of one request.")] = 64,
    waiting: Annotated[int, typer.Option("--waiting", min=1, help="Pairs in work or waiting; more get 429.")] = 256,
    max_body: Annotated[int, typer.Option("--max-body", min=1, help="Largest body in MB.")] = 64,
    item_time: Annotated[float, typer.Option("--item-time", min=0.1, help="Seconds for one pair.")] = 120.0,
) -> None:
    """Serve POST /score, /diagnose and /refine, and GET /, /health and /metrics.

    A pair is {"source": BASE64, "edited": BASE64, "instruction": TEXT}; {"items": [PAIR, ...]} is a batch, and each of
    its pairs has its own result or error. The key comes from --key-file or EDITFHF_SERVE_KEY; without one only this
    machine is served. SIGTERM and Ctrl-C answer what is in work, then stop. Logs: one JSON line a request on stderr.

    Examples:

        editfhf serve

        editfhf serve --host 0.0.0.0 --key-file serve.key --workers 4

        editfhf serve --evaluation compact --port 0
    """
    import os

    import uvicorn  # noqa: F401  # a missing extra is one sentence, before the agents are loaded

    from refiner.serving import ROUTES, RefiningService
    from training.serving.pair_items import ServeLimits
    from training.serving.run_server import find_serve_key, run_server

    run_server(
        RefiningService(perception, reasoning, evaluation, tuple(editor or ["auto"])),
        ROUTES,
        ServeLimits(body_bytes=max_body << 20, batch=batch, waiting=max(waiting, batch), item_seconds=item_time),
        host=host,
        port=port,
        workers=workers,
        key=find_serve_key(os.environ, key_file, host),
        on_ready=_show_address,
    )


def _show_address(address: str) -> None:
    import sys

    from mos.console import print_line

    print_line(f"Serving on {address}")
    sys.stdout.flush()  # whoever reads it through a pipe waits for it

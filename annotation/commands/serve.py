"""`editfhf annotate serve`: a local Label Studio for a campaign."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from mos.errors import UserError

DATABASE_VARIABLE = "EDITFHF_STUDIO_DATABASE_URL"


def serve(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of the server: its database, log, and the first user's credentials.")
    ] = Path("studio-data"),
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="Corpus whose folder images/ the server shows to annotators.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes one that is free.")
    ] = 8080,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            envvar=DATABASE_VARIABLE,
            show_envvar=True,
            help="postgresql://user:password@host:port/name; SQLite in --data if left out. "
            "Others on this machine can read a command line: rather set the variable.",
        ),
    ] = None,
    studio: Annotated[
        Path | None,
        typer.Option("--studio", help="Virtual environment with Label Studio; by default .studio, of `make studio`."),
    ] = None,
) -> None:
    """Run Label Studio on this machine until Ctrl-C; it tells nobody anything, and everything is kept.

    Examples:

        editfhf annotate serve --corpus my-corpus

        editfhf annotate serve --corpus my-corpus --data /srv/campaign --port 8090
    """
    from rich.console import Console

    from annotation.studio import server

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Console(stderr=True).status("Label Studio starts") as status:
            running = server.start(
                data, port, corpus=corpus, studio=studio, database_url=database_url, say=status.update
            )
        with running:
            typer.echo(f"Label Studio answers at {running.url}")
            typer.echo(f"Log in as {running.credentials.email}; password and key: {running.data / server.CREDENTIALS}")
            typer.echo(f"Its log: {running.data / server.LOG}. Stop it with Ctrl-C.")
            ended = running.wait()
    except KeyboardInterrupt:
        typer.echo(f"Stopped. Everything is kept in {data}.", err=True)
        return
    raise UserError(f"Label Studio ended by itself with status {ended}. The reason is in {running.data / server.LOG}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

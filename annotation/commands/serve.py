"""`editfhf annotate serve`: run a local Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos.console import interrupt_on_sigterm, make_console, print_line
from mos.errors import UserError

DATABASE_URL_VARIABLE = "EDITFHF_STUDIO_DATABASE_URL"


def annotate_serve(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of the server: database, log and credentials of the first user.")
    ] = Path("studio-data"),
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="Corpus whose folder images/ the server shows to participants.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 8080,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            envvar=DATABASE_URL_VARIABLE,
            show_envvar=True,
            help="postgresql://user:password@host:port/name; by default SQLite in --data. "
            "Prefer the environment variable: other users of this machine can read the command line.",
        ),
    ] = None,
    studio: Annotated[
        Path | None,
        typer.Option(
            "--studio", help="Virtual environment with Label Studio; by default .studio, made by `make studio`."
        ),
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the server that runs on --data, and end; all its data is kept.")
    ] = False,
) -> None:
    """Run Label Studio on this machine until Ctrl-C. It sends no data to others, and keeps all data in --data.

    Examples:

        editfhf annotate serve --corpus my-corpus

        editfhf annotate serve --corpus my-corpus --data /srv/campaign --port 8090

        editfhf annotate serve --data /srv/campaign --stop
    """
    from annotation.labelstudio.server import CREDENTIALS_FILE, SERVER_LOG, start_studio_server, stop_studio_server

    if stop:
        url = stop_studio_server(data)
        print_line(f"No server runs on {data}." if url is None else f"Stopped the server at {url}; its data is kept.")
        return

    with interrupt_on_sigterm():
        try:
            with make_console(to_stderr=True).status("Label Studio starts") as status:
                server = start_studio_server(
                    data, port, corpus=corpus, studio=studio, database_url=database_url, say=status.update
                )
            with server:
                print_line(f"Label Studio answers at {server.url}")
                print_line(f"Log in as {server.credentials.email}; password and key: {server.data / CREDENTIALS_FILE}")
                print_line(f"Log: {server.data / SERVER_LOG}. Stop with Ctrl-C.")
                if database_url is None:
                    print_line("Database: SQLite, for about ten people at a time; for more, use PostgreSQL.")
                status_code = server.wait()
        except KeyboardInterrupt:
            print_line(f"Stopped. All data is kept in {data}.", to_stderr=True)
            return
    raise UserError(f"Label Studio ended with exit status {status_code}. The reason is in {server.data / SERVER_LOG}")

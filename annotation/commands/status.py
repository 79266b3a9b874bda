"""`editfhf annotate status CORPUS`: how far the campaign is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from annotation.campaign.status.rows import Status


def status(
    corpus: Annotated[Path, typer.Argument(help="A corpus with a campaign.")],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
    watch: Annotated[
        int | None, typer.Option("--watch", min=1, help="Go on until Ctrl-C, looking again after this many seconds.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="HTML file to write as well; it needs no other file and no network.")
    ] = None,
) -> None:
    """Show what everybody has done and what is left, how fast, how well they agree, who is stuck, and when it ends.

    Reads what the last `sync` filed, beside a running one too, and needs no server.

    Examples:

        editfhf annotate status my-corpus

        editfhf annotate status my-corpus --watch 60 --page status.html

        editfhf annotate status my-corpus --json | jq .total
    """
    from rich.console import Console
    from rich.live import Live

    from annotation.commands.status_table import drawn

    if json and watch is not None:
        raise UserError("Expected one of --json and --watch, got both. Run --json as often as you want.")
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    if watch is None:
        found = _look(corpus, page, None)
        if json:
            import orjson

            typer.echo(orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2).decode())
        else:
            console.print(drawn(found))
        return
    with Live(drawn(_look(corpus, page, watch)), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(watch)
            live.update(drawn(_look(corpus, page, watch)), refresh=True)


def _look(corpus: Path, page: Path | None, refresh: int | None) -> Status:
    from annotation.campaign.status import page as status_page
    from annotation.campaign.status.looking import look

    found = look(corpus, datetime.now(UTC))
    if page is not None:
        if page.is_dir() or not page.absolute().parent.is_dir():
            raise UserError(f"The page cannot be written to {page}: expected a file in a folder that is there.")
        status_page.write(page, found, refresh)
    return found

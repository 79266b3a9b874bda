"""`editfhf annotate status CORPUS`: progress of a campaign."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_json, table_console
from mos.errors import UserError

if TYPE_CHECKING:
    from annotation.campaign.status.report import CampaignStatus


def annotate_status(
    corpus: Annotated[Path, typer.Argument(help="Corpus with a campaign.")],
    json: Annotated[bool, typer.Option("--json", help="Print the status as JSON on stdout.")] = False,
    watch: Annotated[int | None, typer.Option("--watch", min=1, help="Refresh every N seconds until Ctrl-C.")] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Also write the status to this HTML file; it needs no network."),
    ] = None,
) -> None:
    """Show finished and open tasks of each participant, their speed and agreement, and when they will finish.

    Reads the answers of the last `sync`, also while one is running, and needs no server.

    Examples:

        editfhf annotate status my-corpus

        editfhf annotate status my-corpus --watch 60 --page status.html

        editfhf annotate status my-corpus --json | jq .total
    """
    from rich.live import Live

    from annotation.commands.status_table import render_status_table

    if json and watch is not None:
        raise UserError("Expected either --json or --watch, got both. Run --json repeatedly instead.")
    console = table_console()
    if watch is None:
        status = _read_status(corpus, page, None)
        if json:
            print_json(status.as_dict())
        else:
            console.print(render_status_table(status))
        return
    with Live(render_status_table(_read_status(corpus, page, watch)), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(watch)
            live.update(render_status_table(_read_status(corpus, page, watch)), refresh=True)


def _read_status(corpus: Path, page: Path | None, refresh: int | None) -> CampaignStatus:
    from annotation.campaign.status.collect_status import read_campaign_status
    from annotation.campaign.status.report import write_status_page

    status = read_campaign_status(corpus, datetime.now(UTC))
    if page is not None:
        if page.is_dir() or not page.absolute().parent.is_dir():
            raise UserError(f"The page cannot be written to {page}: expected a file in an existing folder.")
        write_status_page(page, status, refresh)
    return status

"""`editfhf annotate sync CORPUS`: fetch what people did, hand out what is ready."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from annotation.campaign.sync import Summary
    from annotation.studio import Studio


def sync(
    corpus: Annotated[Path, typer.Argument(help="A corpus with a campaign.")],
    watch: Annotated[
        float | None, typer.Option("--watch", min=1, help="Go on, looking again after this many seconds.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of a server that `annotate serve` runs: its address, key and pictures."),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Address of another server, rather than that of campaign.yaml.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File of mode 600 with the server's key; else EDITFHF_STUDIO_KEY.")
    ] = None,
    passwords: Annotated[
        Path | None,
        typer.Option("--passwords", help="Make accounts for people who have none, with passwords kept in this file."),
    ] = None,
) -> None:
    """Bring the server and CORPUS/campaign up to date: file every answer, create every task that is due.

    May be stopped at any moment and run again: nothing is lost, nothing is doubled.

    Examples:

        editfhf annotate sync my-corpus --data studio-data --passwords passwords.csv

        editfhf annotate sync my-corpus --url https://studio.example.org --watch 60
    """
    from annotation import interfaces
    from annotation.campaign.lock import locked
    from annotation.campaign.options import FOLDER, read_options
    from annotation.campaign.sync import Sync
    from annotation.studio import NotReady, Studio, find, find_key

    options = read_options(corpus)
    if data is not None:
        found = find(data)
        address, key, served = found.url, found.api_key, found.pictures
    else:
        address, key, served = url or options.url, find_key(os.environ, key_file), None
    if served is None and options.pictures is None:
        raise UserError("Where are pictures shown from? Name the server's folder with --data, or set `pictures`.")
    with (
        Studio(address, key) as studio,
        locked(corpus / FOLDER),
        Sync(studio, corpus, interfaces.load, served if options.pictures is None else None) as running,
    ):
        if doubt := studio.doubt():
            typer.echo(doubt, err=True)
        while True:
            try:
                summary = running.run()
                _print(summary, corpus)
                if passwords is not None:
                    _sign_up(studio, corpus, summary, passwords)
            except NotReady as error:
                if watch is None:
                    raise
                typer.echo(str(error), err=True)
            if watch is None:
                return
            time.sleep(watch)


def _print(summary: Summary, corpus: Path) -> None:
    if summary.filed or summary.created:
        made = ", ".join(f"{count} {stage}" for stage, count in summary.created.items()) or "none"
        typer.echo(f"{summary.filed} new answers. New tasks: {made}. New projects: {summary.projects}.")
        typer.echo("Pairs by step: " + ", ".join(f"{count} {step}" for step, count in sorted(summary.steps.items())))
    for one in summary.set_aside:
        typer.echo(f"Set aside: {one.key} ({one.reason}): {one.message}", err=True)
    for note in summary.notes:
        typer.echo(note, err=True)
    if summary.damaged:
        lines = ", ".join(map(str, summary.damaged[:5]))
        typer.echo(f"{corpus / 'campaign' / 'answers.jsonl'}: {len(summary.damaged)} broken lines ({lines}).", err=True)


def _sign_up(studio: Studio, corpus: Path, summary: Summary, passwords: Path) -> None:
    """Make accounts for the people who have none."""
    from annotation.campaign.options import read_options
    from annotation.studio import ensure_user, keep_password

    for person in read_options(corpus).people:
        if person.person_id in summary.strangers:
            ensure_user(studio, person.email, keep_password(passwords, person.email))
            typer.echo(f"Made an account for {person.person_id} ({person.email}).")

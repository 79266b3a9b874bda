"""`editfhf annotate sync CORPUS`: fetch what people did, hand out what is ready."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mos.errors import UserError
from mos.terminal import printable

if TYPE_CHECKING:
    from annotation.campaign.exchange.sync import Summary, Sync
    from annotation.campaign.exchange.watch import Hints
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
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            help="With --watch: hear from the server at once, by webhooks to this address; port 0 takes a free one.",
        ),
    ] = None,
    listen_url: Annotated[
        str | None,
        typer.Option("--listen-url", help="Where the server reaches that, if not at http://HOST:PORT/hint."),
    ] = None,
) -> None:
    """Bring the server and CORPUS/campaign up to date: file every answer, create every task that is due.

    May be stopped at any moment and run again: nothing is lost, nothing is doubled.

    Examples:

        editfhf annotate sync my-corpus --data studio-data --passwords passwords.csv

        editfhf annotate sync my-corpus --data studio-data --watch 60 --listen 127.0.0.1:0

        editfhf annotate sync my-corpus --url https://studio.example.org --watch 60
    """
    from annotation import interfaces
    from annotation.campaign.exchange.lock import locked
    from annotation.campaign.exchange.sync import Sync
    from annotation.campaign.exchange.watch import Hints
    from annotation.campaign.options import FOLDER, read_options
    from annotation.studio import Studio, find, find_key

    if listen is not None and watch is None:
        raise UserError("--listen is for a sync that goes on: add --watch SECONDS.")
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
            _warn(doubt)
        accounts = _Accounts(studio, corpus, passwords)

        def look(heard: Collection[int] | None = None) -> None:
            summary = running.run(heard)
            tell(summary, corpus)
            accounts.make(summary.strangers)

        if watch is None:
            look()
        elif listen is None:
            _watch(look, running, None, watch)
        else:
            with Hints(studio, listen, listen_url, _warn) as hints:
                _watch(look, running, hints, watch)


def _watch(look: Callable[[Collection[int] | None], None], running: Sync, hints: Hints | None, seconds: float) -> None:
    """Look until Ctrl-C or SIGTERM; what goes wrong after it went well is said, and may be well the next time."""
    from annotation.studio import NotReady

    before = signal.signal(signal.SIGTERM, _interrupt)
    heard: Collection[int] | None = None
    well = False
    try:
        while True:
            try:
                look(heard)
                if hints is not None:
                    hints.cover(running.projects)
                well = True
            except UserError as error:
                if not well and not isinstance(error, NotReady):
                    raise
                _warn(str(error))
                heard = None
            if hints is None:
                time.sleep(seconds)
            else:
                heard = hints.wait(seconds)
    except KeyboardInterrupt:
        _warn("Stopped. Run it again to go on.")
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _warn(sentence: str) -> None:
    # Keys and names in it may be whatever a member of the server wrote.
    typer.echo(printable(sentence), err=True)


def tell(summary: Summary, corpus: Path) -> None:
    """Print what a look found and did: what was done on stdout, what somebody should look at on stderr."""
    if summary.filed or summary.created:
        made = ", ".join(f"{count} {stage}" for stage, count in summary.created.items()) or "none"
        typer.echo(f"{summary.filed} new answers. New tasks: {made}. New projects: {summary.projects}.")
        typer.echo("Pairs by step: " + ", ".join(f"{count} {step}" for step, count in sorted(summary.steps.items())))
    for name in summary.fitted:
        typer.echo(printable(f"The project of {name} has the present interface now."))
    for sentence in summary.misfits:
        _warn(sentence)
    if summary.doubled:
        typer.echo(f"Removed {summary.doubled} tasks that were there twice and not begun.")
    for one in summary.set_aside:
        _warn(f"Set aside: {one.key} ({one.reason}): {one.message}")
    for note in summary.notes:
        _warn(note)
    if summary.damaged:
        lines = ", ".join(map(str, summary.damaged[:5]))
        typer.echo(f"{corpus / 'campaign' / 'answers.jsonl'}: {len(summary.damaged)} broken lines ({lines}).", err=True)


class _Accounts:
    """Makes accounts for the people who have none, with passwords kept in a file; for nobody where there is no file."""

    def __init__(self, studio: Studio, corpus: Path, passwords: Path | None) -> None:
        self._studio = studio
        self._corpus = corpus
        self._passwords = passwords
        self._refused: set[str] = set()

    def make(self, strangers: Collection[str]) -> None:
        """Sign up the people with these ids; whom the server refuses is named once."""
        from annotation.campaign.options import read_options
        from annotation.studio import NotReady, ensure_user, keep_password

        if self._passwords is None or not strangers:
            return
        for person in read_options(self._corpus).people:
            if person.person_id not in strangers or person.email in self._refused:
                continue
            password = keep_password(self._passwords, person.email)
            try:
                ensure_user(self._studio, person.email, password)
            except NotReady:
                raise
            except UserError as error:
                self._refused.add(person.email)
                _warn(f"{person.person_id}: {error}")
                continue
            typer.echo(f"Made an account for {person.person_id} ({person.email}).")

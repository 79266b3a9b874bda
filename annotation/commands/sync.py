"""`editfhf annotate sync CORPUS`: fetch new answers from the server, create the tasks that are due."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import interrupt_on_sigterm, print_line, print_notices
from mos.errors import UserError
from mos.words import escape_to_one_line, format_quantity

if TYPE_CHECKING:
    from annotation.campaign.sync.run_sync import CampaignSync, SyncSummary
    from annotation.campaign.sync.webhooks import WebhookHints
    from annotation.labelstudio.client import StudioClient


def annotate_sync(
    corpus: Annotated[Path, typer.Argument(help="Corpus with a campaign.")],
    watch: Annotated[float | None, typer.Option("--watch", min=1, help="Repeat every N seconds until Ctrl-C.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of a server that `annotate serve` runs: its address, key and images."),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Address of the server, instead of the one in campaign.yaml.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="File of mode 600 with the key of the server; default: $EDITFHF_STUDIO_KEY."),
    ] = None,
    passwords: Annotated[
        Path | None,
        typer.Option(
            "--passwords",
            help="Create missing accounts of participants; their passwords are added to this file.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            help="With --watch: receive webhooks of the server at this address; port 0 takes a free one.",
        ),
    ] = None,
    listen_url: Annotated[
        str | None,
        typer.Option("--listen-url", help="URL at which the server reaches --listen, if not http://HOST:PORT/hint."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the server and show what a sync would do; change nothing.")
    ] = False,
) -> None:
    """Save new answers of the server in CORPUS/campaign, and create the tasks that are due.

    Can be stopped at any moment and run again: no answer is lost, and no task is created twice.

    Examples:

        editfhf annotate sync my-corpus --data studio-data --passwords passwords.csv

        editfhf annotate sync my-corpus --data studio-data --watch 60 --listen 127.0.0.1:0

        editfhf annotate sync my-corpus --url https://studio.example.org --watch 60

        editfhf annotate sync my-corpus --data studio-data --dry-run
    """
    from annotation import interfaces
    from annotation.campaign.options import CAMPAIGN_FOLDER, read_campaign_options
    from annotation.campaign.state_files import lock_campaign
    from annotation.campaign.sync.dry_run import ReadOnlyServer, copy_campaign_state
    from annotation.campaign.sync.run_sync import CampaignSync
    from annotation.campaign.sync.webhooks import WebhookHints
    from annotation.labelstudio.client import StudioClient
    from annotation.labelstudio.credentials import find_studio_key
    from annotation.labelstudio.server import find_studio_server

    if listen is not None and watch is None:
        raise UserError("--listen needs --watch SECONDS.")
    if dry_run and (watch is not None or passwords is not None):
        raise UserError("--dry-run changes nothing: expected it without --watch and --passwords.")
    options = read_campaign_options(corpus)
    if data is not None:
        found = find_studio_server(data)
        address, key, served = found.url, found.api_key, found.images
    else:
        address, key, served = url or options.url, find_studio_key(os.environ, key_file), None
    images = served if options.pictures is None else None
    with (
        StudioClient(address, key) as studio,
        lock_campaign(corpus / CAMPAIGN_FOLDER),
        copy_campaign_state(corpus) if dry_run else nullcontext() as state,
        CampaignSync(
            ReadOnlyServer(studio) if dry_run else studio, corpus, interfaces.render_label_config, images, state=state
        ) as running,
    ):
        require_image_address(studio, served, options.pictures)
        if version_gap := studio.describe_version_gap():
            print_notices([version_gap])
        accounts = _AccountMaker(studio, corpus, passwords)

        def sync_once(changed_projects: Collection[int] | None = None) -> None:
            summary = running.run(changed_projects)
            print_sync_summary(summary, corpus)
            if watch is None and not is_eventful(summary):
                print_line("Nothing is new.")
            if dry_run:
                print_line("Nothing was changed: this is what a sync would do.", to_stderr=True)
            accounts.make(summary.people_without_account)

        if watch is None:
            sync_once()
        elif listen is None:
            _sync_repeatedly(sync_once, running, None, watch)
        else:
            with WebhookHints(studio, listen, listen_url, lambda sentence: print_notices([sentence])) as hints:
                _sync_repeatedly(sync_once, running, hints, watch)


def _sync_repeatedly(
    sync_once: Callable[[Collection[int] | None], None],
    running: CampaignSync,
    hints: WebhookHints | None,
    seconds: float,
) -> None:
    """Synchronise until Ctrl-C or SIGTERM; after one success, errors are printed and the next attempt follows."""
    from annotation.labelstudio.connection import StudioUnavailableError

    changed_projects: Collection[int] | None = None
    succeeded = False
    with interrupt_on_sigterm():
        try:
            while True:
                try:
                    sync_once(changed_projects)
                    if hints is not None:
                        hints.cover(running.projects)
                    succeeded = True
                except UserError as error:
                    if not succeeded and not isinstance(error, StudioUnavailableError):
                        raise
                    print_notices([str(error)])
                    changed_projects = None
                if hints is None:
                    time.sleep(seconds)
                else:
                    changed_projects = hints.wait(seconds)
        except KeyboardInterrupt:
            print_notices(["Stopped. Run it again to continue."])


def require_image_address(studio: StudioClient, served: Path | None, pictures: str | None) -> None:
    """Raise `UserError` if browsers cannot load images; that the key is wrong comes first, as it does not help then."""
    if served is None and pictures is None:
        studio.whoami()
        raise UserError("Expected the address of the images: name the server's folder with --data, or set `pictures`.")


def is_eventful(summary: SyncSummary) -> bool:
    """Whether a sync read or did anything that `print_sync_summary` prints."""
    done = summary.filed or summary.created or summary.duplicate_tasks or summary.without_proposal or summary.withdrawn
    return bool(done or summary.updated_projects or summary.incompatible_projects or summary.set_aside or summary.notes)


def print_sync_summary(summary: SyncSummary, corpus: Path) -> None:
    """Print the summary of a sync: what was done on stdout, warnings on stderr."""
    if summary.filed or summary.created:
        made = ", ".join(f"{count} {stage}" for stage, count in summary.created.items()) or "none"
        answers = format_quantity(summary.filed, "new answer")
        print_line(f"{answers}. New tasks: {made}. New projects: {summary.projects}.")
        print_line("Pairs by stage: " + ", ".join(f"{count} {step}" for step, count in sorted(summary.steps.items())))
    for name in summary.updated_projects:
        print_line(escape_to_one_line(f"The project of {name} now has the current interface."))
    for sentence in summary.incompatible_projects:
        print_notices([sentence])
    if summary.duplicate_tasks:
        print_line(f"Removed {format_quantity(summary.duplicate_tasks, 'duplicate task')} without an answer.")
    if summary.without_proposal:
        tasks = format_quantity(summary.without_proposal, "task")
        print_line(f"Replaced {tasks} that the server had stored without their proposal.")
    if summary.withdrawn:
        what = ", ".join(f"{number} {stage}" for stage, number in summary.withdrawn.items())
        print_line(
            f"Withdrew tasks that nobody had begun: {what}. They belonged to somebody who left, waited for a redo, or "
            "showed an outdated proposal."
        )
    for one in summary.set_aside:
        print_notices([f"Rejected: {one.file} ({one.reason}): {one.message}"])
    for note in summary.notes:
        print_notices([note])
    if summary.damaged:
        lines = ", ".join(map(str, summary.damaged[:5]))
        broken = format_quantity(len(summary.damaged), "broken line")
        print_line(f"{corpus / 'campaign' / 'answers.jsonl'}: {broken} ({lines}).", to_stderr=True)


class _AccountMaker:
    """Creates missing accounts of participants, with passwords in a file; does nothing without a file."""

    def __init__(self, studio: StudioClient, corpus: Path, passwords: Path | None) -> None:
        self._studio = studio
        self._corpus = corpus
        self._passwords = passwords
        self._refused: set[str] = set()

    def make(self, person_ids: Collection[str]) -> None:
        """Create accounts for the participants with these ids; a refusal of the server is printed once."""
        from annotation.campaign.options import read_campaign_options
        from annotation.labelstudio.accounts import ensure_user, keep_password
        from annotation.labelstudio.connection import StudioUnavailableError

        if self._passwords is None or not person_ids:
            return
        for person in read_campaign_options(self._corpus).people:
            if person.person_id not in person_ids or person.email in self._refused:
                continue
            password = keep_password(self._passwords, person.email)
            try:
                ensure_user(self._studio, person.email, password)
            except StudioUnavailableError:
                raise
            except UserError as error:
                self._refused.add(person.email)
                print_notices([f"{person.person_id}: {error}"])
                continue
            print_line(f"Created an account for {person.person_id} ({person.email}).")

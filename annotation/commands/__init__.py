"""`editfhf annotate ...`: an annotation campaign on Label Studio."""

from __future__ import annotations

from collections.abc import Callable

import typer

from annotation.commands.create import annotate_create
from annotation.commands.export import annotate_export
from annotation.commands.notes import annotate_notes
from annotation.commands.qualify import annotate_qualify
from annotation.commands.redo import annotate_redo
from annotation.commands.regions import annotate_regions
from annotation.commands.serve import annotate_serve
from annotation.commands.status import annotate_status
from annotation.commands.sync import annotate_sync

annotate_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Run an annotation campaign on Label Studio.",
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "serve": annotate_serve,
    "create": annotate_create,
    "qualify": annotate_qualify,
    "sync": annotate_sync,
    "status": annotate_status,
    "notes": annotate_notes,
    "redo": annotate_redo,
    "regions": annotate_regions,
    "export": annotate_export,
}
for name, command in _COMMANDS.items():
    annotate_app.command(name, no_args_is_help=command is not annotate_serve)(command)

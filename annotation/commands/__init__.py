"""`editfhf annotate ...`: the campaign in which people annotate, on Label Studio."""

from __future__ import annotations

import typer

from annotation.commands.create import create
from annotation.commands.export import export
from annotation.commands.qualify import qualify
from annotation.commands.redo import redo
from annotation.commands.serve import serve
from annotation.commands.status import status
from annotation.commands.sync import sync

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Let people annotate a corpus, on Label Studio.",
)
for command in (serve, create, qualify, sync, status, redo, export):
    app.command(no_args_is_help=command is not serve)(command)

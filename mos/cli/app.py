"""The sub-commands of `editfhf mos`, one file each."""

from __future__ import annotations

import typer

from mos.cli.agreement import agreement
from mos.cli.compare import compare
from mos.cli.methods import methods
from mos.cli.plan import plan
from mos.cli.raters import raters
from mos.cli.report import report
from mos.cli.score import score
from mos.cli.screen import screen
from mos.cli.update import update

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Mean opinion scores from the ratings of any study: a CSV or Parquet table, or a Label Studio export.",
)
for command in (score, update, screen, raters, agreement, compare, plan, report, methods):
    app.command(no_args_is_help=command not in (plan, methods))(command)

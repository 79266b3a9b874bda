"""The sub-commands of `editfhf mos`."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from mos.cli.analysis import agreement_command, compare_command, raters_command, report_command
from mos.cli.plan import plan_command
from mos.cli.scoring import methods_command, score_command, screen_command, update_command


class PlainCommand(TyperCommand):
    """A command whose help shows `TABLE...` for `{TABLE}...`, and no type `<bool>` after a flag.

    Use as `cls` of `typer.Typer.command`.
    """

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def get_params(self, ctx: Any) -> list[Any]:
        params = super().get_params(ctx)
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Mean opinion scores from the ratings of any study: a CSV or Parquet table, or a Label Studio export.",
)
for name, command in {
    "score": score_command,
    "update": update_command,
    "screen": screen_command,
    "raters": raters_command,
    "agreement": agreement_command,
    "compare": compare_command,
    "plan": plan_command,
    "report": report_command,
    "methods": methods_command,
}.items():
    app.command(name, cls=PlainCommand, no_args_is_help=command not in (plan_command, methods_command))(command)

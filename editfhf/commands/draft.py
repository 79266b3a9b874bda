"""`editfhf draft`: a model drafts the description of every flaw, before reviewers see it."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from editfhf.commands.server_options import parse_dollars, parse_parameters
from mos.console import show_progress
from mos.errors import UserError

DEFAULT_SUBCOMMAND = "corpus"
"""Sub-command that runs when the first argument is no sub-command."""


class _DefaultSubcommandGroup(TyperGroup):
    """Sub-commands with a default: `editfhf draft my-corpus` is `editfhf draft corpus my-corpus`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in ("--help", "-h") and self._begins_with_corpus(ctx, args):
            args = [DEFAULT_SUBCOMMAND, *args]
        return super().parse_args(ctx, args)

    def _begins_with_corpus(self, ctx: Any, args: list[str]) -> bool:
        """Whether the first word is no sub-command, or is a folder called `corpus`: no other corpus follows."""
        if args[0] not in self.commands:
            return True
        is_help = {"--help", "-h"} & set(args) or (len(args) == 1 and not Path(args[0]).is_dir())
        if args[0] != DEFAULT_SUBCOMMAND or is_help:
            return False
        command = self.commands[DEFAULT_SUBCOMMAND]
        inner = command.make_context(DEFAULT_SUBCOMMAND, args[1:], parent=ctx, resilient_parsing=True)
        return inner.params.get("corpus") is None


class RedoOption(StrEnum):
    """Regions to attempt again."""

    failed = "failed"
    low_quality = "low-quality"
    all = "all"


class ImageFormatOption(StrEnum):
    """Format of the images that are sent."""

    jpeg = "jpeg"
    png = "png"


draft_app = typer.Typer(
    cls=_DefaultSubcommandGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Draft descriptions of all accepted regions with a vision-language model: editfhf draft CORPUS.",
    epilog="`editfhf draft CORPUS` is short for `editfhf draft corpus CORPUS`; see `editfhf draft corpus --help`.",
)

DraftCorpusArgument = Annotated[
    Path, typer.Argument(metavar="CORPUS", help="Corpus folder with marked and reviewed regions.")
]
DraftConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="build.yaml with the rules for regions, without a campaign."),
]
DraftJsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


@draft_app.command(DEFAULT_SUBCOMMAND, no_args_is_help=True)
def run_draft(
    corpus: DraftCorpusArgument,
    model: Annotated[str, typer.Option("--model", help="Name of the model on the server.")] = "gpt-5",
    prompt: Annotated[str, typer.Option("--prompt", help="Name of a prompt, or path of a prompt file.")] = "v1",
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="OpenAI-compatible server (default: OPENAI_BASE_URL, else OpenAI)."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File of mode 600 with the API key (default: OPENAI_API_KEY).")
    ] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--pairs", help="Only this pair, or @FILE with an id per line; can be repeated."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="Draft at most N pairs.")] = None,
    redo: Annotated[RedoOption | None, typer.Option("--redo", help="Attempt these regions again.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show requests and their cost; send nothing.")] = False,
    max_requests: Annotated[
        int | None,
        typer.Option("--max-requests", min=0, help="Stop before exceeding N requests (all runs)."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=0, help="Stop before exceeding N tokens (all runs).")
    ] = None,
    max_money: Annotated[
        str | None, typer.Option("--max-money", help="Stop before exceeding N dollars (all runs).")
    ] = None,
    prices: Annotated[Path | None, typer.Option("--prices", help="Price table (default: that of the package).")] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=1000, help="Concurrent requests.")] = 8,
    batch: Annotated[bool, typer.Option("--batch", help="Use the Batch API: cheaper, answers within a day.")] = False,
    max_side: Annotated[
        int, typer.Option("--max-side", min=64, max=8192, help="Longer side of the images that are sent, in pixels.")
    ] = 1024,
    picture_format: Annotated[
        ImageFormatOption, typer.Option("--picture-format", help="Format of the images that are sent.")
    ] = ImageFormatOption.jpeg,
    max_regions: Annotated[int, typer.Option("--max-regions", min=1, max=100, help="Regions per request.")] = 12,
    max_output_tokens: Annotated[
        int, typer.Option("--max-output-tokens", min=300, help="Token limit of one reply, reasoning included.")
    ] = 8000,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", help="NAME=VALUE for the server, such as reasoning_effort=low; can be repeated."),
    ] = None,
    config: DraftConfigOption = None,
    json: DraftJsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Draft flaw type, severity and reasoning of every accepted region without a text.

    Writes CORPUS/drafts.jsonl, which `editfhf annotate sync` shows to reviewers. After an interruption, run it again:
    answered requests are neither sent nor paid for twice.

    Examples:

        editfhf draft my-corpus --dry-run

        editfhf draft my-corpus --limit 20 --max-money 2

        editfhf draft my-corpus --max-money 150 --batch

        editfhf draft my-corpus --redo low-quality --prompt my-prompt.yaml

        editfhf draft my-corpus --base-url http://127.0.0.1:8000/v1 --model Qwen/Qwen2.5-VL-7B-Instruct
    """
    from editfhf.builder.options import read_build_options
    from editfhf.chat import BatchOptions, Limits, Prices, default_prices, find_connection
    from editfhf.commands import draft_output
    from editfhf.drafting.pair_images import DraftImageEncoding
    from editfhf.drafting.plan import RunChoice
    from editfhf.drafting.prompt import read_prompt
    from editfhf.drafting.requests import DraftRequestOptions
    from editfhf.drafting.run import DraftServer, draft_corpus, estimate_draft_run
    from editfhf.drafting.selection import resolve_pair_names

    options = read_build_options(config)
    encoding = DraftImageEncoding(max_side, picture_format.value)
    request_options = DraftRequestOptions(
        model,
        read_prompt(prompt, encoding),
        encoding,
        max_output_tokens,
        max_regions,
        parse_parameters(parameter or ()),
    )
    choice = RunChoice(resolve_pair_names(corpus, pairs or ()), limit, redo.value if redo else None)
    price_table = Prices.read(prices) if prices else default_prices()
    if dry_run:
        with show_progress(quiet) as progress:
            estimate, left = estimate_draft_run(corpus, options, choice, request_options, price_table, progress)
        draft_output.print_draft_estimate(estimate, left, request_options, price_table, batch, json)
        return
    limits = Limits(max_requests, max_tokens, parse_dollars(max_money))
    batch_options = BatchOptions() if batch else None
    server = DraftServer(
        find_connection(os.environ, base_url, key_file), price_table, limits, concurrency, batch_options
    )
    with show_progress(quiet) as progress:
        summary = draft_corpus(corpus, options, choice, request_options, server, progress)
    draft_output.print_draft_summary(summary, corpus, json)
    draft_output.exit_with_status(summary)


@draft_app.command("check", no_args_is_help=True)
def run_draft_check(
    corpus: DraftCorpusArgument, config: DraftConfigOption = None, json: DraftJsonOption = False
) -> None:
    """List doubtful drafts with the reasons. `editfhf draft CORPUS --redo low-quality` attempts them again.

    Lines of drafts.jsonl that nobody uses, such as those about an unknown region, are listed too.

    Example:

        editfhf draft check my-corpus
    """
    from editfhf.builder.options import read_build_options
    from editfhf.commands import draft_output
    from editfhf.drafting.run import check_corpus_drafts

    draft_output.print_draft_issues(*check_corpus_drafts(corpus, read_build_options(config)), json)


@draft_app.command("report", no_args_is_help=True)
def run_draft_report(
    corpus: DraftCorpusArgument,
    page: Annotated[
        Path | None, typer.Option("--page", help="Also write a self-contained HTML page to this file.")
    ] = None,
    config: DraftConfigOption = None,
    json: DraftJsonOption = False,
) -> None:
    """Compare drafts with the final texts: how many were accepted unchanged, and what was changed.

    Examples:

        editfhf draft report my-corpus

        editfhf draft report my-corpus --page drafts.html

        editfhf draft report my-corpus --json | jq .whole.accepted
    """
    from annotation.corpus import Corpus
    from editfhf.builder.options import read_build_options
    from editfhf.commands import draft_output
    from editfhf.drafting.report import write_draft_page
    from editfhf.drafting.run import report_on_drafts

    if page is not None and (page.is_dir() or not page.absolute().parent.is_dir()):
        raise UserError(f"The page cannot be written to {page}: expected a file name in an existing folder.")
    report = report_on_drafts(corpus, read_build_options(config))
    if page is not None:
        write_draft_page(page, report, Corpus.open(corpus).meta.name)
    draft_output.print_draft_report(report, json)

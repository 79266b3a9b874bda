"""`editfhf draft`: a model writes the first description of every flaw, before people review it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mos.errors import UserError

FIRST = "corpus"
"""The sub-command that is meant when the first word is no sub-command."""


class _OfCorpus(TyperGroup):
    """Sub-commands, of which the first needs no name: `editfhf draft my-corpus`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [FIRST, *args]
        return super().parse_args(ctx, args)


class Redo(StrEnum):
    """What is attempted once more."""

    failed = "failed"
    low_quality = "low-quality"
    all = "all"


class Form(StrEnum):
    """How pictures are sent."""

    jpeg = "jpeg"
    png = "png"


app = typer.Typer(
    cls=_OfCorpus,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Let a model draft what is wrong in every accepted region: editfhf draft CORPUS.",
    epilog="`editfhf draft CORPUS` is short for `editfhf draft corpus CORPUS`; see `editfhf draft corpus --help`.",
)

Corpus = Annotated[Path, typer.Argument(metavar="CORPUS", help="A corpus whose regions are marked and reviewed.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="build.yaml: which regions are accepted, where there is no campaign.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")]


@app.command(FIRST, no_args_is_help=True)
def draft(
    corpus: Corpus,
    model: Annotated[str, typer.Option("--model", help="As the server calls it.")] = "gpt-5",
    prompt: Annotated[str, typer.Option("--prompt", help="Name of a prompt, or a file with one.")] = "v1",
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="An OpenAI-compatible server; else OPENAI_BASE_URL, else OpenAI.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File of mode 600 with the key; else OPENAI_API_KEY.")
    ] = None,
    pairs: Annotated[
        list[str] | None, typer.Option("--pairs", help="This pair only, or @FILE with one id a line; may be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="No more than so many pairs.")] = None,
    redo: Annotated[Redo | None, typer.Option("--redo", help="Attempt these regions once more.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked and what it costs.")] = False,
    max_requests: Annotated[
        int | None, typer.Option("--max-requests", min=0, help="Stop before the corpus has had more requests.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=0, help="The same for tokens.")] = None,
    max_money: Annotated[str | None, typer.Option("--max-money", help="The same for US dollars.")] = None,
    prices: Annotated[Path | None, typer.Option("--prices", help="Your own table of prices.")] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=1000, help="Requests at a time.")] = 8,
    batch: Annotated[bool, typer.Option("--batch", help="Ask through the Batch API: cheaper, within a day.")] = False,
    max_side: Annotated[
        int, typer.Option("--max-side", min=64, max=8192, help="Longer side of the pictures sent, in pixels.")
    ] = 1024,
    picture_format: Annotated[Form, typer.Option("--picture-format", help="How pictures are sent.")] = Form.jpeg,
    max_regions: Annotated[int, typer.Option("--max-regions", min=1, max=100, help="Regions in one request.")] = 12,
    max_output_tokens: Annotated[
        int, typer.Option("--max-output-tokens", min=300, help="Tokens of one reply, thinking included.")
    ] = 8000,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", help="NAME=VALUE for the server, such as reasoning_effort=low; may be repeated."),
    ] = None,
    config: Config = None,
    json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Draft flaw type, severity and reasoning of every accepted region that has no text yet.

    Writes CORPUS/drafts.jsonl, which `editfhf annotate sync` shows to reviewers. Interrupted, run it again: what was
    answered is not asked or paid for twice.

    Examples:

        editfhf draft my-corpus --dry-run

        editfhf draft my-corpus --limit 20 --max-money 2

        editfhf draft my-corpus --max-money 150 --batch

        editfhf draft my-corpus --redo low-quality --prompt my-prompt.yaml

        editfhf draft my-corpus --base-url http://127.0.0.1:8000/v1 --model Qwen/Qwen2.5-VL-7B-Instruct
    """
    from editfhf.build.options import read_options
    from editfhf.chat import BatchOptions, Limits, Prices, find_connection, shipped
    from editfhf.commands import draft_output
    from editfhf.drafting import running
    from editfhf.drafting.plan import Choice
    from editfhf.drafting.prompt import read_prompt
    from editfhf.drafting.requests import Asking
    from editfhf.drafting.selection import named_pairs
    from editfhf.drafting.shown import Encoding

    options = read_options(config)
    encoding = Encoding(max_side, picture_format.value)
    asking = Asking(
        model, read_prompt(prompt, encoding), encoding, max_output_tokens, max_regions, _parameters(parameter or ())
    )
    choice = Choice(named_pairs(corpus, pairs or ()), limit, redo.value if redo else None)
    table = Prices.read(prices) if prices else shipped()
    if dry_run:
        with draft_output.watching(quiet, money=False) as watcher:
            found, left = running.dry_run(corpus, options, choice, asking, table, watcher)
        draft_output.print_estimate(found, left, asking, table, batch, json)
        return
    limits = Limits(max_requests, max_tokens, _money(max_money))
    through = BatchOptions() if batch else None
    server = running.Server(find_connection(os.environ, base_url, key_file), table, limits, concurrency, through)
    with draft_output.watching(quiet) as watcher:
        summary = running.draft(corpus, options, choice, asking, server, watcher)
    draft_output.print_summary(summary, corpus, json)
    draft_output.leave(summary)


@app.command(no_args_is_help=True)
def check(corpus: Corpus, config: Config = None, json: AsJson = False) -> None:
    """Show which drafts look doubtful, and why. `editfhf draft CORPUS --redo low-quality` asks for them once more.

    Example:

        editfhf draft check my-corpus
    """
    from editfhf.build.options import read_options
    from editfhf.commands import draft_output
    from editfhf.drafting import running

    draft_output.print_issues(*running.check(corpus, read_options(config)), json)


@app.command(no_args_is_help=True)
def report(
    corpus: Corpus,
    page: Annotated[
        Path | None, typer.Option("--page", help="HTML file to write as well; it needs no other file and no network.")
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Compare drafts with the texts that people settled on: accepted as they were, how much was changed, and where.

    Examples:

        editfhf draft report my-corpus

        editfhf draft report my-corpus --page drafts.html

        editfhf draft report my-corpus --json | jq .whole.accepted
    """
    from annotation.corpus import Corpus as Opened
    from editfhf.build.options import read_options
    from editfhf.commands import draft_output
    from editfhf.drafting import report_page, running

    if page is not None and (page.is_dir() or not page.absolute().parent.is_dir()):
        raise UserError(f"The page cannot be written to {page}: expected a file in a folder that is there.")
    found = running.report(corpus, read_options(config))
    if page is not None:
        report_page.write(page, found, Opened.open(corpus).meta.name)
    draft_output.print_report(found, json)


def _money(text: str | None) -> Any:
    from decimal import Decimal, InvalidOperation

    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UserError(f"--max-money: expected US dollars such as 150 or 2.50, got {text[:40]!r}.") from None


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    """Names with values: JSON where it is JSON (`temperature=0`), else text (`reasoning_effort=low`)."""
    import orjson

    found: dict[str, Any] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name.isidentifier():
            raise UserError(f"--parameter: expected NAME=VALUE such as reasoning_effort=low, got {one[:80]!r}.")
        try:
            found[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            found[name] = value
    return found

"""`editfhf collect`: from photos to the pairs of a campaign."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from editfhf.commands.server_options import parse_dollars
from mos.console import print_json, print_line, show_progress
from mos.errors import UserError

collect_app = typer.Typer(
    help="Collect new pairs: sources, prompts, edit, score, select.", no_args_is_help=True, add_completion=False
)

CollectionArgument = Annotated[Path, typer.Argument(help="Folder of the collection.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the counts as JSON on stdout.")]


def _print_counts(counts: dict[str, dict[str, int]], json: bool) -> None:
    if json:
        print_json(counts)
        return
    for step, numbers in counts.items():
        print_line(f"{step:8} " + "  ".join(f"{name} {number:,}" for name, number in numbers.items()))


@collect_app.command("sources", no_args_is_help=True)
def run_sources(
    collection: CollectionArgument,
    places: Annotated[list[Path], typer.Argument(help="Folders of images, or lists (.csv, .jsonl, .parquet).")],
    allow_licence: Annotated[
        list[str] | None, typer.Option("--allow-licence", help="Accept only this licence; can be repeated.")
    ] = None,
    min_side: Annotated[int, typer.Option("--min-side", min=8, help="Pixels of the shorter side.")] = 64,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check images and copy the accepted ones, with licence, author and origin.

    Examples:

        editfhf collect sources my-collection photos/

        editfhf collect sources my-collection photos/metadata.csv --allow-licence CC0 --allow-licence "Public Domain"
    """
    from editfhf.collect.quality import QualityLimits
    from editfhf.collect.sources import collect_sources

    with show_progress(quiet) as progress:
        limits = QualityLimits(min_side=min_side)
        counts = collect_sources(collection, places, allow_licence or (), limits, progress)
    _print_counts({"sources": counts}, json)


@collect_app.command("prompts", no_args_is_help=True)
def run_prompts(
    collection: CollectionArgument,
    model: Annotated[str, typer.Option("--model", help="Name of the model on the server.")] = "gpt-5",
    base_url: Annotated[str | None, typer.Option("--base-url", help="OpenAI-compatible server.")] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", help="File of mode 600 with the API key.")] = None,
    task: Annotated[list[str] | None, typer.Option("--task", help="Only this task; can be repeated.")] = None,
    per_source: Annotated[int, typer.Option("--per-source", min=1, help="Tasks for each picture.")] = 3,
    forbid: Annotated[list[str] | None, typer.Option("--forbid", help="Word that no instruction may have.")] = None,
    corrections: Annotated[
        Path | None, typer.Option("--corrections", help="Corrected copy of prompts.csv; asks no model.")
    ] = None,
    max_money: Annotated[str | None, typer.Option("--max-money", help="Stop before exceeding N dollars.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show requests and their cost; send nothing.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let a model propose instructions, and check them.

    Examples:

        editfhf collect prompts my-collection --dry-run

        editfhf collect prompts my-collection --per-source 4 --max-money 5

        editfhf collect prompts my-collection --corrections corrected.csv
    """
    from annotation.taxonomy import load_edit_tasks
    from editfhf.chat import Limits, default_prices, find_connection, format_cost
    from editfhf.collect.prompts import PromptOptions, apply_corrections, collect_prompts, estimate_prompts

    if corrections is not None:
        _print_counts({"prompts": apply_corrections(collection, corrections)}, json)
        return
    options = PromptOptions(model, tuple(task or load_edit_tasks()), per_source, tuple(forbid or ()))
    prices = default_prices()
    if dry_run:
        requests, usage = estimate_prompts(collection, options, prices)
        print_line(f"{requests:,} requests, at most {format_cost(usage)}. Nothing was sent.")
        return
    connection = find_connection(os.environ, base_url, key_file)
    with show_progress(quiet) as progress:
        limits = Limits(money=parse_dollars(max_money))
        counts, usage = collect_prompts(collection, options, connection, limits, prices, progress)
    _print_counts({"prompts": counts}, json)
    print_line(f"Spent so far: {format_cost(usage)}.", to_stderr=True)


@collect_app.command("edit", no_args_is_help=True)
def run_edit(
    collection: CollectionArgument,
    editor: Annotated[list[str], typer.Option("--editor", help="Name of an editor; can be repeated.")],
    seed: Annotated[int, typer.Option("--seed", help="Seed of every edit.")] = 0,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Edits at a time.")] = 1,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Try edits again that failed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how many edits are left; make none.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Edit every instance with every editor. Run it again after an interruption: nothing is made twice.

    Example:

        editfhf collect edit my-collection --editor denoise --editor deblur
    """
    from editfhf.collect.edit import collect_edits, is_edited, plan_edits
    from editfhf.editors.registry import find_editor_entry, load_editor

    names = list(dict.fromkeys(editor))
    kinds = {name: find_editor_entry(name).kind for name in names}
    if dry_run:
        left = [one for one in plan_edits(collection, names, seed) if not is_edited(collection, one)]
        for name in names:
            print_line(f"{name}: {sum(one.editor == name for one in left):,} edits left ({kinds[name]}).")
        return
    with show_progress(quiet) as progress:
        counts = collect_edits(collection, names, load_editor, progress, seed, concurrency, retry_errors)
    _print_counts({"edit": counts}, json)


@collect_app.command("score", no_args_is_help=True)
def run_score(
    collection: CollectionArgument,
    scorer: Annotated[
        str | None, typer.Option("--scorer", help="MODULE:FUNCTION(source, edited, instruction) -> scores.")
    ] = None,
    judge: Annotated[str | None, typer.Option("--judge", help="Name of a model that judges every result.")] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", help="OpenAI-compatible server of the judge.")] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", help="File of mode 600 with the API key.")] = None,
    max_money: Annotated[str | None, typer.Option("--max-money", help="Stop before exceeding N dollars.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show requests and their cost; send nothing.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score every result in [0, 100] for each dimension, by a function or by a judge.

    Examples:

        editfhf collect score my-collection --scorer my_scores:score

        editfhf collect score my-collection --judge gpt-5 --dry-run
    """
    from editfhf.chat import Limits, default_prices, find_connection, format_cost
    from editfhf.collect.judge import Judge
    from editfhf.collect.score import Scorer, collect_scores, estimate_judge, list_results, load_scorer

    if (scorer is None) == (judge is None):
        raise UserError("Expected one of --scorer MODULE:FUNCTION and --judge MODEL.")
    if dry_run:
        count = len(list_results(collection))
        cost = format_cost(estimate_judge(collection, judge, default_prices())) if judge else "$0.00"
        print_line(f"{count:,} results, at most {cost}. Nothing was scored.")
        return
    if judge is not None:
        connection = find_connection(os.environ, base_url, key_file)
        limits = Limits(money=parse_dollars(max_money))
        function: Scorer = Judge(collection, judge, connection, limits, default_prices())
        name = f"judge:{judge}"
    else:
        function, name = load_scorer(scorer or ""), scorer or ""
    with show_progress(quiet) as progress:
        counts = collect_scores(collection, name, function, progress)
    _print_counts({"score": counts}, json)


@collect_app.command("select", no_args_is_help=True)
def run_select(
    collection: CollectionArgument,
    corpus: Annotated[Path, typer.Argument(help="Folder of the new corpus.")],
    top: Annotated[int, typer.Option("--top", min=1, help="Results of each instance at most.")] = 3,
    least: Annotated[float, typer.Option("--least", min=0, max=100, help="Least overall score.")] = 0,
    max_distance: Annotated[
        int, typer.Option("--max-distance", min=-1, max=64, help="Drop results that differ in at most N of 64 bits.")
    ] = -1,
    name: Annotated[str, typer.Option("--name", help="Name of the corpus (default: that of its folder).")] = "",
    json: JsonOption = False,
) -> None:
    """Write the best results as a corpus for `editfhf annotate` and `editfhf build`.

    Example:

        editfhf collect select my-collection my-corpus --top 3 --least 30
    """
    from editfhf.collect.select import SelectionRules, select_pairs

    rules = SelectionRules(top, least, max_distance)
    counts = select_pairs(collection, corpus, name or corpus.resolve().name, rules)
    _print_counts({"select": counts}, json)


@collect_app.command("status", no_args_is_help=True)
def run_status(
    collection: CollectionArgument,
    page: Annotated[Path | None, typer.Option("--page", help="Also write a page with pictures to this file.")] = None,
    json: JsonOption = False,
) -> None:
    """Show what came in and went out of each step.

    Examples:

        editfhf collect status my-collection

        editfhf collect status my-collection --page collection.html
    """
    from editfhf.collect.folder import read_counts
    from editfhf.collect.report import write_collection_page

    counts = read_counts(collection)
    if not counts:
        raise UserError(f"{collection} is no collection. Begin with: editfhf collect sources {collection} PHOTOS.")
    if page is not None:
        write_collection_page(collection, page)
    _print_counts(counts, json)


@collect_app.command("run", no_args_is_help=True)
def run_all(
    plan: Annotated[Path, typer.Argument(help="A collect.yaml.")],
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run every step that a collect.yaml describes. Run it again after an interruption.

    Example:

        editfhf collect run collect.yaml
    """
    from editfhf.collect.run import run_plan

    with show_progress(quiet) as progress:
        counts = run_plan(plan, progress)
    _print_counts(counts, json)

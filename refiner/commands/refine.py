"""`editfhf refine SOURCE EDITED`: repair one edited image, or all of a table, dataset or folder."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from refiner.batch.refine_pair import TeamChoice
    from refiner.options import RefineOptions


class RefineExecutor(StrEnum):
    """Where the pairs of a batch are refined."""

    local = "local"
    dask = "dask"


def run_refine(
    source: Annotated[
        Path | None, typer.Argument(metavar="SOURCE", help="Image before the edit, or a folder of them.")
    ] = None,
    edited: Annotated[
        Path | None, typer.Argument(metavar="EDITED", help="Image after the edit, or a folder with the same names.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="New or empty folder for the result; needed without --dry-run.")
    ] = None,
    instruction: Annotated[str, typer.Option("--instruction", help="What the edit was asked to do.")] = "",
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="Refine all pairs of this pairs.jsonl, or of a corpus.")
    ] = None,
    dataset: Annotated[Path | None, typer.Option("--dataset", help="Refine all pairs of this built dataset.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Refine at most N pairs.")] = None,
    perception: Annotated[str, typer.Option("--perception", help="Perception agent.")] = "auto",
    reasoning: Annotated[str, typer.Option("--reasoning", help="Reasoning agent, or none.")] = "auto",
    evaluation: Annotated[str, typer.Option("--evaluation", help="Evaluation agent, or none.")] = "auto",
    auditor: Annotated[
        str, typer.Option("--auditor", help="Evaluation agent that scores what was kept, and decides nothing.")
    ] = "none",
    editor: Annotated[
        list[str] | None,
        typer.Option("--editor", help="Editor, can be repeated; auto: those that need no weights."),
    ] = None,
    editor_command: Annotated[
        str,
        typer.Option("--editor-command", help="A program that edits: CMD with {current} or {source}, {mask}, {out}."),
    ] = "",
    turns: Annotated[int, typer.Option("--turns", min=1, help="Most turns.")] = 4,
    patience: Annotated[int, typer.Option("--patience", min=1, help="Turns without gain before it stops.")] = 1,
    epsilon: Annotated[float, typer.Option("--epsilon", min=0, help="Gain in points that a change needs.")] = 0.0,
    candidates: Annotated[int, typer.Option("--candidates", min=1, help="Edits of one region that compete.")] = 2,
    guard: Annotated[
        bool, typer.Option("--guard/--no-guard", help="A change must also lower the perceived flaws.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same result.")] = 0,
    call_time: Annotated[
        float, typer.Option("--call-time", min=0.001, help="Seconds after which one call is given up.")
    ] = 600.0,
    max_time: Annotated[
        float | None, typer.Option("--max-time", min=0, help="Stop after N seconds of calls, per pair.")
    ] = None,
    max_calls: Annotated[int | None, typer.Option("--max-calls", min=0, help="Stop after N calls, per pair.")] = None,
    max_money: Annotated[
        float | None, typer.Option("--max-money", min=0, help="Stop after N dollars for editors, per pair.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run in --out.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes for a batch; each loads its models.")] = 1,
    executor: Annotated[
        RefineExecutor, typer.Option("--executor", help="Where the pairs of a batch are refined.")
    ] = RefineExecutor.local,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a Dask scheduler, with --executor dask.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan of the first turn, or the size of the batch; edit nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Repair an edited image: find its flaws, edit them one by one, keep what is better.

    Writes DIR/refined.png (the input's pixels where nothing was gained), report.html, layers.ora, trace.jsonl and
    turns/. For many pairs: DIR/<pair>/ for each, summary.json, summary.html, and pairs.jsonl with images/, which
    `editfhf annotate create --from` takes. After an interruption, run it again with --resume: no answer is paid twice.

    Examples:

        editfhf refine source.png edited.png --instruction "make it snow" --out refined

        editfhf refine source.png edited.png --instruction "make it snow" --dry-run

        editfhf refine source.png edited.png --out refined --editor restore --turns 2 --auditor compact

        editfhf refine --pairs examples/real/pairs.jsonl --out refined-set

        editfhf refine --dataset my-dataset --out refined-set --resume

        editfhf refine sources/ edits/ --out refined-set --workers 4
    """
    from refiner.batch.refine_pair import TeamChoice
    from refiner.options import RefineBudget, RefineOptions

    options = RefineOptions(
        turns=turns,
        patience=patience,
        epsilon=epsilon,
        candidates=candidates,
        guard=guard,
        seed=seed,
        call_seconds=call_time,
        budget=RefineBudget(
            math.inf if max_time is None else max_time, max_calls, math.inf if max_money is None else max_money
        ),
    )
    choice = TeamChoice(perception, reasoning, evaluation, auditor, tuple(editor or ["auto"]), editor_command)
    given = [name for name, value in (("SOURCE EDITED", source), ("--pairs", pairs), ("--dataset", dataset)) if value]
    if len(given) != 1 or (source is None) != (edited is None):
        raise UserError(
            f"Expected either SOURCE and EDITED, or --pairs, or --dataset, but got {' and '.join(given) or 'none'}."
        )
    if out is None and not dry_run:
        raise UserError("Expected --out DIR, a folder for the result.")
    if source is not None and edited is not None and not source.is_dir():
        _refine_one(source, edited, instruction, choice, options, out, resume, dry_run, json, quiet)
        return
    _refine_many(
        (source, edited, instruction),
        pairs or dataset,
        limit,
        choice,
        options,
        out,
        resume,
        (workers, executor.value, scheduler),
        dry_run,
        json,
        quiet,
    )


def _refine_one(
    source: Path,
    edited: Path,
    instruction: str,
    choice: TeamChoice,
    options: RefineOptions,
    out: Path | None,
    resume: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    from mos.console import show_progress
    from refiner.commands.refine_output import print_plan, print_refinement
    from refiner.preview import preview_plan
    from refiner.refinement import read_input_image
    from refiner.run_folder import PairInput, refine_into_folder, require_run_folder

    if out is not None and not dry_run:
        require_run_folder(out, resume)
    pair = PairInput(read_input_image(source), read_input_image(edited), instruction)
    with show_progress(quiet) as progress:
        progress.begin("Agents", None)
        team = choice.load_team()
        if dry_run or out is None:
            progress.begin("Plan", None)
            preview = preview_plan(pair, team, options)
        else:
            progress.begin("Turns", options.turns)
            result = refine_into_folder(
                pair, team, options, out, resume=resume, on_turn=lambda record: progress.advance()
            )
    if dry_run or out is None:
        print_plan(preview, as_json)
    else:
        print_refinement(result, out, as_json)


def _refine_many(
    folders: tuple[Path | None, Path | None, str],
    table: Path | None,
    limit: int | None,
    choice: TeamChoice,
    options: RefineOptions,
    out: Path | None,
    resume: bool,
    running: tuple[int, str, str | None],
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    from itertools import islice

    from annotation.records import Rejection
    from mos.console import interrupt_on_sigterm, show_progress
    from refiner.batch.read_pairs import count_batch_pairs, read_batch_pairs, read_folder_pairs
    from refiner.batch.run_batch import run_batch
    from refiner.commands.refine_output import print_batch, print_batch_preview

    rejected: list[Rejection] = []
    sources, edits, instruction = folders
    if table is not None:
        pairs = read_batch_pairs(table, rejected.append)
    else:
        assert sources is not None and edits is not None
        pairs = read_folder_pairs(sources, edits, instruction, rejected.append)
    if limit is not None:
        pairs = islice(pairs, limit)
    if dry_run or out is None:
        print_batch_preview(sum(1 for _ in pairs), rejected, choice.load_team(), options, as_json)
        return
    total = count_batch_pairs(table) if table is not None else None
    if total is not None and limit is not None:
        total = min(total, limit)
    workers, executor, scheduler = running
    with interrupt_on_sigterm(), show_progress(quiet) as progress:
        summary = run_batch(
            pairs,
            rejected,
            choice,
            options,
            out,
            progress,
            total=total,
            resume=resume,
            workers=workers,
            executor="dask" if executor == "dask" else "local",
            scheduler=scheduler,
        )
    print_batch(summary, out, as_json)

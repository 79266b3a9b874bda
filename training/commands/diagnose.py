"""`editfhf diagnose SOURCE EDITED --instruction TEXT`: what is wrong with an edited image."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from training.diagnosis.diagnose_pair import DiagnosisAgents


SERVED_AGENT = "served"
SERVED = "Served agents"
SERVED_FOLDER = ".served"
"""Folder in DIR with the answers of the server, its ledger and budget; no pair has a name that begins with a dot."""
SERVED_WORKERS = 8


class CoordinateOption(StrEnum):
    """How a model writes boxes."""

    thousandths = "thousandths"
    pixels = "pixels"


def run_diagnose(
    source: Annotated[Path | None, typer.Argument(metavar="SOURCE", help="Image before the edit.")] = None,
    edited: Annotated[Path | None, typer.Argument(metavar="EDITED", help="Image after the edit.")] = None,
    instruction: Annotated[
        str | None, typer.Option("--instruction", "-i", help="What the editor was asked to do.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for the maps, the picture and the JSON.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs", metavar="FILE", help="JSON lines with pair_id, source, edited, instruction: diagnose them all."
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Dataset that `editfhf build` wrote, or a Hub repository: diagnose a split."),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Split of the dataset, also with a slice (test[:20]).")
    ] = "test",
    perception: Annotated[
        str | None, typer.Option("--perception", help="Agent that finds the flaws (default: compact).")
    ] = None,
    reasoning: Annotated[
        str | None, typer.Option("--reasoning", help="Agent that describes them (default: compact).")
    ] = None,
    evaluation: Annotated[
        str | None, typer.Option("--evaluation", help="Agent that scores the image (default: compact).")
    ] = None,
    fail_below: Annotated[
        float | None,
        typer.Option("--fail-below", min=0, max=100, help="Exit with 1 if an overall score is lower, or missing."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Pairs at one time (default: all cores).")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the diagnosis of another pair in DIR.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Served agents: name of the model on the server.", rich_help_panel=SERVED),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            help="OpenAI-compatible server (default: OPENAI_BASE_URL, else OpenAI).",
            rich_help_panel=SERVED,
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file", help="File of mode 600 with the API key (default: OPENAI_API_KEY).", rich_help_panel=SERVED
        ),
    ] = None,
    max_requests: Annotated[
        int | None,
        typer.Option(
            "--max-requests", min=0, help="Stop before exceeding N requests (all runs).", rich_help_panel=SERVED
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", min=0, help="Stop before exceeding N tokens (all runs).", rich_help_panel=SERVED),
    ] = None,
    max_money: Annotated[
        str | None,
        typer.Option("--max-money", help="Stop before exceeding N dollars (all runs).", rich_help_panel=SERVED),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", help="Price table (default: that of the package).", rich_help_panel=SERVED),
    ] = None,
    max_side: Annotated[
        int,
        typer.Option(
            "--max-side",
            min=64,
            max=8192,
            help="Longer side of the images that are sent, in pixels.",
            rich_help_panel=SERVED,
        ),
    ] = 1024,
    coordinates: Annotated[
        CoordinateOption,
        typer.Option(
            "--coordinates",
            help="How the model writes boxes: 0 to 1000 (Qwen3-VL, Gemini, GPT), or pixels (Qwen2.5-VL).",
            rich_help_panel=SERVED,
        ),
    ] = CoordinateOption.thousandths,
    max_output_tokens: Annotated[
        int,
        typer.Option(
            "--max-output-tokens",
            min=300,
            help="Token limit of one reply, reasoning included.",
            rich_help_panel=SERVED,
        ),
    ] = 4000,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            help="NAME=VALUE for the server, such as temperature=0; can be repeated.",
            rich_help_panel=SERVED,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Say what is wrong with an edited image: maps, regions, flaw types, a sentence each, scores. Nothing is edited.

    DIR gets artifact.png and failure.png (the maps, 255 = certainly wrong), overlay.png (a picture to look at) and
    diagnosis.json. With --pairs or --dataset each pair gets a folder DIR/<pair_id>, and DIR gets summary.json; after
    an interruption, run it again: pairs that are done are kept.

    Examples:

        editfhf diagnose before.png after.png --instruction "Remove the hat."

        editfhf diagnose before.png after.png -i "Remove the hat." --out diagnosis

        editfhf diagnose before.png after.png -i "Remove the hat." --fail-below 60      (guards a pipeline)

        editfhf diagnose --pairs pairs.jsonl --out diagnoses --workers 4

        editfhf diagnose --dataset my-dataset --split test --out diagnoses

        editfhf diagnose before.png after.png -i "Remove the hat." --out diagnosis --perception served
        --reasoning served --evaluation served --model MODEL --base-url http://127.0.0.1:8000/v1
    """
    from editfhf.commands.server_options import parse_dollars, parse_parameters
    from training.agents.registry import DEFAULT_AGENT
    from training.diagnosis.diagnose_pair import load_diagnosis_agents, require_instruction

    many = [name for name, value in (("--pairs", pairs), ("--dataset", dataset)) if value is not None]
    single = [name for name, value in (("SOURCE", source), ("--instruction", instruction)) if value is not None]
    if len(many) > 1 or (many and single):
        raise typer.BadParameter(f"{' and '.join(many + single)} exclude each other.")
    if many and out is None:
        raise typer.BadParameter(f"{many[0]} needs --out DIR.")
    if not many and (source is None or edited is None or instruction is None):
        raise typer.BadParameter("expected SOURCE, EDITED and --instruction TEXT, or --pairs FILE, or --dataset.")
    if instruction is not None:
        require_instruction(instruction)
    names = perception or DEFAULT_AGENT, reasoning or DEFAULT_AGENT, evaluation or DEFAULT_AGENT
    options: dict[str, Any] = {}
    if SERVED_AGENT in names:
        if model is None or out is None:
            raise typer.BadParameter("served agents need --model NAME, and --out DIR for their answers and their cost.")
        options[SERVED_AGENT] = {
            "model": model,
            "folder": out / SERVED_FOLDER,
            "base_url": base_url,
            "key_file": key_file,
            "max_requests": max_requests,
            "max_tokens": max_tokens,
            "max_money": parse_dollars(max_money),
            "prices": prices,
            "concurrency": workers or SERVED_WORKERS,
            "max_side": max_side,
            "coordinates": coordinates.value,
            "max_output_tokens": max_output_tokens,
            "parameters": tuple(sorted(parse_parameters(parameter or ()).items())),
        }
        workers = workers or SERVED_WORKERS
    agents = load_diagnosis_agents(*names, options=options)
    if source is not None and edited is not None and instruction is not None:
        _diagnose_single(source, edited, instruction, agents, out, overwrite, json, fail_below)
    elif out is not None:
        _diagnose_many(pairs, dataset, split, agents, out, workers, json, fail_below, quiet)


def _diagnose_single(
    source: Path,
    edited: Path,
    instruction: str,
    agents: DiagnosisAgents,
    out: Path | None,
    overwrite: bool,
    json: bool,
    fail_below: float | None,
) -> None:
    from training.agents.results import AgentFailure
    from training.commands.diagnose_output import fail_below_limit, print_diagnosis
    from training.diagnosis.diagnose_pair import diagnose_arrays
    from training.diagnosis.output_folder import require_output_folder
    from training.diagnosis.read_images import read_rgb_image

    images = read_rgb_image(source, "source"), read_rgb_image(edited, "edited")
    try:
        diagnosis = diagnose_arrays(*images, instruction, agents)
    except AgentFailure as error:
        raise UserError(str(error)) from error
    if out is not None:
        require_output_folder(out, diagnosis, overwrite)
        diagnosis.save(out)
    print_diagnosis(diagnosis, out, json)
    if fail_below is not None:
        fail_below_limit([("The image", diagnosis.overall)], fail_below)


def _diagnose_many(
    pairs: Path | None,
    dataset: str | None,
    split: str,
    agents: DiagnosisAgents,
    out: Path,
    workers: int | None,
    json: bool,
    fail_below: float | None,
    quiet: bool,
) -> None:
    import os

    from mos.console import show_progress
    from training.commands.diagnose_output import fail_below_limit, print_batch
    from training.diagnosis.batch import BatchSummary, diagnose_batch
    from training.diagnosis.pair_list import count_pairs_of_file, list_pairs_of_dataset, list_pairs_of_file

    summary = BatchSummary(agents.identities)
    if pairs is not None:
        listed, total = list_pairs_of_file(pairs, summary.rejections.append), count_pairs_of_file(pairs)
    else:
        import editfhf

        rows = editfhf.load(str(dataset), split=split)
        listed, total = list_pairs_of_dataset(rows, summary.rejections.append), len(rows)
    with show_progress(quiet) as progress:
        progress.begin("Pairs", total)
        diagnose_batch(listed, agents, out, summary=summary, workers=workers or os.cpu_count() or 1, progress=progress)
    print_batch(summary, out, json)
    if not summary.rows:
        raise UserError(f"No pair could be diagnosed. The reasons are in {out / 'rejected.jsonl'}.")
    if fail_below is not None:
        scores = [(f"The pair {row['pair_id']!r}", row["overall"]) for row in summary.rows]
        rejected = [(f"The rejected pair {each.pair_id!r}", None) for each in summary.rejections if not each.repaired]
        fail_below_limit([*scores, *rejected], fail_below)

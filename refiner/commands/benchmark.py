"""`editfhf benchmark restoration`: what a loop repairs of flaws whose clean target is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

benchmark_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Benchmarks of editors and of the loop.",
)


@benchmark_app.callback()
def describe_benchmark() -> None:
    """Benchmarks of editors and of the loop."""


@benchmark_app.command("restoration")
def run_restoration_command(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for results and tables; a later run adds what is new.")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos", help="Folder of photos; choose some on which no agent was trained. Default: packaged."
        ),
    ] = None,
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="Simulated images, half of them rendered.")] = 200,
    height: Annotated[int, typer.Option("--size", min=64, help="Height of the images in pixels.")] = 384,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same images and results.")] = 0,
    methods: Annotated[
        str,
        typer.Option("--methods", metavar="A,B,C", help="Names with commas between; default: all."),
    ] = "",
    perception: Annotated[str, typer.Option("--perception", help="Perception agent of the loops.")] = "auto",
    reasoning: Annotated[str, typer.Option("--reasoning", help="Reasoning agent, or none.")] = "auto",
    evaluation: Annotated[str, typer.Option("--evaluation", help="Evaluation agent.")] = "auto",
    turns: Annotated[int, typer.Option("--turns", min=1, help="Most turns.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Repair simulated images and compare with their hidden clean targets.

    Real photos get a known edit and injected flaws; half of them, and their targets, are then rendered as a generative
    editor renders: shifted, zoomed, softened, recoloured. No method but refine-oracle sees the targets.

    Methods: refine, refine-oracle, copy-source, authors-rules, stale-maps, stretched-maps, mean-score, whole-answer,
    keep-last.

    Examples:

        editfhf benchmark restoration --pairs 20 --methods refine,copy-source

        editfhf benchmark restoration --photos ~/photos --out restoration
    """
    from mos.console import print_json, show_progress
    from refiner.options import RefineOptions
    from refiner.restoration.methods import METHOD_MEANINGS
    from refiner.restoration.run_restoration import RestorationOptions, run_restoration
    from training.commands.evaluate import split_names
    from training.commands.evaluate_output import conclude_table

    names = split_names(methods, "--methods") or list(METHOD_MEANINGS)
    agents = {"perception": perception, "reasoning": reasoning, "evaluation": evaluation}
    with show_progress(quiet) as progress:
        tables = run_restoration(
            RestorationOptions(pairs, height, seed, photos),
            names,
            options=RefineOptions(turns=turns),
            agents=agents,
            out=out,
            progress=progress,
        )
    if as_json:
        print_json([table.as_record() for table in tables])
        return
    for table in tables:
        conclude_table(table, out, as_json=False)

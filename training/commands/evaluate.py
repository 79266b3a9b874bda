"""`editfhf evaluate`: agents on a dataset, as the paper's tables 2 and 4 show them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mos.errors import UserError

evaluate_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Measure agents on a dataset, with intervals and the human ceiling beside every number.",
)


class SplitOption(StrEnum):
    """Split of the dataset."""

    train = "train"
    validation = "validation"
    test = "test"


class PresetOption(StrEnum):
    """Details of the metrics of maps."""

    mit = "mit"
    exact = "exact"
    richhf = "richhf"
    sjtu = "sjtu"


DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="Folder that `editfhf build` wrote, or a repository on the Hub.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the results of each pair and the tables; a later run adds what is new."),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Use the first N pairs only.")]
SplitChoice = Annotated[SplitOption, typer.Option("--split", help="Split of the dataset.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the table as JSON on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


@evaluate_app.callback()
def describe_evaluate() -> None:
    """Measure agents on a dataset, with intervals and the human ceiling beside every number."""


AgentsOption = Annotated[
    str,
    typer.Option("--agents", metavar="A,B,C", help="Names with commas between (default: all that need no server)."),
]


@evaluate_app.command("perception", no_args_is_help=True)
def run_evaluate_perception(
    dataset: DatasetArgument,
    agents: AgentsOption = "",
    out: OutOption = None,
    split: SplitChoice = SplitOption.test,
    preset: Annotated[
        PresetOption, typer.Option("--preset", help="Whose implementation of the metrics to follow.")
    ] = PresetOption.mit,
    limit: LimitOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure where agents find flaws: table 2 of the paper, for artifacts and failures.

    Examples:

        editfhf evaluate perception demo/dataset --agents centre,difference

        editfhf evaluate perception demo/dataset --out results --split validation --preset exact
    """
    from training.commands.evaluate_output import conclude_table
    from training.tables.perception_table import measure_perception

    names = split_names(agents)
    table = measure_perception(
        dataset,
        names,
        split=split.value,
        preset=preset.value,
        out=out,
        limit=limit,
        pictures=out is not None,
        progress=not quiet,
    )
    conclude_table(table, out, as_json=json)


@evaluate_app.command("evaluation", no_args_is_help=True)
def run_evaluate_evaluation(
    dataset: DatasetArgument,
    agents: AgentsOption = "",
    out: OutOption = None,
    split: SplitChoice = SplitOption.test,
    limit: LimitOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how well the scores of agents follow those of people: table 4 of the paper.

    Examples:

        editfhf evaluate evaluation demo/dataset --agents ssim,psnr

        editfhf evaluate evaluation demo/dataset --out results --json
    """
    from training.commands.evaluate_output import conclude_table
    from training.tables.evaluation_table import measure_evaluation

    names = split_names(agents)
    table = measure_evaluation(
        dataset, names, split=split.value, out=out, limit=limit, pictures=out is not None, progress=not quiet
    )
    conclude_table(table, out, as_json=json)


@evaluate_app.command("reasoning", no_args_is_help=True)
def run_evaluate_reasoning(
    dataset: DatasetArgument,
    agents: AgentsOption = "",
    out: OutOption = None,
    split: SplitChoice = SplitOption.test,
    limit: LimitOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure what agents say about the true boxes: table 3 of the paper.

    Examples:

        editfhf evaluate reasoning demo/dataset --agents compact --out results
    """
    from training.commands.evaluate_output import conclude_table
    from training.tables.reasoning_table import measure_reasoning

    names = split_names(agents)
    table = measure_reasoning(dataset, names, split=split.value, out=out, limit=limit, progress=not quiet)
    conclude_table(table, out, as_json=json)


def split_names(text: str, option: str = "--agents") -> list[str]:
    """Names that stand with commas between them; none for "", which means the default."""
    names = [name for part in text.split(",") if (name := part.strip())]
    if text and not names:
        raise UserError(f"{option} needs at least one name.")
    return names

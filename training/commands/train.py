"""`editfhf train ...`: train the agents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.train_levels import train_level_calibration

if TYPE_CHECKING:
    from mos.console import Progress
    from training.compact.train import TrainingSummary

train_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Train the agents that find, describe and score flaws.",
)


train_app.command("levels", no_args_is_help=True)(train_level_calibration)


@train_app.command("compact", no_args_is_help=True)
def train_compact_agents(
    dataset: Annotated[
        Path,
        typer.Argument(metavar="DATASET", help="Dataset of `editfhf build`, with the splits train and validation."),
    ],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes of the recipe, such as epochs=10.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for weights, checkpoints, curve and log.")
    ] = ...,  # type: ignore[assignment]
    config: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE", help="YAML file with a recipe (default: that of the shipped weights)."),
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(metavar="DATASET", help="Further dataset for training; may be repeated.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(metavar="DATASET", help="All pairs of this dataset are the validation pairs.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="AGENT", help="Learn the maps and scores of this agent, such as vlm, rather than those of people."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the features, about 2 MB a pair (default: OUT/cache)."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Train the compact agents: one small network on the frozen features of a pretrained one, on a CPU.

    Features are computed once and kept. After an interruption, run it again: it continues at the last epoch and comes
    to the same weights. Use the result with load_agent("perception", "compact", weights="DIR").

    Examples:

        editfhf train compact dataset --out agents/mine

        editfhf train compact dataset --out agents/quick epochs=4 fine=16

        editfhf train compact dataset --out agents/mine --config recipe.yaml --validation unseen-photos

        editfhf train compact unlabelled --out agents/small --teacher vlm --validation labelled

        tensorboard --logdir agents/mine/tensorboard
    """
    from mos.console import print_json, print_line, show_progress
    from mos.errors import UserError
    from training.compact.recipe import read_compact_recipe

    recipe = read_compact_recipe(config, changes or ())
    training_rows = [load_split(dataset, "train"), *(load_split(each, "train") for each in also or ())]
    validation_rows = load_split(dataset, "validation") if validation is None else load_all_splits(validation)
    try:
        from training.compact.train import describe_summary, train_compact
    except ModuleNotFoundError as error:
        raise UserError(
            f"Training needs the package {error.name!r}, which is not installed: run pip install 'editfhf[training]'."
        ) from error
    with show_progress(quiet) as progress:
        if teacher is not None:
            training_rows = _label_all(training_rows, teacher, out, progress)
        summary = train_compact(training_rows, [validation_rows], recipe, out, cache or out / "cache", progress)
    if json:
        print_json(describe_summary(summary))
    else:
        print_line(_describe_in_words(summary))


def _label_all(training_rows: list[Any], teacher: str, out: Path, progress: Progress) -> list[Any]:
    """The training pairs with the labels of agents; those without an answer are in `rejected.jsonl`."""
    from mos.files import replace_file
    from mos.rejections import Rejection, encode_rejection
    from training.agents.registry import load_agent
    from training.runs.teacher_labels import label_by_teacher

    agents = load_agent("perception", teacher), load_agent("evaluation", teacher)
    rejections: list[Rejection] = []
    labelled = [label_by_teacher(rows, *agents, out / "teacher", progress, rejections.append) for rows in training_rows]
    if rejections:
        replace_file(out / "rejected.jsonl", b"".join(encode_rejection(each) for each in rejections))
    return labelled


def _describe_in_words(summary: TrainingSummary) -> str:
    return (
        f"{summary.epochs} epochs on {summary.pairs:,} pairs; the best one was {summary.best_epoch}, with a loss of "
        f"{summary.best_loss:.4f} on {summary.validation_pairs:,} validation pairs.\n"
        f"Weights and curve.svg are in {summary.out}.\n"
        f'Use them: training.load_agent("perception", "compact", weights="{summary.out}")'
    )


def load_split(dataset: Path, split: str) -> Any:
    """One split of a dataset; UserError if it has none of this name."""
    import editfhf
    from mos.errors import UserError

    tables = editfhf.load(dataset)
    if split not in tables:
        raise UserError(
            f"{dataset} has no split {split!r}, only {', '.join(sorted(tables))}: build it with more sources, or give "
            "the pairs for validation with --validation DATASET."
        )
    return tables[split]


def load_all_splits(dataset: Path) -> Any:
    """All pairs of a dataset."""
    import datasets

    import editfhf

    tables = editfhf.load(dataset)
    return datasets.concatenate_datasets([tables[name] for name in sorted(tables)])

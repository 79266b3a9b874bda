"""`editfhf train perception | reasoning | evaluation`: train the paper's agents on a vision-language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands.train import load_all_splits, load_split, train_app

if TYPE_CHECKING:
    from training.vlm.recipe import VlmRole
    from training.vlm.trained_agent import TrainedAgent

_Dataset = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Dataset of `editfhf build`, with the splits train and validation.")
]
_Changes = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes of the recipe, such as backbone=tiny.")
]
_Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the agent, checkpoints and curve.")]
_Config = Annotated[
    Path | None, typer.Option(metavar="RECIPE", help="YAML file with a recipe (default: Qwen3-VL-8B, LoRA of rank 64).")
]
_Validation = Annotated[
    Path | None, typer.Option(metavar="DATASET", help="All pairs of this dataset are the validation pairs.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


@train_app.command("perception", no_args_is_help=True)
def train_perception_agent(
    dataset: _Dataset,
    changes: _Changes = None,
    out: _Out = ...,  # type: ignore[assignment]
    config: _Config = None,
    validation: _Validation = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Train perception: a vision-language model that draws where the flaws are, as two maps.

    DIR gets adapter and decoder as safetensors, agent.json, recipe.yaml and curve.svg; the backbone is not copied.
    After an interruption, run it again: it continues at the last epoch. Use it with
    load_agent("perception", "vlm", checkpoint="DIR").

    Examples:

        editfhf train perception dataset --out agents/perception --config recipe.yaml

        editfhf train perception dataset --out agents/try backbone=tiny epochs=3

        editfhf train perception dataset --out agents/p4 backbone=Qwen/Qwen3-VL-4B-Instruct precision=bfloat16
    """
    _train_agent("perception", dataset, changes, out, config, validation, json, quiet)


@train_app.command("evaluation", no_args_is_help=True)
def train_evaluation_agent(
    dataset: _Dataset,
    changes: _Changes = None,
    out: _Out = ...,  # type: ignore[assignment]
    config: _Config = None,
    validation: _Validation = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Train evaluation: words of five levels first, then a head that gives scores with deviations.

    DIR is as that of `editfhf train perception`. Use it with load_agent("evaluation", "vlm", checkpoint="DIR").

    Examples:

        editfhf train evaluation dataset --out agents/evaluation

        editfhf train evaluation dataset --out agents/try backbone=tiny level_epochs=2 score_epochs=2
    """
    _train_agent("evaluation", dataset, changes, out, config, validation, json, quiet)


@train_app.command("reasoning", no_args_is_help=True)
def train_reasoning_agent(
    dataset: _Dataset,
    changes: _Changes = None,
    out: _Out = ...,  # type: ignore[assignment]
    config: _Config = None,
    validation: _Validation = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Train reasoning: fine-tune on the rationales of people, then GRPO with rewards for form, type and likeness.

    DIR is as that of `editfhf train perception`. Use it with load_agent("reasoning", "vlm", checkpoint="DIR").

    Examples:

        editfhf train reasoning dataset --out agents/reasoning

        editfhf train reasoning dataset --out agents/try backbone=tiny sft_epochs=2 grpo_steps=2 rollouts=2
    """
    _train_agent("reasoning", dataset, changes, out, config, validation, json, quiet)


def _train_agent(
    role: VlmRole,
    dataset: Path,
    changes: list[str] | None,
    out: Path,
    config: Path | None,
    validation: Path | None,
    json: bool,
    quiet: bool,
) -> None:
    from importlib import import_module

    from mos.console import print_json, print_line, show_progress
    from mos.errors import UserError
    from training.runs.read_recipe import read_recipe
    from training.vlm.recipe import RECIPES

    recipe = read_recipe(RECIPES[role], config, changes or ())
    training_rows = load_split(dataset, "train")
    validation_rows = load_split(dataset, "validation") if validation is None else load_all_splits(validation)
    try:
        train = getattr(import_module(f"training.vlm.{role}.train_{role}"), f"train_{role}")
    except ModuleNotFoundError as error:
        raise UserError(
            f"Training needs the package {error.name!r}, which is not installed: run pip install 'editfhf[training]'."
        ) from error
    with show_progress(quiet) as progress:
        trained: TrainedAgent = train(training_rows, validation_rows, recipe, out, progress)
    if json:
        print_json(trained.as_record())
    else:
        print_line(_describe_in_words(role, trained))


def _describe_in_words(role: VlmRole, trained: TrainedAgent) -> str:
    figures = "".join(f"\n{name.replace('_', ' ')}: {value:.3f}" for name, value in trained.figures.items())
    return (
        f"{trained.epochs} epochs on {trained.pairs:,} pairs; the best one was {trained.best_epoch}, with a loss of "
        f"{trained.best_loss:.4f} on {trained.validation_pairs:,} validation pairs.{figures}\n"
        f"Adapter, recipe and curve.svg are in {trained.out}.\n"
        f'Use it: training.load_agent("{role}", "vlm", checkpoint="{trained.out}")'
    )


@train_app.command("check", no_args_is_help=True)
def check_training_recipe(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="YAML file of a recipe that says its agent, as agent: perception.")
    ],
    changes: _Changes = None,
    json: _Json = False,
) -> None:
    """Prove that a recipe trains, generates and rolls out on the same inputs, with its own backbone.

    One batch of unequal images goes through the collator, generation, trl's fine-tuning and trl's GRPO, in other
    orders, padding and batch sizes, and through an adapter that is saved and loaded. Token ids, mm_token_type_ids,
    pixel values, positions, logits and losses must agree. Exit status 1 if they do not.

    Examples:

        editfhf train check recipe.yaml

        editfhf train check agents/perception/recipe.yaml backbone=tiny --json
    """
    from tempfile import TemporaryDirectory

    from mos.console import print_json, print_line
    from mos.errors import UserError
    from training.vlm.recipe import read_any_recipe

    wanted = read_any_recipe(recipe, changes or ())
    try:
        from training.vlm.check.run_check import check_recipe, describe_rows
    except ModuleNotFoundError as error:
        raise UserError(
            f"A check needs the package {error.name!r}, which is not installed: run pip install 'editfhf[training]'."
        ) from error
    with TemporaryDirectory() as folder:
        rows = check_recipe(wanted, Path(folder))
    if json:
        print_json([row.as_record() for row in rows])
    else:
        print_line(describe_rows(rows))
    if not all(row.passed for row in rows):
        raise typer.Exit(1)

"""What a training of an agent came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mos.files import replace_file
from training.runs.read_recipe import format_recipe
from training.vlm.recipe import AgentRecipe


@dataclass(frozen=True, slots=True)
class TrainedAgent:
    """What a training came to.

    Attributes
    ----------
    out : Path
        Folder of the agent.
    epochs, best_epoch : int
        Epochs of its last stage, and the one that was kept, from 1.
    best_loss : float
        Validation loss of that epoch.
    pairs, validation_pairs : int
    figures : mapping
        Other numbers by their names.
    """

    out: Path
    epochs: int
    best_epoch: int
    best_loss: float
    pairs: int
    validation_pairs: int
    figures: Mapping[str, float]

    def as_record(self) -> dict[str, Any]:
        """The summary as JSON has it."""
        return asdict(self) | {"out": str(self.out)}


def summarise_training(
    out: Path, history: Sequence[Mapping[str, float]], pairs: int, validation_pairs: int, **figures: float
) -> TrainedAgent:
    """The summary of a training by the losses of its epochs, of which there is at least one."""
    best = min(history, key=lambda row: row["validation"])
    return TrainedAgent(out, len(history), int(best["epoch"]), best["validation"], pairs, validation_pairs, figures)


def write_used_recipe(out: Path, recipe: AgentRecipe) -> None:
    """Write the recipe with all its values, which trains the same agent again."""
    replace_file(out / "recipe.yaml", format_recipe(recipe).encode())

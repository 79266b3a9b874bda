"""The recipe of the compact network: every number that decides the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from training.runs.read_recipe import read_recipe


class CompactRecipe(BaseModel):
    """How the compact network is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, ge=0, description="Seed of the first weights, the order of pairs and all variation.")
    epochs: int = Field(20, ge=1, description="Passes through the training pairs.")
    patience: int = Field(5, ge=1, description="Epochs without a better validation loss before training stops.")
    batch: int = Field(16, ge=1, description="Pairs of one step.")
    learning_rate: float = Field(1.5e-3, gt=0, description="Highest learning rate; it rises, then falls to 0.")
    weight_decay: float = Field(0.02, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of all steps in which the learning rate rises.")
    flip: float = Field(0.5, ge=0, le=1, description="Probability to exchange left and right.")
    word_dropout: float = Field(0.1, ge=0, lt=1, description="Share of hashed words that are left out.")
    map_weight: float = Field(20.0, ge=0)
    shape_weight: float = Field(0.5, ge=0)
    presence_weight: float = Field(0.5, ge=0)
    score_weight: float = Field(0.5, ge=0)
    flaw_weight: float = Field(0.5, ge=0)
    clean_share: float = Field(0.95, gt=0, lt=1, description="Clean validation images with a peak below 0.5.")
    fine: int = Field(32, ge=8, multiple_of=8, description="Channels at stride 8.")
    middle: int = Field(64, ge=16, multiple_of=16, description="Channels at stride 16.")
    coarse: int = Field(64, ge=16, multiple_of=16, description="Channels at stride 32.")
    text: int = Field(48, ge=4, description="Length of the embedded instruction.")
    hidden: int = Field(128, ge=8, description="Width of the heads of scores and flaws.")
    threads: int = Field(2, ge=1, description="Threads of torch.")


def read_compact_recipe(path: Path | None = None, changes: Sequence[str] = ()) -> CompactRecipe:
    """Read a recipe with `training.runs.read_recipe`; that of the shipped weights by default."""
    return read_recipe(CompactRecipe, path or Path(__file__).with_name("recipe.yaml"), changes)

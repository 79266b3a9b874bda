"""The recipes of the three agents: every number that decides what is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mos.errors import UserError
from training.runs.read_recipe import read_recipe, read_recipe_values

VlmRole = Literal["perception", "reasoning", "evaluation"]

Precision = Literal["float32", "bfloat16"]


class AgentRecipe(BaseModel):
    """What the recipes of all three agents have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = Field(
        "Qwen/Qwen3-VL-8B-Instruct", description="Folder, name on the Hub, or tiny: a random one for trying out."
    )
    seed: int = Field(0, ge=0, description="Seed of first weights, order and variation.")
    rank: int = Field(64, ge=1, description="Rank of the adapter.")
    alpha: float = Field(32.0, gt=0, description="Scale of the adapter: alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout of the adapter.")
    batch: int = Field(4, ge=1, description="Pairs of one step and process.")
    accumulate: int = Field(4, ge=1, description="Steps whose gradients are added up.")
    learning_rate: float = Field(1e-4, gt=0, description="Highest learning rate of the adapter.")
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of all steps in which the learning rate rises.")
    clip: float = Field(0.5, gt=0, description="Largest norm of a gradient.")
    patience: int = Field(3, ge=1, description="Epochs without a better validation loss before training stops.")
    least_pixels: int = Field(256 * 256, ge=32 * 32, description="Smallest area of a shown image.")
    most_pixels: int = Field(1024 * 1024, ge=32 * 32, description="Largest area of a shown image.")
    precision: Precision = Field("float32", description="Type of the weights of the backbone.")
    recompute: bool = Field(False, description="Compute activations twice rather than keep them: less memory.")
    report_to: list[str] = Field([], description="Where losses go besides: tensorboard, wandb, ...")

    @model_validator(mode="after")
    def _order_areas(self) -> AgentRecipe:
        if self.least_pixels > self.most_pixels:
            raise ValueError("least_pixels must be at most most_pixels")
        return self


class PerceptionRecipe(AgentRecipe):
    """How perception is trained (equation 6)."""

    agent: Literal["perception"] = "perception"
    epochs: int = Field(5, ge=1, description="Passes through the training pairs.")
    head_learning_rate: float = Field(3e-4, gt=0, description="Highest learning rate of the decoder.")
    width: int = Field(256, ge=16, multiple_of=16, description="Channels of the decoder at the grid of the tokens.")
    flip: float = Field(0.5, ge=0, le=1, description="Probability to exchange left and right.")
    l1_weight: float = Field(0.2, ge=0, le=1, description="alpha of equation 6.")
    bce_weight: float = Field(0.6, ge=0, le=1, description="beta of equation 6; the rest is that of the divergence.")
    clean_share: float = Field(0.95, gt=0, lt=1, description="Clean validation images with a peak below 0.5.")

    @model_validator(mode="after")
    def _sum_to_one(self) -> PerceptionRecipe:
        if self.l1_weight + self.bce_weight > 1:
            raise ValueError("l1_weight and bce_weight must sum to at most 1")
        return self


class EvaluationRecipe(AgentRecipe):
    """How evaluation is trained: words of five levels by cross-entropy, then scores (equation 8)."""

    agent: Literal["evaluation"] = "evaluation"
    level_epochs: int = Field(2, ge=0, description="Epochs of stage 1; 0 leaves it out.")
    score_epochs: int = Field(4, ge=1, description="Epochs of stage 2.")
    head_learning_rate: float = Field(3e-4, gt=0, description="Highest learning rate of the head.")
    hidden: int = Field(512, ge=8, description="Width of the head.")
    flip: float = Field(0.5, ge=0, le=1, description="Probability to exchange left and right.")
    level_weight: float = Field(0.5, ge=0, description="Weight of the levels in stage 2, which forgets them without.")
    plcc_weight: float = Field(1.0, ge=0, description="Weight of 1 - PLCC beside the error, both of order 1.")


class ReasoningRecipe(AgentRecipe):
    """How reasoning is trained: fine-tuning, then GRPO (equation 7)."""

    agent: Literal["reasoning"] = "reasoning"
    sft_epochs: int = Field(3, ge=0, description="Epochs of fine-tuning; 0 leaves it out.")
    grpo_steps: int = Field(200, ge=0, description="Steps of GRPO; 0 leaves it out.")
    grpo_learning_rate: float = Field(1e-5, gt=0)
    rollouts: int = Field(8, ge=2, description="Answers to each prompt that are compared.")
    beta: float = Field(0.04, ge=0, description="Weight of the divergence from the model before GRPO.")
    temperature: float = Field(1.0, gt=0, description="Of rollouts.")
    most_new_tokens: int = Field(1024, ge=16, description="Longest answer.")
    most_boxes: int = Field(12, ge=1, le=12, description="Boxes of one question.")
    format_weight: float = Field(0.2, ge=0)
    type_weight: float = Field(0.4, ge=0)
    similarity_weight: float = Field(0.4, ge=0)
    similarity: Literal["rouge", "minilm", "simcse"] = Field("rouge", description="Backend of the similarity.")


AnyRecipe = PerceptionRecipe | EvaluationRecipe | ReasoningRecipe

RECIPES: dict[VlmRole, type[AnyRecipe]] = {
    "perception": PerceptionRecipe,
    "reasoning": ReasoningRecipe,
    "evaluation": EvaluationRecipe,
}


def read_any_recipe(path: Path, changes: Sequence[str] = ()) -> AnyRecipe:
    """Read the recipe of whichever agent the file names with `agent`.

    Raises
    ------
    UserError
        If the file names none, and as `read_recipe`.
    """
    role = read_recipe_values(path).get("agent")
    if role not in RECIPES:
        raise UserError(f"{path} must say for which agent it is, as agent: {' | '.join(RECIPES)}, but says {role!r}.")
    return read_recipe(RECIPES[role], path, changes)

"""Train reasoning with trl: supervised fine-tuning, then GRPO from its adapter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from annotation.records import KINDS
from mos.console import Progress
from mos.errors import UserError
from mos.files import replace_file
from training.metrics.text import score_meteor, split_words
from training.prompts.agent_messages import read_agent_prompts
from training.samples.pair_sample import PairSample, decode_row
from training.vlm.agent_folder import (
    OpenedBackbone,
    make_agent_record,
    open_recipe_backbone,
    write_agent_record,
)
from training.vlm.agent_network import load_adapter, save_adapter
from training.vlm.reasoning.box_questions import generate_replies, make_example
from training.vlm.reasoning.rewards import (
    AskedRegions,
    CompareTexts,
    make_comparison,
    reward_format,
    reward_similarity,
    reward_types,
)
from training.vlm.recipe import ReasoningRecipe
from training.vlm.train_network import (
    CHECKPOINTS,
    ProgressCallback,
    claim_folder,
    collect_epochs,
    make_training_arguments,
    require_rows,
    run_trainer,
    write_run_files,
)
from training.vlm.trained_agent import TrainedAgent, summarise_training, write_used_recipe

MEASURED_PAIRS = 64
"""Validation pairs, at most, on which rewards are measured after each stage."""

RewardParts = dict[str, float]


def train_reasoning(
    training_rows: Any,
    validation_rows: Any,
    recipe: ReasoningRecipe,
    out: Path,
    progress: Progress,
    after_epoch: Callable[[int], None] | None = None,
) -> TrainedAgent:
    """Train reasoning and write its folder.

    Parameters
    ----------
    training_rows, validation_rows : datasets.Dataset
        Splits of the table "default" of a built dataset; pairs without a complete region teach nothing here.
    recipe : ReasoningRecipe
    out : Path
        Folder of the agent; what an interrupted run of the same recipe and data left there is continued.
    progress : Progress
    after_epoch : callable, optional
        Called with the number of each finished epoch.

    Returns
    -------
    TrainedAgent
        Its figures are the rewards of both stages on validation pairs, and METEOR, which no stage trains. GRPO is kept
        only where it raised the reward.

    Raises
    ------
    UserError
        For pairs without descriptions, a folder of another training, or a backbone that cannot be loaded.
    """
    if not recipe.sft_epochs and not recipe.grpo_steps:
        raise UserError("There is nothing to train: set sft_epochs or grpo_steps above 0.")
    require_rows(training_rows, "train")
    require_rows(validation_rows, "validation")
    training = _keep_described(training_rows, "train")
    validation = _keep_described(validation_rows, "validation")
    opened = open_recipe_backbone(recipe, out)
    claim_folder(out, recipe, opened.digest, (training_rows, validation_rows))
    compare = make_comparison(recipe.similarity)
    history: list[dict[str, float]] = []
    figures: dict[str, float] = {}
    if recipe.sft_epochs:
        history = _fine_tune(opened, training, validation, recipe, out, progress, after_epoch)
        figures |= _name_figures("sft", measure_replies(opened, validation, recipe, compare, progress))
    save_adapter(opened.model, out)
    if recipe.grpo_steps:
        log = _optimise_rewards(opened, training, recipe, out, progress, compare)
        _write_rewards(out, log)
        figures |= _name_figures("grpo", measure_replies(opened, validation, recipe, compare, progress))
        if figures["grpo_reward"] >= figures.get("sft_reward", -math.inf):
            save_adapter(opened.model, out)
        else:
            load_adapter(opened.model, out)
    version = read_agent_prompts().version
    head = {"most_new_tokens": recipe.most_new_tokens}
    write_agent_record(out, make_agent_record(recipe, "reasoning", opened.digest, version, head=head))
    if history:
        write_run_files(out, history)
    write_used_recipe(out, recipe)
    rows = history or [{"epoch": 1.0, "training": math.nan, "validation": math.nan}]
    return summarise_training(out, rows, len(training), len(validation), **figures)


def measure_replies(
    opened: OpenedBackbone, rows: Any, recipe: ReasoningRecipe, compare: CompareTexts, progress: Progress
) -> RewardParts:
    """Mean rewards of the most probable replies about some pairs, and their METEOR, which is no reward."""
    count = min(len(rows), MEASURED_PAIRS)
    progress.begin("Measuring rewards", count)
    opened.model.eval()
    parts: list[RewardParts] = []
    for place in range(count):
        question, asked = _require_example(decode_row(rows[place]), recipe)
        (reply,) = generate_replies(opened.model, opened.processor, [question], recipe.most_new_tokens)
        found = {name: reward(reply, asked) for name, reward in list_rewards(recipe, compare).items()}
        weights = list_weights(recipe)
        parts.append(
            found
            | {
                "reward": sum(weights[name] * value for name, value in found.items()),
                "meteor": reward_similarity(reply, asked, _compare_meteor),
            }
        )
        progress.advance()
    return {name: float(np.mean([each[name] for each in parts])) for name in parts[0]}


def list_rewards(recipe: ReasoningRecipe, compare: CompareTexts) -> dict[str, Callable[[str, AskedRegions], float]]:
    """The rewards by name, each from a reply and what was asked; the likeness says its backend."""
    return {
        "format": reward_format,
        "type": reward_types,
        f"similarity_{recipe.similarity}": lambda text, asked: reward_similarity(text, asked, compare),
    }


def list_weights(recipe: ReasoningRecipe) -> dict[str, float]:
    """The weight of each reward of `list_rewards`."""
    return {
        "format": recipe.format_weight,
        "type": recipe.type_weight,
        f"similarity_{recipe.similarity}": recipe.similarity_weight,
    }


def make_trl_rows(rows: Any, recipe: ReasoningRecipe, *, with_reply: bool) -> Any:
    """Rows of a dataset in the columns of trl's trainers, made when they are read.

    Parameters
    ----------
    rows : datasets.Dataset
    recipe : ReasoningRecipe
    with_reply : bool
        Whether there is a `completion`, for fine-tuning; else `asked` for rewards.
    """

    def convert(batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {"prompt": [], "images": [], "completion" if with_reply else "asked": []}
        for place in range(len(batch["pair_id"])):
            sample = decode_row({name: values[place] for name, values in batch.items()})
            question, asked = _require_example(sample, recipe)
            found["prompt"].append(question.messages)
            found["images"].append(question.images)
            if with_reply:
                reply = {"role": "assistant", "content": [{"type": "text", "text": question.reply}]}
                found["completion"].append([reply])
            else:
                found["asked"].append(asked)
        return found

    return rows.with_transform(convert)


def make_trl_reward(name: str, reward: Callable[[str, AskedRegions], float]) -> Callable[..., list[float]]:
    """A reward in the form that trl calls: for a list of completions, with the column `asked`."""

    def score_completions(completions: Sequence[Any], asked: Sequence[AskedRegions], **_: Any) -> list[float]:
        return [reward(each[-1]["content"], about) for each, about in zip(completions, asked, strict=True)]

    score_completions.__name__ = name
    return score_completions


def _fine_tune(
    opened: OpenedBackbone,
    training: Any,
    validation: Any,
    recipe: ReasoningRecipe,
    out: Path,
    progress: Progress,
    after_epoch: Callable[[int], None] | None,
) -> list[dict[str, float]]:
    from trl import SFTConfig, SFTTrainer

    folder = out / CHECKPOINTS / "sft"
    arguments = make_training_arguments(
        recipe,
        folder,
        SFTConfig,
        num_train_epochs=recipe.sft_epochs,
        learning_rate=recipe.learning_rate,
        warmup_steps=math.ceil(recipe.warmup * recipe.sft_epochs * len(training) / (recipe.batch * recipe.accumulate)),
        lr_scheduler_type="cosine",
        max_length=None,  # a cut would separate images from their tokens
        remove_unused_columns=False,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        eval_strategy="epoch",
        per_device_eval_batch_size=recipe.batch,
        prediction_loss_only=True,
    )
    trainer = SFTTrainer(
        model=opened.model,
        args=arguments,
        train_dataset=make_trl_rows(training, recipe, with_reply=True),
        eval_dataset=make_trl_rows(validation, recipe, with_reply=True),
        processing_class=opened.processor,
        callbacks=[ProgressCallback(progress, "Fine-tuning", after_epoch)],
    )
    run_trainer(trainer, folder)
    return collect_epochs(trainer.state.log_history)


def _optimise_rewards(
    opened: OpenedBackbone, training: Any, recipe: ReasoningRecipe, out: Path, progress: Progress, compare: CompareTexts
) -> list[dict[str, float]]:
    from trl import GRPOConfig, GRPOTrainer

    folder = out / CHECKPOINTS / "grpo"
    rewards = list_rewards(recipe, compare)
    arguments = make_training_arguments(
        recipe,
        folder,
        GRPOConfig,
        per_device_train_batch_size=recipe.rollouts,
        max_steps=recipe.grpo_steps,
        learning_rate=recipe.grpo_learning_rate,
        num_generations=recipe.rollouts,
        max_completion_length=recipe.most_new_tokens,
        temperature=recipe.temperature,
        beta=recipe.beta,
        loss_type="grpo",
        reward_weights=[list_weights(recipe)[name] for name in rewards],
        logging_strategy="steps",
        logging_steps=1,
        save_strategy="steps",
        save_steps=max(1, recipe.grpo_steps // 4),
    )
    trainer = GRPOTrainer(
        model=opened.model,
        reward_funcs=[make_trl_reward(name, reward) for name, reward in rewards.items()],
        args=arguments,
        train_dataset=make_trl_rows(training, recipe, with_reply=False),
        processing_class=opened.processor,
        callbacks=[ProgressCallback(progress, "GRPO")],
    )
    run_trainer(trainer, folder)
    return [entry for entry in trainer.state.log_history if "reward" in entry]


def _write_rewards(out: Path, log: Sequence[Mapping[str, float]]) -> None:
    replace_file(out / "grpo-log.jsonl", b"".join(orjson.dumps(dict(entry)) + b"\n" for entry in log))


def _require_example(sample: PairSample, recipe: ReasoningRecipe) -> Any:
    example = make_example(sample, recipe.most_boxes, recipe.most_pixels)
    if example is None:
        raise UserError(f"The pair {sample.pair_id!r} has no region with flaw type, severity and rationale.")
    return example


def _keep_described(rows: Any, split: str) -> Any:
    """The rows with a region that people described in full."""
    described = sorted(set(_find_described(rows)))
    if not described:
        raise UserError(
            f"No pair of the split {split!r} has a region with flaw type, severity and rationale: build the dataset "
            "with the textual stage of its campaign."
        )
    return rows.select(described)


def _find_described(rows: Any) -> Iterator[int]:
    for kind in KINDS:
        for place, regions in enumerate(rows[f"{kind}_regions"]):
            if any(each["flaw_type"] and each["severity"] and each["rationale"] for each in regions or ()):
                yield place


def _compare_meteor(text: str, truth: str) -> float:
    return score_meteor(split_words(text), split_words(truth))


def _name_figures(stage: str, parts: RewardParts) -> dict[str, float]:
    return {f"{stage}_{name}": value for name, value in parts.items()}

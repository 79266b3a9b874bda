"""The paths that a check compares, each replaceable, so that a planted defect can prove that it is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from training.prompts.numbered_regions import number_boxes
from training.samples.pair_sample import PairSample
from training.vlm.agent_network import load_adapter
from training.vlm.conversation import Conversation, PaddingSide, encode_conversations
from training.vlm.evaluation.score_batches import ask_for_levels
from training.vlm.evaluation.score_levels import find_level, format_levels
from training.vlm.evaluation.score_network import compute_score_loss
from training.vlm.perception.map_loss import compute_saliency_loss
from training.vlm.perception.perception_batches import ask_for_maps
from training.vlm.reasoning.box_questions import ask_about_boxes, make_example
from training.vlm.recipe import AnyRecipe, PerceptionRecipe, ReasoningRecipe

Batch = dict[str, Any]


def write_training_conversation(sample: PairSample, recipe: AnyRecipe) -> Conversation:
    """The conversation by which a sample is learnt, with its reply.

    A decoder of maps has no reply; a word stands for it, so that all that is said after the question is compared too.
    """
    if isinstance(recipe, PerceptionRecipe):
        return replace(ask_for_maps(sample.source, sample.edited, sample.instruction), reply="Here.")
    if isinstance(recipe, ReasoningRecipe):
        example = make_example(sample, recipe.most_boxes, recipe.most_pixels)
        if example is None:
            raise ValueError("The samples of a check have complete regions.")
        return example[0]
    levels = {name: find_level(score or 0.0) for name, score in sample.scores.items()}
    return replace(ask_for_levels(sample.source, sample.edited, sample.instruction), reply=format_levels(levels))


def ask_trained_agent(sample: PairSample, recipe: AnyRecipe) -> Conversation:
    """The conversation by which a trained agent is asked about a sample."""
    pair = sample.source, sample.edited, sample.instruction
    if isinstance(recipe, PerceptionRecipe):
        return ask_for_maps(*pair)
    if isinstance(recipe, ReasoningRecipe):
        numbered = number_boxes([(region.kind, region.box) for region in sample.regions])
        return ask_about_boxes(*pair, numbered, numbered, recipe.most_pixels)
    return ask_for_levels(*pair)


def collate_for_trl(processor: Any, conversations: Sequence[Conversation]) -> Batch:
    """The batch that trl's fine-tuning makes of the same conversations."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    rows = [
        {
            "prompt": each.messages,
            "images": each.images,
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": each.reply}]}],
        }
        for each in conversations
    ]
    return dict(collate(rows))


def slice_as_rollouts(backbone: Any, processor: Any, batch: Batch, images: Sequence[int], reply_tokens: int) -> Tensor:
    """Log-probabilities of the last tokens of each row, as trl's GRPO computes them one row at a time.

    Parameters
    ----------
    backbone : PeftModel
    processor : ImageOnlyProcessor
    batch : dict of Tensor
        Padded on the left.
    images : sequence of int
        Images of each row.
    reply_tokens : int

    Returns
    -------
    Tensor
        float32 [B, reply_tokens].
    """
    import datasets
    from trl import GRPOConfig, GRPOTrainer

    on_cpu = backbone.device.type == "cpu"
    with TemporaryDirectory() as folder:
        settings = GRPOConfig(
            folder, per_device_train_batch_size=2, num_generations=2, use_cpu=on_cpu, bf16=False, report_to=[]
        )
        row = {"prompt": [{"role": "user", "content": "x"}]}
        trainer = GRPOTrainer(
            model=backbone,
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=settings,
            train_dataset=datasets.Dataset.from_list([row, row]),
            processing_class=processor,
        )
    inputs = {name: value for name, value in batch.items() if name not in ("labels", "input_ids", "attention_mask")}
    with torch.no_grad():
        found = trainer._get_per_token_logps_and_entropies(
            backbone,
            batch["input_ids"],
            batch["attention_mask"],
            reply_tokens,
            batch_size=1,
            num_images=list(images),
            **inputs,
        )
    return torch.as_tensor(found[0])


def measure_perfect_loss(recipe: AnyRecipe) -> float:
    """The loss of a perfect answer, which is 0 for perception and evaluation."""
    if isinstance(recipe, PerceptionRecipe):
        truth = torch.linspace(0.02, 0.98, 64).view(1, 1, 8, 8)
        weights = recipe.l1_weight, recipe.bce_weight
        return float(compute_saliency_loss(torch.logit(truth), truth, *weights).mean())
    if isinstance(recipe, ReasoningRecipe):
        return 0.0
    scores = torch.linspace(-1, 1, 12).view(4, 3)
    return float(compute_score_loss(scores, torch.zeros(4, 3), scores, recipe.plcc_weight))


@dataclass(frozen=True, slots=True)
class CheckedPaths:
    """What a check runs; a test replaces one path by a defective one.

    Attributes
    ----------
    write_conversation, ask_agent : callable
        From a sample and recipe to the conversation of training, and that of a trained agent.
    encode, encode_question : callable
        From processor, conversations and padding side to a batch: that of training, and that of generation.
    collate_trl : callable
        From processor and conversations to the batch of trl's fine-tuning.
    slice_rollouts : callable
        See `slice_as_rollouts`.
    load_adapter : callable
        Reads the adapter of a folder into a backbone.
    measure_perfect_loss : callable
    """

    write_conversation: Callable[[PairSample, AnyRecipe], Conversation] = write_training_conversation
    ask_agent: Callable[[PairSample, AnyRecipe], Conversation] = ask_trained_agent
    encode: Callable[[Any, Sequence[Conversation], PaddingSide], Batch] = encode_conversations
    encode_question: Callable[[Any, Sequence[Conversation], PaddingSide], Batch] = encode_conversations
    collate_trl: Callable[[Any, Sequence[Conversation]], Batch] = collate_for_trl
    slice_rollouts: Callable[[Any, Any, Batch, Sequence[int], int], Tensor] = slice_as_rollouts
    load_adapter: Callable[[Any, Path], None] = load_adapter
    measure_perfect_loss: Callable[[AnyRecipe], float] = measure_perfect_loss

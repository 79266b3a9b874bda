"""Batches of evaluation: the question of each pair, with its levels as the reply, or its scores as the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from annotation.images import RgbImage
from annotation.records import DIMENSIONS
from training.prompts.agent_messages import build_agent_messages
from training.samples.pair_sample import PairSample
from training.vlm.conversation import IGNORED, Conversation, encode_conversations, make_conversation
from training.vlm.evaluation.score_levels import find_level, format_levels


def ask_for_levels(source: RgbImage, current: RgbImage, instruction: str) -> Conversation:
    """The conversation that asks for the levels of a pair; the head reads it before it is answered."""
    return make_conversation(build_agent_messages("levels", {"source": source, "edited": current}, instruction))


def collate_scores(
    processor: Any, samples: Sequence[PairSample], level_weight: float, score_weight: float
) -> dict[str, Any]:
    """Encode samples with what is learnt of them.

    Returns
    -------
    dict
        The batch of `encode_conversations`; `labels`, the levels of samples with all three scores; `truth`, float32
        [B, 3] in MOS points, NaN where there is none; and the two weights.
    """
    asked = [ask_for_levels(each.source, each.edited, each.instruction) for each in samples]
    truth = [[math.nan if each.scores[name] is None else each.scores[name] for name in DIMENSIONS] for each in samples]
    rows = [replace(each, reply=_write_reply(scores)) for each, scores in zip(asked, truth, strict=True)]
    batch: dict[str, Any] = dict(encode_conversations(processor, rows))
    batch.setdefault("labels", torch.full_like(batch["input_ids"], IGNORED))
    weights = {"level_weight": level_weight, "score_weight": score_weight}
    return batch | weights | {"truth": torch.tensor(truth, dtype=torch.float32)}


def _write_reply(scores: Sequence[float | None]) -> str | None:
    known = [score for score in scores if score is not None and math.isfinite(score)]
    if len(known) < len(DIMENSIONS):
        return None
    return format_levels({name: find_level(score) for name, score in zip(DIMENSIONS, known, strict=True)})

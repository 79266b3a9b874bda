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
from training.vlm.conversation import Conversation, encode_conversations, make_conversation
from training.vlm.evaluation.score_levels import find_level, format_levels


def ask_for_levels(source: RgbImage, current: RgbImage, instruction: str) -> Conversation:
    """The conversation that asks for the levels of a pair; the head reads it before it is answered."""
    return make_conversation(build_agent_messages("levels", {"source": source, "edited": current}, instruction))


def collate_levels(processor: Any, samples: Sequence[PairSample]) -> dict[str, Any]:
    """Encode samples with all three scores, and their levels as `labels`."""
    rows = []
    for each in samples:
        levels = {name: find_level(each.scores[name] or 0.0) for name in DIMENSIONS}
        rows.append(replace(ask_for_levels(each.source, each.edited, each.instruction), reply=format_levels(levels)))
    return dict(encode_conversations(processor, rows))


def collate_scores(processor: Any, samples: Sequence[PairSample]) -> dict[str, Any]:
    """Encode samples, with their scores as `truth`: float32 [B, 3] in MOS points, NaN where there is none."""
    asked = [ask_for_levels(each.source, each.edited, each.instruction) for each in samples]
    truth = [[math.nan if each.scores[name] is None else each.scores[name] for name in DIMENSIONS] for each in samples]
    return dict(encode_conversations(processor, asked)) | {"truth": torch.tensor(truth, dtype=torch.float32)}

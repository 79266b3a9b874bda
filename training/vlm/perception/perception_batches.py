"""Batches of perception: the conversation of each pair, and its true maps on the grid of the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from annotation.images import RgbImage
from annotation.records import KINDS
from training.prompts.agent_messages import build_agent_messages
from training.samples.pair_sample import PairSample, scale_array
from training.vlm.conversation import Conversation, PaddingSide, encode_conversations, make_conversation
from training.vlm.image_features import find_token_grids
from training.vlm.perception.map_decoder import UPSAMPLINGS
from training.vlm.perception.perception_network import IMAGES


def ask_for_maps(source: RgbImage, current: RgbImage, instruction: str) -> Conversation:
    """The conversation whose hidden states are decoded to maps."""
    return make_conversation(build_agent_messages("maps", {"source": source, "edited": current}, instruction))


def collate_maps(processor: Any, samples: Sequence[PairSample], padding_side: PaddingSide = "left") -> dict[str, Any]:
    """Encode samples of any size as one batch, with the true maps as `maps`: float32 [2, h, w] of each."""
    asked = [ask_for_maps(each.source, each.edited, each.instruction) for each in samples]
    batch: dict[str, Any] = dict(encode_conversations(processor, asked, padding_side))
    grids = find_token_grids(batch["image_grid_thw"], processor.image_processor.merge_size)[IMAGES - 1 :: IMAGES]
    factor = 2**UPSAMPLINGS
    batch["maps"] = [
        torch.from_numpy(
            np.stack([scale_array(sample.maps[kind], rows * factor, columns * factor) for kind in KINDS])
        ).clamp(0, 1)
        for sample, (rows, columns) in zip(samples, grids, strict=True)
    ]
    return batch

"""Perception from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from annotation.images import RgbImage
from annotation.records import KINDS
from training.agents.results import PerceivedMaps
from training.vlm.agent_folder import choose_device, identify_agent, open_agent_backbone, read_agent_record
from training.vlm.agent_options import find_checkpoint
from training.vlm.conversation import PaddingSide, encode_conversations, move_batch
from training.vlm.perception.perception_batches import ask_for_maps
from training.vlm.perception.perception_network import PerceptionNetwork


class VlmPerception:
    """Two saliency maps by a vision-language model.

    Parameters
    ----------
    checkpoint : str or Path, optional
        Folder that `editfhf train perception --out` wrote; by default that of EDITFHF_VLM_PERCEPTION.
    padding_side : {"left", "right"}
        Of batches; maps do not depend on it.

    Raises
    ------
    UserError
        For a folder without such an agent, or another backbone than that of its training.
    """

    def __init__(self, checkpoint: str | Path | None = None, padding_side: PaddingSide = "left") -> None:
        folder = find_checkpoint("perception", checkpoint)
        record = read_agent_record(folder, "perception")
        opened = open_agent_backbone(folder, record)
        network = PerceptionNetwork(opened.model, record.head["width"])
        network.load_trained(folder)
        self._network = network.to(choose_device()).eval()
        self._processor = opened.processor
        self._padding_side = padding_side
        self._shift = record.scale["map_shift"]
        self.identity = identify_agent(folder, record)

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute the maps at the size of the current image."""
        return self.perceive_pairs([(source, current, instruction)])[0]

    def perceive_pairs(self, pairs: Sequence[tuple[RgbImage, RgbImage, str]]) -> list[PerceivedMaps]:
        """Compute the maps of several pairs in one batch; images may differ in size."""
        asked = [ask_for_maps(*pair) for pair in pairs]
        batch = encode_conversations(self._processor, asked, self._padding_side)
        with torch.inference_mode():
            logits = self._network.compute_logits(move_batch(batch, choose_device()))
        found = []
        for (_, current, _), values in zip(pairs, logits, strict=True):
            maps = scale_logits(values.cpu(), self._shift, (current.shape[0], current.shape[1]))
            by_kind = dict(zip(KINDS, maps, strict=True))
            found.append(PerceivedMaps(by_kind["artifact"], by_kind["failure"], self.identity))
        return found


def scale_logits(logits: torch.Tensor, shift: Sequence[float], size: tuple[int, int]) -> NDArray[np.float32]:
    """Saliency at the size of an image, float32 [2, H, W], from logits on the grid of the decoder."""
    shifted = logits.float() + torch.tensor(shift, dtype=torch.float32)[:, None, None]
    whole = functional.interpolate(shifted[None], size=size, mode="bilinear", align_corners=False)[0]
    return np.ascontiguousarray(torch.sigmoid(whole).numpy())

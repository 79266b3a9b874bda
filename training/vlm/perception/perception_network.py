"""The network of perception: a backbone, and a decoder of what it knows at the tokens of the edited image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.vlm.agent_network import AgentNetwork
from training.vlm.image_features import MODEL_INPUTS, extract_features, find_core
from training.vlm.perception.map_decoder import MapDecoder
from training.vlm.perception.map_loss import compute_saliency_loss

IMAGES = 2
"""Images of a conversation: the source, then the edited image."""


class PerceptionNetwork(AgentNetwork):
    """Backbone and map decoder.

    Parameters
    ----------
    backbone : PeftModel
    width : int
        Of the decoder.
    l1_weight, bce_weight : float
        Of the loss.
    """

    def __init__(self, backbone: Any, width: int, l1_weight: float = 0.0, bce_weight: float = 1.0) -> None:
        config = find_core(backbone).config
        sources = 2 + len(config.vision_config.deepstack_visual_indexes)
        super().__init__(backbone, MapDecoder(sources, config.text_config.hidden_size, width))
        self._weights = l1_weight, bce_weight

    def compute_logits(self, batch: dict[str, Any]) -> list[Tensor]:
        """Logits of both maps of each pair, float32 [2, h, w], each on the grid of its own edited image."""
        features = extract_features(self.backbone, {name: batch[name] for name in MODEL_INPUTS})
        edited = slice(IMAGES - 1, None, IMAGES)
        return [
            self.head(torch.cat([vision, tokens[:, :, None]], 2).float())
            for vision, tokens in zip(features.vision[edited], features.tokens[edited], strict=True)
        ]

    def forward(self, maps: list[Tensor], **batch: Any) -> dict[str, Tensor]:
        """The loss of a batch; `maps` are the true ones on the grids of `compute_logits`."""
        losses = [
            compute_saliency_loss(logits[None], truth[None].to(logits), *self._weights).mean()
            for logits, truth in zip(self.compute_logits(batch), maps, strict=True)
        ]
        return {"loss": torch.stack(losses).mean()}

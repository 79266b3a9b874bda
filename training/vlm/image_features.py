"""What a backbone knows of an image: features of the vision encoder beside the final hidden states of its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MODEL_INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw")


@dataclass(frozen=True, slots=True)
class BackboneFeatures:
    """One pass of a backbone over a batch.

    Attributes
    ----------
    hidden : Tensor
        [B, L, D]: final hidden states of all tokens.
    vision : list of Tensor
        For each image of the batch [h, w, S, D]: the merged features of the vision encoder and those of its deepstack
        layers, S sources in all, on the grid of the image's tokens.
    tokens : list of Tensor
        For each image of the batch [h, w, D]: the final hidden states at its tokens.
    """

    hidden: Tensor
    vision: list[Tensor]
    tokens: list[Tensor]


def find_core(backbone: Any) -> Any:
    """The model without language head below an adapter, whose layers are changed in place."""
    return (backbone.get_base_model() if hasattr(backbone, "get_base_model") else backbone).model


def extract_features(backbone: Any, batch: dict[str, Any]) -> BackboneFeatures:
    """Run a backbone once over a batch; its vision encoder runs once too.

    Parameters
    ----------
    backbone : PeftModel or Qwen3VLForConditionalGeneration
    batch : dict of Tensor
        Of `encode_conversations`.
    """
    core = find_core(backbone)
    grids = batch["image_grid_thw"]
    with torch.no_grad():  # the vision encoder has no adapter
        images = core.get_image_features(batch["pixel_values"].to(core.dtype), grids)
    output = core(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        mm_token_type_ids=batch["mm_token_type_ids"],
        image_grid_thw=grids,
        mm_encoder_outputs={"image": images},
        use_cache=False,
    )
    hidden: Tensor = output.last_hidden_state
    sides = find_token_grids(grids, core.config.vision_config.spatial_merge_size)
    counts = [height * width for height, width in sides]
    at_images = hidden[batch["input_ids"] == core.config.image_token_id].split(counts)
    sources = [images.pooler_output, *images.deepstack_features]
    vision = [
        torch.stack([source[place] for source in sources], 1).unflatten(0, side) for place, side in enumerate(sides)
    ]
    tokens = [values.unflatten(0, side) for values, side in zip(at_images, sides, strict=True)]
    return BackboneFeatures(hidden, vision, tokens)


def find_token_grids(grids: Tensor, merge: int) -> list[tuple[int, int]]:
    """Rows and columns of the tokens of each image, from its patches.

    >>> find_token_grids(torch.tensor([[1, 64, 48]]), 2)
    [(32, 24)]
    """
    return [(frames * height // merge, width // merge) for frames, height, width in grids.tolist()]

"""What one path shows of each sample: comparable with every other path, whatever its order, padding and batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.vlm.conversation import IGNORED
from training.vlm.image_features import find_core


@dataclass(frozen=True, slots=True)
class SampleView:
    """One sample as a path shows it to the model; None for what the path does not have.

    Attributes
    ----------
    tokens, types : ndarray or None
        int64 [n]: token ids and `mm_token_type_ids` without padding.
    pixels : ndarray or None
        float32 [patches, D] of all its images, in their order.
    positions : ndarray or None
        int64 [3, n]: of the rotary embedding.
    logits : ndarray or None
        float32 [k, V]: where the reply is said.
    loss : float or None
        Mean cross-entropy of the reply.
    """

    tokens: NDArray[np.int64] | None = None
    types: NDArray[np.int64] | None = None
    pixels: NDArray[np.float32] | None = None
    positions: NDArray[np.int64] | None = None
    logits: NDArray[np.float32] | None = None
    loss: float | None = None


def view_batch(backbone: Any, batch: dict[str, Any], images: Sequence[int]) -> list[SampleView]:
    """What a batch shows of each of its samples.

    Parameters
    ----------
    backbone : PeftModel
    batch : dict of Tensor
        With `labels`.
    images : sequence of int
        Images of each sample.

    Notes
    -----
    A batch without `mm_token_type_ids`, or whose images do not fit its tokens, has no positions, logits and loss.
    """
    masks = batch["attention_mask"].bool()
    types = batch.get("mm_token_type_ids")
    pixels = _split_pixels(batch, images)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    try:
        positions = None if types is None else find_positions(backbone, batch)
        with torch.no_grad():
            logits = None if types is None else backbone(**inputs, use_cache=False).logits.float()
    except (ValueError, RuntimeError, IndexError):
        positions, logits = None, None
    views = []
    for row, mask in enumerate(masks):
        said = batch["labels"][row, 1:] != IGNORED
        own = None if logits is None else logits[row, :-1][said]
        loss = None
        if own is not None and len(own):
            loss = float(torch.nn.functional.cross_entropy(own, batch["labels"][row, 1:][said]))
        views.append(
            SampleView(
                tokens=batch["input_ids"][row][mask].numpy(),
                types=None if types is None else types[row][mask].numpy(),
                pixels=pixels[row],
                positions=None if positions is None else positions[:, row][:, mask].numpy(),
                logits=None if own is None else own.numpy(),
                loss=loss,
            )
        )
    return views


def find_positions(backbone: Any, batch: dict[str, Any]) -> torch.Tensor:
    """The positions that the model computes for a batch, int64 [3, B, L]."""
    positions, _ = find_core(backbone).get_rope_index(
        batch["input_ids"],
        image_grid_thw=batch["image_grid_thw"],
        attention_mask=batch["attention_mask"],
        mm_token_type_ids=batch["mm_token_type_ids"],
    )
    return torch.as_tensor(positions)


def _split_pixels(batch: dict[str, Any], images: Sequence[int]) -> list[NDArray[np.float32] | None]:
    patches = batch["image_grid_thw"].prod(1).tolist()
    if sum(images) != len(patches):
        return [None] * len(images)
    groups = torch.split(torch.tensor(patches), list(images))
    sizes = [int(group.sum()) for group in groups]
    return [part.float().numpy() for part in torch.split(batch["pixel_values"], sizes)]

"""Batches of cached pairs as tensors, with the variation of training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from annotation.records import KINDS, Box
from training.compact.cache import FEATURE_ARRAYS, CachedSplit, read_cached_pairs
from training.compact.flaw_classes import encode_boxes
from training.compact.pair_inputs import WIDTH
from training.compact.recipe import CompactRecipe
from training.compact.words import HASH_BUCKETS
from training.samples.read_samples import make_random

_SHIFT_ACROSS = 0  # place of the horizontal shift in what concerns the whole pair

Levels = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class PairBatch:
    """One batch: what the model reads, and the truth.

    Attributes
    ----------
    before, after, cues, whole, text
        As in `CompactModel.forward`.
    masks, geometry, kinds
        As in `CompactModel.classify_boxes`.
    maps : Tensor
        [N, 2, 80, 96].
    scores : Tensor
        [N, 3] as shares of 100; NaN where there is none.
    flaws, severities : Tensor
        int64 [N, B]; -1 where a row has no box, or the truth is not known.
    """

    before: Levels
    after: Levels
    cues: Tensor
    whole: Tensor
    text: Tensor
    masks: Tensor
    geometry: Tensor
    kinds: Tensor
    maps: Tensor
    scores: Tensor
    flaws: Tensor
    severities: Tensor

    @property
    def has_flaw(self) -> Tensor:
        """[N, 2] 1 where the image has a flaw of the kind."""
        return (self.maps.amax((2, 3)) > 0).float()


def read_batches(splits: Sequence[CachedSplit], recipe: CompactRecipe, epoch: int | None = None) -> Iterator[PairBatch]:
    """Read all pairs of some splits in batches.

    Parameters
    ----------
    splits : sequence of CachedSplit
    recipe : CompactRecipe
    epoch : int, optional
        Decides order and variation; without it the pairs come in their order and as they are.
    """
    places = [(split, index) for split in splits for index in range(len(split))]
    if epoch is not None:
        order = make_random(recipe.seed, epoch, "order").permutation(len(places))
        places = [places[at] for at in order]
    for start in range(0, len(places), recipe.batch):
        some = places[start : start + recipe.batch]
        arrays = _read_places(some)
        if epoch is not None:
            _vary_arrays(arrays, recipe, make_random(recipe.seed, epoch, f"variation {start}"))
        yield _make_batch(arrays)


def _read_places(places: Sequence[tuple[CachedSplit, int]]) -> dict[str, NDArray[Any]]:
    rows = [read_cached_pairs(split, [index]) for split, index in places]
    most = max(row["boxes"].shape[1] for row in rows)
    for row in rows:
        missing = most - row["boxes"].shape[1]
        row["boxes"] = np.pad(row["boxes"], ((0, 0), (0, missing), (0, 0)), constant_values=-1)
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _vary_arrays(arrays: dict[str, NDArray[Any]], recipe: CompactRecipe, random: np.random.Generator) -> None:
    """Exchange left and right of some pairs, and leave out some words, in place."""
    count = len(arrays["text"])
    flips = np.flatnonzero((random.random(count) < recipe.flip) & (arrays["may_flip"] > 0))
    for values in arrays.values():
        if values.ndim == 4:
            values[flips] = values[flips][..., ::-1]
    arrays["whole"][flips, _SHIFT_ACROSS] *= -1
    boxes = arrays["boxes"]
    mirrored = boxes[flips]
    mirrored[..., 1], mirrored[..., 3] = WIDTH - boxes[flips][..., 3], WIDTH - boxes[flips][..., 1]
    boxes[flips] = np.where(boxes[flips][..., :1] >= 0, mirrored, boxes[flips])
    arrays["text"][:, -HASH_BUCKETS:] *= random.random((count, HASH_BUCKETS)) >= recipe.word_dropout


def _make_batch(arrays: dict[str, NDArray[Any]]) -> PairBatch:
    def levels(side: str) -> Levels:
        first, second, third = (torch.from_numpy(arrays[f"{side}_{name}"]) for name in FEATURE_ARRAYS)
        return first, second, third

    coded = [
        encode_boxes([(KINDS[max(0, int(row[0]))], Box(*map(float, row[1:5]))) for row in rows])
        for rows in arrays["boxes"]
    ]
    stacked = {name: torch.from_numpy(np.stack([each[name] for each in coded])) for name in coded[0]}
    return PairBatch(
        before=levels("before"),
        after=levels("after"),
        flaws=torch.from_numpy(arrays["boxes"][..., 5].astype(np.int64)),
        severities=torch.from_numpy(arrays["boxes"][..., 6].astype(np.int64)),
        **{name: torch.from_numpy(arrays[name]) for name in ("cues", "whole", "text", "maps", "scores")},
        **stacked,
    )

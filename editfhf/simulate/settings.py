"""What a simulated corpus is made of; everything here decides its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Behaviour = Literal["random", "straight", "inverted"]
Encoding = Literal["jpeg", "png", "webp", "mixed"]

# First word of every spawn key: which part of the simulation draws.
SOURCE, EDIT, PAIR, CAMPAIGN, EDITORS, RATERS = range(6)


@dataclass(frozen=True, slots=True)
class Settings:
    """Counts and shares of a simulated corpus.

    careless: number of careless raters in the pool; missing: share of submissions that never came; height: of the
    edited picture in pixels; annotator_error: scale of the annotators' noise, 1 keeps every flaw recoverable;
    expert: share of pairs that an expert reviewed.
    """

    pairs: int = 48
    raters: int = 15
    pool: int = 15
    annotators: int = 3
    careless: int = 1
    careless_behaviour: Behaviour = "random"
    missing: float = 0.02
    height: int = 512
    edits_per_source: int = 6
    seed: int = 0
    format: Encoding = "jpeg"
    annotator_error: float = 1.0
    expert: float = 0.25
    exports: bool = True

    @property
    def sources(self) -> int:
        return -(-self.pairs // self.edits_per_source)

    def rng(self, *key: int) -> np.random.Generator:
        """An independent generator for one part of the simulation: the same for any order or number of workers."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

"""Stage 3: fifteen people rate a pair; each has a bias and an inconsistency, and some do not care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from annotation.records import DIMENSIONS, Dimension
from editfhf.simulate.settings import RATERS, Behaviour, Settings

FIRST_RATER = 1001


@dataclass(frozen=True, slots=True)
class Rater:
    """Truth about one rater. bias: added to every score; inconsistency: standard deviation of the rater's noise."""

    user: int
    behaviour: Behaviour | None
    bias: float
    inconsistency: float

    @property
    def careless(self) -> bool:
        return self.behaviour is not None


def pool(settings: Settings) -> tuple[Rater, ...]:
    """Everybody who rates; the careless ones are drawn among them."""
    rng = settings.rng(RATERS)
    careless = set(rng.permutation(settings.pool)[: settings.careless].tolist())
    return tuple(
        Rater(
            FIRST_RATER + i,
            settings.careless_behaviour if i in careless else None,
            round(float(rng.normal(0, 0.25)), 4),
            round(float(rng.uniform(0.2, 0.5)), 4),
        )
        for i in range(settings.pool)
    )


def panel(settings: Settings, raters: Sequence[Rater], pair: int) -> list[Rater]:
    """Those who rate this pair: a window that moves through a shuffled pool, so that everybody meets everybody."""
    order = settings.rng(RATERS, pair * settings.raters // settings.pool).permutation(len(raters))
    start = pair * settings.raters % len(raters)
    return [raters[int(order[(start + i) % len(raters)])] for i in range(settings.raters)]


def score(rater: Rater, quality: Mapping[Dimension, float], rng: np.random.Generator) -> dict[Dimension, float]:
    """Scores of one rater for one pair on the scale of 1 to 5 in steps of 0.01."""
    noise = rng.normal(0, rater.inconsistency, len(DIMENSIONS))
    random = rng.uniform(1, 5, len(DIMENSIONS))
    scores: dict[Dimension, float] = {}
    for i, dimension in enumerate(DIMENSIONS):
        match rater.behaviour:
            case "random":
                value = random[i]
            case "straight":
                value = 3.0 + 0.1 * noise[i]
            case "inverted":
                value = 6 - quality[dimension] + noise[i]
            case _:
                value = quality[dimension] + rater.bias + noise[i]
        scores[dimension] = round(float(np.clip(value, 1, 5)), 2)
    return scores


def flaggers(count: int, panel_size: int, rng: np.random.Generator) -> set[int]:
    """Which members of a panel flag one region."""
    return set(rng.permutation(panel_size)[:count].tolist())


def honest_flags(rng: np.random.Generator) -> int:
    """How many raters wrongly flag a true region: mostly nobody, never enough to discard it."""
    return int(rng.choice(4, p=(0.92, 0.05, 0.02, 0.01)))

"""True quality of a pair: what its flaws cost in each dimension, on the raters' scale of 1 to 5.

Artifacts cost perceptual quality and some visual consistency; failures cost instruction following or visual
consistency according to their type, so that perceptual quality goes with consistency, and consistency hardly with
instruction following (as in the published statistics of EBench-18K).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from annotation.records import DIMENSIONS, Dimension, Severity
from editfhf.simulate.flaws.flaw import Flaw

WEIGHT: dict[Severity, float] = {"minor": 0.45, "moderate": 0.8, "severe": 1.25}
INSTRUCTION = {
    "not_executed": 2.4, "partial": 1.5, "wrong_target": 2.2, "wrong_content": 2.0, "wrong_quantity": 1.4,
    "wrong_position": 1.5, "wrong_degree": 1.3, "unintended_change": 0.15, "identity_loss": 0.2, "global_drift": 0.15,
}  # fmt: skip
CONSISTENCY = {"unintended_change": 0.9, "identity_loss": 1.9, "global_drift": 1.4, "wrong_target": 0.8}


def true_quality(flaws: Sequence[Flaw], skill: float, rng: np.random.Generator) -> dict[Dimension, float]:
    """Quality in [1, 5] per dimension; the editor's skill and the picture's own charm add a little."""
    artifacts = sum(WEIGHT[flaw.severity] for flaw in flaws if flaw.kind == "artifact")
    failures = [flaw for flaw in flaws if flaw.kind == "failure"]
    asked = sum(WEIGHT[flaw.severity] * INSTRUCTION[flaw.flaw_type] for flaw in failures)
    kept = sum(WEIGHT[flaw.severity] * CONSISTENCY.get(flaw.flaw_type, 0.1) for flaw in failures)
    charm, clumsy = rng.normal(0, 0.2), 1 - skill
    loss = {
        "perceptual_quality": 0.5 * artifacts + 0.1 * kept + 0.6 * clumsy - charm,
        "instruction_following": asked + 0.05 * artifacts + 0.9 * clumsy,
        "visual_consistency": 0.7 * kept + 0.2 * artifacts - 0.6 * charm,
    }
    quality: dict[Dimension, float] = {}
    for dimension in DIMENSIONS:
        start = 4.7 + rng.normal(0, 0.15)
        # Losses add up ever more slowly: the worst picture is still a 1.
        quality[dimension] = float(np.clip(start - 3.5 * (1 - np.exp(-max(loss[dimension], -0.2) / 2.4)), 1.05, 4.95))
    return quality

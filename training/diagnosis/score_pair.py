"""The scores of one pair as a plain function, for whoever takes a function: `editfhf collect score --scorer`."""

from __future__ import annotations

from functools import lru_cache

from annotation.images import RgbImage
from training.agents.protocols import Evaluation
from training.agents.registry import DEFAULT_AGENT, load_agent


def score_pair(source: RgbImage, edited: RgbImage, instruction: str) -> dict[str, float]:
    """Score an edited image by the default evaluation agent.

    Parameters
    ----------
    source, edited : ndarray
        uint8 [H, W, 3].
    instruction : str

    Returns
    -------
    dict from str to float
        By dimension, from 0 to 100; a dimension to which the agent gives no score is missing.
    """
    scores = _load_default_agent().evaluate(source, edited, instruction)
    return {one.dimension: one.value for one in scores if one.value is not None}


@lru_cache(maxsize=1)
def _load_default_agent() -> Evaluation:
    agent: Evaluation = load_agent("evaluation", DEFAULT_AGENT)
    return agent

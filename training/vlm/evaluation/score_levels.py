"""Scores as words: five levels, the sentence in which a model says them, and their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, Dimension
from training.agents.results import HIGHEST_SCORE
from training.vlm.conversation import (
    Conversation,
    PaddingSide,
    encode_conversations,
    find_last_tokens,
    move_batch,
)
from training.vlm.image_features import extract_features

LEVELS = ("bad", "poor", "fair", "good", "excellent")

LEVEL_POINTS = np.array([10.0, 30.0, 50.0, 70.0, 90.0])
"""MOS points in the middle of each level."""


def find_level(score: float) -> str:
    """The level of a score in MOS points.

    >>> [find_level(score) for score in (0, 19.9, 20, 100)]
    ['bad', 'bad', 'poor', 'excellent']
    """
    step = HIGHEST_SCORE / len(LEVELS)
    return LEVELS[min(max(int(score / step), 0), len(LEVELS) - 1)]


def begin_level(dimension: Dimension) -> str:
    """What is said before the level of a dimension; the word that follows begins with a blank, and is one token.

    >>> begin_level("visual_consistency")
    'The visual consistency is'
    """
    return f"The {dimension.replace('_', ' ')} is"


def format_levels(levels: Mapping[Dimension, str]) -> str:
    """The sentences of all levels, which are the reply of a model.

    >>> format_levels(dict.fromkeys(DIMENSIONS, "fair"))
    'The perceptual quality is fair. The instruction following is fair. The visual consistency is fair.'
    """
    return " ".join(f"{begin_level(name)} {levels[name]}." for name in DIMENSIONS)


def find_level_tokens(tokenizer: Any) -> list[int]:
    """The first token of each level with its blank.

    Raises
    ------
    ValueError
        If two levels begin with one token, so that their probabilities cannot be told apart.
    """
    tokens = [tokenizer.encode(f" {level}", add_special_tokens=False)[0] for level in LEVELS]
    if len(set(tokens)) != len(tokens):
        raise ValueError(f"The levels must begin with different tokens, but begin with {tokens}.")
    return tokens


def measure_level_probabilities(
    backbone: Any, processor: Any, asked: Sequence[Conversation], padding_side: PaddingSide = "left"
) -> NDArray[np.float64]:
    """Compute the probability of each level, as one call of a server with `logprobs` and temperature 0 gives it.

    Parameters
    ----------
    backbone : PeftModel
    processor : ImageOnlyProcessor
    asked : sequence of Conversation
    padding_side : {"left", "right"}

    Returns
    -------
    ndarray
        float64 [N, 3, 5], each row sums to 1: the softmax over the five levels where each dimension's word stands,
        after the most probable words of the dimensions before it.
    """
    tokens = find_level_tokens(processor.tokenizer)
    begun = [""] * len(asked)
    found = []
    for dimension in DIMENSIONS:
        begun = [f"{text} {begin_level(dimension)}".strip() for text in begun]
        rows = [replace(each, begun=text) for each, text in zip(asked, begun, strict=True)]
        batch = move_batch(encode_conversations(processor, rows, padding_side), backbone.device)
        with torch.inference_mode():
            hidden = extract_features(backbone, batch).hidden
            last = hidden[torch.arange(len(rows)), find_last_tokens(batch["attention_mask"])]
            logits = backbone.get_base_model().lm_head(last)[:, tokens]
        found.append(torch.softmax(logits.double(), 1).cpu().numpy())
        best = found[-1].argmax(1)
        begun = [f"{text} {LEVELS[place]}." for text, place in zip(begun, best, strict=True)]
    return np.stack(found, 1)


def average_levels(probabilities: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation in MOS points of level probabilities [..., 5].

    >>> average_levels(np.array([[0, 0, 0.5, 0.5, 0]]))
    (array([60.]), array([10.]))
    """
    mean = probabilities @ LEVEL_POINTS
    spread = (probabilities * (LEVEL_POINTS - mean[..., None]) ** 2).sum(-1)
    return np.asarray(mean), np.sqrt(spread)

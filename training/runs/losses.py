"""Losses without a model: pure functions of tensors, least for a perfect answer."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LEAST = 1e-6


def compute_divergence(logits: Tensor, truth: Tensor) -> Tensor:
    """Compute the Kullback-Leibler divergence of maps from true ones, both as distributions over pixels.

    Parameters
    ----------
    logits, truth : Tensor
        [N, C, H, W]; logits of the maps, and truth in [0, 1].

    Returns
    -------
    Tensor
        [N, C]: 0 for a map that is the truth but for a factor, and for a truth of zeros, which has no shape.
    """
    wanted = truth.flatten(2)
    mass = wanted.sum(2, keepdim=True)
    share = wanted / mass.clamp_min(_LEAST)
    predicted = torch.sigmoid(logits).flatten(2).sum(2, keepdim=True)
    log_predicted = functional.logsigmoid(logits).flatten(2) - predicted.clamp_min(_LEAST).log()
    return (torch.xlogy(share, share) - share * log_predicted).sum(2) * (mass.squeeze(2) > 0)


def compute_correlation(predicted: Tensor, truth: Tensor) -> Tensor:
    """Compute Pearson's correlation along the last axis; 0 where either is constant.

    Parameters
    ----------
    predicted, truth : Tensor
        [..., n].

    Returns
    -------
    Tensor
        [...], from -1 to 1.
    """
    first, second = (each - each.mean(-1, keepdim=True) for each in (predicted, truth))
    scale = (first.square().sum(-1) * second.square().sum(-1)).clamp_min(_LEAST**2).sqrt()
    return (first * second).sum(-1) / scale

"""Losses of the compact network: pure functions of tensors, least for a perfect answer."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.runs.losses import compute_correlation, compute_divergence

_LEAST = 1e-6


def compute_map_loss(maps: Tensor, truth: Tensor) -> Tensor:
    """Compare maps on their absolute scale with the true ones.

    Parameters
    ----------
    maps, truth : Tensor
        [N, 2, H, W] in [0, 1]; a truth of zeros is a clean image.

    Returns
    -------
    Tensor
        [N, 2]: cross-entropy less the entropy of the truth, so that a perfect map has a loss of 0.
    """
    maps = maps.clamp(_LEAST, 1 - _LEAST)
    entropy = functional.binary_cross_entropy(truth, truth, reduction="none")
    return (functional.binary_cross_entropy(maps, truth, reduction="none") - entropy).mean((2, 3))


def compute_shape_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Compare the shape of maps with the true ones: KL divergence plus 1 - CC, both without a scale.

    Parameters
    ----------
    logits, truth : Tensor
        [N, 2, H, W]; logits of the maps, and truth in [0, 1].

    Returns
    -------
    Tensor
        [N, 2]: 0 for a map that is the truth but for a factor, and for a truth of zeros.
    """
    has_shape = truth.flatten(2).sum(2) > 0
    correlation = compute_correlation(torch.sigmoid(logits).flatten(2), truth.flatten(2))
    return compute_divergence(logits, truth) + (1 - correlation) * has_shape


def compute_score_loss(scores: Tensor, log_sd: Tensor, truth: Tensor) -> Tensor:
    """Gaussian negative log-likelihood of scores, [N, 3]; 0 where the truth is NaN."""
    known = ~torch.isnan(truth)
    error = (scores - torch.where(known, truth, scores)) / log_sd.exp()
    return (0.5 * error.square() + log_sd) * known


def compute_flaw_loss(flaws: Tensor, severities: Tensor, flaw_truth: Tensor, severity_truth: Tensor) -> Tensor:
    """Cross-entropies of flaw type and severity, mean over boxes; truths of -1 do not count, without any it is 0."""

    def mean_loss(logits: Tensor, truth: Tensor) -> Tensor:
        total = functional.cross_entropy(logits.flatten(0, 1), truth.flatten(), ignore_index=-1, reduction="sum")
        return total / (truth >= 0).sum().clamp_min(1)

    return mean_loss(flaws, flaw_truth) + 0.3 * mean_loss(severities, severity_truth)

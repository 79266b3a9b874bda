"""Equation 6 on logits, with its least value at a perfect map and at a clean map of a clean image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.runs.losses import compute_divergence


def compute_saliency_loss(logits: Tensor, truth: Tensor, l1_weight: float, bce_weight: float) -> Tensor:
    """Compute alpha L1 + beta BCE + (1 - alpha - beta) KLD of maps.

    Parameters
    ----------
    logits, truth : Tensor
        [N, C, H, W]; logits of the maps, and truth in [0, 1], all zeros for a clean image.
    l1_weight, bce_weight : float
        alpha and beta, at most 1 together.

    Returns
    -------
    Tensor
        [N, C].

    Notes
    -----
    The cross-entropy is that of logits, less the entropy of the truth, so that each part is 0 for a perfect map: with
    a sigmoid before it, a perfect map would cost 0.68 and a clean one 0.69. The divergence compares shapes, and a
    clean image has none: its part is 0 there, and the other two teach it to be clean.
    """
    entropy = functional.binary_cross_entropy(truth, truth, reduction="none")
    bce = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") - entropy
    l1 = (torch.sigmoid(logits) - truth).abs()
    dense = (l1_weight * l1 + bce_weight * bce).mean((2, 3))
    return dense + (1 - l1_weight - bce_weight) * compute_divergence(logits, truth)

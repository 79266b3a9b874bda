"""The network of evaluation: a backbone that says levels, and a head on what it knows before it answers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from annotation.records import DIMENSIONS
from training.runs.losses import compute_correlation
from training.vlm.agent_network import AgentNetwork
from training.vlm.conversation import find_last_tokens
from training.vlm.image_features import MODEL_INPUTS, extract_features, find_core

_LOG_SD = (-4.0, 1.0)  # range of predicted deviations, in deviations of the truth
_LEAST_PAIRS = 3
"""Fewest scores of a batch that have a correlation worth learning."""


class ScoreHead(nn.Module):
    """Three scores and the logarithms of their standard deviations, in deviations of the training scores.

    Parameters
    ----------
    channels : int
        Length of a hidden state.
    hidden : int
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden // 2),
            nn.SiLU(),
            nn.Linear(hidden // 2, 2 * len(DIMENSIONS)),
        )
        self.register_buffer("mean", torch.full((len(DIMENSIONS),), 50.0))
        self.register_buffer("spread", torch.full((len(DIMENSIONS),), 20.0))

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised scores and log deviations, [N, 3] each."""
        scores, log_sd = self.layers(pooled.float()).chunk(2, 1)
        return scores, log_sd.clamp(*_LOG_SD)


class EvaluationNetwork(AgentNetwork):
    """Backbone and score head.

    Parameters
    ----------
    backbone : PeftModel
    hidden : int
        Width of the head.
    plcc_weight : float
        Weight of 1 - PLCC.
    """

    head: ScoreHead

    def __init__(self, backbone: Any, hidden: int, plcc_weight: float = 1.0) -> None:
        super().__init__(backbone, ScoreHead(find_core(backbone).config.text_config.hidden_size, hidden))
        self._plcc_weight = plcc_weight

    def compute_scores(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Standardised scores and log deviations of each pair, from the last token of the question."""
        hidden = extract_features(self.backbone, {name: batch[name] for name in MODEL_INPUTS}).hidden
        last = find_last_tokens(batch["attention_mask"])
        scores, log_sd = self.head(hidden[torch.arange(len(hidden), device=hidden.device), last])
        return scores, log_sd

    def forward(self, truth: Tensor | None = None, labels: Tensor | None = None, **batch: Any) -> dict[str, Tensor]:
        """The loss of a batch: that of stage 1 with `labels`, that of stage 2 with `truth` in MOS points."""
        if labels is not None:
            return {"loss": self.backbone(**batch, labels=labels, use_cache=False).loss}
        scores, log_sd = self.compute_scores(batch)
        wanted = (truth.to(scores) - self.head.mean) / self.head.spread  # type: ignore[union-attr]
        return {"loss": compute_score_loss(scores, log_sd, wanted, self._plcc_weight)}


def compute_score_loss(scores: Tensor, log_sd: Tensor, truth: Tensor, plcc_weight: float) -> Tensor:
    """Compute equation 8 on standardised scores, with a likelihood that teaches the deviations alone.

    Parameters
    ----------
    scores, log_sd, truth : Tensor
        [N, 3], in deviations of the training scores, so that MSE and 1 - PLCC are both about 1 for a constant; NaN
        where there is no truth.
    plcc_weight : float

    Returns
    -------
    Tensor
        Sum over dimensions of MSE + plcc_weight (1 - PLCC) + Gaussian negative log-likelihood of the error at hand.
        The correlation is that of the batch, for each dimension alone, where at least three scores are known.
    """
    parts = []
    for found, spread, wanted in zip(scores.unbind(1), log_sd.unbind(1), truth.unbind(1), strict=True):
        known = ~torch.isnan(wanted)
        if not known.any():
            continue
        error = found[known] - wanted[known]
        parts.append(error.square().mean())
        parts.append((0.5 * (error.detach() / spread[known].exp()).square() + spread[known]).mean())
        if known.sum() >= _LEAST_PAIRS and wanted[known].std() > 0:
            parts.append(plcc_weight * (1 - compute_correlation(found[known], wanted[known])))
    return torch.stack(parts).sum() if parts else scores.sum() * 0

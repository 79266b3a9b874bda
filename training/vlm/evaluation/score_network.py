"""The network of evaluation: a backbone that says levels, and a head on what it knows before it answers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from annotation.records import DIMENSIONS
from training.runs.losses import compute_correlation
from training.vlm.agent_network import AgentNetwork
from training.vlm.conversation import IGNORED, find_last_tokens
from training.vlm.image_features import BackboneFeatures, extract_features, find_core

_LOG_SD = (-4.0, 1.0)  # range of predicted deviations, in deviations of the truth
_LEAST_SPREAD = 1.0  # MOS points: scores that are all alike give no unit
_LEAST_STATE_SPREAD = 0.05  # of states of deviation 1: what varies less is not blown up, since the adapter moves it

_STATES = 3
"""Hidden states that the head reads."""

_LEAST_PAIRS = 3
"""Fewest scores of a batch that have a correlation worth learning."""


class ScoreHead(nn.Module):
    """Three scores and the logarithms of their standard deviations, in deviations of the training scores.

    Parameters
    ----------
    channels : int
        Length of a hidden state.
    hidden : int

    Notes
    -----
    It reads the state of the question's last token, which has seen everything, and the mean states of the tokens of
    the source and of the edited image, which show where they differ. States of different pairs are almost alike, so
    each of their numbers is standardised by its mean and deviation over training pairs.
    """

    mean: Tensor
    spread: Tensor
    state_mean: Tensor
    state_spread: Tensor

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.layers = nn.Sequential(
            nn.Linear(_STATES * channels, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden // 2),
            nn.SiLU(),
            nn.Linear(hidden // 2, 2 * len(DIMENSIONS)),
        )
        self.register_buffer("state_mean", torch.zeros(_STATES, channels))
        self.register_buffer("state_spread", torch.ones(_STATES, channels))
        self.register_buffer("mean", torch.full((len(DIMENSIONS),), 50.0))
        self.register_buffer("spread", torch.full((len(DIMENSIONS),), 20.0))

    def set_statistics(self, states: Tensor, truth: Tensor) -> None:
        """Take means and deviations from training pairs: states [N, 3, D], and scores [N, 3] with NaN for none."""
        normal = self.norm(states.float())
        self.state_mean.copy_(normal.mean(0))
        self.state_spread.copy_(normal.std(0, correction=0).clamp_min(_LEAST_STATE_SPREAD))
        known = ~torch.isnan(truth)
        mean = truth.nanmean(0)
        square = torch.where(known, truth - mean, 0.0).square().sum(0) / known.sum(0).clamp_min(1)
        self.mean.copy_(mean)
        self.spread.copy_(square.sqrt().clamp_min(_LEAST_SPREAD))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised scores and log deviations, [N, 3] each, of states [N, 3, D]."""
        normal = (self.norm(states.float()) - self.state_mean) / self.state_spread
        scores, log_sd = self.layers(normal.flatten(1)).chunk(2, 1)
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
        scores, log_sd = self.head(self.read_states(extract_features(self.backbone, batch), batch))
        return scores, log_sd

    def forward(self, truth: Tensor, labels: Tensor, level_weight: float, score_weight: float, **batch: Any) -> Any:
        """The loss of a batch: cross-entropy of the levels, and equation 8 on the scores.

        Both come from one pass: a question's last token knows nothing of the reply that follows. Stage 2 goes on
        learning the levels, which its adapter would forget otherwise.
        """
        features = extract_features(self.backbone, batch)
        hidden = features.hidden
        loss = hidden.new_zeros((), dtype=torch.float32)
        said = labels[:, 1:] != IGNORED
        if level_weight and said.any():
            logits = self.backbone.get_base_model().lm_head(hidden[:, :-1][said])
            loss = loss + level_weight * functional.cross_entropy(logits.float(), labels[:, 1:][said])
        if score_weight:
            scores, log_sd = self.head(self.read_states(features, batch | {"labels": labels}))
            wanted = (truth.to(scores) - self.head.mean) / self.head.spread
            loss = loss + score_weight * compute_score_loss(scores, log_sd, wanted, self._plcc_weight)
        return {"loss": loss}

    def read_states(self, features: BackboneFeatures, batch: dict[str, Any]) -> Tensor:
        """What the head reads of each pair, [B, 3, D]; a reply in `labels` is passed over."""
        last = find_last_tokens(batch["attention_mask"])
        if "labels" in batch:
            last = last - (batch["labels"] != IGNORED).sum(1)
        rows = torch.arange(len(last), device=last.device)
        images = torch.stack([tokens.mean((0, 1)) for tokens in features.tokens]).unflatten(0, (len(rows), -1))
        return torch.cat([features.hidden[rows, last][:, None], images], 1)


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

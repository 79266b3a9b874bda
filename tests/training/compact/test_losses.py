"""The losses against scipy and numpy, and that a perfect answer has the least."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import norm

from training.compact.losses import compute_flaw_loss, compute_map_loss, compute_score_loss, compute_shape_loss

SEEDS = st.integers(0, 10_000)


def draw_truth(seed: int) -> torch.Tensor:
    """[1, 2, 6, 7] maps of which the second is clean."""
    truth = torch.rand(1, 2, 6, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    truth[:, 0] /= truth[:, 0].amax()
    truth[:, 1] = 0
    return truth


@given(SEEDS)
def test_a_perfect_map_has_no_loss_and_any_other_has_one(seed: int) -> None:
    truth = draw_truth(seed)
    assert compute_map_loss(truth, truth).abs().max() < 1e-4
    other = torch.clamp(truth + 0.2, 0, 1)
    assert (compute_map_loss(other, truth) > compute_map_loss(truth, truth) + 1e-3).all()


@given(SEEDS, st.floats(0.05, 1))
def test_the_shape_of_a_map_has_no_scale(seed: int, factor: float) -> None:
    truth = draw_truth(seed)
    logits = torch.logit((factor * truth).clamp(1e-9, 1 - 1e-9))
    assert compute_shape_loss(logits, truth).abs().max() < 1e-5


@given(SEEDS)
def test_the_shape_loss_is_divergence_plus_one_minus_correlation(seed: int) -> None:
    truth = draw_truth(seed)
    logits = torch.randn(1, 2, 6, 7, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    first, predicted = truth[0, 0].numpy().ravel(), torch.sigmoid(logits)[0, 0].numpy().ravel()
    divergence = rel_entr(first / first.sum(), predicted / predicted.sum()).sum()
    expected = divergence + 1 - np.corrcoef(first, predicted)[0, 1]
    found = compute_shape_loss(logits, truth)
    assert found[0, 0].item() == pytest.approx(expected, abs=1e-6)
    assert found[0, 1] == 0  # a clean image has no shape


@given(SEEDS)
def test_the_score_loss_is_the_likelihood_of_a_normal_distribution(seed: int) -> None:
    scores, log_sd, truth = torch.rand(3, 4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    truth[0, 0] = float("nan")
    found = compute_score_loss(scores, log_sd, truth)
    expected = -norm.logpdf(truth.numpy(), scores.numpy(), np.exp(log_sd.numpy())) - 0.5 * np.log(2 * np.pi)
    assert found[0, 0] == 0
    np.testing.assert_allclose(found.numpy().ravel()[1:], expected.ravel()[1:], atol=1e-12)


def test_boxes_without_a_known_flaw_do_not_count() -> None:
    flaws, severities = torch.zeros(1, 2, 4), torch.zeros(1, 2, 3)
    unknown = torch.full((1, 2), -1)
    assert compute_flaw_loss(flaws, severities, unknown, unknown) == 0
    known = torch.tensor([[2, -1]])
    expected = np.log(4) + 0.3 * np.log(3)
    assert compute_flaw_loss(flaws, severities, known, known).item() == pytest.approx(expected, abs=1e-6)

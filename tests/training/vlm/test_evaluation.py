"""Evaluation: the limits of its loss and scales, a tiny set learnt by heart, the same scores however computed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from annotation.records import DIMENSIONS
from mos.console import NullProgress
from mos.errors import UserError
from tests.training.compact.tiny_pairs import make_dataset, make_rows
from tests.training.vlm.conftest import make_unequal_pairs
from training.agents.registry import load_agent
from training.runs.losses import compute_correlation
from training.samples.pair_sample import decode_row
from training.vlm.conversation import encode_conversations
from training.vlm.evaluation.evaluation_agent import VlmEvaluation
from training.vlm.evaluation.mos_scale import apply_level_scale, fit_level_scale, fit_score_scale
from training.vlm.evaluation.score_batches import ask_for_levels
from training.vlm.evaluation.score_levels import LEVELS, average_levels, find_level_tokens, format_levels
from training.vlm.evaluation.score_network import compute_score_loss
from training.vlm.evaluation.train_evaluation import train_evaluation
from training.vlm.recipe import EvaluationRecipe
from training.vlm.trained_agent import TrainedAgent

QUICK = {
    "rank": 8, "alpha": 16, "batch": 4, "accumulate": 1, "learning_rate": 2e-3, "head_learning_rate": 1e-2,
    "hidden": 64, "clip": 1.0, "flip": 0, "least_pixels": 48 * 48, "most_pixels": 64 * 64, "patience": 100,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> Any:
    made = make_rows(4)
    for place, row in enumerate(made):  # a pair without one score teaches the other two
        row |= {
            "instruction_following": [80.0, 10.0, 50.0, 95.0][place],
            "visual_consistency": [None, 30.0, 70.0, 5.0][place],
        }
    return make_dataset(made)


@pytest.fixture(scope="module")
def trained(tiny_backbone: Path, rows: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedAgent:
    recipe = EvaluationRecipe(**QUICK | {"backbone": str(tiny_backbone), "level_epochs": 1, "score_epochs": 5})
    out = tmp_path_factory.mktemp("evaluation") / "agent"
    return train_evaluation(rows.select([0, 1, 2, 3] * 8), rows.select([1, 2]), recipe, out, NullProgress())


def test_correlation_is_that_of_scipy() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 30))
    ours = float(compute_correlation(torch.from_numpy(x), torch.from_numpy(y)))
    assert ours == pytest.approx(pearsonr(x, y)[0], abs=1e-9)


def test_the_loss_is_least_for_perfect_scores_and_treats_dimensions_alone() -> None:
    truth = torch.tensor([[0.5, -1.0, 1.0], [-1.0, 0.5, 0.0], [1.5, 1.0, -1.0], [0.0, 0.0, float("nan")]])
    perfect, spread = torch.nan_to_num(truth), torch.zeros(4, 3)
    assert float(compute_score_loss(perfect, spread, truth, 1.0)) == pytest.approx(0, abs=1e-6)
    flat = compute_score_loss(torch.zeros(4, 3), spread, truth, 1.0) - compute_score_loss(
        torch.zeros(4, 3), spread, truth, 0.0
    )
    assert float(flat) == pytest.approx(3, abs=1e-4)  # 1 - PLCC is 1 in each dimension
    shifted = perfect + torch.tensor([0.0, 0.0, 2.0])
    by_parts = [float(compute_score_loss(shifted[:, [i]], spread[:, [i]], truth[:, [i]], 1.0)) for i in range(3)]
    assert by_parts[:2] == pytest.approx([0, 0], abs=1e-6) and by_parts[2] == pytest.approx(6, abs=1e-5)
    assert float(compute_score_loss(perfect, spread, torch.full((4, 3), float("nan")), 1.0)) == 0


def test_deviations_learn_the_size_of_the_error() -> None:
    """The likelihood of an error e is greatest at log sd = log |e|."""
    log_sd = torch.zeros(1, 3, requires_grad=True)
    for _ in range(300):
        (gradient,) = torch.autograd.grad(
            compute_score_loss(torch.zeros(1, 3), log_sd, torch.full((1, 3), 0.5), 1.0), log_sd
        )
        log_sd = (log_sd - 0.1 * gradient).detach().requires_grad_()
    assert log_sd.exp().detach().numpy() == pytest.approx(0.5, abs=1e-3)


def test_scales_are_monotone_and_keep_the_ranking() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(10, 90, (40, 3))
    given = 20 + 0.4 * truth + random.normal(0, 2, truth.shape)
    scale = fit_score_scale(given, np.full_like(given, 1.0), truth)
    line = given * scale["slope"] + scale["offset"]
    assert np.abs((line - truth).mean(0)).max() < 1e-6 and min(scale["slope"]) > 0
    errors = (truth - line) / (np.array(scale["slope"]) * np.array(scale["sd_factor"]))
    assert (errors**2).mean(0) == pytest.approx(1)
    levels = fit_level_scale(given, truth)
    mapped = apply_level_scale(levels, np.sort(given, 0))
    assert (np.diff(mapped, axis=0) >= 0).all() and np.abs(mapped - np.sort(truth, 0)).mean() < 4
    assert fit_score_scale(given, given, -truth)["slope"] == [1, 1, 1]
    few = fit_level_scale(given[:5], truth[:5])
    assert np.array_equal(apply_level_scale(few, given), given)


@pytest.mark.slow
def test_it_learns_a_tiny_set(trained: TrainedAgent, rows: Any) -> None:
    scores, levels = VlmEvaluation(trained.out), VlmEvaluation(trained.out, stage="levels")
    errors = []
    for row in rows:
        sample = decode_row(row)
        pair = sample.source, sample.edited, sample.instruction
        found = scores.evaluate(*pair)
        assert [score.dimension for score in found] == list(DIMENSIONS)
        errors += [score.value - sample.scores[score.dimension] for score in found if sample.scores[score.dimension]]
        probabilities = levels.find_level_probabilities([pair])
        assert probabilities.shape == (1, 3, 5) and probabilities.sum(2) == pytest.approx(1)
    assert np.abs(errors).mean() < 10


def test_scores_do_not_depend_on_batch_padding_or_a_copy(trained: TrainedAgent, tmp_path: Path) -> None:
    pairs = make_unequal_pairs(3)
    shutil.copytree(trained.out, tmp_path / "agent")
    for stage in ("scores", "levels"):
        agent = load_agent("evaluation", "vlm", checkpoint=trained.out, stage=stage)
        wanted = [[(score.value, score.sd) for score in agent.evaluate(*pair)] for pair in pairs]
        for other in (agent, VlmEvaluation(tmp_path / "agent", stage, "right")):
            found = [[(score.value, score.sd) for score in scores] for scores in other.evaluate_pairs(pairs)]
            np.testing.assert_allclose(found, wanted, atol=0.1, rtol=1e-3)  # 1e-3 of their scale of 100


def test_level_probabilities_are_those_of_the_whole_answer(trained: TrainedAgent) -> None:
    """One pass over the finished sentences, as a server scores them, sees the same five numbers at each level."""
    agent = VlmEvaluation(trained.out)
    pair = make_unequal_pairs(1)[0]
    ours = agent.find_level_probabilities([pair])[0]
    said = {name: LEVELS[place] for name, place in zip(DIMENSIONS, ours.argmax(1), strict=True)}
    backbone, processor = agent._network.backbone, agent._processor
    batch = encode_conversations(processor, [replace(ask_for_levels(*pair), reply=format_levels(said))])
    tokens = find_level_tokens(processor.tokenizer)
    places = [place for place, token in enumerate(batch["labels"][0].tolist()) if token in tokens]
    with torch.no_grad():
        logits = backbone(**{name: value for name, value in batch.items() if name != "labels"}).logits[0]
    theirs = [torch.softmax(logits[place - 1, tokens].double(), 0).numpy() for place in places]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_mean_level_is_a_plain_average() -> None:
    sure = np.eye(5)
    assert average_levels(sure)[0].tolist() == [10, 30, 50, 70, 90] and len(LEVELS) == 5
    assert average_levels(sure)[1].max() == 0


def test_what_cannot_be_trained_is_one_sentence(tiny_backbone: Path, rows: Any, tmp_path: Path) -> None:
    recipe = EvaluationRecipe(**QUICK | {"backbone": str(tiny_backbone)})
    for some, message in (
        (rows.remove_columns("visual_consistency"), "score of visual_consistency"),
        (
            make_dataset([row | {"perceptual_quality": float("nan")} for row in make_rows(2)]),
            "score of perceptual_quality",
        ),
        (rows.select([]), "is empty"),
    ):
        with pytest.raises(UserError, match=message):
            train_evaluation(some, rows, recipe, tmp_path, NullProgress())

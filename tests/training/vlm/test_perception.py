"""Perception: limits of the loss, a tiny set learnt by heart, and the same maps however they are computed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from annotation.records import KINDS
from mos.console import NullProgress
from mos.errors import UserError
from tests.training.compact.tiny_pairs import make_dataset, make_rows
from tests.training.vlm.conftest import make_unequal_pairs, make_unequal_rows
from training.agents.registry import load_agent
from training.samples.pair_sample import decode_row
from training.vlm.perception.map_loss import compute_saliency_loss
from training.vlm.perception.perception_agent import VlmPerception
from training.vlm.perception.train_perception import train_perception
from training.vlm.recipe import PerceptionRecipe
from training.vlm.trained_agent import TrainedAgent

QUICK = {
    "rank": 4, "alpha": 8, "batch": 2, "accumulate": 1, "learning_rate": 1e-3, "head_learning_rate": 1e-2, "width": 32,
    "flip": 0, "least_pixels": 64 * 64, "most_pixels": 96 * 96, "patience": 100,
}  # fmt: skip


class Kill(Exception):
    pass


def make_recipe(backbone: Path, **changes: Any) -> PerceptionRecipe:
    return PerceptionRecipe(**QUICK | {"backbone": str(backbone), "epochs": 16} | changes)


@pytest.fixture(scope="module")
def rows() -> Any:
    return make_dataset(make_unequal_rows(4, start=1))


@pytest.fixture(scope="module")
def trained(tiny_backbone: Path, rows: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedAgent:
    out = tmp_path_factory.mktemp("perception") / "agent"
    return train_perception(rows, rows.select([1, 2]), make_recipe(tiny_backbone), out, NullProgress())


def make_logits(maps: torch.Tensor) -> torch.Tensor:
    return torch.logit(maps.clamp(1e-6, 1 - 1e-6))


@pytest.mark.parametrize("peak", [0.0, 1.0])
def test_a_perfect_map_has_the_least_loss_also_a_clean_one(peak: float) -> None:
    """With a sigmoid before the cross-entropy of logits, as in the authors' code, a perfect map costs 0.68."""
    down, across = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    truth = peak * torch.exp(-((across - 9) ** 2 + (down - 12) ** 2) / 18)[None, None]
    perfect = compute_saliency_loss(make_logits(truth), truth, 0.2, 0.6)
    assert float(perfect) == pytest.approx(0, abs=1e-4)
    for other in (truth.flip(3), truth * 0.5, torch.full_like(truth, 0.5), 1 - truth):
        if not torch.equal(other, truth):
            assert float(compute_saliency_loss(make_logits(other), truth, 0.2, 0.6)) > 5e-3
    doubled = compute_saliency_loss(torch.sigmoid(make_logits(truth)), truth, 0.0, 1.0)
    assert float(doubled) > 0.4


def test_the_gradient_at_a_perfect_map_is_zero() -> None:
    truth = torch.rand(1, 2, 6, 6, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    logits = torch.logit(truth).requires_grad_()
    compute_saliency_loss(logits, truth, 0.0, 0.6).sum().backward()
    assert logits.grad is not None and float(logits.grad.abs().max()) < 1e-5


@pytest.mark.slow
def test_it_learns_a_tiny_set_of_unequal_images(trained: TrainedAgent, rows: Any) -> None:
    agent = VlmPerception(trained.out)
    correlations, clean = [], []
    for row in rows:
        sample = decode_row(row)
        found = agent.perceive(sample.source, sample.edited, sample.instruction)
        for kind in KINDS:
            if sample.maps[kind].any():
                correlations.append(np.corrcoef(found.by_kind(kind).ravel(), sample.maps[kind].ravel())[0, 1])
            else:
                clean.append(found.by_kind(kind).max())
    assert np.mean(correlations) > 0.7 and max(clean) < 0.5
    losses = [orjson.loads(line)["training"] for line in (trained.out / "log.jsonl").read_bytes().splitlines()]
    assert losses[-1] < 0.5 * losses[0] and len(losses) == trained.epochs == 16


def test_maps_do_not_depend_on_batch_padding_or_a_copy(trained: TrainedAgent, tmp_path: Path) -> None:
    pairs = make_unequal_pairs()
    agent = load_agent("perception", "vlm", checkpoint=trained.out)
    single = [agent.perceive(*pair) for pair in pairs]
    shutil.copytree(trained.out, tmp_path / "agent")
    others = [VlmPerception(tmp_path / "agent"), VlmPerception(trained.out, padding_side="right")]
    for found in (agent.perceive_pairs(pairs), *(other.perceive_pairs(pairs) for other in others)):
        for first, second, (_, edited, _) in zip(single, found, pairs, strict=True):
            assert first.artifact.shape == edited.shape[:2]
            for kind in KINDS:
                np.testing.assert_allclose(first.by_kind(kind), second.by_kind(kind), atol=1e-3)
    assert others[0].identity == agent.identity


def test_maps_depend_on_every_input(trained: TrainedAgent) -> None:
    (source, edited, instruction), (other, *_) = make_unequal_pairs(2)
    agent = VlmPerception(trained.out)
    plain = agent.perceive(source, edited, instruction).artifact
    for changed in ((other, edited, instruction), (source, edited[::-1].copy(), instruction), (source, edited, "No.")):
        assert np.abs(agent.perceive(*changed).artifact - plain).max() > 1e-4


def test_a_checkpoint_holds_no_backbone_and_no_pickle_of_weights(trained: TrainedAgent) -> None:
    last = max((trained.out / "checkpoints" / "maps").iterdir())
    for folder in (trained.out, last):
        weights = {path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".bin")}
        assert weights == {"adapter_model.safetensors", "head.safetensors"}


@pytest.mark.slow
def test_a_killed_training_comes_to_the_same_weights(tiny_backbone: Path, rows: Any, tmp_path: Path) -> None:
    recipe, rows = make_recipe(tiny_backbone, epochs=2), rows.select([0, 1])

    def kill(epoch: int) -> None:
        if epoch == 1:
            raise Kill

    with pytest.raises(Kill):
        train_perception(rows, rows.select([0]), recipe, tmp_path / "killed", NullProgress(), kill)
    for name in ("killed", "whole"):
        train_perception(rows, rows.select([0]), recipe, tmp_path / name, NullProgress())
    for name in ("adapter_model.safetensors", "head.safetensors", "agent.json", "log.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_what_cannot_be_trained_or_loaded_is_one_sentence(
    trained: TrainedAgent, tiny_backbone: Path, rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(tiny_backbone, epochs=1)
    clean = make_dataset(make_rows(1))
    for some, other, message in (
        (clean, recipe, "region of the kind artifact"),
        (rows.select([]), recipe, "The split 'train' is empty"),
        (rows.remove_columns("artifact_saliency"), recipe, "artifact_saliency are missing"),
        (rows, make_recipe(tmp_path / "absent"), "There is no folder"),
    ):
        with pytest.raises(UserError, match=message):
            train_perception(some, rows, other, tmp_path / "out", NullProgress())
    with pytest.raises(UserError, match="another recipe, backbone or dataset"):
        train_perception(rows, rows, make_recipe(tiny_backbone, seed=1), trained.out, NullProgress())
    with pytest.raises(UserError, match="is an agent of perception, but one of evaluation"):
        load_agent("evaluation", "vlm", checkpoint=trained.out)
    with pytest.raises(UserError, match="set EDITFHF_VLM_PERCEPTION"):
        load_agent("perception", "vlm")
    monkeypatch.setenv("EDITFHF_VLM_PERCEPTION", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="There is no folder"):
        load_agent("perception", "vlm")
    shutil.copytree(trained.out, tmp_path / "other")
    record = orjson.loads((tmp_path / "other" / "agent.json").read_bytes())
    (tmp_path / "other" / "agent.json").write_bytes(orjson.dumps(record | {"backbone_digest": "0"}))
    with pytest.raises(UserError, match="trained on another backbone"):
        VlmPerception(tmp_path / "other")

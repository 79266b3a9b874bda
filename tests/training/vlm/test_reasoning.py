"""Reasoning: fine-tuning and GRPO by trl on a tiny model, and an agent that never makes up a finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from mos.console import NullProgress
from mos.errors import UserError
from tests.training.compact.tiny_pairs import make_dataset, make_rows
from training.samples.pair_sample import decode_row
from training.vlm.reasoning.reasoning_agent import VlmReasoning
from training.vlm.reasoning.train_reasoning import train_reasoning
from training.vlm.recipe import ReasoningRecipe
from training.vlm.trained_agent import TrainedAgent

QUICK = {
    "rank": 16, "alpha": 32, "batch": 1, "accumulate": 1, "learning_rate": 1e-2, "grpo_learning_rate": 1e-4,
    "least_pixels": 32 * 32, "most_pixels": 64 * 64, "rollouts": 2, "most_new_tokens": 72, "patience": 100,
    "temperature": 0.2,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> Any:
    return make_dataset(make_rows(3, start=1))


def make_recipe(backbone: Path, **changes: Any) -> ReasoningRecipe:
    return ReasoningRecipe(**QUICK | {"backbone": str(backbone), "sft_epochs": 2, "grpo_steps": 1} | changes)


@pytest.fixture(scope="module")
def trained(tiny_backbone: Path, rows: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedAgent:
    out = tmp_path_factory.mktemp("reasoning") / "agent"
    return train_reasoning(rows.select([0] * 24), rows.select([0]), make_recipe(tiny_backbone), out, NullProgress())


@pytest.mark.slow
def test_it_learns_the_descriptions_of_people(trained: TrainedAgent, rows: Any) -> None:
    agent = VlmReasoning(trained.out)
    sample = decode_row(rows[0])
    boxes = [(region.kind, region.box) for region in sample.regions]
    findings = agent.diagnose_boxes(sample.source, sample.edited, sample.instruction, boxes)
    assert [(found.kind, found.box) for found in findings] == boxes
    for found, region in zip(findings, sample.regions, strict=True):
        assert (found.status, found.flaw_type, found.severity) == ("ok", region.flaw_type, region.severity)
        assert found.rationale == region.rationale
    assert agent.diagnose_boxes(sample.source, sample.edited, sample.instruction, []) == []


def test_rewards_are_measured_after_both_stages(trained: TrainedAgent) -> None:
    assert {name.partition("_")[0] for name in trained.figures} == {"sft", "grpo"}
    assert trained.figures["sft_reward"] > 0.9 and "sft_similarity_rouge" in trained.figures
    log = [orjson.loads(line) for line in (trained.out / "grpo-log.jsonl").read_bytes().splitlines()]
    assert [row["step"] for row in log] == [1] and "rewards/type/mean" in log[0]


def test_what_cannot_be_read_is_no_finding(tiny_backbone: Path, rows: Any, tmp_path: Path) -> None:
    """A model that was hardly trained says no JSON: each box has a status and the reason."""
    recipe = make_recipe(tiny_backbone, sft_epochs=1, grpo_steps=0, learning_rate=1e-6, most_new_tokens=16)
    train_reasoning(rows.select([0]), rows.select([0]), recipe, tmp_path / "agent", NullProgress())
    sample = decode_row(rows[0])
    boxes = [(region.kind, region.box) for region in sample.regions]
    for found in VlmReasoning(tmp_path / "agent").diagnose_boxes(sample.source, sample.edited, "x", boxes):
        assert (found.status, found.flaw_type, found.rationale) == ("unparsed", None, "")
        assert "not the JSON object" in found.detail


def test_pairs_without_descriptions_are_one_sentence(tiny_backbone: Path, rows: Any, tmp_path: Path) -> None:
    clean = make_dataset(make_rows(1))
    with pytest.raises(UserError, match="No pair of the split 'train' has a region with flaw type"):
        train_reasoning(clean, rows, make_recipe(tiny_backbone), tmp_path, NullProgress())
    with pytest.raises(UserError, match="nothing to train"):
        train_reasoning(rows, rows, make_recipe(tiny_backbone, sft_epochs=0, grpo_steps=0), tmp_path, NullProgress())

"""`train check`: nothing is found in what is right, and each of eight planted defects is found by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from training.commands.train_vlm import train_app
from training.vlm.check.check_samples import make_check_samples
from training.vlm.check.checked_paths import CheckedPaths, ask_trained_agent, collate_for_trl, measure_perfect_loss
from training.vlm.check.run_check import CheckRow, check_recipe
from training.vlm.conversation import Conversation, encode_conversations
from training.vlm.perception.map_loss import compute_saliency_loss
from training.vlm.recipe import EvaluationRecipe, PerceptionRecipe, ReasoningRecipe

SIZE = {"least_pixels": 32 * 32, "most_pixels": 64 * 64, "rank": 4}

Defect = dict[str, Callable[..., Any]]


def find_failures(recipe: Any, folder: Path, **defect: Callable[..., Any]) -> set[tuple[str, str]]:
    rows = check_recipe(recipe, folder, CheckedPaths(**defect))
    assert all(row.detail for row in rows if not row.passed)
    return {(row.path, row.quantity) for row in rows if not row.passed}


@pytest.fixture(scope="module")
def backbone(tiny_backbone: Path) -> str:
    return str(tiny_backbone)


@pytest.mark.parametrize("kind", [PerceptionRecipe, EvaluationRecipe, ReasoningRecipe])
def test_nothing_is_found_where_nothing_is_wrong(kind: Any, backbone: str, tmp_path: Path) -> None:
    assert find_failures(kind(backbone=backbone, **SIZE), tmp_path) == set()


def swap_images(processor: Any, some: Sequence[Conversation]) -> Any:
    return collate_for_trl(processor, [replace(each, images=each.images[::-1]) for each in some])


def lose_image(processor: Any, some: Sequence[Conversation], side: Any) -> Any:
    """What the authors' inference did: one image, where training had two."""
    lost = []
    for each in some:
        system, user = each.messages
        place = next(place for place, part in enumerate(user["content"]) if part["type"] == "image")
        content = [part for number, part in enumerate(user["content"]) if number != place]
        lost.append(replace(each, messages=[system, user | {"content": content}], images=each.images[1:]))
    return encode_conversations(processor, lost, side)


def pad_on_the_right(processor: Any, some: Sequence[Conversation], side: Any) -> Any:
    return encode_conversations(processor, some, "right")


def drop_types(processor: Any, some: Sequence[Conversation]) -> Any:
    return {name: value for name, value in collate_for_trl(processor, some).items() if name != "mm_token_type_ids"}


def resize_otherwise(processor: Any, some: Sequence[Conversation], side: Any) -> Any:
    smaller = [replace(each, images=[image.resize((48, 48)) for image in each.images]) for each in some]
    return encode_conversations(processor, smaller, side)


def keep_old_adapter(backbone: Any, folder: Path) -> None:
    """Nothing is loaded."""


def shuffle_boxes(sample: Any, recipe: Any) -> Conversation:
    return ask_trained_agent(replace(sample, regions=sample.regions[::-1]), recipe)


def apply_sigmoid_twice(recipe: PerceptionRecipe) -> float:
    truth = torch.linspace(0.02, 0.98, 64).view(1, 1, 8, 8)
    return float(compute_saliency_loss(truth, truth, recipe.l1_weight, recipe.bce_weight).mean())


@pytest.mark.parametrize(
    ("defect", "path", "quantity"),
    [
        ({"collate_trl": swap_images}, "trl fine-tuning", "pixel values"),
        ({"encode_question": lose_image}, "generation", "pixel values"),
        ({"encode_question": pad_on_the_right}, "generation", "logits"),
        ({"collate_trl": drop_types}, "trl fine-tuning", "mm_token_type_ids"),
        ({"encode_question": resize_otherwise}, "generation", "pixel values"),
        ({"load_adapter": keep_old_adapter}, "adapter saved and loaded", "logits"),
        ({"ask_agent": shuffle_boxes}, "generation", "tokens"),
        ({"measure_perfect_loss": apply_sigmoid_twice}, "loss", "of a perfect answer"),
    ],
    ids=["swapped", "missing", "padding", "types", "resized", "adapter", "boxes", "sigmoid"],
)
def test_planted_defects_are_found(defect: Defect, path: str, quantity: str, backbone: str, tmp_path: Path) -> None:
    kind = ReasoningRecipe if "ask_agent" in defect else PerceptionRecipe
    found = find_failures(kind(backbone=backbone, **SIZE), tmp_path, **defect)
    assert (path, quantity) in found
    assert {name for name, _ in found} == {path}  # and nothing else is blamed


def test_wrong_slices_of_rollouts_are_found(backbone: str, tmp_path: Path) -> None:
    def slice_by_rows(model: Any, processor: Any, batch: Any, images: Any, count: int) -> torch.Tensor:
        """Each row with the images of its neighbour, as when a trainer counts one image a row."""
        patches = batch["image_grid_thw"].prod(1).tolist()
        parts = list(batch["pixel_values"].split(patches))
        mixed = batch | {"pixel_values": torch.cat([parts[1], parts[0], *parts[2:]])}
        return CheckedPaths().slice_rollouts(model, processor, mixed, images, count)

    found = find_failures(PerceptionRecipe(backbone=backbone, **SIZE), tmp_path, slice_rollouts=slice_by_rows)
    assert found == {("trl rollouts", "log-probabilities")}


def test_samples_of_a_check_are_unequal_and_the_same_every_time() -> None:
    first, second = make_check_samples(64 * 64), make_check_samples(64 * 64)
    assert len({sample.size for sample in first}) == len({len(sample.regions) for sample in first}) == 3
    assert all((a.edited == b.edited).all() and a.regions == b.regions for a, b in zip(first, second, strict=True))
    assert measure_perfect_loss(PerceptionRecipe()) == pytest.approx(0, abs=1e-6)


def test_the_command_says_what_it_compared(backbone: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"agent: evaluation\nbackbone: {backbone}\nleast_pixels: 1024\nmost_pixels: 4096\nrank: 4\n")
    done = CliRunner().invoke(train_app, ["check", str(recipe), "seed=1"])
    assert done.exit_code == 0, done.output
    assert "trl rollouts" in done.output and "All" in done.output
    recipe.write_text("backbone: tiny\n")
    missing = CliRunner().invoke(train_app, ["check", str(recipe)])
    assert "must say for which agent it is" in str(missing.exception)


def test_a_row_that_fails_says_by_how_much() -> None:
    row = CheckRow("generation", "logits", 2.0, 1e-3, "sample 0: differs by up to 2")
    assert not row.passed and CheckRow("generation", "logits", 1e-4, 1e-3).passed

"""The authors' evaluation checkpoint in their layout, against the steps of their own inference; no pickle is run."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import AutoModel, AutoProcessor

from annotation.records import DIMENSIONS
from mos.errors import UserError
from tests.training.vlm.conftest import make_unequal_pairs
from training.agents.registry import load_agent

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class TheirRegressor(torch.nn.Module):
    def __init__(self, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        nn = torch.nn
        self.mlp = nn.Sequential(
            nn.Linear(sizes[0], sizes[1]), nn.SiLU(), nn.Dropout(0.1), nn.Linear(sizes[1], sizes[2]), nn.SiLU(),
            nn.Dropout(0.05), nn.Linear(sizes[2], 3),
        )  # fmt: skip


@pytest.fixture(scope="module")
def theirs(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """A checkpoint as their training writes it, with the model and head that wrote it."""
    folder = tmp_path_factory.mktemp("authors")
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=PROJECTIONS, task_type="FEATURE_EXTRACTION")
    model = get_peft_model(AutoModel.from_pretrained(tiny_backbone), config).eval()
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    model.save_pretrained(folder)
    head = TheirRegressor((64, 32, 16)).eval()
    torch.save(head.state_dict(), folder / "score_head.pth")
    sizes = {
        "hidden_size": 64,
        "head_hidden_size": 32,
        "head_hidden_size2": 16,
        "dropout": 0.1,
        "base_model_path": "/x",
    }
    (folder / "regression_config.json").write_text(json.dumps(sizes))
    return folder, model, head


@pytest.mark.parametrize("plain", [True, False])
def test_scores_are_those_of_their_steps(plain: bool, theirs: Any, tiny_backbone: Path) -> None:
    folder, model, head = theirs
    source, edited, instruction = make_unequal_pairs(2)[1]
    processor = AutoProcessor.from_pretrained(tiny_backbone)
    processor.image_processor.size = {"shortest_edge": 65_536, "longest_edge": 1_048_576}
    query = (
        "You are scoring an image editing result. The first image is the source image and the second image is the "
        f"edited image. Editing instruction: {instruction.strip()}. Evaluate the edited image from perceptual quality, "
        "instruction following and visual consistency. Return the three internal assessment score."
    )
    images = [{"type": "image", "image": Image.fromarray(each)} for each in (source, edited)]
    messages = [{"role": "user", "content": [*images, {"type": "text", "text": query}]}]
    options = {"tokenize": True, "add_generation_prompt": True, "return_dict": True, "return_tensors": "pt"}
    inputs = dict(processor.apply_chat_template(messages, **options))
    if plain:
        inputs["position_ids"] = torch.arange(inputs["input_ids"].shape[1]).expand(3, 1, -1)
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
        wanted = (torch.sigmoid(head.mlp(hidden[:, -1])) * 100)[0].numpy()
    agent = load_agent("evaluation", "authors", checkpoint=folder, backbone=str(tiny_backbone), plain_positions=plain)
    found = agent.evaluate(source, edited, instruction)
    assert [score.dimension for score in found] == list(DIMENSIONS) and {score.sd for score in found} == {None}
    np.testing.assert_allclose([score.value for score in found], wanted, atol=1e-3)
    assert f"{1 if plain else 3}-D" in str(agent.identity)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_no_program_in_a_checkpoint_is_run(theirs: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    folder = tmp_path / "trap"
    folder.mkdir()
    for path in theirs[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for content, message in ((pickle.dumps(Trap(sprung)), "more than tensors"), (b"", "no score head|more than")):
        (folder / "score_head.pth").write_bytes(content)
        with pytest.raises(UserError, match=message):
            load_agent("evaluation", "authors", checkpoint=folder, backbone=str(tiny_backbone))
    torch.save({"mlp.0.weight": torch.zeros(2, 2)}, folder / "score_head.pth")
    with pytest.raises(UserError, match="no score head of the sizes"):
        load_agent("evaluation", "authors", checkpoint=folder, backbone=str(tiny_backbone))
    (folder / "regression_config.json").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_agent("evaluation", "authors", checkpoint=folder, backbone=str(tiny_backbone))
    assert not sprung.exists()

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
from training.vlm.authors_files import ask_authors_question
from training.vlm.conversation import encode_conversations
from training.vlm.image_processor import load_image_processor
from training.vlm.perception.authors_perception import _QUESTIONS

NORM_PARTS = ("running_mean", "running_var", "weight", "bias")
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


def decode_as_they_do(tensors: Any, tokens: torch.Tensor, states: torch.Tensor, grid: Any, size: Any) -> np.ndarray:
    """Their forward pass, written with functions of torch alone; BatchNorm by its running statistics."""
    f = torch.nn.functional

    def block(name: str, x: torch.Tensor) -> torch.Tensor:
        for conv, norm in ((0, 1), (4, 5)):
            x = f.conv2d(x, tensors[f"{name}.net.{conv}.weight"], tensors[f"{name}.net.{conv}.bias"], padding=1)
            kept = [tensors[f"{name}.net.{norm}.{part}"] for part in NORM_PARTS]
            x = f.batch_norm(x, *kept)
            x = f.gelu(x) if conv == 0 else x
        return x

    image = tokens @ tensors["img_proj.weight"][:, :, 0, 0].T + tensors["img_proj.bias"]
    whole = states @ tensors["global_proj.weight"].T + tensors["global_proj.bias"]
    fused = torch.cat([image, whole])
    q, k, v = (fused @ tensors["attn.in_proj_weight"].T + tensors["attn.in_proj_bias"]).chunk(3, 1)
    q, k, v = (each.view(len(fused), 8, -1).transpose(0, 1) for each in (q, k, v))
    mixed = (torch.softmax(q @ k.transpose(1, 2) / q.shape[2] ** 0.5, 2) @ v).transpose(0, 1).flatten(1)
    mixed = mixed @ tensors["attn.out_proj.weight"].T + tensors["attn.out_proj.bias"]
    x = mixed[: len(image)].T.reshape(1, -1, *grid)
    for name, factor in (("dec1", 2.0), ("dec2", 4.0), ("dec3", 4.0)):
        x = f.interpolate(block(name, x), scale_factor=factor, mode="bilinear", align_corners=False)
    x = f.conv2d(block("refine", x), tensors["saliency_head.weight"], tensors["saliency_head.bias"])
    return f.interpolate(torch.sigmoid(x), size=size, mode="bilinear", align_corners=False)[0, 0].numpy()


def make_decoder_tensors(seed: int) -> dict[str, torch.Tensor]:
    """Random tensors with their names."""
    shapes = {
        "img_proj.weight": (32, 64, 1, 1), "img_proj.bias": (32,), "global_proj.weight": (32, 64),
        "global_proj.bias": (32,), "attn.in_proj_weight": (96, 32), "attn.in_proj_bias": (96,),
        "attn.out_proj.weight": (32, 32), "attn.out_proj.bias": (32,), "attn_norm.weight": (32,),
        "attn_norm.bias": (32,), "ffn.0.weight": (128, 32), "ffn.0.bias": (128,), "ffn.2.weight": (32, 128),
        "ffn.2.bias": (32,), "saliency_head.weight": (1, 4, 1, 1), "saliency_head.bias": (1,),
    }  # fmt: skip
    for name, before, after in (("dec1", 32, 16), ("dec2", 16, 8), ("dec3", 8, 4), ("refine", 4, 4)):
        for conv, norm, width in ((0, 1, before), (4, 5, after)):
            shapes |= {f"{name}.net.{conv}.weight": (after, width, 3, 3), f"{name}.net.{conv}.bias": (after,)}
            shapes |= {
                f"{name}.net.{norm}.{part}": (after,) for part in ("weight", "bias", "running_mean", "running_var")
            }
    random = torch.Generator().manual_seed(seed)
    tensors = {name: 0.3 * torch.randn(shape, generator=random) for name, shape in shapes.items()}
    counts = {name: value.abs() + 0.5 for name, value in tensors.items() if name.endswith("running_var")}
    batches = {
        f"{name}.net.{norm}.num_batches_tracked": torch.tensor(1)
        for name in ("dec1", "dec2", "dec3", "refine")
        for norm in (1, 5)
    }
    return tensors | counts | batches


def test_maps_are_those_of_their_decoder(theirs: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    folder, model, _ = theirs
    for seed, kind in enumerate(("artifact", "failure")):
        (tmp_path / kind).mkdir()
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            (tmp_path / kind / name).write_bytes((folder / name).read_bytes())
        torch.save(make_decoder_tensors(seed), tmp_path / kind / "sal_head.pth")
    options = {"checkpoint": tmp_path, "backbone": str(tiny_backbone), "plain_positions": False, "layer": 1}
    agent = load_agent("perception", "authors", **options)
    source, edited, instruction = make_unequal_pairs(2)[1]
    found = agent.perceive(source, edited, instruction)
    question = ask_authors_question(source, edited, _QUESTIONS["failure"], instruction)
    batch = encode_conversations(load_image_processor(tiny_backbone, 65_536, 1_048_576), [question])
    with torch.no_grad():
        output = model(**batch, output_hidden_states=True)
        rows, columns = (batch["image_grid_thw"][1, 1:] // 2).tolist()
        seen = batch["input_ids"][0] == model.config.image_token_id
        tokens = output.hidden_states[1][0][seen][-rows * columns :]
        wanted = decode_as_they_do(
            make_decoder_tensors(1), tokens, output.last_hidden_state[0], (rows, columns), edited.shape[:2]
        )
    np.testing.assert_allclose(found.failure, wanted, atol=1e-4)
    assert np.abs(found.artifact - found.failure).max() > 1e-3
    torch.save({"img_proj.weight": torch.zeros(2, 2, 1, 1)}, tmp_path / "failure" / "sal_head.pth")
    with pytest.raises(UserError, match="no saliency decoder in the authors' layout"):
        load_agent("perception", "authors", **options)


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
    for content, message in ((pickle.dumps(Trap(sprung)), "more than tensors"), (b"", "cannot be read|more than")):
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

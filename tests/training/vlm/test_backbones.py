"""Backbones: the tiny one in every respect but size, the real one without a download, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoProcessor

from mos.errors import UserError
from training.vlm.agent_network import load_adapter, save_adapter
from training.vlm.backbone import (
    add_adapter,
    digest_backbone,
    load_backbone,
    make_meta_model,
    make_qwen3_vl_8b_config,
)
from training.vlm.evaluation.score_levels import LEVELS, find_level_tokens
from training.vlm.image_processor import ImageOnlyProcessor, load_image_processor
from training.vlm.tiny_backbone import SPECIAL_TOKENS, write_tiny_backbone


def test_the_real_configuration_has_the_published_number_of_parameters() -> None:
    """8.77 B, and 43.6 M in an adapter of rank 16: 36 layers of the sums of the sides of seven matrices, times 16."""
    model = make_meta_model(make_qwen3_vl_8b_config())
    assert sum(value.numel() for value in model.parameters()) == 8_767_123_696
    adapted = add_adapter(model, 16, 32)
    sides = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 12288)
    assert sum(value.numel() for value in adapted.parameters() if value.requires_grad) == 36 * 16 * sides


def test_a_tiny_backbone_is_the_same_every_time(tiny_backbone: Path, tmp_path: Path) -> None:
    write_tiny_backbone(tmp_path)
    for path in tiny_backbone.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
    assert digest_backbone(tmp_path) == digest_backbone(tiny_backbone)


def test_a_digest_knows_other_weights_of_the_same_shapes(tiny_backbone: Path, tmp_path: Path) -> None:
    write_tiny_backbone(tmp_path, seed=1)
    assert digest_backbone(tmp_path) != digest_backbone(tiny_backbone)


def test_the_processor_needs_no_torchvision(tiny_backbone: Path) -> None:
    found = AutoProcessor.from_pretrained(tiny_backbone)
    assert type(found) is ImageOnlyProcessor and "torchvision" not in sys.modules
    assert load_image_processor(tiny_backbone, 1024, 4096).image_processor.size["longest_edge"] == 4096


def test_special_tokens_and_levels_are_one_token_each(tiny_backbone: Path) -> None:
    tokenizer = load_image_processor(tiny_backbone, 1024, 4096).tokenizer
    for token in SPECIAL_TOKENS:
        assert len(tokenizer.encode(token)) == 1
    assert [tokenizer.decode(token) for token in find_level_tokens(tokenizer)] == [f" {level}" for level in LEVELS]


def test_an_adapter_is_a_few_tensors_of_the_language_layers(tiny_backbone: Path, tmp_path: Path) -> None:
    model = add_adapter(load_backbone(str(tiny_backbone)), 4, 8)
    for value in model.parameters():
        if value.requires_grad:
            torch.nn.init.normal_(value)
    save_adapter(model, tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert len(tensors) == 2 * 7 * 2 and all(".language_model." in name for name in tensors)
    other = add_adapter(load_backbone(str(tiny_backbone)), 4, 8)
    load_adapter(other, tmp_path)
    for (name, value), (_, again) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(value, again), name


def test_what_is_no_backbone_or_adapter_is_one_sentence(tiny_backbone: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_backbone, broken)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(UserError, match="is a 'gpt2', but these are known: qwen3_vl"):
        load_backbone(str(broken))
    (broken / "config.json").write_text(json.dumps(config))
    weights = load_file(broken / "model.safetensors")
    (broken / "model.safetensors").unlink()
    torch.save(weights, broken / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_backbone(str(broken))
    with pytest.raises(UserError, match="no weights as safetensors"):
        digest_backbone(broken)
    model = add_adapter(load_backbone(str(tiny_backbone)), 4, 8)
    with pytest.raises(UserError, match=r"There is no .*adapter_model\.safetensors"):
        load_adapter(model, tmp_path)
    save_adapter(add_adapter(load_backbone(str(tiny_backbone)), 8, 8), tmp_path)
    with pytest.raises(UserError, match="another backbone or recipe"):
        load_adapter(model, tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(UserError, match="no weights as safetensors"):
        load_adapter(model, tmp_path)

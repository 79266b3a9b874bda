"""A Qwen3-VL of some 300,000 random parameters, made in a second: the whole path of a training on any laptop.

It knows nothing, and is for trying out recipes and for tests. Its tokenizer is trained on the project's own prompts.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from annotation.records import KINDS, SEVERITIES
from annotation.taxonomy import list_flaw_types
from training.prompts.agent_messages import PROMPT_FILE, read_agent_prompts
from training.vlm.library_noise import silence_libraries

VOCABULARY = 2048

SPECIAL_TOKENS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")

_END, _PADDING = "<|im_end|>", "<|endoftext|>"


def write_tiny_backbone(folder: Path, seed: int = 0) -> None:
    """Write a random checkpoint in the layout of Qwen3-VL.

    Parameters
    ----------
    folder : Path
        Gets config, weights, tokenizer, chat template and image processor, about 2 MB.
    seed : int
        Decides the weights.
    """
    import torch
    from tokenizers import AddedToken
    from transformers import Qwen2Tokenizer, Qwen3VLConfig, Qwen3VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from training.vlm.image_processor import ImageOnlyProcessor

    silence_libraries()
    plain = Qwen2Tokenizer(vocab=None, merges=None)
    tokenizer = plain.train_new_from_iterator(_list_texts(), VOCABULARY, show_progress=False)
    tokenizer.add_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    tokenizer.eos_token, tokenizer.pad_token = _END, _PADDING
    tokenizer.chat_template = (files("trl") / "chat_templates" / "qwen3_vl.jinja").read_text()
    numbers = {token: tokenizer.convert_tokens_to_ids(token) for token in (*SPECIAL_TOKENS, _PADDING)}
    width, heads = 64, 4
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "initializer_range": width**-0.5,  # so that signals pass: an adapter cannot mend a dead network
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": 2,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // 2,
            "head_dim": width // heads,
            "max_position_embeddings": 8192,
            "rope_scaling": {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True},
            "eos_token_id": numbers[_END],
            "pad_token_id": numbers[_PADDING],
        },
        vision_config={
            "depth": 2,
            "initializer_range": width**-0.5,
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_heads": heads,
            "patch_size": 8,
            "out_hidden_size": width,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=numbers["<|image_pad|>"],
        video_token_id=numbers["<|video_pad|>"],
        vision_start_token_id=numbers["<|vision_start|>"],
        vision_end_token_id=numbers["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = numbers[_END]
    model.generation_config.pad_token_id = numbers[_PADDING]
    images = Qwen2VLImageProcessorPil(
        patch_size=8,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        size={"shortest_edge": 32 * 32, "longest_edge": 256 * 256},
    )
    model.save_pretrained(folder)
    ImageOnlyProcessor(images, tokenizer, chat_template=tokenizer.chat_template).save_pretrained(folder)


def _list_texts() -> Iterator[str]:
    """What the prompts say, and replies in their forms."""
    prompts = read_agent_prompts()
    yield PROMPT_FILE.read_text(encoding="utf-8")
    for role in ("maps", "levels", "reasoning", "evaluation"):
        yield from [prompts.fill_system(role)] * 2  # every word that occurs twice is worth a token
    for kind in KINDS:
        for flaw_type in list_flaw_types(kind):
            for severity in SEVERITIES:
                yield f'{{"number":1,"flaw_type":"{flaw_type}","severity":"{severity}","reasoning":"The {flaw_type}'
    for level in ("bad", "poor", "fair", "good", "excellent"):
        yield f"The perceptual quality is {level}. The instruction following is {level}."

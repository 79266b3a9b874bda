"""A vision-language model of 75,000 parameters, made on disk: a LLaVA that learns a few replies by heart.

    python tests/editfhf/chat/tiny_vlm.py FOLDER EXAMPLES.json

EXAMPLES.json is a list of {"messages": as sent to a chat server, "reply": text}. Letters are its tokens, pictures are
28 x 28 for it, and a reply that depends on the pictures can only be learnt by looking at them.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

LEARNT = 0.01
SPECIAL = ("<pad>", "<s>", "</s>", "<image>")
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% else %}<image>{% endif %}{% endfor %}"
    "{% endif %}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


def processor() -> LlavaProcessor:
    """Bytes as tokens, and pictures read with Pillow."""
    vocabulary = {token: place for place, token in enumerate((*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())))}
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    return LlavaProcessor(
        pictures, tokenizer, patch_size=14, vision_feature_select_strategy="default", chat_template=TEMPLATE,
        image_token="<image>", num_additional_image_tokens=1,
    )  # fmt: skip


def model() -> LlavaForConditionalGeneration:
    """Two layers of 32 for the eye and two for the text."""
    size: dict[str, Any] = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    }  # fmt: skip
    seeing = CLIPVisionConfig(**size, image_size=28, patch_size=14, projection_dim=32)
    writing = LlamaConfig(
        **size, vocab_size=len(SPECIAL) + 256, num_key_value_heads=2, max_position_embeddings=8192, pad_token_id=0,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    made = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=seeing, text_config=writing, image_token_index=3, vision_feature_layer=-1, image_seq_length=4
        )
    )
    made.generation_config.pad_token_id, made.generation_config.eos_token_id = 0, 2
    return made


def pictures(messages: list[dict[str, Any]]) -> list[Image.Image]:
    """The pictures of the data URLs in messages, in order."""
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB") for url in urls]


def learn(student: LlavaForConditionalGeneration, reader: LlavaProcessor, examples: list[dict[str, Any]]) -> float:
    """Train until the replies are known by heart; gives the loss at the end."""
    asked = [
        reader.apply_chat_template(row["messages"], add_generation_prompt=True, tokenize=False) for row in examples
    ]
    seen = [pictures(row["messages"]) for row in examples]
    whole = [f"{text}{row['reply']}</s>" for text, row in zip(asked, examples, strict=True)]
    batch = reader(text=whole, images=seen, return_tensors="pt", padding=True)
    wanted = batch["input_ids"].clone()
    for place, (text, images) in enumerate(zip(asked, seen, strict=True)):
        wanted[place, : len(reader(text=text, images=images)["input_ids"][0])] = -100
    wanted[batch["attention_mask"] == 0] = -100
    optimizer = torch.optim.AdamW(student.parameters(), lr=4e-3)
    loss = torch.tensor(9.0)
    for _ in range(600):
        loss = student(**batch, labels=wanted).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < LEARNT:
            break
    return loss.item()


def main() -> None:
    folder, examples = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    torch.manual_seed(0)
    torch.set_num_threads(1)  # the matrices are too small to share
    reader, student = processor(), model()
    loss = learn(student, reader, examples)
    if loss > LEARNT:
        raise SystemExit(f"the tiny model did not learn its replies: loss {loss:.3f}")
    student.save_pretrained(folder)
    reader.save_pretrained(folder)


if __name__ == "__main__":
    main()

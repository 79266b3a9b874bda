"""Conversations: the messages of an agent in the form of chat templates, and their encoding as one batch.

Training, inference, rollouts and `train check` all encode here, so none can see other tokens than the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from PIL import Image

from training.prompts.agent_messages import AgentMessages

PaddingSide = Literal["left", "right"]

IGNORED = -100
"""Label of tokens that are not learnt."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a model is shown, and what it should answer.

    Attributes
    ----------
    messages : list of dict
        In the form of chat templates: `role`, and `content` as a list of parts; an image is {"type": "image"}.
    images : list of PIL.Image
        One for each image part, in their order.
    reply : str or None
        What is learnt; None to ask.
    begun : str
        The beginning of the answer, which is given and not learnt.
    """

    messages: list[dict[str, Any]]
    images: list[Image.Image]
    reply: str | None = None
    begun: str = ""


def make_conversation(asked: AgentMessages[NDArray[Any]], reply: str | None = None) -> Conversation:
    """Put the messages of an agent in the form of chat templates.

    Parameters
    ----------
    asked : AgentMessages
        Its images are uint8 [H, W, 3].
    reply : str, optional
        The answer that is learnt.
    """
    images: list[Image.Image] = []
    content: list[dict[str, str]] = []
    for part in asked.parts:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
        else:
            content.append({"type": "image"})
            images.append(Image.fromarray(part))
    system = {"role": "system", "content": [{"type": "text", "text": asked.system}]}
    return Conversation([system, {"role": "user", "content": content}], images, reply)


def encode_conversations(
    processor: Any, conversations: Sequence[Conversation], padding_side: PaddingSide = "left"
) -> dict[str, torch.Tensor]:
    """Encode conversations as one batch.

    Parameters
    ----------
    processor : ImageOnlyProcessor
    conversations : sequence of Conversation
        Pictures may differ in size and number.
    padding_side : {"left", "right"}

    Returns
    -------
    dict of Tensor
        `input_ids`, `attention_mask`, `mm_token_type_ids` [B, L]; `pixel_values` [patches, D]; `image_grid_thw`
        [images, 3]; and `labels` [B, L] where the conversations have replies: `IGNORED` outside of them.
    """
    asked = [apply_template(processor, each) for each in conversations]
    ends = [finish_reply(processor, each) for each in conversations]
    texts = [question + end for question, end in zip(asked, ends, strict=True)]
    batch = processor(
        text=texts,
        images=[each.images for each in conversations],
        padding=True,
        padding_side=padding_side,
        return_tensors="pt",
    )
    encoded = dict(batch)
    if any(each.reply is not None for each in conversations):
        encoded["labels"] = _label_replies(processor, encoded, ends)
    return encoded


def apply_template(processor: Any, conversation: Conversation) -> str:
    """The text of the question, up to where the answer begins."""
    text: str = processor.apply_chat_template(conversation.messages, tokenize=False, add_generation_prompt=True)
    return text + conversation.begun


def finish_reply(processor: Any, conversation: Conversation) -> str:
    """The text of a reply as the template ends it; "" without one."""
    if conversation.reply is None:
        return ""
    said = {"role": "assistant", "content": [{"type": "text", "text": conversation.begun + conversation.reply}]}
    whole: str = processor.apply_chat_template([*conversation.messages, said], tokenize=False)
    return whole.removeprefix(apply_template(processor, conversation))


def _label_replies(processor: Any, encoded: dict[str, torch.Tensor], ends: Sequence[str]) -> torch.Tensor:
    labels = torch.full_like(encoded["input_ids"], IGNORED)
    last = find_last_tokens(encoded["attention_mask"])
    for row, end in enumerate(ends):
        if not end:
            continue
        # A special token stands before a reply, so its tokens are those of the reply alone.
        count = len(processor.tokenizer.encode(end, add_special_tokens=False))
        stop = int(last[row]) + 1
        labels[row, stop - count : stop] = encoded["input_ids"][row, stop - count : stop]
    return labels


def find_last_tokens(attention_mask: torch.Tensor) -> torch.Tensor:
    """Place of the last real token of each row, int64 [B], for either padding side."""
    return attention_mask.shape[1] - 1 - attention_mask.flip(1).argmax(1)


def move_batch(batch: dict[str, Any], device: torch.device | str) -> dict[str, Any]:
    """The batch with its tensors on a device."""
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}

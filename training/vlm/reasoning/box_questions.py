"""Questions about boxes: the same conversation for fine-tuning, rollouts and inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from annotation.images import RgbImage
from annotation.records import Box, Kind
from training.prompts.agent_messages import build_agent_messages
from training.prompts.numbered_regions import NumberedBoxes, list_regions, number_boxes, outline_boxes
from training.samples.pair_sample import PairSample, scale_array
from training.samples.transforms import fit_size
from training.vlm.conversation import Conversation, encode_conversations, make_conversation, move_batch
from training.vlm.reasoning.reply_text import format_reply, is_complete
from training.vlm.reasoning.rewards import AskedRegions

GivenBoxes = Sequence[tuple[Kind, Box]]


def ask_about_boxes(
    source: RgbImage,
    current: RgbImage,
    instruction: str,
    numbered: NumberedBoxes,
    part: NumberedBoxes,
    most_pixels: int,
) -> Conversation:
    """The question about some boxes.

    Parameters
    ----------
    source, current, instruction
        The pair.
    numbered : mapping
        All boxes of the pair, which the third image outlines.
    part : mapping
        Those that are asked about.
    most_pixels : int
        Largest area at which outlines are drawn, so that they are as wide as they are seen.
    """
    height, width = current.shape[:2]
    shown = scale_array(current, *fit_size(height, width, most_pixels))
    images = {"source": source, "edited": shown, "numbered": outline_boxes(shown, (height, width), numbered)}
    return make_conversation(build_agent_messages("reasoning", images, instruction, regions=list_regions(part)))


def make_example(sample: PairSample, most_boxes: int, most_pixels: int) -> tuple[Conversation, AskedRegions] | None:
    """The question about the complete regions of a sample with its reply; None where it has none.

    At most `most_boxes` regions are asked about, the first ones; all of them are outlined.
    """
    regions = [region for region in sample.regions if is_complete(region)]
    if not regions:
        return None
    numbered = number_boxes([(region.kind, region.box) for region in regions])
    part = dict(list(numbered.items())[:most_boxes])
    asked = AskedRegions({number: regions[number - 1] for number in part}, sample.instruction)
    question = ask_about_boxes(sample.source, sample.edited, sample.instruction, numbered, part, most_pixels)
    return replace(question, reply=format_reply(asked.regions)), asked


def generate_replies(
    backbone: Any, processor: Any, questions: Sequence[Conversation], most_new_tokens: int
) -> Iterator[str]:
    """The most probable reply to each question, without its end token.

    Parameters
    ----------
    backbone : PeftModel
    processor : ImageOnlyProcessor
    questions : sequence of Conversation
        One batch, padded on the left.
    most_new_tokens : int
        A longer reply is cut off.
    """
    batch = encode_conversations(processor, [replace(each, reply=None) for each in questions], "left")
    with torch.inference_mode():
        tokens = backbone.generate(
            **move_batch(batch, backbone.device), do_sample=False, max_new_tokens=most_new_tokens
        )
    yield from processor.tokenizer.batch_decode(tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)

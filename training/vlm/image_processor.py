"""The processor of Qwen3-VL for images alone: it needs no torchvision, which its video part asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoProcessor, AutoTokenizer, Qwen3VLConfig, Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.processing_utils import ProcessorMixin

from mos.errors import UserError

_TOKENS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}


class ImageOnlyProcessor(Qwen3VLProcessor):
    """Tokenizer, image processor and chat template, without videos.

    Notes
    -----
    It must be registered for Qwen3-VL: otherwise `AutoProcessor` gives the bare tokenizer, and trainers see no images.
    """

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **_: Any) -> None:
        for name, token in _TOKENS.items():
            setattr(self, name, token)
            setattr(self, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    @classmethod
    def get_attributes(cls) -> list[str]:
        """The parts that are saved and loaded."""
        return ["image_processor", "tokenizer"]


AutoProcessor.register(Qwen3VLConfig, ImageOnlyProcessor, exist_ok=True)


def load_image_processor(folder: Path, least_pixels: int, most_pixels: int) -> ImageOnlyProcessor:
    """Load the processor of a backbone.

    Parameters
    ----------
    folder : Path
        With tokenizer, chat template and `preprocessor_config.json`.
    least_pixels, most_pixels : int
        Area to which an image is scaled, its shape nearly kept; every image is a whole number of tokens.

    Raises
    ------
    UserError
        If a file is missing or of another family.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        images = Qwen2VLImageProcessorPil.from_pretrained(
            folder, size={"shortest_edge": least_pixels, "longest_edge": most_pixels}
        )
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} holds no processor of a Qwen3-VL: {str(error).splitlines()[0]}") from error
    template = tokenizer.chat_template
    if template is None:
        raise UserError(f"{folder} has no chat template: it must hold chat_template.jinja or chat_template.json.")
    return ImageOnlyProcessor(images, tokenizer, chat_template=template)

"""The files of the checkpoints that the paper's authors publish: an adapter of `Qwen3VLModel` and a pickled head.

Pickles are read as tensors only.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from annotation.images import RgbImage
from mos.errors import UserError
from mos.files import read_regular_file
from training.vlm.agent_network import ADAPTER_FILE, read_tensors
from training.vlm.conversation import Conversation

MOST_PIXELS = 1_048_576
"""Largest area of an image in their training."""

LEAST_PIXELS = 65_536
"""Smallest area of an image in the published processor of Qwen3-VL."""

DEFAULT_BACKBONE = "Qwen/Qwen3-VL-8B-Instruct"

Config = TypeVar("Config", bound=BaseModel)


class AuthorsAdapterConfig(BaseModel):
    """What is read of their `adapter_config.json`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    r: int = Field(ge=1)
    lora_alpha: float = Field(gt=0)


def read_authors_config(path: Path, kind: type[Config]) -> Config:
    """Read a JSON file of theirs; UserError where it is missing or damaged."""
    try:
        return kind.model_validate_json(read_regular_file(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: choose a folder that the paper's authors publish.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def read_authors_adapter(folder: Path) -> dict[str, Tensor]:
    """Their adapter with the names of a model that has a language head, which have one step more."""
    inner = "base_model.model."
    tensors = read_tensors(folder / ADAPTER_FILE)
    return {f"{inner}model.{name.removeprefix(inner)}": value for name, value in tensors.items()}


def read_pickled_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pth` file.

    Raises
    ------
    UserError
        For a file that holds anything else, of which nothing is run.
    """
    try:
        found = torch.load(io.BytesIO(read_regular_file(path)), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} holds more than tensors, so it is not read: it could run any program.") from error
    except (OSError, RuntimeError, EOFError) as error:
        raise UserError(f"{path} cannot be read as a file of tensors: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} holds no tensors by name.")
    return found


def ask_authors_question(source: RgbImage, current: RgbImage, text: str, instruction: str) -> Conversation:
    """Their question: both images, then the text with the instruction in its place {}.

    Tokens of a template in the instruction are broken up.
    """
    question = text.format(instruction.strip().replace("<|", "< |"))
    content: list[dict[str, str]] = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": question}]
    return Conversation([{"role": "user", "content": content}], [Image.fromarray(each) for each in (source, current)])


def number_plainly(batch: dict[str, Any]) -> dict[str, Any]:
    """The batch with positions one by one, as a model gets them that is told nothing of images."""
    places = batch["attention_mask"].cumsum(1).sub(1).clamp_min(0)
    return batch | {"position_ids": places.expand(3, -1, -1)}

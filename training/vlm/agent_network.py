"""A backbone with adapter and a head of its own: what is trained, saved and loaded, and never the backbone itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from mos.errors import UserError
from mos.files import replace_file

ADAPTER_FILE, HEAD_FILE = "adapter_model.safetensors", "head.safetensors"


class AgentNetwork(nn.Module):
    """A backbone with adapter, and a head in float32.

    Parameters
    ----------
    backbone : PeftModel
    head : nn.Module
    """

    def __init__(self, backbone: Any, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head.float()

    def save_trained(self, folder: Path) -> None:
        """Write the adapter, whose keys and config are those that servers of adapters read, and the head."""
        save_adapter(self.backbone, folder)
        replace_file(
            folder / HEAD_FILE, save({name: value.contiguous() for name, value in self.head.state_dict().items()})
        )

    def load_trained(self, folder: Path) -> None:
        """Read what `save_trained` wrote.

        Raises
        ------
        UserError
            For a missing or damaged file, or the weights of another backbone.
        """
        load_adapter(self.backbone, folder)
        try:
            self.head.load_state_dict(read_tensors(folder / HEAD_FILE))
        except RuntimeError as error:
            raise UserError(f"{folder / HEAD_FILE} is the head of another backbone or recipe.") from error

    # Called by transformers' trainer to keep fewer activations.
    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """Recompute the activations of the backbone."""
        self.backbone.gradient_checkpointing_enable(**options)
        self.backbone.enable_input_require_grads()

    activation_checkpointing_enable: Callable[..., None] = gradient_checkpointing_enable


def save_adapter(backbone: Any, folder: Path) -> None:
    """Write the adapter of a backbone and its config."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous() for name, value in get_peft_model_state_dict(backbone).items()}
    replace_file(folder / ADAPTER_FILE, save(tensors, metadata={"format": "pt"}))
    backbone.peft_config["default"].save_pretrained(folder)


def load_adapter(backbone: Any, folder: Path) -> None:
    """Read an adapter into a backbone that has one of the same rank.

    Raises
    ------
    UserError
        For a missing or damaged file, or the adapter of another backbone.
    """
    apply_adapter(backbone, read_tensors(folder / ADAPTER_FILE), folder / ADAPTER_FILE)


def apply_adapter(backbone: Any, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Put the tensors of an adapter, read from a path, into a backbone that has one of the same rank.

    Raises
    ------
    UserError
        For the adapter of another backbone.
    """
    wanted = {name: value.shape for name, value in get_peft_model_state_dict(backbone).items()}
    if wanted != {name: value.shape for name, value in tensors.items()}:
        fitting = sum(wanted.get(name) == value.shape for name, value in tensors.items())
        raise UserError(
            f"{path} is the adapter of another backbone or recipe: {len(tensors)} tensors, of which {fitting} fit."
        )
    set_peft_model_state_dict(backbone, tensors)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file; UserError for any other."""
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"There is no {path}: choose a folder that `editfhf train` wrote.") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} holds no weights as safetensors: {error}") from error
    return tensors

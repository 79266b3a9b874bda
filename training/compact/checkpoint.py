"""Checkpoints of a training: one file that is replaced at the end of each epoch, and one of the best epoch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from mos.errors import UserError
from mos.files import read_regular_file, replace_file

LAST_FILE, BEST_FILE = "last.pt", "best.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint in one step, so that a kill leaves the one before."""
    stream = io.BytesIO()
    torch.save(state, stream)
    replace_file(path, stream.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Raises
    ------
    UserError
        If the file is no checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(read_regular_file(path)), map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle have no common base for a broken file
        raise UserError(f"{path} is no checkpoint of this training: remove it to begin again.") from error
    return state

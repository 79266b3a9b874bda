"""Which checkpoint an agent takes: an option, or an environment variable where commands name only the agent."""

from __future__ import annotations

import os
from pathlib import Path

from mos.errors import UserError
from training.vlm.recipe import VlmRole


def find_checkpoint(role: VlmRole, checkpoint: str | Path | None) -> Path:
    """The folder of a trained agent.

    Raises
    ------
    UserError
        If it is given nowhere, or does not exist.
    """
    variable = f"EDITFHF_VLM_{role.upper()}"
    named = checkpoint or os.environ.get(variable)
    if not named:
        raise UserError(f"The {role} agent 'vlm' needs a trained one: give the option checkpoint, or set {variable}.")
    folder = Path(named)
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: train an agent with `editfhf train {role}`.")
    return folder

"""The folder of a trained agent: adapter and head as safetensors, and `agent.json`, which says what they belong to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from mos.errors import UserError
from mos.files import read_regular_file, replace_file
from training.agents.results import AgentIdentity
from training.vlm.agent_network import ADAPTER_FILE, HEAD_FILE
from training.vlm.backbone import TINY_BACKBONE, add_adapter, digest_backbone, find_backbone_folder, load_backbone
from training.vlm.image_processor import ImageOnlyProcessor, load_image_processor
from training.vlm.recipe import AgentRecipe, Precision, VlmRole
from training.vlm.tiny_backbone import write_tiny_backbone

AGENT_FILE = "agent.json"

BACKBONE_FOLDER = "backbone"
"""Where a tiny backbone is, beside its adapter."""

AGENT_VERSION = "1"


class AgentRecord(BaseModel):
    """The content of `agent.json`.

    Attributes
    ----------
    agent : {"perception", "reasoning", "evaluation"}
    backbone : str
        Folder or name on the Hub, and relative to the agent's folder for a tiny one.
    backbone_digest, prompt_version : str
    rank, alpha, least_pixels, most_pixels, precision
        As in the recipe.
    head : dict
        Numbers that make the head: its sizes.
    scale : dict
        Numbers that were set on validation pairs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1
    agent: VlmRole
    backbone: str
    backbone_digest: str
    prompt_version: str
    rank: int
    alpha: float
    least_pixels: int
    most_pixels: int
    precision: Precision
    head: dict[str, int] = {}
    scale: dict[str, list[float]] = {}


@dataclass(frozen=True, slots=True)
class OpenedBackbone:
    """A backbone that is ready: with a new adapter, and its processor."""

    model: Any
    processor: ImageOnlyProcessor
    digest: str


def open_recipe_backbone(recipe: AgentRecipe, out: Path) -> OpenedBackbone:
    """The backbone of a recipe with a new adapter; a tiny one is made in `out`."""
    folder = out / BACKBONE_FOLDER
    if recipe.backbone == TINY_BACKBONE and not (folder / "config.json").exists():
        write_tiny_backbone(folder, recipe.seed)
    where = folder if recipe.backbone == TINY_BACKBONE else find_backbone_folder(recipe.backbone)
    torch.manual_seed(recipe.seed)
    return _open_backbone(
        where, recipe.rank, recipe.alpha, recipe.dropout, recipe.precision, recipe.least_pixels, recipe.most_pixels
    )


def open_agent_backbone(folder: Path, record: AgentRecord) -> OpenedBackbone:
    """The backbone of a trained agent, with an adapter that is still to be read.

    Raises
    ------
    UserError
        If the backbone is another one than that of the training.
    """
    inside = folder / record.backbone
    where = inside if (inside / "config.json").exists() else find_backbone_folder(record.backbone)
    opened = _open_backbone(
        where, record.rank, record.alpha, 0.0, record.precision, record.least_pixels, record.most_pixels
    )
    if opened.digest != record.backbone_digest:
        raise UserError(
            f"{folder} was trained on another backbone than the one in {where}: give back the one of its training."
        )
    return opened


def make_agent_record(
    recipe: AgentRecipe, role: VlmRole, backbone_digest: str, prompt_version: str, **more: Any
) -> AgentRecord:
    """The record of an agent of a recipe; `more` are its head and scale."""
    backbone = BACKBONE_FOLDER if recipe.backbone == TINY_BACKBONE else recipe.backbone
    shared = recipe.model_dump(include={"rank", "alpha", "least_pixels", "most_pixels", "precision"})
    return AgentRecord(
        agent=role, backbone=backbone, backbone_digest=backbone_digest, prompt_version=prompt_version, **shared, **more
    )


def write_agent_record(folder: Path, record: AgentRecord) -> None:
    """Write `agent.json`."""
    replace_file(folder / AGENT_FILE, record.model_dump_json(indent=2).encode() + b"\n")


def read_agent_record(folder: Path, role: VlmRole) -> AgentRecord:
    """Read `agent.json`.

    Raises
    ------
    UserError
        If there is none, it is damaged, or it is of an agent of another role.
    """
    path = folder / AGENT_FILE
    try:
        record = AgentRecord.model_validate_json(read_regular_file(path))
    except OSError as error:
        raise UserError(
            f"{folder} is no trained agent: it has no {AGENT_FILE}. Train one with `editfhf train`."
        ) from error
    except ValidationError as error:
        raise UserError(f"{path} is damaged, or of another version: {error.errors()[0]['msg']}.") from error
    if record.agent != role:
        raise UserError(f"{folder} is an agent of {record.agent}, but one of {role} is needed.")
    return record


def identify_agent(folder: Path, record: AgentRecord) -> AgentIdentity:
    """The identity of a trained agent: its digest covers weights and scale."""
    digest = hashlib.sha256(record.model_dump_json().encode())
    for name in (ADAPTER_FILE, HEAD_FILE):
        path = folder / name
        if path.exists():
            digest.update(read_regular_file(path))
    return AgentIdentity("local", folder.name, AGENT_VERSION, digest.hexdigest(), record.prompt_version)


def choose_device() -> str:
    """The device on which agents run: a GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _open_backbone(
    where: Path, rank: int, alpha: float, dropout: float, precision: Precision, least: int, most: int
) -> OpenedBackbone:
    digest = digest_backbone(where)
    model = load_backbone(str(where), getattr(torch, precision), choose_device())
    return OpenedBackbone(add_adapter(model, rank, alpha, dropout), load_image_processor(where, least, most), digest)

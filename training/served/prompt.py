"""The prompts of the served agents: versioned texts in `prompts/`, filled in with the closed lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from annotation.images import RgbImage
from annotation.records import SEVERITIES, Kind
from annotation.taxonomy import load_flaw_definitions
from editfhf.chat import EncodedImage, ModelRequest
from editfhf.drafting.pair_images import encode_image
from editfhf.drafting.requests import quote_untrusted
from mos.files import read_regular_file
from mos.plain_yaml import load_plain_yaml
from training.agents.results import AgentIdentity
from training.samples.pair_sample import scale_array
from training.served.server import CoordinateSpace, ServedOptions

PROMPT_FILE = Path(__file__).with_name("prompts") / "v1.yaml"

ServedRole = Literal["perception", "reasoning", "evaluation"]

AGENT_VERSION = "1"


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RolePrompt(_StrictModel):
    """System message and question of one agent."""

    system: str
    task: str


class PictureCaptions(_StrictModel):
    """Text before each image."""

    source: str
    edited: str
    numbered: str


class ServedPrompt(_StrictModel):
    """The content of a prompt file."""

    version: str
    pictures: PictureCaptions
    data_rule: str
    perception: RolePrompt
    coordinates: Mapping[CoordinateSpace, str]
    reasoning: RolePrompt
    evaluation: RolePrompt

    def fill_system(self, role: ServedRole) -> str:
        """The system message of an agent, with the closed lists."""
        lists: Mapping[Kind, Mapping[str, str]] = load_flaw_definitions()
        listed = {kind: "\n".join(f"- {name}: {meaning}" for name, meaning in lists[kind].items()) for kind in lists}
        prompt: RolePrompt = getattr(self, role)
        return Template(prompt.system).substitute(
            artifact_types=listed["artifact"],
            failure_types=listed["failure"],
            severities=", ".join(SEVERITIES),
            data_rule=self.data_rule,
        )


@lru_cache(maxsize=1)
def read_served_prompt() -> ServedPrompt:
    """The prompts of the package."""
    return ServedPrompt.model_validate(load_plain_yaml(read_regular_file(PROMPT_FILE).decode()))


def identify_served_agent(role: ServedRole, options: ServedOptions) -> AgentIdentity:
    """The identity of an agent: its model, and a digest of all that decides what the model is asked."""
    prompt = read_served_prompt()
    wording: RolePrompt = getattr(prompt, role)
    asked = {
        "system": prompt.fill_system(role),
        "task": wording.task,
        "pictures": prompt.pictures.model_dump(),
        "coordinates": prompt.coordinates[options.coordinates] if role == "perception" else "",
        "parameters": dict(options.parameters),
        "image": [options.max_side, options.picture_format],
        "max_output_tokens": options.max_output_tokens,
    }
    digest = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return AgentIdentity("served", options.model, AGENT_VERSION, options.model, f"{prompt.version}-{digest[:12]}")


def build_served_request(
    role: ServedRole,
    options: ServedOptions,
    images: Mapping[str, EncodedImage],
    reply: type[BaseModel],
    instruction: str,
    **values: str,
) -> ModelRequest:
    """The request of an agent.

    Parameters
    ----------
    role : str
    options : ServedOptions
    images : mapping
        The images that are shown, in their order, by their names: source, edited, numbered.
    reply : type of BaseModel
        Its schema is sent, and the reply is validated by it.
    instruction : str
        Untrusted; it is sent as data.
    **values : str
        Other placeholders of the question; they must hold no untrusted text.
    """
    prompt = read_served_prompt()
    wording: RolePrompt = getattr(prompt, role)
    parts: list[str | EncodedImage] = []
    for name, image in images.items():
        parts += [getattr(prompt.pictures, name), image]
    # Last: what is the same for all pairs comes first, which servers cache.
    parts.append(Template(wording.task).substitute(instruction=quote_untrusted(instruction), **values))
    return ModelRequest(
        name=role,
        model=options.model,
        system=prompt.fill_system(role),
        parts=tuple(parts),
        reply=reply,
        prompt_version=identify_served_agent(role, options).prompt_version,
        max_output_tokens=options.max_output_tokens,
        parameters=dict(options.parameters),
    )


def shrink_image(image: RgbImage, options: ServedOptions) -> RgbImage:
    """The image at the size that is sent: its longer side is at most `options.max_side` pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, options.max_side / max(height, width))
    return scale_array(image, max(1, round(height * scale)), max(1, round(width * scale)))


def encode_shown_image(image: RgbImage, options: ServedOptions) -> EncodedImage:
    """The image as it is sent, without metadata."""
    return encode_image(shrink_image(image, options), options.picture_format)

"""The requests of the served agents: the messages of `training.prompts`, as a chat server takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import orjson
from pydantic import BaseModel

from annotation.images import RgbImage
from editfhf.chat import EncodedImage, ModelRequest
from editfhf.drafting.pair_images import encode_image
from training.agents.results import AgentIdentity
from training.prompts.agent_messages import build_agent_messages, read_agent_prompts
from training.samples.pair_sample import scale_array
from training.served.server import ServedOptions

ServedRole = Literal["perception", "reasoning", "evaluation", "digits"]

AGENT_VERSION = "1"


def identify_served_agent(role: ServedRole, options: ServedOptions) -> AgentIdentity:
    """The identity of an agent: its model, and a digest of all that decides what the model is asked."""
    prompt = read_agent_prompts()
    wording = prompt.find_role(role)
    asked: dict[str, object] = {
        "system": prompt.fill_system(role),
        "task": wording.task,
        "pictures": prompt.pictures.model_dump(),
        "coordinates": prompt.coordinates[options.coordinates] if role == "perception" else "",
        "parameters": dict(options.parameters),
        "image": [options.max_side, options.picture_format],
        "max_output_tokens": options.max_output_tokens,
    }
    if role == "digits":
        asked |= {"qualities": dict(prompt.digits.qualities)}
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
    messages = build_agent_messages(role, images, instruction, **values)
    return ModelRequest(
        name=role,
        model=options.model,
        system=messages.system,
        parts=messages.parts,
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

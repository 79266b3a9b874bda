"""The messages of an agent: system text, captioned images in a fixed order, and the question with its data last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from annotation.records import SEVERITIES, Dimension, Kind
from annotation.taxonomy import load_flaw_definitions
from editfhf.drafting.requests import quote_untrusted
from mos.files import read_regular_file
from mos.plain_yaml import load_plain_yaml

PROMPT_FILE = Path(__file__).with_name("v1.yaml")

CoordinateSpace = Literal["thousandths", "pixels"]

PromptRole = Literal["perception", "reasoning", "evaluation", "maps", "levels", "digits"]
"""What is asked for: boxes, findings, scores as JSON; or features for maps, scores as words, one score as a digit."""

_TASK_FIRST = frozenset({"maps"})

ImageT = TypeVar("ImageT")


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RolePrompt(_StrictModel):
    """System message and question of one agent."""

    system: str
    task: str


class DigitsPrompt(RolePrompt):
    """Message and question of the agent that answers with a level's digit, and what each dimension asks."""

    qualities: Mapping[Dimension, str]


class PictureCaptions(_StrictModel):
    """Text before each image."""

    source: str
    edited: str
    numbered: str


class AgentPrompts(_StrictModel):
    """The content of a prompt file."""

    version: str
    pictures: PictureCaptions
    data_rule: str
    perception: RolePrompt
    coordinates: Mapping[CoordinateSpace, str]
    reasoning: RolePrompt
    evaluation: RolePrompt
    maps: RolePrompt
    levels: RolePrompt
    digits: DigitsPrompt

    def fill_system(self, role: PromptRole) -> str:
        """The system message of an agent, with the closed lists."""
        lists: Mapping[Kind, Mapping[str, str]] = load_flaw_definitions()
        listed = {kind: "\n".join(f"- {name}: {meaning}" for name, meaning in lists[kind].items()) for kind in lists}
        return Template(self.find_role(role).system).substitute(
            artifact_types=listed["artifact"],
            failure_types=listed["failure"],
            severities=", ".join(SEVERITIES),
            data_rule=self.data_rule,
        )

    def find_role(self, role: PromptRole) -> RolePrompt:
        """The texts of a role."""
        found: RolePrompt = getattr(self, role)
        return found


@lru_cache(maxsize=1)
def read_agent_prompts() -> AgentPrompts:
    """The prompts of the package."""
    return AgentPrompts.model_validate(load_plain_yaml(read_regular_file(PROMPT_FILE).decode()))


@dataclass(frozen=True, slots=True)
class AgentMessages(Generic[ImageT]):
    """What a model is asked, before it is put in the form of a server or a chat template.

    Attributes
    ----------
    system : str
    parts : tuple of str or image
        The user's message: captions, each before its image, and the question.
    """

    system: str
    parts: tuple[str | ImageT, ...]


def build_agent_messages(
    role: PromptRole, images: Mapping[str, ImageT], instruction: str, **values: str
) -> AgentMessages[ImageT]:
    """Join the messages of an agent.

    Parameters
    ----------
    role : str
    images : mapping
        The images that are shown, in their order, by their names: source, edited, numbered.
    instruction : str
        Untrusted; it is written as data.
    **values : str
        Other placeholders of the question; they must hold no untrusted text.

    Examples
    --------
    >>> build_agent_messages("levels", {"source": 1, "edited": 2}, "Add a hat.").parts[:4]
    ('The source picture:', 1, 'The edited picture:', 2)
    """
    prompts = read_agent_prompts()
    shown: list[str | ImageT] = []
    for name, image in images.items():
        shown += [getattr(prompts.pictures, name), image]
    task = Template(prompts.find_role(role).task).substitute(instruction=quote_untrusted(instruction), **values)
    # What is read at an image's tokens knows only what stands before it; else the question is last, since servers
    # cache what is the same for all pairs.
    parts = [task, *shown] if role in _TASK_FIRST else [*shown, task]
    return AgentMessages(prompts.fill_system(role), tuple(parts))

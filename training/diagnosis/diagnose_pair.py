"""Diagnose one pair: perceive, find the regions, ask about each, score the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import orjson

from annotation.images import RgbImage
from annotation.records import DIMENSIONS, KINDS, Box, Kind
from annotation.text import MAX_TEXT_LENGTH, is_unicode
from mos.errors import UserError
from training.agents.map_regions import LEAST_REGION_AREA, REGION_THRESHOLD, find_map_regions
from training.agents.protocols import Evaluation, Perception, Reasoning
from training.agents.registry import AGENT_ROLES, DEFAULT_AGENT, AgentRole, load_agent
from training.agents.results import AgentFailure, AgentIdentity, Finding
from training.diagnosis.read_images import ImageInput, read_rgb_image
from training.diagnosis.result import Diagnosis

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DiagnosisAgents:
    """The three agents of a diagnosis, loaded."""

    perception: Perception
    reasoning: Reasoning
    evaluation: Evaluation

    @property
    def identities(self) -> dict[AgentRole, AgentIdentity]:
        """Which agent has each role."""
        return {role: getattr(self, role).identity for role in AGENT_ROLES}


def load_diagnosis_agents(
    perception: str | Perception = DEFAULT_AGENT,
    reasoning: str | Reasoning = DEFAULT_AGENT,
    evaluation: str | Evaluation = DEFAULT_AGENT,
    options: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> DiagnosisAgents:
    """Load the agents that are given by name, and take the others as they are.

    Parameters
    ----------
    perception, reasoning, evaluation : str or agent
    options : mapping
        Options by the name of an agent, for each role in which it is loaded.

    Raises
    ------
    UserError
        For an unknown name, or an object that is no agent of its role.
    """
    given: dict[AgentRole, Any] = {"perception": perception, "reasoning": reasoning, "evaluation": evaluation}
    protocols: dict[AgentRole, type] = {"perception": Perception, "reasoning": Reasoning, "evaluation": Evaluation}
    agents = {
        role: load_agent(role, agent, **options.get(agent, {})) if isinstance(agent, str) else agent
        for role, agent in given.items()
    }
    for role, agent in agents.items():
        if not isinstance(agent, protocols[role]):
            raise UserError(f"The {role} agent is a {type(agent).__name__}: expected a name, or an agent of this role.")
    return DiagnosisAgents(**agents)


def diagnose(
    source: ImageInput,
    edited: ImageInput,
    instruction: str,
    *,
    perception: str | Perception = DEFAULT_AGENT,
    reasoning: str | Reasoning = DEFAULT_AGENT,
    evaluation: str | Evaluation = DEFAULT_AGENT,
) -> Diagnosis:
    """Say what is wrong with an edited image: where, what kind of flaw, why, and how good the image is as a whole.

    Parameters
    ----------
    source, edited : path, bytes, PIL image or ndarray
        The image before and after the edit; the two may differ in size. An array is uint8 [H, W], [H, W, 3] or
        [H, W, 4].
    instruction : str
        What the editor was asked to do, at most 10,000 characters.
    perception, reasoning, evaluation : str or agent
        Name of an agent (`training.list_agents` lists them), or an agent that was loaded before. "none" for the last
        two leaves findings or scores without content.

    Returns
    -------
    Diagnosis
        A notebook shows it by itself; `.save(folder)` writes its files.

    Raises
    ------
    UserError
        An image cannot be read, the instruction is no text, or an agent is unknown.
    AgentFailure
        An agent has no answer about this pair.

    Examples
    --------
    >>> import numpy as np
    >>> source = np.full((80, 120, 3), 90, np.uint8)
    >>> edited = source.copy()
    >>> edited[20:50, 30:70] = (250, 40, 40)
    >>> diagnose(source, edited, "Add a lamp.", perception="difference", reasoning="none", evaluation="none")
    Diagnosis(120 x 80: 1 artifact, 1 failure regions, no overall score)
    """
    agents = load_diagnosis_agents(perception, reasoning, evaluation)
    return diagnose_arrays(read_rgb_image(source, "source"), read_rgb_image(edited, "edited"), instruction, agents)


def diagnose_arrays(source: RgbImage, edited: RgbImage, instruction: str, agents: DiagnosisAgents) -> Diagnosis:
    """Diagnose a pair that is decoded, with agents that are loaded; see `diagnose`."""
    require_instruction(instruction)
    maps = _ask(agents.perception, lambda: agents.perception.perceive(source, edited, instruction))
    if maps.artifact.shape != edited.shape[:2]:
        raise AgentFailure(
            f"The agent {maps.agent} gave maps of {maps.artifact.shape} for an image of {edited.shape[:2]} pixels."
        )
    regions = {kind: tuple(find_map_regions(maps.by_kind(kind))) for kind in KINDS}
    boxes = [(kind, region.box) for kind in KINDS for region in regions[kind]]
    findings = _ask_about_boxes(agents.reasoning, source, edited, instruction, boxes) if boxes else []
    scores = _ask(agents.evaluation, lambda: agents.evaluation.evaluate(source, edited, instruction))
    if [score.dimension for score in scores] != list(DIMENSIONS):
        raise AgentFailure(f"The agent {agents.evaluation.identity} did not score each dimension once, in their order.")
    return Diagnosis(
        edited=edited,
        instruction=instruction,
        maps=maps,
        regions=regions,
        findings=tuple(findings),
        scores=tuple(scores),
        agents=agents.identities,
        inputs=digest_inputs(source, edited, instruction, agents),
    )


def require_instruction(instruction: str) -> None:
    """UserError for an instruction that is empty, too long or not valid Unicode."""
    if not isinstance(instruction, str) or not instruction.strip():
        raise UserError("The instruction is empty: expected what the editor was asked to do, such as 'Remove the hat.'")
    if len(instruction) > MAX_TEXT_LENGTH:
        raise UserError(f"The instruction has {len(instruction):,} characters: at most {MAX_TEXT_LENGTH:,} are read.")
    if not is_unicode(instruction):
        raise UserError("The instruction is not valid Unicode: write it again.")


def digest_inputs(source: RgbImage, edited: RgbImage, instruction: str, agents: DiagnosisAgents) -> str:
    """SHA-256, in hexadecimal, of everything that decides a diagnosis."""
    from editfhf import __version__

    digest = hashlib.sha256()
    about = {
        "editfhf": __version__,
        "shapes": [source.shape, edited.shape],
        "instruction": instruction,
        "agents": {role: asdict(identity) for role, identity in agents.identities.items()},
        "settings": [REGION_THRESHOLD, LEAST_REGION_AREA],
    }
    digest.update(orjson.dumps(about, option=orjson.OPT_SORT_KEYS))
    for pixels in (source, edited):
        digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _ask_about_boxes(
    reasoning: Reasoning, source: RgbImage, edited: RgbImage, instruction: str, boxes: list[tuple[Kind, Box]]
) -> list[Finding]:
    findings = _ask(reasoning, lambda: reasoning.diagnose_boxes(source, edited, instruction, boxes))
    if [(finding.kind, finding.box) for finding in findings] != boxes:
        raise AgentFailure(f"The agent {reasoning.identity} did not give one finding for each box, in their order.")
    return findings


def _ask(agent: Perception | Reasoning | Evaluation, question: Callable[[], _T]) -> _T:
    """The answer of an agent, whose code may be of another distribution."""
    try:
        return question()
    except (UserError, AgentFailure, MemoryError):
        raise
    except Exception as error:
        raise AgentFailure(
            f"The agent {agent.identity} failed on this pair ({type(error).__name__}: {error})."
        ) from error

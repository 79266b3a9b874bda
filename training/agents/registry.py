"""Find an agent by its role and name. The module of an agent is imported when the agent is asked for.

Agents of other distributions register in the entry-point group `editfhf.agents` under "<role>.<name>"; the object is
a class or function that makes the agent.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from mos.errors import UserError
from mos.words import did_you_mean
from training.agents.protocols import Evaluation, Perception, Reasoning

AgentRole = Literal["perception", "reasoning", "evaluation"]

AGENT_ROLES: tuple[AgentRole, ...] = get_args(AgentRole)

AGENT_GROUP = "editfhf.agents"

DEFAULT_AGENT = "compact"
"""Name of the agent of each role where none is chosen: it comes with the package and runs on a CPU."""

_EXTRA_OF_PACKAGE = {"onnxruntime": "agents"}

BUILT_IN_AGENTS: dict[str, str] = {
    "evaluation.authors": "training.vlm.evaluation.authors_agent:AuthorsEvaluation",
    "evaluation.compact": "training.compact.agents:CompactEvaluation",
    "evaluation.gmsd": "training.baselines.quality_agents:GmsdEvaluation",
    "evaluation.ms-ssim": "training.baselines.quality_agents:MsSsimEvaluation",
    "evaluation.nmi": "training.baselines.quality_agents:NmiEvaluation",
    "evaluation.none": "training.agents.absent:AbsentEvaluation",
    "evaluation.psnr": "training.baselines.quality_agents:PsnrEvaluation",
    "evaluation.served": "training.served.evaluation:make_served_evaluation",
    "evaluation.served-levels": "training.served.level_evaluation:make_level_evaluation",
    "evaluation.ssim": "training.baselines.quality_agents:SsimEvaluation",
    "evaluation.vif": "training.baselines.quality_agents:VifEvaluation",
    "evaluation.vlm": "training.vlm.evaluation.evaluation_agent:VlmEvaluation",
    "perception.aim": "training.baselines.aim:AimPerception",
    "perception.authors": "training.vlm.perception.authors_perception:AuthorsPerception",
    "perception.ca": "training.baselines.context_aware:ContextAwarePerception",
    "perception.centre": "training.baselines.centre:CentrePrior",
    "perception.compact": "training.compact.agents:CompactPerception",
    "perception.difference": "training.baselines.difference:DifferencePerception",
    "perception.itti": "training.baselines.itti:IttiPerception",
    "perception.served": "training.served.perception:make_served_perception",
    "perception.smvj": "training.baselines.smvj:SmvjPerception",
    "perception.swd": "training.baselines.swd:SwdPerception",
    "perception.vlm": "training.vlm.perception.perception_agent:VlmPerception",
    "reasoning.compact": "training.compact.agents:CompactReasoning",
    "reasoning.none": "training.agents.absent:AbsentReasoning",
    "reasoning.served": "training.served.reasoning:make_served_reasoning",
    "reasoning.vlm": "training.vlm.reasoning.reasoning_agent:VlmReasoning",
}
"""Role and name of the agents of this package, and where each one is: "<module>:<object>"."""

_PROTOCOLS: dict[str, type] = {"perception": Perception, "reasoning": Reasoning, "evaluation": Evaluation}


def list_agents(role: AgentRole) -> list[str]:
    """Names of the agents of a role, sorted.

    Raises
    ------
    UserError
        For an unknown role.
    """
    if role not in AGENT_ROLES:
        raise UserError(f"Unknown role {role!r}.{did_you_mean(role, AGENT_ROLES)} Known: {', '.join(AGENT_ROLES)}.")
    return sorted(name.removeprefix(f"{role}.") for name in _list_places() if name.startswith(f"{role}."))


def load_agent(role: AgentRole, name: str, **options: Any) -> Any:
    """Make an agent.

    Parameters
    ----------
    role : {"perception", "reasoning", "evaluation"}
    name : str
        One of `list_agents(role)`.
    **options
        Options of the agent.

    Returns
    -------
    Perception, Reasoning or Evaluation

    Raises
    ------
    UserError
        For an unknown role or name, a missing package, or an object that is no agent of this role.
    """
    known = list_agents(role)
    if name not in known:
        raise UserError(f"Unknown {role} agent {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
    place = _list_places()[f"{role}.{name}"]
    try:
        make = _load_object(place)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF_PACKAGE.get(error.name or "", "training")
        raise UserError(
            f"The {role} agent {name!r} needs the package {error.name!r}: run pip install 'editfhf[{extra}]'."
        ) from error
    agent = make(**options)
    if not isinstance(agent, _PROTOCOLS[role]):
        where = place if isinstance(place, str) else place.value
        raise UserError(f"{where} makes a {type(agent).__name__}, so it is no {role} agent.")
    return agent


def _list_places() -> dict[str, str | EntryPoint]:
    """The place of every agent; one of this package is never replaced by one of another."""
    found: dict[str, str | EntryPoint] = {point.name: point for point in entry_points(group=AGENT_GROUP)}
    return found | BUILT_IN_AGENTS


def _load_object(place: str | EntryPoint) -> Any:
    if isinstance(place, EntryPoint):
        return place.load()
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)

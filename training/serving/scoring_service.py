"""What the workers of a server do with a pair: score it, or diagnose it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from annotation.images import RgbImage, decode_image
from annotation.records import DIMENSIONS, KINDS
from mos.errors import UserError
from training.agents.absent import NO_AGENT_FAMILY
from training.agents.protocols import Evaluation
from training.agents.registry import DEFAULT_AGENT
from training.agents.results import AgentFailure, combine_scores
from training.diagnosis.diagnose_pair import (
    DiagnosisAgents,
    diagnose_arrays,
    load_diagnosis_agents,
    require_instruction,
)
from training.serving.pair_items import PairBytes
from training.serving.workers import Work

UNPAID_FAMILIES = frozenset({"compact", "baseline", NO_AGENT_FAMILY})
"""Families of agents that run in the process."""


@dataclass(frozen=True, slots=True)
class ScoringService:
    """`/score` and `/diagnose` by agents that are named."""

    perception: str = DEFAULT_AGENT
    reasoning: str = DEFAULT_AGENT
    evaluation: str = DEFAULT_AGENT

    def load_routes(self) -> Mapping[str, Work]:
        """Load the agents; those in this process see one pair, so that the first request is as fast as the next."""
        agents = load_diagnosis_agents(self.perception, self.reasoning, self.evaluation)
        if {identity.family for identity in agents.identities.values()} <= UNPAID_FAMILIES:
            image = np.zeros((64, 64, 3), np.uint8)
            diagnose_arrays(image, image, "Warm up.", agents)
        return {
            "score": lambda pair: score_pair(pair, agents.evaluation),
            "diagnose": lambda pair: describe_pair(pair, agents),
        }


def decode_pair(pair: PairBytes) -> tuple[RgbImage, RgbImage]:
    """Source and edited image, uint8 [H, W, 3]."""
    return np.asarray(decode_image(pair.source)), np.asarray(decode_image(pair.edited))


def require_options(pair: PairBytes, *known: str) -> None:
    """UserError for an option that the route does not have."""
    for name in pair.options:
        if name not in known:
            raise UserError(f"Unknown option {name[:40]!r}: known here: {', '.join(known) or 'none'}.")


def score_pair(pair: PairBytes, agent: Evaluation) -> dict[str, Any]:
    """The three scores with all digits, and the overall score."""
    require_options(pair)
    require_instruction(pair.instruction)
    source, edited = decode_pair(pair)
    scores = agent.evaluate(source, edited, pair.instruction)
    if [score.dimension for score in scores] != list(DIMENSIONS):
        raise AgentFailure(f"The agent {agent.identity} did not score each dimension once, in their order.")
    rows = [
        {name: getattr(score, name) for name in ("dimension", "value", "sd", "status", "detail")} for score in scores
    ]
    return {"overall": combine_scores(scores), "scores": rows, "agent": asdict(agent.identity)}


def describe_pair(pair: PairBytes, agents: DiagnosisAgents) -> dict[str, Any]:
    """The content of `diagnosis.json`; with the option `maps`, both maps as PNG in base64."""
    from editfhf.saliency import encode_saliency, quantise_saliency

    require_options(pair, "maps")
    found = diagnose_arrays(*decode_pair(pair), pair.instruction, agents)
    answer = found.as_dict()
    if pair.options.get("maps"):
        for kind in KINDS:
            png = encode_saliency(quantise_saliency(found.maps.by_kind(kind)))
            answer[f"{kind}_map"] = base64.b64encode(png).decode("ascii")
    return answer

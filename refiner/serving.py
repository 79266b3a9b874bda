"""What `editfhf serve` does with a pair: score and diagnose as in training, and refine."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mos.errors import UserError
from refiner.agent_calls import AgentTeam
from refiner.call_store import encode_png
from refiner.choose_team import AUTO, NO_AGENT, choose_team
from refiner.loop import run_loop
from refiner.options import RefineOptions
from training.agents.registry import DEFAULT_AGENT
from training.serving.pair_items import PairBytes
from training.serving.scoring_service import ScoringService, decode_pair, require_options
from training.serving.workers import Work

ROUTES = ("score", "diagnose", "refine")


@dataclass(frozen=True, slots=True)
class RefiningService:
    """`/score`, `/diagnose` and `/refine` by agents and editors that are named."""

    perception: str = AUTO
    reasoning: str = AUTO
    evaluation: str = AUTO
    editors: tuple[str, ...] = (AUTO,)

    def load_routes(self) -> Mapping[str, Work]:
        """Load the agents and editors."""
        names = (self.perception, self.reasoning, self.evaluation)
        chosen = [DEFAULT_AGENT if name == AUTO else name for name in names]
        team = choose_team(
            perception=chosen[0],
            reasoning=chosen[1],
            evaluation=chosen[2],
            auditor=NO_AGENT,
            editors=self.editors,
        )
        scoring = ScoringService(*chosen).load_routes()
        return {**scoring, "refine": lambda pair: refine_sent_pair(pair, team)}


def refine_sent_pair(pair: PairBytes, team: AgentTeam) -> dict[str, Any]:
    """The best image as PNG in base64, and how the loop ended; options: turns (1 to 8) and seed."""
    require_options(pair, "turns", "seed")
    options = RefineOptions(turns=_whole_option(pair, "turns", 4, 1, 8), seed=_whole_option(pair, "seed", 0, 0, 2**31))
    source, edited = decode_pair(pair)
    result = run_loop(source, edited, pair.instruction, team, options)
    return {
        "image": base64.b64encode(encode_png(result.image)).decode("ascii"),
        "changes": len(result.edits),
        "turns": len(result.turns),
        "stop": result.stop,
        "detail": result.detail,
    }


def _whole_option(pair: PairBytes, name: str, default: int, least: int, most: int) -> int:
    value = pair.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UserError(f"The option {name} must be a whole number from {least} to {most}.")
    return value

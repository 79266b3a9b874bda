"""What the first turn would do: the plan, without any edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annotation.records import KINDS
from refiner.agent_calls import AgentCalls, AgentTeam
from refiner.options import RefineOptions
from refiner.planning.join_regions import join_regions, number_regions
from refiner.planning.make_plan import make_plan
from refiner.run_folder import PairInput
from training.agents.map_regions import find_map_regions

PAID_FAMILY = "served"
"""Family of agents whose calls may cost money; a preview does not ask them."""


@dataclass(frozen=True, slots=True)
class PlanPreview:
    """The plan of the first turn.

    Attributes
    ----------
    agents, editors : sequence of str
    edits : sequence of dict
        edit_id, kind, flaw_type, box, candidates, instruction and reason of each area.
    note : str
        Why there is no plan; "" if there is one.
    turns : int
        Most turns.
    most_calls : int
        Calls of a run that has as many areas in every turn.
    """

    agents: Sequence[str]
    editors: Sequence[str]
    edits: Sequence[dict[str, Any]]
    note: str
    turns: int
    most_calls: int

    def as_record(self) -> dict[str, Any]:
        """The preview as JSON values."""
        return asdict(self)


def preview_plan(pair: PairInput, team: AgentTeam, options: RefineOptions) -> PlanPreview:
    """Plan the first turn of a pair; perception and reasoning are asked, unless their answers may cost money."""
    agents = [
        f"{role} {agent.identity}"
        for role in ("perception", "reasoning", "evaluation", "auditor")
        if (agent := getattr(team, role)) is not None
    ]
    asked = [one for one in (team.perception, team.reasoning) if one is not None]
    if any(one.identity.family == PAID_FAMILY for one in asked):
        note = "The agents are at a server, so they were not asked: the plan is made in the run."
        return PlanPreview(agents, list(team.editors), [], note, options.turns, 0)
    calls = AgentCalls(pair.instruction, pair.source, options.call_seconds, options.budget)
    perceived = calls.perceive(team.perception, pair.edited)
    if perceived.maps is None:
        return PlanPreview(agents, list(team.editors), [], perceived.detail, options.turns, 0)
    maps = perceived.maps
    regions = number_regions(
        [
            (kind, region)
            for kind in KINDS
            for region in find_map_regions(maps.by_kind(kind), options.threshold, options.least_area)
        ]
    )
    findings = calls.diagnose(team.reasoning, pair.edited, [(one.kind, one.region.box) for one in regions])
    plan = make_plan(
        join_regions(regions, *pair.edited.shape[:2]),
        {one.region_id: finding for one, finding in zip(regions, findings, strict=True)},
        pair.instruction,
        team.editors.keys(),
        preferred=team.preferred,
        candidates=options.candidates,
        seed=options.seed,
    )
    edits = [
        {
            "edit_id": edit.edit_id,
            "kind": edit.kind,
            "flaw_type": edit.flaw_type,
            "box": list(edit.area.box),
            "candidates": [candidate.editor for candidate in edit.candidates],
            "instruction": edit.instruction,
            "reason": edit.reason,
        }
        for edit in plan
    ]
    tries = sum(len(edit.candidates) for edit in plan)
    judges = (team.evaluation is not None) + (options.guard or team.evaluation is None)
    most = options.turns * (2 + (1 + judges) * tries + (team.auditor is not None)) if plan else 1
    note = "" if plan else "No flaw was perceived: the image would be left as it is."
    return PlanPreview(agents, list(team.editors), edits, note, options.turns, most)

"""The agents that are called "none": they stand where a person wants no findings or no scores.

They answer in the form of every agent, so that who calls them needs no other path: each result has a status and no
content.
"""

from __future__ import annotations

from collections.abc import Sequence

from annotation.images import RgbImage
from annotation.records import DIMENSIONS, Box, Kind
from training.agents.results import AgentIdentity, Finding, Score

NO_AGENT_FAMILY = "none"
"""Family of the agents that were never asked: their status "error" is no failure."""


class AbsentReasoning:
    """Says of each box that no reasoning agent was asked.

    Examples
    --------
    >>> finding, = AbsentReasoning().diagnose_boxes(None, None, "", [("artifact", Box(0, 0, 9, 9))])
    >>> finding.status, finding.flaw_type, finding.detail
    ('error', None, 'No reasoning agent was asked.')
    """

    def __init__(self) -> None:
        self.identity = AgentIdentity(NO_AGENT_FAMILY, "none", "1")

    def diagnose_boxes(
        self, source: RgbImage, current: RgbImage, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        """Give one finding without content for each box."""
        detail = "No reasoning agent was asked."
        return [Finding(kind, box, "error", self.identity, detail=detail) for kind, box in boxes]


class AbsentEvaluation:
    """Says of each dimension that no evaluation agent was asked.

    Examples
    --------
    >>> {score.value for score in AbsentEvaluation().evaluate(None, None, "")}
    {None}
    """

    def __init__(self) -> None:
        self.identity = AgentIdentity(NO_AGENT_FAMILY, "none", "1")

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Give one score without a value for each dimension."""
        detail = "No evaluation agent was asked."
        return [Score(dimension, None, None, "error", self.identity, detail) for dimension in DIMENSIONS]

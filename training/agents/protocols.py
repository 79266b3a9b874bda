"""The protocols of agents.

Every family of agents has these protocols, and who calls an agent cannot tell the families apart. An agent gets the
source image, the CURRENT image (the edited image, or what a refinement made of it) and the instruction, never a path.
The same inputs and seed give the same output on one machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from annotation.images import RgbImage
from annotation.records import Box, Kind
from training.agents.results import AgentIdentity, Finding, PerceivedMaps, Score


@runtime_checkable
class Perception(Protocol):
    """Finds where the current image has flaws."""

    @property
    def identity(self) -> AgentIdentity:
        """Family, version, digest and prompt version, which every result carries."""

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute two maps of the size of the current image, on an absolute scale.

        Parameters
        ----------
        source, current : ndarray
            uint8 [H, W, 3]; the two may differ in size.
        instruction : str
            What the editor was asked to do.

        Returns
        -------
        PerceivedMaps
        """


@runtime_checkable
class Reasoning(Protocol):
    """Says what is wrong in given boxes, and why."""

    @property
    def identity(self) -> AgentIdentity:
        """Family, version, digest and prompt version, which every result carries."""

    def diagnose_boxes(
        self, source: RgbImage, current: RgbImage, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        """Describe the flaw in each box.

        Parameters
        ----------
        source, current, instruction
            As in `Perception.perceive`.
        boxes : sequence of (kind, Box)
            In pixels of the current image.

        Returns
        -------
        list of Finding
            One finding for each box, in the order of `boxes`.
        """


@runtime_checkable
class Evaluation(Protocol):
    """Scores the current image."""

    @property
    def identity(self) -> AgentIdentity:
        """Family, version, digest and prompt version, which every result carries."""

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Score the current image in every dimension.

        Parameters
        ----------
        source, current, instruction
            As in `Perception.perceive`.

        Returns
        -------
        list of Score
            One score for each of `annotation.records.DIMENSIONS`, in this order.
        """

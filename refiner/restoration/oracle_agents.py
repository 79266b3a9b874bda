"""Agents that know the hidden truth of one pair: the upper bound of what better agents could bring."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import DIMENSIONS, Box, Kind
from annotation.simulate import KnownPair
from annotation.simulate.flaws.flaw import InjectedFlaw
from refiner.restoration.measures import compute_psnr, mark_boxes
from training.agents.results import AgentIdentity, Finding, PerceivedMaps, Score

VISIBLE_DIFFERENCE = 12
"""Grey values by which a pixel must differ from the target to be seen as flawed."""

_LOWEST_PSNR, _HIGHEST_PSNR = 10.0, 60.0


class OracleAgents:
    """Perception, reasoning and evaluation with the clean target of one pair in hand.

    Parameters
    ----------
    pair : KnownPair
        Its clean image must have the size of its edited image.
    """

    def __init__(self, pair: KnownPair) -> None:
        self.identity = AgentIdentity("oracle", "known-truth", "1")
        self._pair = pair

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Mark what still differs from the target, inside of the true boxes."""
        difference = np.abs(current.astype(np.int16) - self._pair.clean).max(axis=2) > VISIBLE_DIFFERENCE
        maps = {kind: self._mark_kind(difference, kind) for kind in ("artifact", "failure")}
        return PerceivedMaps(maps["artifact"], maps["failure"], self.identity)

    def diagnose_boxes(
        self, source: RgbImage, current: RgbImage, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        """Name the true flaw that overlaps each box most."""
        return [self._name_flaw(kind, box) for kind, box in boxes]

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Score the distance from the target: 0 at 10 dB, 100 at 60 dB, in every dimension alike."""
        share = (compute_psnr(current, self._pair.clean) - _LOWEST_PSNR) / (_HIGHEST_PSNR - _LOWEST_PSNR)
        value = float(np.clip(100 * share, 0, 100))
        return [Score(name, value, None, "ok", self.identity) for name in DIMENSIONS]

    def _mark_kind(self, difference: NDArray[np.bool_], kind: Kind) -> NDArray[np.float32]:
        boxes = [flaw.box for flaw in self._pair.flaws if flaw.kind == kind]
        seen = (difference & mark_boxes(boxes, *difference.shape)).astype(np.float32)
        side = max(3, difference.shape[0] // 40 | 1)
        grown = cv2.dilate(seen, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        return np.asarray(grown, np.float32)

    def _name_flaw(self, kind: Kind, box: Box) -> Finding:
        def overlap(flaw: InjectedFlaw) -> float:
            across = min(box.x1, flaw.box.x1) - max(box.x0, flaw.box.x0)
            down = min(box.y1, flaw.box.y1) - max(box.y0, flaw.box.y0)
            return max(0.0, across) * max(0.0, down)

        known = [flaw for flaw in self._pair.flaws if flaw.kind == kind]
        flaw = max(known, key=overlap, default=None)
        if flaw is None or overlap(flaw) == 0:
            return Finding(kind, box, "error", self.identity, detail="There is no true flaw in this box.")
        return Finding(
            kind, box, "ok", self.identity, flaw_type=flaw.flaw_type, severity=flaw.severity, rationale=flaw.rationale
        )

"""The compact agents: perception, reasoning and evaluation by one network, computed once for each pair."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from annotation.images import RgbImage
from annotation.records import DIMENSIONS, KINDS, SEVERITIES, Box, Kind
from training.agents.results import HIGHEST_SCORE, AgentIdentity, Finding, PerceivedMaps, Score
from training.compact.flaw_classes import FLAW_CLASSES
from training.compact.lift_places import CERTAIN, lift_certain_places
from training.compact.network import CompactNetwork, PairAnswer
from training.compact.pair_inputs import HEIGHT, WIDTH, prepare_pair
from training.compact.rationale import write_finding_rationale
from training.samples.pair_sample import scale_array

AGENT_VERSION = "2"

_KEPT_PAIRS = 2


class PairReader:
    """Computes what the network says of a pair, and keeps the last answers, which all three agents share.

    Parameters
    ----------
    network : CompactNetwork
    """

    def __init__(self, network: CompactNetwork) -> None:
        self.network = network
        self._answers: OrderedDict[bytes, PairAnswer] = OrderedDict()
        self._lock = threading.Lock()

    def read_pair(self, source: RgbImage, current: RgbImage, instruction: str) -> PairAnswer:
        """What the network says of a pair."""
        key = _digest_pair(source, current, instruction)
        with self._lock:  # several threads ask for the same pair: it is computed once
            if key not in self._answers:
                self._answers[key] = self.network.describe_pair(prepare_pair(source, current, instruction))
                while len(self._answers) > _KEPT_PAIRS:
                    self._answers.popitem(last=False)
            return self._answers[key]


class CompactAgent:
    """What the three agents have in common.

    Parameters
    ----------
    weights : str or Path, optional
        Folder that `editfhf train compact --out` wrote; the shipped weights by default.
    threads : int
        Threads of one computation, at least 1.

    Raises
    ------
    UserError
        For a folder without weights.
    """

    def __init__(self, weights: str | Path | None = None, threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, but got {threads}.")
        self._reader = load_pair_reader(None if weights is None else str(weights), threads)
        name = "compact" if weights is None else Path(weights).name
        self.identity = AgentIdentity("compact", name, AGENT_VERSION, self._reader.network.digest)


class CompactPerception(CompactAgent):
    """Two saliency maps.

    Notes
    -----
    Each map is a shape times the probability that the image has a flaw of its kind, both learnt; the probability was
    set on validation images so that clean ones stay below 0.5. Then places that are certain are raised as a whole, see
    `lift_certain_places` and `training/compact/MODEL_CARD.md`.
    """

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        """Compute the maps at the size of the current image."""
        answer = self._reader.read_pair(source, current, instruction)
        height, width = current.shape[:2]
        maps = {
            kind: lift_certain_places(np.clip(scale_array(answer.maps[index], height, width), 0.0, 1.0), CERTAIN[kind])
            for index, kind in enumerate(KINDS)
        }
        return PerceivedMaps(maps["artifact"], maps["failure"], self.identity)


class CompactReasoning(CompactAgent):
    """Flaw type, severity and a sentence from closed parts for each box."""

    def diagnose_boxes(
        self, source: RgbImage, current: RgbImage, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        """Describe the flaw in each box; the confidence is the probability of the flaw type."""
        if not boxes:
            return []
        height, width = current.shape[:2]
        answer = self._reader.read_pair(source, current, instruction)
        across, down = WIDTH / width, HEIGHT / height
        scaled = [(kind, Box(box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down)) for kind, box in boxes]
        flaws, severities = self._reader.network.classify_boxes(answer, scaled)
        found = []
        for (kind, box), types, levels in zip(boxes, flaws, severities, strict=True):
            best = int(types.argmax())
            flaw_type, severity = FLAW_CLASSES[best][1], SEVERITIES[int(levels.argmax())]
            found.append(
                Finding(
                    kind=kind,
                    box=box,
                    status="ok",
                    agent=self.identity,
                    flaw_type=flaw_type,
                    severity=severity,
                    rationale=write_finding_rationale(kind, flaw_type, severity, box, height, width, instruction),
                    confidence=min(float(types[best]), 1.0),
                )
            )
        return found


class CompactEvaluation(CompactAgent):
    """A score with a predicted standard deviation in each dimension."""

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        """Score the current image."""
        answer = self._reader.read_pair(source, current, instruction)
        return [
            Score(name, min(max(float(value), 0.0), HIGHEST_SCORE), float(sd), "ok", self.identity)
            for name, value, sd in zip(DIMENSIONS, answer.scores, answer.sds, strict=True)
        ]


@lru_cache(maxsize=4)
def load_pair_reader(weights: str | None, threads: int) -> PairReader:
    """The reader of some weights; agents of the same weights and threads share it."""
    return PairReader(CompactNetwork(None if weights is None else Path(weights), threads))


def _digest_pair(source: RgbImage, current: RgbImage, instruction: str) -> bytes:
    digest = sha256(instruction.encode("utf-8", "surrogatepass"))
    images: tuple[Any, ...] = (source, current)
    for image in images:
        digest.update(f"{image.shape}".encode())
        digest.update(np.ascontiguousarray(image).data)
    return digest.digest()

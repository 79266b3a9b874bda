"""Agents and editors of tests: oracles that know the truth, and agents that crash, hang, lie or talk nonsense."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from annotation.records import DIMENSIONS, Box, Kind
from editfhf.editors.protocol import EditRecord, EditRequest, EditResult
from refiner.agent_calls import AgentTeam
from training.agents.results import AgentIdentity, Finding, PerceivedMaps, Score


@dataclass(frozen=True, eq=False)
class Scene:
    """An edited image with known flaws: `clean` is what it should be, `flawed` what it is."""

    source: RgbImage
    clean: RgbImage
    flawed: RgbImage
    masks: list[NDArray[np.bool_]]


def make_scene(flaws: int = 2, size: int = 96, seed: int = 0) -> Scene:
    """A smooth image, a wanted edit in its middle, and unwanted squares in its corners."""
    random = np.random.default_rng(seed)
    coarse = random.integers(60, 200, (6, 6, 3)).astype(np.uint8)
    source = np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)
    clean = source.copy()
    middle = slice(3 * size // 8, 5 * size // 8)
    clean[middle, middle] = 255 - clean[middle, middle]
    flawed, masks = clean.copy(), []
    side, edge = size // 5, size // 16
    for number in range(flaws):
        top = edge if number < 2 else size - edge - side
        left = edge if number % 2 == 0 else size - edge - side
        mask = np.zeros((size, size), np.bool_)
        mask[top : top + side, left : left + side] = True
        flawed[mask] = np.clip(flawed[mask].astype(int) + 55 - 110 * (number % 2), 0, 255)
        masks.append(mask)
    return Scene(source, clean, flawed, masks)


def measure_error(image: RgbImage, clean: RgbImage) -> float:
    """Mean squared difference to the truth."""
    return float(np.square(image.astype(np.float64) - clean).mean())


def is_restored(image: RgbImage, wanted: RgbImage) -> bool:
    """Whether no pixel is off by more than one step, which is what scaling a tiny crop up and down again costs."""
    return int(np.abs(image.astype(int) - wanted).max()) <= 1


@dataclass
class OraclePerception:
    """Marks where the current image differs from the clean one."""

    clean: RgbImage
    kind: Kind = "failure"
    calls: int = 0
    identity: AgentIdentity = field(default_factory=lambda: AgentIdentity("oracle", "perception", "1"))

    def perceive(self, source: RgbImage, current: RgbImage, instruction: str) -> PerceivedMaps:
        self.calls += 1
        wrong = (np.abs(current.astype(int) - self.clean).max(axis=2) > 4).astype(np.float32)
        empty = np.zeros_like(wrong)
        maps = (wrong, empty) if self.kind == "artifact" else (empty, wrong)
        return PerceivedMaps(*maps, self.identity)


@dataclass
class OracleReasoning:
    """Gives every box one flaw type and rationale."""

    flaw_type: str = "unintended_change"
    rationale: str = "This part should have stayed as it was."
    identity: AgentIdentity = field(default_factory=lambda: AgentIdentity("oracle", "reasoning", "1"))

    def diagnose_boxes(
        self, source: RgbImage, current: RgbImage, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        return [
            Finding(kind, box, "ok", self.identity, self.flaw_type, "moderate", self.rationale, 0.9)
            for kind, box in boxes
        ]


@dataclass
class OracleEvaluation:
    """Scores by the error to the clean image; `sign` -1 makes a liar of it."""

    clean: RgbImage
    sign: int = 1
    name: str = "evaluation"
    calls: int = 0

    @property
    def identity(self) -> AgentIdentity:
        return AgentIdentity("oracle", self.name, "1")

    def evaluate(self, source: RgbImage, current: RgbImage, instruction: str) -> list[Score]:
        self.calls += 1
        value = 50 + self.sign * (30 - 60 * min(1.0, measure_error(current, self.clean) / 3000))
        return [Score(name, value, None, "ok", self.identity) for name in DIMENSIONS]


@dataclass
class FunctionEditor:
    """An editor that is a function of the request; counts its calls, each of which may cost."""

    function: Callable[[EditRequest], Any]
    name: str = "restore"
    cost: float = 0.0
    seeded: bool = False
    calls: int = 0

    def edit(self, request: EditRequest) -> EditResult:
        self.calls += 1
        image = self.function(request)
        record = EditRecord(self.name, "1", request.seed if self.seeded else None, {}, 0.0, self.cost)
        return EditResult(image, record)


def restore_source(request: EditRequest) -> RgbImage:
    """The source inside of the mask."""
    return np.where(request.mask[:, :, None] > 0, request.source, request.current)


def restore_and_spill(request: EditRequest) -> RgbImage:
    """The source inside of the mask, and all of it a little darker: what an editor must not do."""
    answer = restore_source(request)
    return answer - answer // 16


def paint_green(request: EditRequest) -> RgbImage:
    """One colour inside of the mask."""
    return np.where(request.mask[:, :, None] > 0, np.uint8((0, 255, 0)), request.current)


def add_seeded_noise(request: EditRequest) -> RgbImage:
    """Noise of the request's seed."""
    noise = np.random.default_rng(request.seed).integers(-40, 41, request.current.shape)
    noise[request.mask == 0] = 0
    return np.clip(request.current + noise, 0, 255).astype(np.uint8)


def wait_for_ever(released: threading.Event) -> Callable[..., Any]:
    """A function that hangs until the test ends."""

    def hang(*_: Any) -> Any:
        released.wait()
        raise RuntimeError("released")

    return hang


def make_team(scene: Scene, *editors: FunctionEditor, **agents: Any) -> AgentTeam:
    """A team of oracles with the given editors, `restore` if there is none."""
    chosen = editors or (FunctionEditor(restore_source),)
    team = {
        "perception": OraclePerception(scene.clean),
        "reasoning": OracleReasoning(),
        "evaluation": OracleEvaluation(scene.clean),
        **agents,
    }
    return AgentTeam(editors={editor.name: editor for editor in chosen}, **team)

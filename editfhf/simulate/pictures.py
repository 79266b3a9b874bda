"""One editor's attempt at one edit: the picture it made, and the truth about its flaws."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from annotation.records import Box, Severity
from annotation.tasks import tasks
from editfhf.simulate.canvas import Image, where
from editfhf.simulate.editors import severity
from editfhf.simulate.flaws import artifacts, failures
from editfhf.simulate.flaws.flaw import Flaw, disks
from editfhf.simulate.flaws.wording import rationale
from editfhf.simulate.operators import Edit, Outcome
from editfhf.simulate.scene import Scene

WIDE = 0.4
"""Share of the picture beyond which a flaw is about the whole picture, and other flaws may lie inside it."""
MAX_IOU = 0.2
WEIGHTS = {"not_executed": 0.5, "partial": 0.6, "wrong_quantity": 3.0, "wrong_position": 3.0, "wrong_target": 2.0}
"""How often a way to fail is tried first (others: 1.5): the rare ones fit few edits."""
SEVERE = frozenset({"not_executed", "wrong_target"})


@dataclass
class Attempt:
    """A picture in the making: every flaw is drawn onto the last state and recorded."""

    image: Image
    scene: Scene | None
    focus: Box | None
    flaws: list[Flaw] = field(default_factory=list)

    def taken(self) -> list[Box]:
        """Boxes that a further flaw must not touch."""
        area = self.image.shape[0] * self.image.shape[1]
        return [flaw.box for flaw in self.flaws if flaw.box.area < WIDE * area or flaw.flaw_type == "not_executed"]

    def accept(self, drawn: tuple[Image, Flaw] | None) -> bool:
        """Keep a drawn flaw unless it overlaps one of its kind too much to be told apart."""
        if drawn is None:
            return False
        image, flaw = drawn
        if any(flaw.box.iou(other.box) >= MAX_IOU for other in self.flaws if other.kind == flaw.kind):
            return False
        self.image = image
        self.flaws.append(flaw)
        return True


def attempt(edit: Edit, scene: Scene, skill: float, rng: np.random.Generator) -> Attempt:
    """The picture that an editor of this skill makes of an edit, with all its flaws."""
    group = tasks()[edit.task].group
    focus = (edit.scene or scene).subject() if group in ("object", "text", "restoration", "photometric") else None
    made = Attempt(edit.result.copy(), edit.scene, focus)
    if rng.random() < 0.28 + 0.62 * (1 - skill):
        _fail(made, edit, skill, rng)
    _drift(made, edit, group, skill, rng)
    for number in range(min(3, int(rng.poisson(0.35 + 1.2 * (1 - skill))))):
        kind = "identity_loss" if number == 0 and made.focus and rng.random() < 0.6 else "unintended_change"
        level = severity(rng, skill)
        subject = (scene.photo.subject, made.focus)
        made.accept(failures.draw(kind, level, made.image, edit, subject, made.taken(), rng))
    for _ in range(min(5, int(rng.poisson(0.7 + 2.8 * (1 - skill))))):
        _spoil(made, scene, severity(rng, skill), rng)
    return made


def _fail(made: Attempt, edit: Edit, skill: float, rng: np.random.Generator) -> None:
    ways = edit.ways()
    names = sorted(ways)
    weights = np.array([WEIGHTS.get(name, 1.5) for name in names])
    for name in (str(way) for way in rng.choice(names, len(names), replace=False, p=weights / weights.sum())):
        outcome: Outcome | None = ways[name](rng)
        if outcome is None:
            continue
        level: Severity = "severe" if name in SEVERE else severity(rng, 0.6 * skill)
        height, width = outcome.image.shape[:2]
        at = where(outcome.box, height, width)
        text = rationale("failure", name, level, rng, at, outcome.found, outcome.asked)
        flaw = Flaw("failure", name, level, outcome.box, disks(outcome.pixels, outcome.box, rng), text)
        made.image, made.scene = outcome.image, outcome.scene
        made.flaws.append(flaw)
        return


def _drift(made: Attempt, edit: Edit, group: str, skill: float, rng: np.random.Generator) -> None:
    if rng.random() >= 0.06 + 0.2 * (1 - skill) or any(flaw.flaw_type == "not_executed" for flaw in made.flaws):
        return
    ways = {"object": ("framing", "cast", "pale"), "text": ("framing", "cast", "pale"), "geometry": ("cast", "pale")}
    chosen = [way for way in ways.get(group, ("framing",)) if way != "framing" or not made.flaws]
    if not chosen:
        return
    way = str(rng.choice(chosen))
    if made.accept(failures.drift(way, severity(rng, skill), made.image, edit, rng)):
        made.scene = None
        made.focus = made.focus if way != "framing" else None


def _spoil(made: Attempt, scene: Scene, level: Severity, rng: np.random.Generator) -> None:
    """One artifact more, of a type that is drawn until one finds its place."""
    weights = np.ones(len(artifacts.TYPES))
    figure = made.scene is not None and any(prop.kind == "toy figure" for prop in made.scene.props)
    face = made.focus if scene.photo.face else None
    for i, name in enumerate(artifacts.TYPES):
        if name in ("hand_foot", "body", "face") and (figure or (face is not None and name == "face")):
            weights[i] = 3.0
    for flaw_type in rng.choice(artifacts.TYPES, 5, replace=False, p=weights / weights.sum()):
        drawn = artifacts.draw(str(flaw_type), level, made.image, made.scene, face, made.taken(), rng)
        if made.accept(drawn):
            return

"""Simulated editors: their skills, their attempts at an edit with all flaws, and the true quality.

Artifacts cost perceptual quality and some visual consistency.  Failures cost instruction following or visual
consistency according to their type, so that perceptual quality goes with consistency, and consistency hardly
with instruction following (as in the published statistics of EBench-18K).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from annotation.records import DIMENSIONS, Box, Dimension, Severity
from annotation.simulate.flaws.flaw import InjectedFlaw, sample_disks, write_rationale
from annotation.simulate.flaws.injection import ARTIFACT_TYPES, draw_artifact, draw_failure, draw_global_drift
from annotation.simulate.operators import FailedEdit, SceneEdit
from annotation.simulate.options import EDITOR_STREAM, SimulationOptions
from annotation.simulate.pixels import RgbImage, describe_place
from annotation.simulate.scene import Scene
from annotation.taxonomy import load_edit_tasks, load_task_groups

EDITOR_NAMES = (
    "alder-edit", "birch-v2", "cedar-flow", "dogwood", "elm-instruct", "fir-turbo", "gingko-xl",
    "hazel-1.5", "iris-edit", "juniper", "kapok-mini", "larch-pro", "maple-dit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SimulatedEditor:
    """A simulated editor with its skill in [0, 1] by task group; at 1 it makes few and small errors."""

    name: str
    skill: dict[str, float]


def make_editors(settings: SimulationOptions) -> tuple[SimulatedEditor, ...]:
    """Thirteen editors from weak to strong, each with its own strong and weak task groups."""
    rng = settings.rng(EDITOR_STREAM)
    base = np.linspace(0.3, 0.92, len(EDITOR_NAMES))[rng.permutation(len(EDITOR_NAMES))]
    return tuple(
        SimulatedEditor(
            name, {group: float(np.clip(level + rng.normal(0, 0.1), 0.08, 0.97)) for group in load_task_groups()}
        )
        for name, level in zip(EDITOR_NAMES, base, strict=True)
    )


def draw_severity(rng: np.random.Generator, skill: float) -> Severity:
    """Draw the severity of one flaw of an editor with this skill."""
    share = (0.25 + 0.4 * skill, 0.4, 0.35 - 0.25 * skill)
    at = rng.random() * sum(share)
    if at < share[0]:
        return "minor"
    return "moderate" if at < share[0] + share[1] else "severe"


SEVERITY_COST: dict[Severity, float] = {"minor": 0.45, "moderate": 0.8, "severe": 1.25}


INSTRUCTION_COST = {
    "not_executed": 2.4, "partial": 1.5, "wrong_target": 2.2, "wrong_content": 2.0, "wrong_quantity": 1.4,
    "wrong_position": 1.5, "wrong_degree": 1.3, "unintended_change": 0.15, "identity_loss": 0.2, "global_drift": 0.15,
}  # fmt: skip


CONSISTENCY_COST = {"unintended_change": 0.9, "identity_loss": 1.9, "global_drift": 1.4, "wrong_target": 0.8}


def compute_true_quality(
    flaws: Sequence[InjectedFlaw], skill: float, rng: np.random.Generator
) -> dict[Dimension, float]:
    """Quality in [1, 5] by dimension: losses by flaw, plus small effects of the editor's skill and of the image."""
    artifact_loss = sum(SEVERITY_COST[flaw.severity] for flaw in flaws if flaw.kind == "artifact")
    failures = [flaw for flaw in flaws if flaw.kind == "failure"]
    instruction_loss = sum(SEVERITY_COST[flaw.severity] * INSTRUCTION_COST[flaw.flaw_type] for flaw in failures)
    consistency_loss = sum(
        SEVERITY_COST[flaw.severity] * CONSISTENCY_COST.get(flaw.flaw_type, 0.1) for flaw in failures
    )
    image_effect, clumsiness = rng.normal(0, 0.2), 1 - skill
    loss = {
        "perceptual_quality": 0.5 * artifact_loss + 0.1 * consistency_loss + 0.6 * clumsiness - image_effect,
        "instruction_following": instruction_loss + 0.05 * artifact_loss + 0.9 * clumsiness,
        "visual_consistency": 0.7 * consistency_loss + 0.2 * artifact_loss - 0.6 * image_effect,
    }
    quality: dict[Dimension, float] = {}
    for dimension in DIMENSIONS:
        start = 4.7 + rng.normal(0, 0.15)
        # The sum of losses saturates: the worst image still gets a 1.
        quality[dimension] = float(np.clip(start - 3.5 * (1 - np.exp(-max(loss[dimension], -0.2) / 2.4)), 1.05, 4.95))
    return quality


WIDE_FLAW_SHARE = 0.4
"""Share of the image beyond which a flaw concerns the whole image, so that other flaws may lie inside it."""


MAX_FLAW_IOU = 0.2


FAILURE_WEIGHTS = {
    "not_executed": 0.5,
    "partial": 0.6,
    "wrong_quantity": 3.0,
    "wrong_position": 3.0,
    "wrong_target": 2.0,
}
"""Weight with which a failure mode is tried first (others: 1.5); modes that fit few edits have more."""


SEVERE_FAILURES = frozenset({"not_executed", "wrong_target"})


@dataclass
class EditAttempt:
    """An edited image while it is drawn: every flaw is drawn onto the latest image and recorded."""

    image: RgbImage
    scene: Scene | None
    focus: Box | None
    flaws: list[InjectedFlaw] = field(default_factory=list)

    def taken(self) -> list[Box]:
        """Boxes that a further flaw must not touch."""
        area = self.image.shape[0] * self.image.shape[1]
        return [
            flaw.box
            for flaw in self.flaws
            if flaw.box.area < WIDE_FLAW_SHARE * area or flaw.flaw_type == "not_executed"
        ]

    def accept_flaw(self, drawn: tuple[RgbImage, InjectedFlaw] | None) -> bool:
        """Keep a drawn flaw unless it overlaps one of its kind so much that annotators cannot separate them."""
        if drawn is None:
            return False
        image, flaw = drawn
        if any(flaw.box.iou(other.box) >= MAX_FLAW_IOU for other in self.flaws if other.kind == flaw.kind):
            return False
        self.image = image
        self.flaws.append(flaw)
        return True


def attempt_edit(edit: SceneEdit, scene: Scene, skill: float, rng: np.random.Generator) -> EditAttempt:
    """Simulate the attempt of an editor with this skill at an edit, with all flaws."""
    group = load_edit_tasks()[edit.task].group
    focus = (edit.scene or scene).subject() if group in ("object", "text", "restoration", "photometric") else None
    attempt = EditAttempt(edit.result.copy(), edit.scene, focus)
    if rng.random() < 0.28 + 0.62 * (1 - skill):
        fail_edit(attempt, edit, skill, rng)
    if rng.random() < 0.06 + 0.2 * (1 - skill):
        add_global_drift(attempt, edit, group, skill, rng)
    for number in range(min(3, int(rng.poisson(0.35 + 1.2 * (1 - skill))))):
        kind = "identity_loss" if number == 0 and attempt.focus and rng.random() < 0.6 else "unintended_change"
        level = draw_severity(rng, skill)
        subject = (scene.photo.subject, attempt.focus)
        attempt.accept_flaw(draw_failure(kind, level, attempt.image, edit, subject, attempt.taken(), rng))
    for _ in range(min(5, int(rng.poisson(0.7 + 2.8 * (1 - skill))))):
        _add_artifact(attempt, scene, draw_severity(rng, skill), rng)
    return attempt


def fail_edit(
    attempt: EditAttempt, edit: SceneEdit, skill: float, rng: np.random.Generator, only: str | None = None
) -> None:
    """Let the edit as a whole fail in one of its modes, or in the one that is named; the image may stay as it is."""
    modes = edit.failure_modes()
    names = sorted(modes) if only is None else [only]
    weights = np.array([FAILURE_WEIGHTS.get(name, 1.5) for name in names])
    for name in (str(choice) for choice in rng.choice(names, len(names), replace=False, p=weights / weights.sum())):
        outcome: FailedEdit | None = modes[name](rng)
        if outcome is None:
            continue
        level: Severity = "severe" if name in SEVERE_FAILURES else draw_severity(rng, 0.6 * skill)
        height, width = outcome.image.shape[:2]
        at = describe_place(outcome.box, height, width)
        text = write_rationale("failure", name, level, rng, at, outcome.found, outcome.asked)
        flaw = InjectedFlaw("failure", name, level, outcome.box, sample_disks(outcome.pixels, outcome.box, rng), text)
        attempt.image, attempt.scene = outcome.image, outcome.scene
        attempt.flaws.append(flaw)
        return


def add_global_drift(attempt: EditAttempt, edit: SceneEdit, group: str, skill: float, rng: np.random.Generator) -> None:
    """Let the whole image drift in its framing or colours, in a way that the edit itself does not explain."""
    if any(flaw.flaw_type == "not_executed" for flaw in attempt.flaws):
        return
    ways = {"object": ("framing", "cast", "pale"), "text": ("framing", "cast", "pale"), "geometry": ("cast", "pale")}
    chosen = [way for way in ways.get(group, ("framing",)) if way != "framing" or not attempt.flaws]
    if not chosen:
        return
    way = str(rng.choice(chosen))
    if attempt.accept_flaw(draw_global_drift(way, draw_severity(rng, skill), attempt.image, edit, rng)):
        attempt.scene = None
        attempt.focus = attempt.focus if way != "framing" else None


def _add_artifact(attempt: EditAttempt, scene: Scene, level: Severity, rng: np.random.Generator) -> None:
    """Add one artifact; types are drawn until one finds a place."""
    weights = np.ones(len(ARTIFACT_TYPES))
    figure = attempt.scene is not None and any(prop.kind == "toy figure" for prop in attempt.scene.props)
    face = attempt.focus if scene.photo.face else None
    for i, name in enumerate(ARTIFACT_TYPES):
        if name in ("hand_foot", "body", "face") and (figure or (face is not None and name == "face")):
            weights[i] = 3.0
    for flaw_type in rng.choice(ARTIFACT_TYPES, 5, replace=False, p=weights / weights.sum()):
        drawn = draw_artifact(str(flaw_type), level, attempt.image, attempt.scene, face, attempt.taken(), rng)
        if attempt.accept_flaw(drawn):
            return

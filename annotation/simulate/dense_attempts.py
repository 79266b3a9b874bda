"""Attempts at an edit with the density of the published data: about 9 regions a pair, and many pairs with none.

EditFHF-15K has 60,318 artifact and 80,345 failure regions on 15,287 images (section 3.3 of the paper).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from annotation.records import DIMENSIONS, Box, Dimension
from annotation.simulate.editors import (
    CONSISTENCY_COST,
    INSTRUCTION_COST,
    SEVERITY_COST,
    EditAttempt,
    add_global_drift,
    draw_severity,
    fail_edit,
)
from annotation.simulate.flaws.flaw import InjectedFlaw
from annotation.simulate.flaws.injection import ARTIFACT_PAINTERS, draw_artifact
from annotation.simulate.flaws.local_flaws import (
    PlaceChooser,
    draw_local_artifact,
    draw_local_failure,
    draw_lost_identity,
    draw_unasked_change,
)
from annotation.simulate.flaws.scene_flaws import (
    SceneFlaw,
    break_figure,
    change_scene_unasked,
    fail_target,
    record_scene_flaw,
    swap_figure,
)
from annotation.simulate.operators import SceneEdit
from annotation.simulate.operators.edit import EditTarget
from annotation.simulate.pixels import RgbImage, detail_map
from annotation.simulate.rendering import Rendering
from annotation.simulate.scene import Prop, Scene
from annotation.taxonomy import load_edit_tasks

ARTIFACTS_PER_FLAWED_PAIR, FAILURES_PER_FLAWED_PAIR = 7.8, 10.8
"""Wanted in the mean, before those that find no place."""


SPREAD = 2.0
"""Shape of the gamma distribution of a pair's number of flaws: its standard deviation is mean / sqrt(SPREAD)."""


MOST_FLAWS = 36


WHOLE_IMAGE_SHARE = 1.25
"""Factor for the failures of edits of the whole image; 2 less this for the other edits."""


LOCALLY_FAILING_GROUPS = frozenset({"photometric", "scene", "style", "restoration"})
"""Groups of tasks that change the whole image, and may fail in places."""


def draw_flaw_counts(skill: float, whole: bool, rng: np.random.Generator) -> tuple[int, int]:
    """Wanted numbers of artifacts and failures; both are 0 for about a quarter of the pairs.

    whole: whether the edit changes the whole image, where more places can fail
    """
    if rng.random() < 0.1 + 0.25 * skill:
        return 0, 0
    load = float(rng.gamma(SPREAD, 1 / SPREAD)) * (1.55 - 0.9 * skill)
    artifacts = min(MOST_FLAWS // 2, int(rng.poisson(ARTIFACTS_PER_FLAWED_PAIR * load)))
    share = WHOLE_IMAGE_SHARE if whole else 2 - WHOLE_IMAGE_SHARE
    failures = min(MOST_FLAWS // 2, int(rng.poisson(FAILURES_PER_FLAWED_PAIR * share * load)))
    return (artifacts, failures) if artifacts + failures else (1, 0)


def attempt_dense_edit(edit: SceneEdit, scene: Scene, skill: float, rng: np.random.Generator) -> EditAttempt:
    """Simulate the attempt of an editor with this skill at an edit, with all flaws."""
    group = load_edit_tasks()[edit.task].group
    focus = (edit.scene or scene).subject() if group in ("object", "text", "restoration", "photometric") else None
    attempt = EditAttempt(edit.result.copy(), edit.scene, focus)
    artifacts, failures = draw_flaw_counts(skill, group in LOCALLY_FAILING_GROUPS, rng)
    if not artifacts and not failures:
        return attempt
    drawn_as_scene = _fail_main(attempt, edit, skill, failures, rng)
    if drawn_as_scene:
        _add_scene_flaws(attempt, edit, scene, (artifacts, failures), skill, rng)
    height, width = attempt.image.shape[:2]
    places = PlaceChooser(height, width, (), detail_map(attempt.image), _edited_boxes(edit))
    _add_failures(attempt, edit, scene, failures, skill, places, rng)
    if failures and rng.random() < 0.08:
        add_global_drift(attempt, edit, group, skill, rng)
    _add_artifacts(attempt, scene, artifacts, skill, places, rng)
    return attempt


def _count(attempt: EditAttempt, kind: str) -> int:
    return sum(flaw.kind == kind for flaw in attempt.flaws)


def _fail_main(attempt: EditAttempt, edit: SceneEdit, skill: float, failures: int, rng: np.random.Generator) -> bool:
    """Let the edit as a whole fail at random; whether the image still is the rendering of a scene."""
    if failures and rng.random() < 0.45 + 0.35 * (1 - skill) and not edit.targets:
        fail_edit(attempt, edit, skill, rng)
    elif failures and rng.random() < 0.08:
        fail_edit(attempt, edit, skill, rng, only="not_executed")
    return not attempt.flaws or attempt.scene is not None


def _render_result(edit: SceneEdit, scene: Scene) -> RgbImage:
    image = scene.render()
    return edit.apply(image) if edit.apply else image


def _add_scene_flaws(
    attempt: EditAttempt, edit: SceneEdit, scene: Scene, wanted: tuple[int, int], skill: float, rng: np.random.Generator
) -> None:
    """Change the scene of the result: targets that fail, props that changed unasked, figures that are broken."""
    start = attempt.scene or (scene if edit.apply else None)
    if start is None:
        return
    current: Scene = start
    edited = {target.new for target in edit.targets} | (set(current.props) - set(scene.props))

    def list_kept() -> list[Prop]:
        return [prop for prop in current.props if prop not in edited and not prop.defect]

    failing = min(wanted[1], int(rng.binomial(len(edit.targets), 0.65)))
    unasked = min(wanted[1] - failing, int(rng.poisson(0.2 * wanted[1])), 3)
    changes: list[Callable[[Scene], SceneFlaw | None]] = [
        _make_target_failure(edit.targets[int(i)], edit, list_kept, rng)
        for i in rng.permutation(len(edit.targets))[:failing]
    ]
    for _ in range(unasked):
        if rng.random() < 0.35:
            changes.append(lambda now: swap_figure(now, list_kept(), rng))
        else:
            changes.append(lambda now: change_scene_unasked(now, list_kept(), edit, rng))
    changes += [lambda now: break_figure(now, rng)] * min(wanted[0], int(rng.binomial(4, 0.6)))
    image = attempt.image
    for change in changes:
        flawed = change(current)
        if flawed is None:
            continue
        after = _render_result(edit, flawed.scene)
        flaw = record_scene_flaw(flawed, draw_severity(rng, skill), (image, after), attempt.taken(), rng)
        if flaw is not None and attempt.accept_flaw((after, flaw)):
            image, current = after, flawed.scene
    if attempt.scene is not None:
        attempt.scene = current


def _make_target_failure(
    target: EditTarget, edit: SceneEdit, list_kept: Callable[[], list[Prop]], rng: np.random.Generator
) -> Callable[[Scene], SceneFlaw | None]:
    return lambda now: fail_target(now, target, edit, list_kept(), rng)


def _edited_boxes(edit: SceneEdit) -> Sequence[Box]:
    """Where a local edit changed the image; nothing for an edit of the whole image."""
    if edit.targets:
        return [target.prop.box for target in edit.targets]
    box = edit.changed_box()
    return [box] if box.area < 0.3 * edit.result.shape[0] * edit.result.shape[1] else ()


def _add_failures(
    attempt: EditAttempt, edit: SceneEdit, scene: Scene, wanted: int, skill: float, places: PlaceChooser,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    group = load_edit_tasks()[edit.task].group
    half = 0.5 * attempt.image.shape[0] * attempt.image.shape[1]
    whole = group in LOCALLY_FAILING_GROUPS and not any(flaw.box.area > half for flaw in attempt.flaws)
    things = [(scene.photo.subject, attempt.focus)] if attempt.focus else []
    if attempt.scene is not None:
        # What the edit itself put there has no earlier identity that it could lose.
        kept = [prop for prop in attempt.scene.props if prop in scene.props and not prop.defect]
        things += [(f"the {prop.name}", prop.box) for prop in kept]
    for _ in range(wanted):
        if _count(attempt, "failure") >= wanted:
            return
        severity, draw = draw_severity(rng, skill), rng.random()
        places = replace(places, taken=attempt.taken())
        if whole and draw < 0.75:
            attempt.accept_flaw(draw_local_failure(severity, attempt.image, edit, places, rng))
        elif things and (draw < 0.5 or whole):
            name, box = things.pop(int(rng.integers(len(things))))
            attempt.accept_flaw(draw_lost_identity(name, box, severity, attempt.image, places.taken, rng))
        else:
            attempt.accept_flaw(draw_unasked_change(severity, attempt.image, edit, places, rng))


def _add_artifacts(
    attempt: EditAttempt, scene: Scene, wanted: int, skill: float, places: PlaceChooser, rng: np.random.Generator
) -> None:
    names = sorted(ARTIFACT_PAINTERS)
    if attempt.focus and scene.photo.face and wanted and rng.random() < 0.5:
        severity = draw_severity(rng, skill)
        attempt.accept_flaw(draw_artifact("face", severity, attempt.image, None, attempt.focus, attempt.taken(), rng))
    for _ in range(wanted):
        if _count(attempt, "artifact") >= wanted:
            return
        places = replace(places, taken=attempt.taken())
        severity = draw_severity(rng, skill)
        attempt.accept_flaw(
            draw_local_artifact(names[int(rng.integers(len(names)))], severity, attempt.image, places, rng)
        )


DENSE_COSTS = {"artifact": 0.3, "failure": 0.3}
"""Loss of quality by one flaw of middle size and moderate severity, as a share of that where flaws are few."""


def compute_dense_quality(
    flaws: Sequence[InjectedFlaw], size: tuple[int, int], rendering: Rendering | None, rng: np.random.Generator
) -> dict[Dimension, float]:
    """Quality in [1, 5] by dimension: losses by kind, type, severity and size of every flaw; hardly any noise.

    Detail and grain that the rendering costs lower the perceptual quality a little.
    """
    area = size[0] * size[1]

    def loss_of(flaw: InjectedFlaw) -> float:
        # A flaw of 1 % of the image counts once, one of the whole image five times.
        weight = float(np.clip((flaw.box.area / area / 0.01) ** 0.35, 0.5, 5.0))
        return DENSE_COSTS[flaw.kind] * SEVERITY_COST[flaw.severity] * weight

    artifacts = sum(loss_of(flaw) for flaw in flaws if flaw.kind == "artifact")
    failures = [flaw for flaw in flaws if flaw.kind == "failure"]
    instruction = sum(loss_of(flaw) * INSTRUCTION_COST[flaw.flaw_type] for flaw in failures)
    consistency = sum(loss_of(flaw) * CONSISTENCY_COST.get(flaw.flaw_type, 0.1) for flaw in failures)
    drawn = 0.0 if rendering is None else 0.12 * (rendering.detail - 1) + 0.03 * rendering.grain
    loss = {
        "perceptual_quality": artifacts + 0.15 * consistency + drawn,
        "instruction_following": 0.7 * instruction + 0.04 * artifacts,
        "visual_consistency": consistency + 0.12 * artifacts,
    }
    quality: dict[Dimension, float] = {}
    for dimension in DIMENSIONS:
        start = 4.7 + rng.normal(0, 0.12)
        # The sum of losses saturates: the worst image still gets a 1.
        quality[dimension] = float(np.clip(start - 3.6 * (1 - np.exp(-loss[dimension] / 1.8)), 1.05, 4.95))
    return quality

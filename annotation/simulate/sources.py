"""Make one source, a photo crop with props and signs, and choose its edits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotation.simulate.operators import (
    EDIT_OPERATORS,
    RESTORATION_TASKS,
    SIMULATED_TASKS,
    SceneEdit,
    damage_image,
    restore_image,
)
from annotation.simulate.operators.groups import edit_group
from annotation.simulate.operators.text import place_random_sign
from annotation.simulate.options import EDIT_STREAM, SOURCE_STREAM, SimulationOptions
from annotation.simulate.photos import Photo, crop_photo
from annotation.simulate.pixels import RgbImage
from annotation.simulate.scene import Prop, Scene, find_free_box, place_random_prop
from annotation.simulate.sprites import PROP_COLOURS, PROP_KINDS, SIGN_TRANSLATIONS

EDITORS_PER_EDIT = 3


EXCLUSIVE_TASKS = ("outpaint", *RESTORATION_TASKS)
"""Tasks whose source image is not the scene itself: all edits of such a source have that one task."""


OBJECT_TASK_WEIGHT = 4.0
"""Weight of an object task among the tasks of a source: object edits have the most failure modes."""


WIDE_TASK_PREFIXES = ("object_move", "scene", "style", "color")
"""Tasks that change nearly everything and are frequent in the profile "paper"."""


@dataclass(frozen=True)
class SimulatedSource:
    scene: Scene
    task: str
    damage: RgbImage | None = None


def make_source(settings: SimulationOptions, photos: Sequence[Photo], index: int) -> SimulatedSource:
    """The source of an index: photos and first tasks alternate, everything else is drawn at random."""
    rng = settings.rng(SOURCE_STREAM, index)
    order = settings.rng(SOURCE_STREAM).permutation(len(SIMULATED_TASKS))
    task = SIMULATED_TASKS[int(order[index % len(SIMULATED_TASKS)])]
    photo = photos[(index + index // len(photos)) % len(photos)]
    view = crop_photo(photo, rng, settings.height)
    scene = Scene(view.image, photo, view.focus)
    if task.startswith("text") or rng.random() < 0.3:
        scene = _add_sign(scene, rng, task)
    if settings.profile == "paper":
        scene = add_many_props(scene, rng)
    for _ in range(int(rng.integers(1, 3)) if settings.profile == "demo" else 0):
        kind = "toy figure" if rng.random() < 0.45 and not scene.props else None
        prop = place_random_prop(rng, scene, scene.taken + ([view.focus] if view.focus and photo.face else []), kind)
        scene = scene.with_prop(None, prop) if prop else scene
    damage = damage_image(task, scene.render(), rng) if task in RESTORATION_TASKS else None
    return SimulatedSource(scene, task, damage)


def _add_sign(scene: Scene, rng: np.random.Generator, task: str) -> Scene:
    sign = place_random_sign(rng, scene)
    if sign is None:
        return scene
    if task == "text_translate":
        words = sorted({word for known in SIGN_TRANSLATIONS.values() for word in known})
        sign = replace(sign, text=str(rng.choice(words)))
    return scene.with_sign(None, sign)


def add_many_props(scene: Scene, rng: np.random.Generator) -> Scene:
    """Two to six props, at random several of one kind and some toy figures."""
    wanted = int(rng.integers(2, 7))
    group = str(rng.choice(PROP_KINDS)) if rng.random() < 0.65 else None
    avoided = [scene.focus] if scene.focus and scene.photo.face else []
    for number in range(wanted):
        kind = group if group and number < 4 else str(rng.choice(PROP_KINDS))
        if rng.random() < 0.25:
            kind = "toy figure"
        share = rng.uniform(0.26, 0.36) if kind == "toy figure" else rng.uniform(0.13, 0.28)
        side = share * scene.height
        box = find_free_box(rng, scene.height, scene.width, (side, side), scene.taken + avoided)
        if box is not None:
            colour = str(rng.choice(list(PROP_COLOURS)))
            scene = scene.with_prop(None, Prop(kind, colour, int(box.x0), int(box.y0), int(box.x1 - box.x0)))
    return scene


def choose_edits(settings: SimulationOptions, source: SimulatedSource, index: int) -> list[SceneEdit]:
    """The distinct edits of one source; several editors attempt each."""
    wanted = -(-settings.edits_per_source // EDITORS_PER_EDIT)
    rng = settings.rng(EDIT_STREAM, index)
    if source.damage is not None:
        return [restore_image(source.task, source.scene, source.damage, rng)]
    names = [source.task]
    if source.task not in EXCLUSIVE_TASKS:
        others = [name for name in EDIT_OPERATORS if name not in (*EXCLUSIVE_TASKS, source.task)]
        preferred = WIDE_TASK_PREFIXES if settings.profile == "paper" else ("object",)
        weights = np.array([OBJECT_TASK_WEIGHT if name.startswith(preferred) else 1.0 for name in others])
        names += [str(name) for name in rng.choice(others, len(others), replace=False, p=weights / weights.sum())]
    edits: list[SceneEdit] = []
    if settings.profile == "paper":
        names = [name for i, name in enumerate(names) if i < wanted or rng.random() < 0.7]
        group = edit_group(source.scene, rng) if source.task not in EXCLUSIVE_TASKS else None
        if group is not None and rng.random() < 0.5:
            edits.append(group)
    for name in names:
        if len(edits) == wanted:
            break
        edit = EDIT_OPERATORS[name](source.scene, rng)
        if edit is not None:
            edits.append(edit)
    return edits


def name_source(settings: SimulationOptions, photo: Photo, index: int) -> str:
    """Id of a source: its number, or in the profile "paper" the name of its photo.

    >>> from annotation.simulate.photos import PACKAGED_PHOTOS
    >>> [name_source(SimulationOptions(profile=profile), PACKAGED_PHOTOS[6], 4) for profile in ("demo", "paper")]
    ['s00005', 'china']
    """
    if settings.profile == "demo":
        return f"s{index + 1:05d}"
    stem = re.sub(r"[^A-Za-z0-9]+", "-", photo.name.rpartition(".")[0] or photo.name).strip("-")
    return stem.lower() or "photo"

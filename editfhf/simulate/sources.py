"""Sources: a crop of a photo with things in it, and the edits that are asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from editfhf.simulate.canvas import Image
from editfhf.simulate.lettering import TRANSLATIONS
from editfhf.simulate.operators import OPERATORS, RESTORATIONS, TASKS, Edit, damaged, restore
from editfhf.simulate.operators.text import new_sign
from editfhf.simulate.photos import Photo, crop
from editfhf.simulate.scene import Scene, new_prop
from editfhf.simulate.settings import EDIT, SOURCE, Settings

EDITORS_PER_EDIT = 3
ALONE = ("outpaint", *RESTORATIONS)
"""Tasks whose source picture is not the scene itself: all edits of such a source are of that one task."""
OBJECTS_COUNT = 4.0
"""How much more often than the others an object task joins a source: objects can fail in the most ways."""


@dataclass(frozen=True)
class Source:
    scene: Scene
    task: str
    damage: Image | None = None


def source(settings: Settings, photos: Sequence[Photo], index: int) -> Source:
    """The source of this index: photos and first tasks take turns, everything else is drawn."""
    rng = settings.rng(SOURCE, index)
    order = settings.rng(SOURCE).permutation(len(TASKS))
    task = TASKS[int(order[index % len(TASKS)])]
    photo = photos[(index + index // len(photos)) % len(photos)]
    view = crop(photo, rng, settings.height)
    scene = Scene(view.image, photo, view.focus)
    if task.startswith("text") or rng.random() < 0.3:
        scene = _signed(scene, rng, task)
    for _ in range(int(rng.integers(1, 3))):
        kind = "toy figure" if rng.random() < 0.45 and not scene.props else None
        prop = new_prop(rng, scene, scene.taken + ([view.focus] if view.focus and photo.face else []), kind)
        scene = scene.with_prop(None, prop) if prop else scene
    damage = damaged(task, scene.render(), rng) if task in RESTORATIONS else None
    return Source(scene, task, damage)


def _signed(scene: Scene, rng: np.random.Generator, task: str) -> Scene:
    sign = new_sign(rng, scene)
    if sign is None:
        return scene
    if task == "text_translate":
        words = sorted({word for known in TRANSLATIONS.values() for word in known})
        sign = replace(sign, text=str(rng.choice(words)))
    return scene.with_sign(None, sign)


def edits(settings: Settings, made: Source, index: int) -> list[Edit]:
    """The distinct edits asked of one source, each to be carried out by several editors."""
    wanted = -(-settings.edits_per_source // EDITORS_PER_EDIT)
    rng = settings.rng(EDIT, index)
    if made.damage is not None:
        return [restore(made.task, made.scene, made.damage, rng)]
    names = [made.task]
    if made.task not in ALONE:
        others = [name for name in OPERATORS if name not in (*ALONE, made.task)]
        weights = np.array([OBJECTS_COUNT if name.startswith("object") else 1.0 for name in others])
        names += [str(name) for name in rng.choice(others, len(others), replace=False, p=weights / weights.sum())]
    found: list[Edit] = []
    for name in names:
        edit = OPERATORS[name](made.scene, rng)
        if edit is not None:
            found.append(edit)
        if len(found) == wanted:
            break
    return found

"""Edits of several props at once: "Remove all the mugs", of which an editor may do only some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from annotation.simulate.operators.edit import EditTarget, SceneEdit, pick_text
from annotation.simulate.operators.objects import describe_prop_place, resize_prop
from annotation.simulate.scene import Prop, Scene, find_free_box
from annotation.simulate.sprites import PROP_COLOURS, PROP_KINDS


def make_plural(name: str) -> str:
    """The plural of the name of a prop.

    >>> make_plural("mug"), make_plural("gift box")
    ('mugs', 'gift boxes')
    """
    return name + ("es" if name.endswith("x") else "s")


def find_prop_groups(scene: Scene) -> list[str]:
    """Kinds of which the scene has at least two props."""
    kinds = [prop.kind for prop in scene.props]
    return sorted({kind for kind in kinds if kinds.count(kind) > 1})


GroupWords = tuple[tuple[EditTarget, ...], str, str]
"""The targets, the instruction, and a noun phrase for the change."""


def _remove_group(kind: str, members: list[Prop], _: Scene, rng: np.random.Generator) -> GroupWords:
    names = make_plural(kind)
    text = pick_text(rng, "Remove all the {0}.", "Delete every one of the {0} and fill the gaps.").format(names)
    return tuple(EditTarget(prop, None) for prop in members), text, f"the removal of all the {names}"


def _recolour_group(kind: str, members: list[Prop], _: Scene, rng: np.random.Generator) -> GroupWords:
    names, used = make_plural(kind), {prop.colour for prop in members}
    colour = str(rng.choice([name for name in PROP_COLOURS if name not in used]))
    text = pick_text(rng, "Make all the {0} {1}.", "Change the colour of all the {0} to {1}.").format(names, colour)
    changed = tuple(EditTarget(prop, replace(prop, colour=colour)) for prop in members)
    return changed, text, f"the {colour} colour of all the {names}"


def _replace_group(kind: str, members: list[Prop], _: Scene, rng: np.random.Generator) -> GroupWords:
    other = str(rng.choice([name for name in PROP_KINDS if name not in (kind, "toy figure")]))
    names, new = make_plural(kind), make_plural(other)
    text = pick_text(rng, "Replace all the {0} with {1}.", "Turn all the {0} into {1}.").format(names, new)
    changed = tuple(EditTarget(prop, replace(prop, kind=other)) for prop in members)
    return changed, text, f"{new} in place of all the {names}"


def _resize_group(kind: str, members: list[Prop], scene: Scene, rng: np.random.Generator) -> GroupWords:
    names, larger = make_plural(kind), bool(rng.random() < 0.4)
    word = "larger" if larger else "smaller"
    text = pick_text(rng, "Make all the {0} clearly {1}.", "Resize all the {0} so that they are {1}.")
    changed = tuple(EditTarget(prop, resize_prop(prop, 1.35 if larger else 0.6, scene)) for prop in members)
    return changed, text.format(names, word), f"the {word} size of all the {names}"


GROUP_EDITS: dict[str, Callable[[str, list[Prop], Scene, np.random.Generator], GroupWords]] = {
    "object_remove": _remove_group,
    "object_attribute": _recolour_group,
    "object_replace": _replace_group,
    "object_shape": _resize_group,
}


def edit_group(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    """Remove, recolour, replace or resize all props of one kind, or add several; None where there is no room."""
    kinds = find_prop_groups(scene)
    if not kinds or rng.random() < 0.25:
        return _add_group(scene, rng)
    kind, task = str(rng.choice(kinds)), str(rng.choice(list(GROUP_EDITS)))
    members = [prop for prop in scene.props if prop.kind == kind]
    return _make_group_edit(task, scene, *GROUP_EDITS[task](kind, members, scene, rng))


def _add_group(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    kind, colour = str(rng.choice(PROP_KINDS)), str(rng.choice(list(PROP_COLOURS)))
    done, new = scene, []
    for _ in range(int(rng.integers(2, 5))):
        side = scene.height * rng.uniform(0.13, 0.22)
        box = find_free_box(rng, scene.height, scene.width, (side, side), done.taken)
        if box is not None:
            new.append(Prop(kind, colour, int(box.x0), int(box.y0), int(box.x1 - box.x0)))
            done = done.with_prop(None, new[-1])
    if len(new) < 2:
        return None
    names = f"{colour} {make_plural(kind)}"
    count = ("two", "three", "four")[len(new) - 2]
    places = ", ".join(describe_prop_place(scene, prop) for prop in new)
    text = pick_text(rng, "Add {0} {1}: in {2}.", "Put {0} {1} into the picture, in {2}.").format(count, names, places)
    return _make_group_edit(
        "object_add", scene, tuple(EditTarget(None, prop) for prop in new), text, f"the {count} {names}"
    )


def _make_group_edit(task: str, scene: Scene, targets: tuple[EditTarget, ...], text: str, what: str) -> SceneEdit:
    done = scene
    for target in targets:
        done = done.with_prop(target.old, target.new)
    # Half of such an edit is some of its targets, not half of the box around all of them.
    return SceneEdit(
        task, scene.render(), done.render(), text, what, done, {"partial": lambda _: None}, targets=targets
    )

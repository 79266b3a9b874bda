"""Object edits on the props of a scene: add, remove, replace, recolour, move and reshape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from annotation.records import Box
from annotation.simulate.operators.edit import (
    FailedEdit,
    FailureMode,
    SceneEdit,
    add_article,
    changed_inside,
    pick_text,
)
from annotation.simulate.pixels import describe_place, mask_bounds
from annotation.simulate.scene import Prop, Scene, find_free_box, place_random_prop
from annotation.simulate.sprites import PROP_COLOURS, PROP_KINDS

SceneChange = Callable[[np.random.Generator], tuple[Scene, Prop, str] | None]


def describe_prop_place(scene: Scene, prop: Prop) -> str:
    return describe_place(prop.box, scene.height, scene.width)


def _prop_failure_mode(perfect: Scene, asked: str, change: SceneChange) -> FailureMode:
    """A failure mode from a function that gives the wrong scene, its wrong prop, and words for what is seen."""

    def fail_at_prop(rng: np.random.Generator) -> FailedEdit | None:
        wrong = change(rng)
        if wrong is None:
            return None
        scene, prop, found = wrong
        image = scene.render()
        pixels = changed_inside(image, perfect.render(), prop.box)
        box = mask_bounds(pixels)
        return None if box is None else FailedEdit(image, box, pixels, found, asked, scene)

    return fail_at_prop


def _choose_other(rng: np.random.Generator, names: tuple[str, ...], *used: str) -> str:
    return str(rng.choice([name for name in names if name not in used]))


def resize_prop(prop: Prop, factor: float, scene: Scene) -> Prop:
    """The prop at another size about its centre, kept inside the image."""
    side = max(8, min(round(prop.side * factor), scene.height - 2, scene.width - 2))
    x = min(max(prop.x + (prop.side - side) // 2, 0), scene.width - side)
    y = min(max(prop.y + (prop.side - side) // 2, 0), scene.height - side)
    return replace(prop, x=x, y=y, side=side)


def _move_prop(rng: np.random.Generator, scene: Scene, prop: Prop, taken: list[Box]) -> Prop | None:
    """The prop at a free place in another third of the image."""
    for _ in range(8):
        box = find_free_box(rng, scene.height, scene.width, (prop.side, prop.side), taken)
        if box and describe_place(box, scene.height, scene.width) != describe_prop_place(scene, prop):
            return replace(prop, x=int(box.x0), y=int(box.y0))
    return None


def _copy_prop(rng: np.random.Generator, prop: Prop, done: Scene) -> tuple[Scene, Prop, str] | None:
    """A second prop of the same kind; None where there is no room."""
    for size in (prop.side, round(0.7 * prop.side)):
        box = find_free_box(rng, done.height, done.width, (size, size), done.taken)
        if box is not None:
            second = replace(prop, x=int(box.x0), y=int(box.y0), side=size)
            return done.with_prop(None, second), second, f"two of them, a second {prop.name}"
    return None


def add_object(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    prop = place_random_prop(rng, scene, scene.taken)
    if prop is None:
        return None
    done = scene.with_prop(None, prop)
    at, what = describe_prop_place(scene, prop), add_article(prop.name)
    text = pick_text(rng, "Add {0} in {1}.", "Place {0} in {1} of the picture.", "Put {0} into the scene, in {1}.")

    def change_content(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        wrong = replace(
            prop,
            kind=_choose_other(r, PROP_KINDS, prop.kind),
            colour=_choose_other(r, tuple(PROP_COLOURS), prop.colour),
        )
        return done.with_prop(prop, wrong), wrong, add_article(wrong.name)

    def change_quantity(r: np.random.Generator) -> tuple[Scene, Prop, str] | None:
        return _copy_prop(r, prop, done)

    def change_position(r: np.random.Generator) -> tuple[Scene, Prop, str] | None:
        wrong = _move_prop(r, scene, prop, done.taken)
        return (done.with_prop(prop, wrong), wrong, f"the {prop.name}") if wrong else None

    def change_size(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        big = bool(r.random() < 0.5)
        wrong = resize_prop(prop, 1.8 if big else 0.38, scene)
        return done.with_prop(prop, wrong), wrong, "far too large for the scene" if big else "far too small to matter"

    return SceneEdit(
        "object_add",
        scene.render(),
        done.render(),
        text.format(what, at),
        f"the {prop.name} in {at}",
        done,
        {
            "wrong_content": _prop_failure_mode(done, what, change_content),
            "wrong_quantity": _prop_failure_mode(done, f"exactly one {prop.name}", change_quantity),
            "wrong_position": _prop_failure_mode(done, at, change_position),
            "wrong_degree": _prop_failure_mode(done, f"the {prop.name}", change_size),
        },
    )


def remove_object(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    done = scene.with_prop(prop, None)
    text = pick_text(
        rng, "Remove the {0} from {1}.", "Delete the {0} in {1} and fill the gap.", "Erase the {0} in {1}."
    )
    failing: dict[str, FailureMode] = {}
    others = [other for other in scene.props if other != prop]
    if others:
        other = others[0]

        def remove_other(r: np.random.Generator) -> tuple[Scene, Prop, str]:
            return scene.with_prop(other, None), other, f"the {other.name}, now gone,"

        def remove_both(r: np.random.Generator) -> tuple[Scene, Prop, str]:
            return done.with_prop(other, None), other, f"two things gone, also the {other.name}"

        failing["wrong_target"] = _prop_failure_mode(done, f"the {prop.name}", remove_other)
        failing["wrong_quantity"] = _prop_failure_mode(done, f"only the {prop.name} to go", remove_both)
    return SceneEdit(
        "object_remove",
        scene.render(),
        done.render(),
        text.format(prop.name, describe_prop_place(scene, prop)),
        f"the removal of the {prop.name}",
        done,
        failing,
    )


def replace_object(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    new = replace(
        prop,
        kind=_choose_other(rng, PROP_KINDS, prop.kind),
        colour=_choose_other(rng, tuple(PROP_COLOURS), prop.colour),
    )
    done = scene.with_prop(prop, new)
    text = pick_text(rng, "Replace the {0} with {1}.", "Swap the {0} for {1}.", "Turn the {0} into {1}.")

    def change_content(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        wrong = replace(new, kind=_choose_other(r, PROP_KINDS, prop.kind, new.kind))
        return scene.with_prop(prop, wrong), wrong, add_article(wrong.name)

    def change_quantity(r: np.random.Generator) -> tuple[Scene, Prop, str] | None:
        return _copy_prop(r, new, done)

    failing = {
        "wrong_content": _prop_failure_mode(done, add_article(new.name), change_content),
        "wrong_quantity": _prop_failure_mode(done, f"one {new.name}", change_quantity),
    } | _wrong_target_mode(scene, done, prop, lambda other: replace(other, kind=new.kind, colour=new.colour))
    what = f"the {new.name} in place of the {prop.name}"
    return SceneEdit(
        "object_replace",
        scene.render(),
        done.render(),
        text.format(prop.name, add_article(new.name)),
        what,
        done,
        failing,
    )


def recolour_object(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    new = replace(prop, colour=_choose_other(rng, tuple(PROP_COLOURS), prop.colour))
    done = scene.with_prop(prop, new)
    text = pick_text(rng, "Make the {0} {1}.", "Change the colour of the {0} to {1}.", "Repaint the {0} in {1}.")

    def change_content(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        wrong = replace(prop, colour=_choose_other(r, tuple(PROP_COLOURS), prop.colour, new.colour))
        return scene.with_prop(prop, wrong), wrong, add_article(wrong.name)

    failing = {"wrong_content": _prop_failure_mode(done, add_article(new.name), change_content)} | _wrong_target_mode(
        scene, done, prop, lambda other: replace(other, colour=new.colour)
    )
    what = f"the {new.colour} colour of the {prop.kind}"
    return SceneEdit(
        "object_attribute", scene.render(), done.render(), text.format(prop.name, new.colour), what, done, failing
    )


def _wrong_target_mode(scene: Scene, done: Scene, prop: Prop, change: Callable[[Prop], Prop]) -> dict[str, FailureMode]:
    """The right change on another prop of the scene, where there is one."""
    others = [other for other in scene.props if other != prop]
    if not others:
        return {}

    def change_other(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        other = others[int(r.integers(len(others)))]
        return scene.with_prop(other, change(other)), other, f"the {other.name}"

    return {"wrong_target": _prop_failure_mode(done, f"the {prop.name}", change_other)}


def move_object(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    new = _move_prop(rng, scene, prop, scene.taken)
    if new is None:
        return None
    done = scene.with_prop(prop, new)
    at = describe_prop_place(scene, new)
    text = pick_text(
        rng, "Move the {0} to {1}.", "Relocate the {0} to {1} of the picture.", "Put the {0} in {1} instead."
    )

    def change_position(r: np.random.Generator) -> tuple[Scene, Prop, str] | None:
        wrong = _move_prop(r, scene, new, [*scene.taken, new.box])
        return (scene.with_prop(prop, wrong), wrong, f"the {prop.name}") if wrong else None

    def keep_old(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        return scene.with_prop(None, new), prop, f"the old {prop.name} is still standing"

    what = f"the move of the {prop.name} to {at}"
    return SceneEdit(
        "object_move",
        scene.render(),
        done.render(),
        text.format(prop.name, at),
        what,
        done,
        {
            "wrong_position": _prop_failure_mode(done, at, change_position),
            "partial": _prop_failure_mode(done, what, keep_old),
        },
    )


def reshape_object(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    kind = int(rng.integers(3))
    if kind == 2:
        new, words = replace(prop, turn=2), "upside down"
        text, wrong = "Turn the {0} upside down.", replace(prop, turn=1)
        why, found = "wrong_content", "lying on its side"
    else:
        new = resize_prop(prop, 1.6 if kind else 0.6, scene)
        wrong = resize_prop(prop, 2.3 if kind else 0.3, scene)
        words = "larger" if kind else "smaller"
        text = pick_text(rng, "Make the {0} clearly {1}.", "Resize the {0} so that it is much {1}.")
        why, found = "wrong_degree", f"far too {'large' if kind else 'small'}"
    done = scene.with_prop(prop, new)
    what = f"the {prop.name} being {words}"

    def overdo_change(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        return scene.with_prop(prop, wrong), wrong if wrong.side > new.side else new, found

    failing = {why: _prop_failure_mode(done, what, overdo_change)} | _wrong_target_mode(
        scene, done, prop, lambda other: replace(other, turn=2) if kind == 2 else resize_prop(other, 0.5, scene)
    )
    return SceneEdit("object_shape", scene.render(), done.render(), text.format(prop.name, words), what, done, failing)

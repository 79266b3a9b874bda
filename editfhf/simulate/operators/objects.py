"""Object edits on the things of a scene: add, remove, replace, recolour, move, resize, and a new background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from annotation.records import Box
from editfhf.simulate.canvas import bounds, changed, where
from editfhf.simulate.operators.edit import Edit, Failing, Outcome, indefinite, pick
from editfhf.simulate.props import COLOURS, KINDS
from editfhf.simulate.scene import Prop, Scene, free_box, new_prop

Change = Callable[[np.random.Generator], tuple[Scene, Prop, str] | None]


def place(scene: Scene, prop: Prop) -> str:
    return where(prop.box, scene.height, scene.width)


def _failing(perfect: Scene, asked: str, change: Change) -> Failing:
    """A way to fail out of a function that gives the wrong scene, the thing to look at and words for what is seen."""

    def fail(rng: np.random.Generator) -> Outcome | None:
        wrong = change(rng)
        if wrong is None:
            return None
        scene, prop, found = wrong
        image = scene.render()
        pixels = changed(image, perfect.render())
        inside = np.zeros_like(pixels)
        x0, y0, x1, y1 = (max(0, int(v)) for v in prop.box)
        inside[y0:y1, x0:x1] = pixels[y0:y1, x0:x1]
        box = bounds(inside)
        return None if box is None else Outcome(image, box, inside, found, asked, scene)

    return fail


def _other(rng: np.random.Generator, names: tuple[str, ...], *used: str) -> str:
    return str(rng.choice([name for name in names if name not in used]))


def _resized(prop: Prop, factor: float, scene: Scene) -> Prop:
    """The prop at another size about its centre, kept inside the picture."""
    side = max(8, min(round(prop.side * factor), scene.height - 2, scene.width - 2))
    x = min(max(prop.x + (prop.side - side) // 2, 0), scene.width - side)
    y = min(max(prop.y + (prop.side - side) // 2, 0), scene.height - side)
    return replace(prop, x=x, y=y, side=side)


def _moved(rng: np.random.Generator, scene: Scene, prop: Prop, taken: list[Box]) -> Prop | None:
    """The prop at a free place in another third of the picture."""
    for _ in range(8):
        box = free_box(rng, scene.height, scene.width, (prop.side, prop.side), taken)
        if box and where(box, scene.height, scene.width) != place(scene, prop):
            return replace(prop, x=int(box.x0), y=int(box.y0))
    return None


def _copied(rng: np.random.Generator, prop: Prop, done: Scene) -> tuple[Scene, Prop, str] | None:
    """A second thing of the same kind, where there is room."""
    for size in (prop.side, round(0.7 * prop.side)):
        box = free_box(rng, done.height, done.width, (size, size), done.taken)
        if box is not None:
            second = replace(prop, x=int(box.x0), y=int(box.y0), side=size)
            return done.with_prop(None, second), second, f"two of them, a second {prop.name}"
    return None


def add(scene: Scene, rng: np.random.Generator) -> Edit | None:
    prop = new_prop(rng, scene, scene.taken)
    if prop is None:
        return None
    done = scene.with_prop(None, prop)
    at, what = place(scene, prop), indefinite(prop.name)
    text = pick(rng, "Add {0} in {1}.", "Place {0} in {1} of the picture.", "Put {0} into the scene, in {1}.")

    def content(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        wrong = replace(prop, kind=_other(r, KINDS, prop.kind), colour=_other(r, tuple(COLOURS), prop.colour))
        return done.with_prop(prop, wrong), wrong, indefinite(wrong.name)

    def quantity(r: np.random.Generator) -> tuple[Scene, Prop, str] | None:
        return _copied(r, prop, done)

    def position(r: np.random.Generator) -> tuple[Scene, Prop, str] | None:
        wrong = _moved(r, scene, prop, done.taken)
        return (done.with_prop(prop, wrong), wrong, f"the {prop.name}") if wrong else None

    def degree(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        big = bool(r.random() < 0.5)
        wrong = _resized(prop, 1.8 if big else 0.38, scene)
        return done.with_prop(prop, wrong), wrong, "far too large for the scene" if big else "far too small to matter"

    return Edit(
        "object_add",
        scene.render(),
        done.render(),
        text.format(what, at),
        f"the {prop.name} in {at}",
        done,
        {
            "wrong_content": _failing(done, what, content),
            "wrong_quantity": _failing(done, f"exactly one {prop.name}", quantity),
            "wrong_position": _failing(done, at, position),
            "wrong_degree": _failing(done, f"the {prop.name}", degree),
        },
    )


def remove(scene: Scene, rng: np.random.Generator) -> Edit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    done = scene.with_prop(prop, None)
    text = pick(rng, "Remove the {0} from {1}.", "Delete the {0} in {1} and fill the gap.", "Erase the {0} in {1}.")
    failing: dict[str, Failing] = {}
    others = [other for other in scene.props if other != prop]
    if others:
        other = others[0]

        def target(r: np.random.Generator) -> tuple[Scene, Prop, str]:
            return scene.with_prop(other, None), other, f"the {other.name}, now gone,"

        def quantity(r: np.random.Generator) -> tuple[Scene, Prop, str]:
            return done.with_prop(other, None), other, f"two things gone, also the {other.name}"

        failing["wrong_target"] = _failing(done, f"the {prop.name}", target)
        failing["wrong_quantity"] = _failing(done, f"only the {prop.name} to go", quantity)
    return Edit(
        "object_remove",
        scene.render(),
        done.render(),
        text.format(prop.name, place(scene, prop)),
        f"the removal of the {prop.name}",
        done,
        failing,
    )


def replace_object(scene: Scene, rng: np.random.Generator) -> Edit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    new = replace(prop, kind=_other(rng, KINDS, prop.kind), colour=_other(rng, tuple(COLOURS), prop.colour))
    done = scene.with_prop(prop, new)
    text = pick(rng, "Replace the {0} with {1}.", "Swap the {0} for {1}.", "Turn the {0} into {1}.")

    def content(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        wrong = replace(new, kind=_other(r, KINDS, prop.kind, new.kind))
        return scene.with_prop(prop, wrong), wrong, indefinite(wrong.name)

    def quantity(r: np.random.Generator) -> tuple[Scene, Prop, str] | None:
        return _copied(r, new, done)

    failing = {
        "wrong_content": _failing(done, indefinite(new.name), content),
        "wrong_quantity": _failing(done, f"one {new.name}", quantity),
    } | _wrong_neighbour(scene, done, prop, lambda other: replace(other, kind=new.kind, colour=new.colour))
    what = f"the {new.name} in place of the {prop.name}"
    return Edit(
        "object_replace",
        scene.render(),
        done.render(),
        text.format(prop.name, indefinite(new.name)),
        what,
        done,
        failing,
    )


def recolour(scene: Scene, rng: np.random.Generator) -> Edit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    new = replace(prop, colour=_other(rng, tuple(COLOURS), prop.colour))
    done = scene.with_prop(prop, new)
    text = pick(rng, "Make the {0} {1}.", "Change the colour of the {0} to {1}.", "Repaint the {0} in {1}.")

    def content(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        wrong = replace(prop, colour=_other(r, tuple(COLOURS), prop.colour, new.colour))
        return scene.with_prop(prop, wrong), wrong, indefinite(wrong.name)

    failing = {"wrong_content": _failing(done, indefinite(new.name), content)} | _wrong_neighbour(
        scene, done, prop, lambda other: replace(other, colour=new.colour)
    )
    what = f"the {new.colour} colour of the {prop.kind}"
    return Edit(
        "object_attribute", scene.render(), done.render(), text.format(prop.name, new.colour), what, done, failing
    )


def _wrong_neighbour(scene: Scene, done: Scene, prop: Prop, change: Callable[[Prop], Prop]) -> dict[str, Failing]:
    """The right change on another thing of the scene, where there is one."""
    others = [other for other in scene.props if other != prop]
    if not others:
        return {}

    def target(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        other = others[int(r.integers(len(others)))]
        return scene.with_prop(other, change(other)), other, f"the {other.name}"

    return {"wrong_target": _failing(done, f"the {prop.name}", target)}


def move(scene: Scene, rng: np.random.Generator) -> Edit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    new = _moved(rng, scene, prop, scene.taken)
    if new is None:
        return None
    done = scene.with_prop(prop, new)
    at = place(scene, new)
    text = pick(rng, "Move the {0} to {1}.", "Relocate the {0} to {1} of the picture.", "Put the {0} in {1} instead.")

    def position(r: np.random.Generator) -> tuple[Scene, Prop, str] | None:
        wrong = _moved(r, scene, new, [*scene.taken, new.box])
        return (scene.with_prop(prop, wrong), wrong, f"the {prop.name}") if wrong else None

    def residue(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        return scene.with_prop(None, new), prop, f"the old {prop.name} is still standing"

    what = f"the move of the {prop.name} to {at}"
    return Edit(
        "object_move",
        scene.render(),
        done.render(),
        text.format(prop.name, at),
        what,
        done,
        {"wrong_position": _failing(done, at, position), "partial": _failing(done, what, residue)},
    )


def reshape(scene: Scene, rng: np.random.Generator) -> Edit | None:
    if not scene.props:
        return None
    prop = scene.props[int(rng.integers(len(scene.props)))]
    kind = int(rng.integers(3))
    if kind == 2:
        new, words = replace(prop, turn=2), "upside down"
        text, wrong = "Turn the {0} upside down.", replace(prop, turn=1)
        why, found = "wrong_content", "lying on its side"
    else:
        new = _resized(prop, 1.6 if kind else 0.6, scene)
        wrong = _resized(prop, 2.3 if kind else 0.3, scene)
        words = "larger" if kind else "smaller"
        text = pick(rng, "Make the {0} clearly {1}.", "Resize the {0} so that it is much {1}.")
        why, found = "wrong_degree", f"far too {'large' if kind else 'small'}"
    done = scene.with_prop(prop, new)
    what = f"the {prop.name} being {words}"

    def change(r: np.random.Generator) -> tuple[Scene, Prop, str]:
        return scene.with_prop(prop, wrong), wrong if wrong.side > new.side else new, found

    failing = {why: _failing(done, what, change)} | _wrong_neighbour(
        scene, done, prop, lambda other: replace(other, turn=2) if kind == 2 else _resized(other, 0.5, scene)
    )
    return Edit("object_shape", scene.render(), done.render(), text.format(prop.name, words), what, done, failing)

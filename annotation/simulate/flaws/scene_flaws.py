"""Flaws of the scene itself: props that an editor forgot, changed unasked, or broke.

They are drawn before the edit of the whole image is applied, so they look like the rest of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotation.records import Box, Kind, Severity
from annotation.simulate.flaws.flaw import InjectedFlaw, sample_disks, write_rationale
from annotation.simulate.operators.edit import EditTarget, SceneEdit, add_article
from annotation.simulate.operators.objects import resize_prop
from annotation.simulate.pixels import (
    RgbImage,
    boxes_touch,
    describe_place,
    difference_mask,
    mask_bounds,
    rectangle_mask,
)
from annotation.simulate.scene import Prop, Scene, find_free_box
from annotation.simulate.sprites import FIGURE_PARTS, PROP_COLOURS, PROP_KINDS, SIGN_WORDS, FigureDefect


@dataclass(frozen=True)
class SceneFlaw:
    """A changed scene, and what is wrong with it."""

    scene: Scene
    kind: Kind
    flaw_type: str
    found: str
    asked: str
    box: Box | None = None
    """Box that is to be marked at least; None for the changed pixels alone."""

    seen: Box | None = None
    """Box outside which changed pixels are not marked; None for all."""


LEAST_CHANGE = 2.7e-4
"""Fewest changed pixels of a flaw as a share of the squared height of the image: 40 pixels at a height of 384."""


def fail_target(
    scene: Scene, target: EditTarget, edit: SceneEdit, others: Sequence[Prop], rng: np.random.Generator
) -> SceneFlaw | None:
    """One of several props that were to be changed is left, or changed in another way than asked.

    others: props that the edit must leave alone
    """
    modes = ["partial", "partial", *WRONG_TARGET_MODES[edit.task]]
    mode = modes[int(rng.integers(len(modes)))]
    new = target.new
    if new is not None and new not in scene.props:
        return None
    if mode == "partial":
        words = (
            f"the {target.prop.name} is missing"
            if target.old is None
            else f"the {target.old.name} is {'still there' if new is None else 'as it was'}"
        )
        return SceneFlaw(scene.with_prop(new, target.old), "failure", mode, words, edit.what)
    if mode == "wrong_target":
        return _change_other_prop(scene, target, edit, others, rng)
    if new is None:
        return None
    match mode:
        case "wrong_content":
            used = (new.colour, target.old.colour if target.old else "")
            wrong = replace(new, colour=_choose_other(rng, tuple(PROP_COLOURS), *used))
            if edit.task != "object_attribute":
                kinds = (new.kind, target.old.kind if target.old else "", "toy figure")
                wrong = replace(wrong, kind=_choose_other(rng, PROP_KINDS, *kinds))
            found = add_article(wrong.name)
        case "wrong_degree":
            wrong = resize_prop(new, float(rng.choice((0.45, 1.9))), scene)
            found = "far too small" if wrong.side < new.side else "far too large"
        case _:
            box = find_free_box(rng, scene.height, scene.width, (new.side, new.side), scene.taken)
            if box is None:
                return None
            wrong = replace(new, x=int(box.x0), y=int(box.y0))
            if mode == "wrong_quantity":
                more = f"one {new.name} too many"
                return SceneFlaw(scene.with_prop(None, wrong), "failure", mode, more, edit.what)
            # Only the place where it should not be is marked: at the other one nothing is to be seen.
            found = f"one {new.name}"
            moved = scene.with_prop(new, wrong)
            return SceneFlaw(moved, "failure", mode, found, edit.what, seen=wrong.box)
    return SceneFlaw(scene.with_prop(new, wrong), "failure", mode, found, edit.what)


WRONG_TARGET_MODES: dict[str, tuple[str, ...]] = {
    "object_add": ("wrong_content", "wrong_quantity", "wrong_position", "wrong_degree"),
    "object_remove": ("wrong_target",),
    "object_attribute": ("wrong_content", "wrong_target"),
    "object_replace": ("wrong_content", "wrong_quantity", "wrong_target"),
    "object_shape": ("wrong_degree", "wrong_degree", "wrong_target"),
}
"""How one of several targets may fail, beside not being changed, by task."""


def _change_other_prop(
    scene: Scene, target: EditTarget, edit: SceneEdit, others: Sequence[Prop], rng: np.random.Generator
) -> SceneFlaw | None:
    """The change that was asked for, on a prop that nobody named."""
    if not others:
        return None
    other = others[int(rng.integers(len(others)))]
    if target.new is None or target.old is None:
        changed = None
    elif edit.task == "object_shape":
        changed = resize_prop(other, target.new.side / target.old.side, scene)
    elif edit.task == "object_replace":
        changed = replace(other, kind=target.new.kind)
    else:
        changed = replace(other, colour=target.new.colour)
    found = f"the {other.name}{', now gone,' if changed is None else ''}"
    return SceneFlaw(scene.with_prop(other, changed), "failure", "wrong_target", found, edit.what)


def swap_figure(scene: Scene, kept: Sequence[Prop], rng: np.random.Generator) -> SceneFlaw | None:
    """A toy figure of the source becomes another one; None where there is none that the edit must leave alone."""
    figures = [prop for prop in kept if prop.kind == "toy figure" and not prop.turn and not prop.defect]
    if not figures:
        return None
    prop = figures[int(rng.integers(len(figures)))]
    other = scene.with_prop(prop, replace(prop, defect="other"))
    words = "hair, skin, glasses and trousers are those of another one"
    return SceneFlaw(other, "failure", "identity_loss", words, f"the {prop.name}", prop.box)


def change_scene_unasked(
    scene: Scene, kept: Sequence[Prop], edit: SceneEdit, rng: np.random.Generator
) -> SceneFlaw | None:
    """A prop or a sign changes although nobody asked for it; `kept` are the props that the edit must leave alone."""
    if scene.signs and edit.task.split("_")[0] != "text" and rng.random() < 0.3:
        sign = scene.signs[int(rng.integers(len(scene.signs)))]
        words = [word for word in SIGN_WORDS if word != sign.text]
        other = scene.with_sign(sign, replace(sign, text=str(rng.choice(words))))
        return SceneFlaw(
            other, "failure", "unintended_change", f'the wording "{sign.text}" turned into another', edit.what, sign.box
        )
    if not kept:
        return None
    prop = kept[int(rng.integers(len(kept)))]
    match int(rng.integers(4)):
        case 0:
            changed, found = scene.with_prop(prop, None), f"the {prop.name} disappeared"
        case 1:
            new = replace(prop, colour=_choose_other(rng, tuple(PROP_COLOURS), prop.colour))
            changed, found = scene.with_prop(prop, new), f"the {prop.name} became {new.colour}"
        case 2:
            new = replace(prop, kind=_choose_other(rng, PROP_KINDS, prop.kind))
            changed, found = scene.with_prop(prop, new), f"the {prop.name} became {add_article(new.name)}"
        case _:
            box = find_free_box(rng, scene.height, scene.width, (prop.side, prop.side), scene.taken)
            if box is None:
                return None
            second = replace(prop, x=int(box.x0), y=int(box.y0))
            changed, found = scene.with_prop(None, second), f"a second {prop.name} was added"
    return SceneFlaw(changed, "failure", "unintended_change", found, edit.what)


def break_figure(scene: Scene, rng: np.random.Generator) -> SceneFlaw | None:
    """The hand, face or body of a toy figure is malformed; None for a scene without a sound toy figure."""
    sound = [prop for prop in scene.props if prop.kind == "toy figure" and not prop.turn and not prop.defect]
    if not sound:
        return None
    prop = sound[int(rng.integers(len(sound)))]
    defects: tuple[FigureDefect, ...] = ("hand_foot", "face", "body")
    defect = defects[int(rng.integers(3))]
    left, top, right, bottom = (share / 100 for share in FIGURE_PARTS[defect])
    part = Box(
        max(0.0, np.floor(prop.x + left * prop.side)),
        max(0.0, np.floor(prop.y + top * prop.side)),
        min(float(scene.width), np.ceil(prop.x + right * prop.side)),
        min(float(scene.height), np.ceil(prop.y + bottom * prop.side)),
    )
    return SceneFlaw(scene.with_prop(prop, replace(prop, defect=defect)), "artifact", defect, "", "", part)


def record_scene_flaw(
    flaw: SceneFlaw, severity: Severity, images: tuple[RgbImage, RgbImage], taken: Sequence[Box],
    rng: np.random.Generator,
) -> InjectedFlaw | None:  # fmt: skip
    """The truth about a scene flaw from the images before and after it; None where another flaw is in the way."""
    before, after = images
    height, width = before.shape[:2]
    pixels = difference_mask(before, after, 14)
    if flaw.seen is not None:
        pixels &= rectangle_mask(height, width, flaw.seen) > 0
    box = mask_bounds(pixels)
    if box is None or pixels.sum() < LEAST_CHANGE * height * height:
        return None
    if flaw.box is not None:
        box = Box(
            min(box.x0, flaw.box.x0), min(box.y0, flaw.box.y0), max(box.x1, flaw.box.x1), max(box.y1, flaw.box.y1)
        )
    # A filter of the whole image carries a change far beyond its prop.
    if box.area > 0.5 * height * width or any(boxes_touch(box, other) for other in taken):
        return None
    at = describe_place(box, height, width)
    text = write_rationale(flaw.kind, flaw.flaw_type, severity, rng, at, flaw.found, flaw.asked)
    return InjectedFlaw(flaw.kind, flaw.flaw_type, severity, box, sample_disks(pixels, box, rng), text)


def _choose_other(rng: np.random.Generator, names: tuple[str, ...], *used: str) -> str:
    return str(rng.choice([name for name in names if name not in used]))

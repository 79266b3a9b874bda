"""Text edits: add, replace, restyle and translate the wording of signs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from annotation.simulate.operators.edit import FailedEdit, FailureMode, SceneEdit, changed_inside, pick_text
from annotation.simulate.pixels import describe_place
from annotation.simulate.scene import Scene, find_free_box
from annotation.simulate.sprites import FONT_FACES, SIGN_TRANSLATIONS, SIGN_WORDS, Sign


def place_random_sign(rng: np.random.Generator, scene: Scene) -> Sign | None:
    """A sign with a random word at a free place; None when the scene is full."""
    height = scene.height * rng.uniform(0.13, 0.18)
    box = find_free_box(rng, scene.height, scene.width, (height, height * 2.6), scene.taken)
    if box is None:
        return None
    plate, colour = (("blue", "white"), ("white", "red"), ("green", "white"), ("yellow", "black"))[int(rng.integers(4))]
    return Sign(str(rng.choice(SIGN_WORDS)), box, colour, plate)


def _sign_failure_mode(wrong: Scene, perfect: Scene, sign: Sign, asked: str, found: str) -> FailureMode:
    """A failure mode that shows the wrong scene, whose flaw is at the sign."""

    def fail_at_sign(_: np.random.Generator) -> FailedEdit | None:
        image = wrong.render()
        pixels = changed_inside(image, perfect.render(), sign.box)
        return FailedEdit(image, sign.box, pixels, found, asked, wrong) if pixels.any() else None

    return fail_at_sign


def _misspell_word(rng: np.random.Generator, word: str) -> str:
    """The word with two neighbouring letters swapped, or its last letter doubled if the two are equal."""
    at = int(rng.integers(len(word) - 1))
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return swapped if swapped != word else word + word[-1]


def add_text(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    sign = place_random_sign(rng, scene)
    if sign is None:
        return None
    if rng.random() < 0.4:
        sign = replace(sign, plate="", colour=str(rng.choice(["white", "yellow", "red"])))
    done, at = scene.with_sign(None, sign), describe_place(sign.box, scene.height, scene.width)
    text = pick_text(rng, 'Write "{0}" in {1}.', 'Add a sign that says "{0}" in {1}.', 'Add the word "{0}" in {1}.')
    wrong = replace(sign, text=_misspell_word(rng, sign.text))
    failing = {
        "wrong_content": _sign_failure_mode(
            scene.with_sign(None, wrong), done, sign, f'the word "{sign.text}"', f'the wording "{wrong.text}"'
        )
    }
    elsewhere = find_free_box(
        rng, scene.height, scene.width, (sign.box.y1 - sign.box.y0, sign.box.x1 - sign.box.x0), done.taken
    )
    if elsewhere and describe_place(elsewhere, scene.height, scene.width) != at:
        moved = replace(sign, box=elsewhere)
        failing["wrong_position"] = _sign_failure_mode(
            scene.with_sign(None, moved), done, moved, at, f'the word "{sign.text}"'
        )
        twice = done.with_sign(None, moved)
        failing["wrong_quantity"] = _sign_failure_mode(
            twice, done, moved, f'the word "{sign.text}" once', f'the word "{sign.text}" twice'
        )
    what = f'the word "{sign.text}" in {at}'
    return SceneEdit("text_add", scene.render(), done.render(), text.format(sign.text, at), what, done, failing)


def _rewrite_sign(
    scene: Scene, rng: np.random.Generator, task: str, new: Sign, wrong: Sign, text: str, what: str
) -> SceneEdit:
    sign = scene.signs[0]
    done, bad = scene.with_sign(sign, new), scene.with_sign(sign, wrong)
    found = f'the wording "{wrong.text}" in {wrong.face} letters coloured {wrong.colour}'
    asked = f'"{new.text}" in {new.face} letters coloured {new.colour}'
    failing = {"wrong_content": _sign_failure_mode(bad, done, new, asked, found)}
    return SceneEdit(task, scene.render(), done.render(), text, what, done, failing)


def replace_text(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    if not scene.signs:
        return None
    sign = scene.signs[0]
    words = [word for word in SIGN_WORDS if word != sign.text]
    new = replace(sign, text=str(rng.choice(words)))
    wrong = replace(sign, text=_misspell_word(rng, new.text))
    text = pick_text(rng, 'Change the sign from "{0}" to "{1}".', 'Replace the word "{0}" with "{1}".')
    what = f'the new wording "{new.text}"'
    return _rewrite_sign(scene, rng, "text_replace", new, wrong, text.format(sign.text, new.text), what)


def restyle_text(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    if not scene.signs:
        return None
    sign = scene.signs[0]
    colours = [c for c in ("red", "yellow", "white", "black", "orange", "pink") if c not in (sign.colour, sign.plate)]
    first, second = (str(c) for c in rng.permutation(colours)[:2])
    face = str(rng.choice([name for name in FONT_FACES if name != sign.face]))
    new, wrong = replace(sign, colour=first, face=face), replace(sign, colour=second)
    text = pick_text(rng, 'Set the word "{0}" in {1}, {2} letters.', 'Change the lettering of "{0}" to {1} and {2}.')
    what = f"the {face} lettering in {first}"
    return _rewrite_sign(scene, rng, "text_style", new, wrong, text.format(sign.text, first, face), what)


def translate_text(scene: Scene, rng: np.random.Generator) -> SceneEdit | None:
    if not scene.signs:
        return None
    sign = scene.signs[0]
    known = [language for language, words in SIGN_TRANSLATIONS.items() if sign.text in words]
    if not known:
        return None
    language = str(rng.choice(known))
    new = replace(sign, text=SIGN_TRANSLATIONS[language][sign.text])
    wrong = replace(sign, text=_misspell_word(rng, new.text))
    text = pick_text(rng, 'Translate the sign "{0}" into {1}.', 'Put the wording "{0}" into {1}.')
    what = f"the {language} translation of the sign"
    return _rewrite_sign(scene, rng, "text_translate", new, wrong, text.format(sign.text, language), what)

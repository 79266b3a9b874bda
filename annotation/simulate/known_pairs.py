"""Simulated pairs in memory, with everything that is true about them: nothing is written here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from annotation.records import Box, Dimension
from annotation.simulate.dense_attempts import attempt_dense_edit, compute_dense_quality
from annotation.simulate.editors import SimulatedEditor, attempt_edit, compute_true_quality, make_editors
from annotation.simulate.flaws.flaw import InjectedFlaw
from annotation.simulate.operators import SceneEdit
from annotation.simulate.options import PAIR_STREAM, RENDERING_STREAM, SOURCE_STREAM, SimulationOptions
from annotation.simulate.photos import Photo
from annotation.simulate.pixels import RgbImage, difference_mask
from annotation.simulate.rendering import draw_rendering, render_as_editor
from annotation.simulate.sources import EDITORS_PER_EDIT, SimulatedSource, choose_edits, make_source, name_source
from annotation.taxonomy import load_edit_tasks


@dataclass(frozen=True)
class KnownPair:
    """A simulated pair and the truth about it.

    Attributes
    ----------
    index : int
        Number of the pair in its corpus, from 0.
    pair_id, source_id, task, editor, instruction : str
        As in `pairs.jsonl`.
    photo : Photo
        The photo of the source, with its licence.
    source, edited : ndarray
        uint8 RGB images before they are encoded.  Their sizes differ in an extension of the canvas.
    clean : ndarray
        uint8 RGB: the edit without any flaw, rendered with the same seed as `edited`.  It has the size of `edited`
        unless an extension of the canvas was not carried out at all.
    flaws : tuple of InjectedFlaw
        Every injected flaw, in pixels of `edited`.
    quality : mapping of str to float
        True quality by dimension on the scale of 1 to 5.
    rendering : int or None
        Seed of `render_as_editor` for `edited` and `clean`; None when they are not rendered.
    """

    index: int
    pair_id: str
    source_id: str
    task: str
    editor: str
    instruction: str
    photo: Photo
    source: RgbImage
    edited: RgbImage
    clean: RgbImage
    flaws: tuple[InjectedFlaw, ...]
    quality: Mapping[Dimension, float]
    rendering: int | None


def simulate_pairs(settings: SimulationOptions, photos: Sequence[Photo]) -> Iterator[KnownPair]:
    """Simulate the pairs of a corpus in memory, one after another, without people and without files.

    Parameters
    ----------
    settings : SimulationOptions
        The same options and photos give the same pairs as `simulate_corpus`.
    photos : sequence of Photo
        `list_packaged_photos()` or `list_folder_photos(folder)` of `annotation.simulate.photos`.

    Yields
    ------
    KnownPair
        In the order of their ids.

    Examples
    --------
    >>> from annotation.simulate.photos import list_packaged_photos
    >>> options = SimulationOptions(pairs=1, height=64, profile="paper", rendered=1.0)
    >>> pair = next(simulate_pairs(options, list_packaged_photos()))
    >>> pair.pair_id, pair.clean.shape == pair.edited.shape
    ('p00001', True)
    """
    for index in range(settings.sources):
        yield from simulate_source_pairs(settings, photos, index)


def simulate_source_pairs(settings: SimulationOptions, photos: Sequence[Photo], index: int) -> Iterator[KnownPair]:
    """Simulate all pairs of the source with this number."""
    source = make_source(settings, photos, index)
    first = index * settings.edits_per_source
    count = min(settings.edits_per_source, settings.pairs - first)
    for number, (edit, editor) in enumerate(_assign_editors(settings, source, index, count)):
        yield _attempt_pair(settings, source, edit, editor, first + number, index)


@cache
def _make_editors(settings: SimulationOptions) -> tuple[SimulatedEditor, ...]:
    return make_editors(settings)


def _assign_editors(
    settings: SimulationOptions, source: SimulatedSource, index: int, count: int
) -> Iterator[tuple[SceneEdit, SimulatedEditor]]:
    """The edit and editor of each pair: different editors attempt each edit, and all editors take turns."""
    editors = _make_editors(settings)
    edits = choose_edits(settings, source, index)
    turn = settings.rng(SOURCE_STREAM, index, 1).permutation(len(editors))
    for number in range(count):
        edit = edits[min(number // EDITORS_PER_EDIT, len(edits) - 1)]
        yield edit, editors[int(turn[number % len(editors)])]


def _attempt_pair(
    settings: SimulationOptions,
    source: SimulatedSource,
    edit: SceneEdit,
    editor: SimulatedEditor,
    index: int,
    source_index: int,
) -> KnownPair:
    rng = settings.rng(PAIR_STREAM, index)
    skill = editor.skill[load_edit_tasks()[edit.task].group]
    seed = _draw_rendering_seed(settings, index)
    rendering = None if seed is None else draw_rendering(seed, edit.result.shape[0])
    is_dense = settings.profile == "paper"
    attempt = (attempt_dense_edit if is_dense else attempt_edit)(edit, source.scene, skill, rng)
    image, clean, flaws = attempt.image, edit.result, tuple(attempt.flaws)
    height, width = image.shape[:2]
    if seed is not None and rendering is not None:
        flaws = tuple(rendering.move_flaw(flaw, height, width) for flaw in flaws)
        image, clean = render_as_editor(image, seed), render_as_editor(clean, seed)
    if is_dense:
        flaws = _keep_visible(flaws, image, clean)
        quality = compute_dense_quality(flaws, (height, width), rendering, rng)
    else:
        quality = compute_true_quality(flaws, skill, rng)
    return KnownPair(
        index,
        f"p{index + 1:05d}",
        name_source(settings, source.scene.photo, source_index),
        edit.task,
        editor.name,
        edit.instruction,
        source.scene.photo,
        edit.source,
        image,
        clean,
        flaws,
        quality,
        seed,
    )


LEAST_VISIBLE_SHARE = 0.02
"""Share of the pixels of a flaw's box that must differ visibly from the clean target."""


def _keep_visible(flaws: tuple[InjectedFlaw, ...], image: RgbImage, clean: RgbImage) -> tuple[InjectedFlaw, ...]:
    """The flaws that are still seen after the rendering: nobody would mark the others."""
    if image.shape != clean.shape:
        return flaws
    changed = difference_mask(image, clean)

    def is_visible(box: Box) -> bool:
        inside = changed[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)]
        return bool(inside.size and inside.mean() > LEAST_VISIBLE_SHARE)

    return tuple(flaw for flaw in flaws if is_visible(flaw.box))


def _draw_rendering_seed(settings: SimulationOptions, index: int) -> int | None:
    """Seed with which the edited image of a pair is rendered; None when it is not rendered."""
    rng = settings.rng(RENDERING_STREAM, index)
    return int(rng.integers(2**31)) if rng.random() < settings.rendered else None

"""Give an editor the probe images and make its card."""

from __future__ import annotations

import typing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.images import RgbImage
from editfhf import __version__
from editfhf.editors.conformance.card import EditorCard, ProbeName, ProbeResult
from editfhf.editors.conformance.judge_answers import (
    MeasuredAnswer,
    accept_refused_source,
    judge_mask,
    judge_rest,
    judge_seed,
    judge_source,
    measure_answer,
)
from editfhf.editors.conformance.probe_images import make_probe_images
from editfhf.editors.protocol import Editor, EditRecord, EditRequest, EditResult
from mos.console import NullProgress, Progress
from mos.errors import UserError

PROBE_NAMES: tuple[ProbeName, ...] = typing.get_args(ProbeName)

PROBE_INSTRUCTION = (
    "Repair the marked region: remove its blur, its noise and its wrong colours, so that it looks like the rest."
)


@dataclass(frozen=True, slots=True)
class EditorDeclaration:
    """What an editor says that it takes; a probe of something else does not apply."""

    takes_mask: bool = True
    takes_source: bool = True
    takes_seed: bool = True

    @property
    def calls(self) -> int:
        """Number of edits that a check asks for."""
        return 2 + self.takes_source + 2 * self.takes_seed


def check_editor(
    editor: Editor, declaration: EditorDeclaration | None = None, progress: Progress | None = None
) -> EditorCard:
    """Find out what an editor really does.

    Parameters
    ----------
    editor : Editor
    declaration : EditorDeclaration, optional
        What it takes; everything by default.
    progress : Progress, optional
        Counts the edits.

    Returns
    -------
    EditorCard

    Raises
    ------
    UserError
        The editor gave no image.

    Notes
    -----
    The probe is a synthetic scene with two flawed regions. An edit with the mask of the first and one with the mask of
    the second tell whether the mask decides what changes. What is outside of both regions tells of shift, zoom, colours
    and coding. Another source, the same seed again and another seed tell whether they matter.
    """
    takes = declaration or EditorDeclaration()
    shown = progress or NullProgress()
    shown.begin(f"Checking {editor.name}", takes.calls)
    probe = make_probe_images()
    records: list[EditRecord] = []

    def request(mask: NDArray[np.uint8], source: RgbImage, seed: int) -> EditResult:
        result = editor.edit(EditRequest(source, probe.current, mask, PROBE_INSTRUCTION, seed))
        records.append(result.record)
        shown.advance()
        return result

    def ask(mask: NDArray[np.uint8], source: RgbImage, seed: int) -> RgbImage:
        result = request(mask, source, seed)
        if result.image is None:
            raise UserError(f"The editor {editor.name!r} gave no image to check. {result.record.detail}")
        return result.image

    def measure(image: RgbImage) -> MeasuredAnswer:
        return measure_answer(probe, image, probe.first, probe.second)

    def judge_other_source() -> ProbeResult:
        if not takes.takes_source:
            return judge_source(one, None, probe.first)
        other = request(probe.first, probe.other_source, 1)
        if other.image is None and other.record.status == "refused":
            return accept_refused_source(other.record.detail)
        if other.image is None:
            raise UserError(f"The editor {editor.name!r} gave no image to check. {other.record.detail}")
        return judge_source(one, measure(other.image), probe.first)

    one = measure(ask(probe.first, probe.source, 1))
    two = measure_answer(probe, ask(probe.second, probe.source, 1), probe.second, probe.first)
    second_image = judge_other_source()
    again = measure(ask(probe.first, probe.source, 1)) if takes.takes_seed else None
    other_seed = measure(ask(probe.first, probe.source, 2)) if takes.takes_seed else None
    probes: dict[ProbeName, ProbeResult] = judge_mask(one, two, takes.takes_mask) | judge_rest(one)
    probes["seed_ignored"] = judge_seed(one if takes.takes_seed else None, again, other_seed, probe.first)
    probes["second_image_ignored"] = second_image
    return EditorCard(
        editor=editor.name,
        version=records[0].version,
        parameters=dict(records[0].parameters),
        checked_by=__version__,
        probes={name: probes[name] for name in PROBE_NAMES},
        calls=len(records),
        seconds=sum(record.seconds for record in records),
        cost=sum(record.cost for record in records),
    )

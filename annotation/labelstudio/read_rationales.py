"""Read stage 2 from exported tasks: the texts and verdicts of reviewers about regions."""

from __future__ import annotations

from typing import Any

from annotation.json_lines import RejectCallback
from annotation.labelstudio.read_marks import RegionAnswer, read_region_answers
from annotation.labelstudio.read_shapes import DrawnBox, read_box
from annotation.labelstudio.submissions import (
    ControlNames,
    PixelSize,
    Submission,
    iterate_submissions,
    quote_excerpt,
    read_choices,
)
from annotation.records import Kind, Place, Rationale


def read_rationales(
    task: dict[str, Any], place: Place, size: PixelSize, reject: RejectCallback, names: ControlNames | None = None
) -> list[Rationale]:
    """Read the texts and verdicts of every submission of one task.

    Parameters
    ----------
    task
        One element of a JSON export.
    place
        File and row of the task, for rejections.
    size
        (width, height) of the edited image as displayed, in pixels.
    reject
        Receives a `Rejection` for everything that cannot be used.
    names
        Names of controls and labels; by default those of our own interfaces.

    Returns
    -------
    list[Rationale]
        One for each submission and region, with a text or with the verdict `agree` alone.

    Notes
    -----
    A region of a submission that has neither a text nor the verdict `agree` is rejected.
    """
    names = names or ControlNames()
    controls = names.region_controls | {names.verdict, names.no_flaw}
    rationales: list[Rationale] = []
    for submission in iterate_submissions(task, place, reject, names, controls, size):
        rationales += _read_submission(submission, size, names)
    return rationales


def _read_submission(submission: Submission, size: PixelSize, names: ControlNames) -> list[Rationale]:
    """The rationales of one submission, one for each of its regions."""
    source = submission.source
    drawn = (read_box(item, size, source, names) for item in submission.of(names.box))
    boxes = {box.item_id: box for box in drawn if box is not None}
    regions = [
        name
        for control in (names.box, names.rationale)
        for item in submission.of(control)
        if (name := item.item_id) is not None
    ]
    kinds: dict[str, Kind | None] = {name: boxes[name].kind if name in boxes else None for name in regions}
    answers = read_region_answers(submission, names, kinds)
    verdict = _read_verdict(submission, names)
    if not kinds:
        source.reject("rationale", "no_region", "The annotation has no region, so it has no text about one.")
    rationales = []
    for name in kinds:
        if answers[name].text is None and verdict != "agree":
            source.reject("rationale", "no_text", "Expected a text or the verdict 'agree' for this region.", name)
            continue
        rationales.append(_build_rationale(submission, name, boxes.get(name), answers[name], verdict))
    return rationales


def _build_rationale(
    submission: Submission, name: str, box: DrawnBox | None, answer: RegionAnswer, verdict: Any
) -> Rationale:
    """The rationale of one region; kind and box are None if the box was rejected or is missing."""
    source = submission.source
    return Rationale(
        pair_id=source.pair_id,
        region_id=name,
        annotator_id=source.annotator_id,
        kind=box.kind if box else None,
        box=box.box if box else None,
        text=answer.text,
        flaw_type=answer.flaw_type,
        severity=answer.severity,
        verdict=verdict,
        at=source.at,
        place=source.place,
    )


def _read_verdict(submission: Submission, names: ControlNames) -> Any:
    """`agree` or `revise`; None if the submission has no known verdict."""
    verdict = None
    for item in submission.of(names.verdict):
        words = read_choices(item)
        if words is None or len(words) != 1 or words[0] not in names.verdicts:
            given = quote_excerpt(words[0] if words else None)
            message = f"Expected one verdict of {', '.join(names.verdicts)}, got {given}."
            submission.source.reject("result", "unknown_verdict", message)
            continue
        if verdict is not None:
            submission.source.reject("result", "duplicate_result", "The annotation already has a verdict.")
            continue
        verdict = names.verdicts[words[0]]
    return verdict

"""Stage 2: what reviewers said of each region."""

from __future__ import annotations

from typing import Any

from annotation.export.drawing import DrawnBox, Said, box_of, said_of
from annotation.export.names import Names
from annotation.export.submissions import Size, Submission, chosen, excerpt, submissions
from annotation.jsonlines import Reject
from annotation.records import Kind, Place, Rationale


def rationales(
    task: dict[str, Any], place: Place, size: Size, reject: Reject, names: Names | None = None
) -> list[Rationale]:
    """One statement per person and region of one task; `size` is (width, height) of the edited image in pixels.

    A statement is a text, or a bare `agree`; a region shown but left without either is rejected.
    """
    names = names or Names()
    controls = names.drawn | {names.verdict, names.no_flaw}
    found: list[Rationale] = []
    for submission in submissions(task, place, reject, names, controls, size):
        found += _statements(submission, size, names)
    return found


def _statements(submission: Submission, size: Size, names: Names) -> list[Rationale]:
    source = submission.source
    drawn = (box_of(item, size, source, names) for item in submission.of(names.box))
    boxes = {box.item_id: box for box in drawn if box is not None}
    regions = [
        name
        for control in (names.box, names.rationale)
        for item in submission.of(control)
        if (name := item.item_id) is not None
    ]
    kinds: dict[str, Kind | None] = {name: boxes[name].kind if name in boxes else None for name in regions}
    said = said_of(submission, names, kinds)
    verdict = _verdict(submission, names)
    if not kinds:
        source.reject("rationale", "no_region", "The annotation names no region, so nothing can be said of one.")
    statements = []
    for name in kinds:
        if said[name].text is None and verdict != "agree":
            source.reject("rationale", "no_text", "Expected a text or the verdict 'agree' for this region.", name)
            continue
        statements.append(_statement(submission, name, boxes.get(name), said[name], verdict))
    return statements


def _statement(submission: Submission, name: str, box: DrawnBox | None, said: Said, verdict: Any) -> Rationale:
    source = submission.source
    return Rationale(
        pair_id=source.pair_id,
        region_id=name,
        annotator_id=source.annotator_id,
        kind=box.kind if box else None,
        box=box.box if box else None,
        text=said.text,
        flaw_type=said.flaw_type,
        severity=said.severity,
        verdict=verdict,
        at=source.at,
        place=source.place,
    )


def _verdict(submission: Submission, names: Names) -> Any:
    """`agree`, `revise`, or None where the person gave none that is known."""
    verdict = None
    for item in submission.of(names.verdict):
        words = chosen(item)
        if words is None or len(words) != 1 or words[0] not in names.verdicts:
            message = (
                f"Expected one verdict of {', '.join(names.verdicts)}, got {excerpt(words[0] if words else None)}."
            )
            submission.source.reject("result", "unknown_verdict", message)
            continue
        if verdict is not None:
            submission.source.reject("result", "duplicate_result", "The annotation already has a verdict.")
            continue
        verdict = names.verdicts[words[0]]
    return verdict

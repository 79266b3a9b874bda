"""Read the submissions of one exported task: annotator, time, and result items by control.

Also the names of controls and labels in an export.  Everything that cannot be used is reported as a `Rejection`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple

from annotation.json_lines import RejectCallback
from annotation.labelstudio.read_export import diagnose_other_export
from annotation.records import DIMENSIONS, KINDS, Dimension, Kind, Place, Rejection
from annotation.text import MAX_TEXT_LENGTH, describe_bad_id, is_unicode, normalize_text, read_id_text


@dataclass(frozen=True)
class ControlNames:
    """Names of the controls, labels and data field of an export; the defaults are those of our own interfaces.

    Parameters
    ----------
    image
        Name of the image on which annotators draw.
    box, disk, flaw_type, severity, rationale, text_read, verdict, no_flaw, note, cannot_judge, flagged
        Names of the controls.
    relation
        Label of the relation from a disk to its box.
    pair_id
        Field of the task's data that holds the id of the pair.
    labels
        Kind of region by the label of the interface.
    verdicts
        Verdict by the choice of the interface.
    dimensions
        Dimension by the name of its control.
    """

    image: str = "edited"
    box: str = "box"
    disk: str = "disk"
    flaw_type: str = "flaw_type"
    severity: str = "severity"
    rationale: str = "rationale"
    text_read: str = "text_read"
    verdict: str = "verdict"
    no_flaw: str = "no_flaw"
    note: str = "note"
    cannot_judge: str = "cannot_judge"
    flagged: str = "flagged"
    relation: str = "disk_of"
    pair_id: str = "pair_id"
    labels: Mapping[str, Kind] = field(default_factory=lambda: {kind: kind for kind in KINDS})
    verdicts: Mapping[str, Literal["agree", "revise"]] = field(
        default_factory=lambda: {"agree": "agree", "revise": "revise"}
    )
    dimensions: Mapping[str, Dimension] = field(default_factory=lambda: {name: name for name in DIMENSIONS})

    @cached_property
    def types(self) -> dict[str, str]:
        """Result type by control."""
        choices = [self.flaw_type, self.severity, self.text_read, self.verdict, self.no_flaw, self.cannot_judge]
        return (
            {
                self.box: "rectanglelabels",
                self.disk: "keypointlabels",
                self.rationale: "textarea",
                self.note: "textarea",
            }
            | dict.fromkeys([*choices, self.flagged], "choices")
            | dict.fromkeys(self.dimensions, "number")
        )

    @cached_property
    def region_controls(self) -> frozenset[str]:
        """Controls that draw on the image or describe a region, and the note; every stage may show them."""
        drawn = (self.box, self.disk, self.flaw_type, self.severity, self.rationale, self.text_read)
        return frozenset((*drawn, self.note, self.cannot_judge))


ANSWER_TYPES = frozenset(("choices", "datetime", "number", "pairwise", "ranker", "rating", "taxonomy", "textarea"))
"""Types of results that mark nothing on an image; a result of any other type may be a mark."""

MAX_RESULT_ITEMS = 1_000
"""Most result items of an annotation that is read; it may have as many relations in addition, one for each disk."""


PixelSize = tuple[int, int]


class ResultItem(NamedTuple):
    """One result: its id (None if it has no usable id), its value, and the whole item."""

    item_id: str | None
    value: dict[str, Any]
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SubmissionContext:
    """Pair, annotator, time and place of a submission; `reject` reports a part of it that cannot be used."""

    pair_id: str
    annotator_id: str
    at: str
    place: Place
    report: RejectCallback

    def reject(self, what: str, reason: str, message: str, item_id: str | None = None, repaired: bool = False) -> None:
        """Report a rejection (`repaired`: only a warning) with the pair, annotator and place of the submission."""
        file, row = self.place
        self.report(Rejection(what, file, row, reason, message, self.pair_id, item_id, self.annotator_id, repaired))


@dataclass(frozen=True, slots=True)
class Submission:
    """One usable annotation: its result items by control, in their order, and its relations.

    unknown_marks: whether somebody drew with a control that the interface does not have, or the annotation holds
    something that is no result; such an annotation never means "no flaw"
    """

    source: SubmissionContext
    items: dict[str, list[ResultItem]] = field(default_factory=dict)
    relations: list[dict[str, Any]] = field(default_factory=list)
    unknown_marks: bool = False

    def of(self, control: str) -> list[ResultItem]:
        """The result items of one control."""
        return self.items.get(control, [])


def read_pair_id(task: dict[str, Any], names: ControlNames | None = None) -> str | None:
    """Read the id of the pair of a task.

    Parameters
    ----------
    task
        One element of a JSON export.
    names
        Names of controls and fields; by default those of our own interfaces.

    Returns
    -------
    str or None
        The id, a whole number as its digits; None if the task's data has no valid id.
    """
    data = task.get("data")
    value = data.get((names or ControlNames()).pair_id) if isinstance(data, dict) else None
    pair_id = read_id_text(value)
    return pair_id if pair_id is not None and describe_bad_id(pair_id) is None else None


def describe_missing_pair_id(task: dict[str, Any], names: ControlNames | None = None) -> str:
    """Describe what a task without a valid pair id has in its place, after "expected".

    >>> describe_missing_pair_id({"data": {"pair_id": 7.5}})
    "the id of the pair in the field 'pair_id' of the task's data, as text or a whole number, but got 7.5"
    """
    field = (names or ControlNames()).pair_id
    data = task.get("data")
    expected = f"the id of the pair in the field {field!r} of the task's data, as text or a whole number"
    if not isinstance(data, dict) or data.get(field) is None:
        return f"{expected}, but it names none"
    value = data[field]
    if isinstance(value, str):
        return f"{expected}, but the text there {describe_bad_id(value)}"
    return f"{expected}, but got {repr(value)[:40]}"


def list_annotator_ids(task: dict[str, Any]) -> set[str]:
    """List the annotators of a task.

    Parameters
    ----------
    task
        One element of a JSON export.

    Returns
    -------
    set[str]
        Ids of all who have an annotation in the task, also one that cannot be used.
    """
    annotations = task.get("annotations")
    annotator_ids = (
        _read_annotator_id(annotation.get("completed_by"))
        for annotation in (annotations if isinstance(annotations, list) else ())
        if isinstance(annotation, dict)
    )
    return {annotator_id for annotator_id in annotator_ids if annotator_id is not None}


def iterate_submissions(
    task: dict[str, Any],
    place: Place,
    reject: RejectCallback,
    names: ControlNames,
    controls: frozenset[str],
    size: PixelSize | None,
) -> Iterator[Submission]:
    """Read the usable annotations of a task, in their order; drafts and predictions are ignored.

    Parameters
    ----------
    task
        One element of a JSON export.
    place
        File and row of the task, for rejections.
    reject
        Receives a `Rejection` for everything that cannot be used.
    names
        Names of controls and labels.
    controls
        Controls of the stage.  An annotation with an item of another stage is rejected as a whole: it must not be read
        as an empty answer.
    size
        (width, height) of the edited image as displayed, in pixels; None if boxes and disks are not read.

    Yields
    ------
    Submission
        One for each usable annotation.
    """
    annotations = task.get("annotations")
    pair_id = read_pair_id(task, names)
    other_form = diagnose_other_export(task)
    if other_form is not None:
        reject(Rejection("annotation", place.file, place.row, *other_form, pair_id))
        return
    if pair_id is None:
        message = f"Expected {describe_missing_pair_id(task, names)}; the task was not read."
        reject(Rejection("annotation", place.file, place.row, "no_pair_id", message))
        return
    if not isinstance(annotations, list):
        message = f"Expected a list of annotations in the task, got {type(annotations).__name__}."
        reject(Rejection("annotation", place.file, place.row, "bad_annotations", message, pair_id))
        return
    for annotation in annotations:
        source = _read_context(annotation, pair_id, place, reject)
        if source is None or not _is_submitted(annotation, source):
            continue
        reason = _diagnose_results(annotation["result"], names, controls, size)
        if reason is not None:
            source.reject("annotation", *reason)
            continue
        if is_declined(annotation, names):
            message = "The annotator cannot judge this pair; the annotation does not count."
            source.reject("annotation", "cannot_judge", message)
            continue
        yield _group_items(annotation["result"], source, names)


def is_on_image(item: dict[str, Any], names: ControlNames) -> bool:
    """Whether a result is about the image on which annotators draw, and not the source or a later image of a list."""
    return item.get("to_name", names.image) == names.image and item.get("item_index") in (None, 0)


def is_declined(annotation: Mapping[str, Any], names: ControlNames | None = None) -> bool:
    """Whether an annotation, which may be damaged, says that its author cannot judge the pair.

    Parameters
    ----------
    annotation
        An annotation of an exported task.
    names
        Names of controls; by default those of our own interfaces.
    """
    control = (names or ControlNames()).cannot_judge
    result = annotation.get("result")
    values = [
        item.get("value")
        for item in (result if isinstance(result, list) else ())
        if isinstance(item, dict) and item.get("from_name") == control
    ]
    return any(isinstance(value, dict) and value.get("choices") for value in values)


def parse_finite_number(value: object) -> float | None:
    """A finite float; None for texts, booleans, NaN, infinities and integers that overflow a float."""
    if type(value) is not float and type(value) is not int:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def read_choices(item: ResultItem) -> list[str] | None:
    """The chosen texts of a Choices item; None if it holds anything else."""
    choices = item.value.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return None
    return choices


def read_text_area(item: ResultItem, source: SubmissionContext) -> str | None:
    """The text of a TextArea item, in NFC and stripped; None if it is empty or was rejected."""
    text = item.value.get("text")
    lines = [text] if isinstance(text, str) else text
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        source.reject("result", "bad_text", "Expected a list of texts in a text area.", item.item_id)
        return None
    joined = "\n".join(lines)
    if not is_unicode(joined):
        source.reject("result", "bad_text", "The text contains half of a surrogate pair.", item.item_id)
        return None
    # The length limit holds for the NFC form, which can be longer, so that a text that was read can be read again.
    text = normalize_text(joined)
    if len(text) > MAX_TEXT_LENGTH:
        message = f"The text has {len(text):,} characters: at most {MAX_TEXT_LENGTH:,} are read."
        source.reject("result", "text_too_long", message, item.item_id)
        return None
    return text or None


def quote_excerpt(value: object) -> str:
    """For a message: the first 40 characters of a text, quoted, or the type of another value."""
    if isinstance(value, str):
        return repr(value[:40])
    return "null" if value is None else type(value).__name__


def _read_context(annotation: object, pair_id: str, place: Place, reject: RejectCallback) -> SubmissionContext | None:
    """Annotator and time of an annotation; None if it was rejected because it has no valid annotator."""
    if not isinstance(annotation, dict):
        message = f"Expected an annotation (a JSON object), got {type(annotation).__name__}."
        reject(Rejection("annotation", place.file, place.row, "bad_annotation", message, pair_id))
        return None
    annotator_id = _read_annotator_id(annotation.get("completed_by"))
    if annotator_id is None:
        message = "Expected the number of the annotator, or an object with id or email, in 'completed_by'."
        reject(Rejection("annotation", place.file, place.row, "no_annotator", message, pair_id))
        return None
    at = _normalize_time(annotation.get("updated_at")) or _normalize_time(annotation.get("created_at"))
    source = SubmissionContext(pair_id, annotator_id, at or "", place, reject)
    if at is None:
        message = "Expected an ISO time in 'updated_at' or 'created_at'; the annotation counts as the oldest."
        source.reject("annotation", "bad_time", message, repaired=True)
    return source


def _read_annotator_id(value: object) -> str | None:
    """The number of a user as text, else the e-mail; None if neither is valid."""
    if isinstance(value, dict):
        email = value.get("email")
        annotator_id = _read_annotator_id(value.get("id"))
        if annotator_id is not None:
            return annotator_id
        return email if isinstance(email, str) and describe_bad_id(email) is None else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63:
        return str(value)
    return None


def _normalize_time(value: object) -> str | None:
    """The time in UTC with microseconds, so that times compare as texts; a time without a zone is in UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        utc = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _is_submitted(annotation: dict[str, Any], source: SubmissionContext) -> bool:
    """Whether the annotation was submitted, not skipped, with a list of results that is not too long."""
    if annotation.get("was_cancelled"):
        source.reject("annotation", "cancelled", "The annotator skipped this task; the annotation does not count.")
        return False
    result = annotation.get("result")
    if not isinstance(result, list):
        message = f"Expected a list of results in the annotation, got {type(result).__name__}."
        source.reject("annotation", "bad_result", message)
        return False
    relations = sum(isinstance(item, dict) and item.get("type") == "relation" for item in result)
    if max(relations, len(result) - relations) > MAX_RESULT_ITEMS:
        message = (
            f"The annotation has {len(result):,} results; at most {MAX_RESULT_ITEMS:,} and as many relations are read."
        )
        source.reject("annotation", "too_many_results", message)
        return False
    return True


def _diagnose_results(
    result: list[Any], names: ControlNames, controls: frozenset[str], size: PixelSize | None
) -> tuple[str, str] | None:
    """Reason and message if the whole annotation is rejected: another stage, or another image size; else None."""
    types = names.types
    for item in result:
        control = item.get("from_name") if isinstance(item, dict) else None
        if not isinstance(control, str) or control not in types:
            continue
        if control not in controls:
            message = f"The control {control!r} belongs to another stage than this file."
            return "wrong_stage", message
        if size is not None and control in (names.box, names.disk) and is_on_image(item, names):
            width, height = item.get("original_width", size[0]), item.get("original_height", size[1])
            if (width, height) != size:
                drawn_size = " x ".join(
                    "?" if (n := parse_finite_number(length)) is None else f"{n:g}" for length in (width, height)
                )
                message = f"It was drawn on an image of {drawn_size} pixels; the corpus has {size[0]} x {size[1]}."
                return "wrong_size", message
    return None


def _group_items(result: list[Any], source: SubmissionContext, names: ControlNames) -> Submission:
    """The items by control; malformed items, unknown controls and repeated ids are rejected."""
    items: dict[str, list[ResultItem]] = {}
    relations: list[dict[str, Any]] = []
    unknown_marks = False
    seen: set[tuple[str, str]] = set()
    types = names.types
    drawn = (names.box, names.disk)
    for raw in result:
        if not isinstance(raw, dict):
            source.reject("result", "bad_item", f"Expected a result (a JSON object), got {type(raw).__name__}.")
            unknown_marks = True
            continue
        kind = raw.get("type")
        if kind == "relation":
            relations.append(raw)
            continue
        control, name, value = raw.get("from_name"), raw.get("id"), raw.get("value")
        if not isinstance(name, str) or describe_bad_id(name) is not None:
            name = None
        if not isinstance(control, str) or types.get(control, "") != kind:
            message = f"The interface has no control {quote_excerpt(control)} of type {quote_excerpt(kind)}."
            source.reject("result", "unknown_control", message, name)
            unknown_marks = unknown_marks or not isinstance(kind, str) or kind not in ANSWER_TYPES
            continue
        if name is not None:
            # A box and its answers share one id by design; two boxes or disks never do.
            key = ("drawn" if control in drawn else control, name)
            if key in seen:
                what = {names.box: "box", names.disk: "disk"}.get(control, "result")
                source.reject(what, "duplicate_id", "An earlier result of this annotation has the same id.", name)
                continue
            seen.add(key)
        items.setdefault(control, []).append(ResultItem(name, value if isinstance(value, dict) else {}, raw))
    return Submission(source, items, relations, unknown_marks)

"""What every stage has in common: whose submission it is, when it came, and its result items by id."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from annotation.export.names import Names
from annotation.jsonlines import Reject
from annotation.records import Place, Rejection
from annotation.text import MAX_TEXT, bad_id, is_unicode, normal

MAX_RESULTS = 1_000
"""Result items of the longest annotation that is read; as many relations may come on top, one for every disk."""

Size = tuple[int, int]


class Item(NamedTuple):
    """One result: its id (None when it has none that can be used), its value, and all of it."""

    item_id: str | None
    value: dict[str, Any]
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Who said it, of which pair, when and where it is written; `reject` notes what of it cannot be used."""

    pair_id: str
    annotator_id: str
    at: str
    place: Place
    report: Reject

    def reject(self, what: str, reason: str, message: str, item_id: str | None = None, repaired: bool = False) -> None:
        file, row = self.place
        self.report(Rejection(what, file, row, reason, message, self.pair_id, item_id, self.annotator_id, repaired))


@dataclass(frozen=True, slots=True)
class Submission:
    """One annotation that counts: its result items by control (in their order), and its relations."""

    source: Source
    items: dict[str, list[Item]] = field(default_factory=dict)
    relations: list[dict[str, Any]] = field(default_factory=list)

    def of(self, control: str) -> list[Item]:
        """The items that one control wrote."""
        return self.items.get(control, [])


def pair_id_of(task: dict[str, Any], names: Names | None = None) -> str | None:
    """The pair that a task is about; None when its data does not say."""
    data = task.get("data")
    value = data.get((names or Names()).pair_id) if isinstance(data, dict) else None
    return value if isinstance(value, str) and bad_id(value) is None else None


def annotators_of(task: dict[str, Any]) -> set[str]:
    """Ids of everyone who has an annotation in the task, usable or not."""
    annotations = task.get("annotations")
    found = (
        _annotator(annotation.get("completed_by"))
        for annotation in (annotations if isinstance(annotations, list) else ())
        if isinstance(annotation, dict)
    )
    return {annotator_id for annotator_id in found if annotator_id is not None}


def submissions(
    task: dict[str, Any], place: Place, reject: Reject, names: Names, controls: frozenset[str], size: Size | None
) -> Iterator[Submission]:
    """The task's annotations that can be used, in their order; drafts and predictions are left alone.

    `controls` are those of the stage: an annotation with an item of another stage is set aside whole, since reading it
    as an empty answer would be wrong.  `size` is (width, height) of the picture; None where nothing drawn is read.
    """
    annotations = task.get("annotations")
    pair_id = pair_id_of(task, names)
    if pair_id is None:
        message = f"Expected the pair's id under {names.pair_id!r} in the task's data; the task was not read."
        reject(Rejection("annotation", place.file, place.row, "no_pair_id", message))
        return
    if not isinstance(annotations, list):
        message = f"Expected a list of annotations in the task, got {type(annotations).__name__}."
        reject(Rejection("annotation", place.file, place.row, "bad_annotations", message, pair_id))
        return
    for annotation in annotations:
        source = _source(annotation, pair_id, place, reject)
        if source is None or not _counts(annotation, source):
            continue
        fault = _unusable(annotation["result"], names, controls, size)
        if fault is not None:
            source.reject("annotation", *fault)
            continue
        yield _sorted_items(annotation["result"], source, names)


def number(value: object) -> float | None:
    """A finite number, or None: texts, true and false, NaN and what overflows a float are none."""
    if type(value) is not float and type(value) is not int:
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def chosen(item: Item) -> list[str] | None:
    """The texts of a Choices item; None when it holds anything else."""
    choices = item.value.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return None
    return choices


def written(item: Item, source: Source) -> str | None:
    """The text of a TextArea item, composed (NFC) and without blanks at its ends; None when empty or refused."""
    text = item.value.get("text")
    lines = [text] if isinstance(text, str) else text
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        source.reject("result", "bad_text", "Expected a list of texts in a text area.", item.item_id)
        return None
    joined = "\n".join(lines)
    if not is_unicode(joined):
        source.reject("result", "bad_text", "The text holds half of a surrogate pair.", item.item_id)
        return None
    # The composed form is measured, which can be the longer one: what is read can be written and read again.
    text = normal(joined)
    if len(text) > MAX_TEXT:
        message = f"The text has {len(text):,} characters: at most {MAX_TEXT:,} are read."
        source.reject("result", "text_too_long", message, item.item_id)
        return None
    return text or None


def excerpt(value: object) -> str:
    """A text's first 40 characters, or what a value is, for a message."""
    if isinstance(value, str):
        return repr(value[:40])
    return "null" if value is None else type(value).__name__


def _source(annotation: object, pair_id: str, place: Place, reject: Reject) -> Source | None:
    if not isinstance(annotation, dict):
        message = f"Expected an annotation (a JSON object), got {type(annotation).__name__}."
        reject(Rejection("annotation", place.file, place.row, "bad_annotation", message, pair_id))
        return None
    annotator_id = _annotator(annotation.get("completed_by"))
    if annotator_id is None:
        message = "Expected the annotator's number, or an object with id or email, in 'completed_by'."
        reject(Rejection("annotation", place.file, place.row, "no_annotator", message, pair_id))
        return None
    at = _time(annotation.get("updated_at")) or _time(annotation.get("created_at"))
    source = Source(pair_id, annotator_id, at or "", place, reject)
    if at is None:
        message = "Expected an ISO time in 'updated_at' or 'created_at'; it counts as older than any other."
        source.reject("annotation", "bad_time", message, repaired=True)
    return source


def _annotator(value: object) -> str | None:
    if isinstance(value, dict):
        email = value.get("email")
        found = _annotator(value.get("id"))
        if found is not None:
            return found
        return email if isinstance(email, str) and bad_id(email) is None else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63:
        return str(value)
    return None


def _time(value: object) -> str | None:
    """The time in UTC with microseconds, so that times compare as texts; one without a zone is UTC already."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        utc = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _counts(annotation: dict[str, Any], source: Source) -> bool:
    """Whether the person submitted it, with a list of results."""
    if annotation.get("was_cancelled"):
        source.reject("annotation", "cancelled", "The person skipped this task; the annotation does not count.")
        return False
    result = annotation.get("result")
    if not isinstance(result, list):
        message = f"Expected a list of results in the annotation, got {type(result).__name__}."
        source.reject("annotation", "bad_result", message)
        return False
    relations = sum(isinstance(item, dict) and item.get("type") == "relation" for item in result)
    if max(relations, len(result) - relations) > MAX_RESULTS:
        message = f"The annotation has {len(result):,} results: at most {MAX_RESULTS:,} and as many relations are read."
        source.reject("annotation", "too_many_results", message)
        return False
    return True


def _unusable(result: list[Any], names: Names, controls: frozenset[str], size: Size | None) -> tuple[str, str] | None:
    """Why the whole annotation is set aside, if it is: another picture, or another stage."""
    types = names.types
    for item in result:
        control = item.get("from_name") if isinstance(item, dict) else None
        if not isinstance(control, str) or control not in types:
            continue
        if control not in controls:
            message = f"The control {control!r} belongs to another stage: this file holds something else by its name."
            return "wrong_stage", message
        if size is not None and control in (names.box, names.disk):
            width, height = item.get("original_width", size[0]), item.get("original_height", size[1])
            if (width, height) != size:
                came = " x ".join("?" if (n := number(length)) is None else f"{n:g}" for length in (width, height))
                message = f"It was drawn on a picture of {came} pixels, the corpus has {size[0]} x {size[1]}."
                return "wrong_size", message
    return None


def _sorted_items(result: list[Any], source: Source, names: Names) -> Submission:
    """The items by control; what is no item, of no known control, or there twice is rejected."""
    submission = Submission(source)
    seen: set[tuple[str, str]] = set()
    types = names.types
    drawn = (names.box, names.disk)
    for raw in result:
        if not isinstance(raw, dict):
            source.reject("result", "bad_item", f"Expected a result (a JSON object), got {type(raw).__name__}.")
            continue
        kind = raw.get("type")
        if kind == "relation":
            submission.relations.append(raw)
            continue
        control, name, value = raw.get("from_name"), raw.get("id"), raw.get("value")
        if not isinstance(name, str) or bad_id(name) is not None:
            name = None
        if not isinstance(control, str) or types.get(control, "") != kind:
            message = f"No control {excerpt(control)} of type {excerpt(kind)} is in the interface."
            source.reject("result", "unknown_control", message, name)
            continue
        if name is not None:
            # A box and what is said of it share one id by design; two drawn things never do.
            key = ("drawn" if control in drawn else control, name)
            if key in seen:
                what = {names.box: "box", names.disk: "disk"}.get(control, "result")
                source.reject(what, "duplicate_id", "An earlier result of this annotation has the same id.", name)
                continue
            seen.add(key)
        submission.items.setdefault(control, []).append(Item(name, value if isinstance(value, dict) else {}, raw))
    return submission

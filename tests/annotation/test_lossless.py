"""Import, export, import: what was read of an export, written as Label Studio's JSON, is read as it was.

The exports are untidy ones: what cannot be used of them is set aside when they are read first, and never later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.labelstudio.read_export import read_export_tasks
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.read_ratings import read_export_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.records import Box, Disk, Mark, Place, Rationale, RegionalAnnotation, Rejection
from annotation.text import MAX_ID_LENGTH
from tests.annotation.records_as_export import rating_task, rationale_task, regional_task
from tests.annotation.untidy_exports import SIZES, drawn, item, reviewed, scored, tasks

PLACE = Place("annotations/x.json", 1)
KNOWN = {"bad_time", "no_scores"}
"""What a second reading may still say: a time that was none, and flags that came without scores."""


def ignored(rejection: Rejection) -> None:
    """The first reading: whatever is odd."""


def unexpected(rejection: Rejection) -> None:
    """The second reading: nothing is lost that the first one had."""
    assert rejection.reason in KNOWN, rejection


def through_a_file(task: dict[str, Any], path: Path) -> dict[str, Any]:
    """The task after a way through an export file."""
    path.write_bytes(b"[" + orjson.dumps(task) + b"]")
    [(row, found)] = read_export_tasks(path, path.name, unexpected)
    assert row == 1
    return found


def near(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether pixels are the same to 1e-9."""
    return list(found) == pytest.approx(list(expected), abs=1e-9, rel=0)


def pixels(marks: Sequence[Mark]) -> list[float]:
    return [edge for mark in marks for point in (mark.box, *mark.disks) for edge in point]


def without_pixels(one: RegionalAnnotation) -> RegionalAnnotation:
    nowhere = Box(0, 0, 0, 0)
    marks = tuple(replace(mark, box=nowhere, disks=len(mark.disks) * (Disk(0, 0),)) for mark in one.marks)
    return replace(one, marks=marks, faults=())  # a mark that is set aside is not written again


@given(st.data(), SIZES)
def test_marks_of_any_number_of_annotators_and_rounds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, size: tuple[int, int]
) -> None:
    task = data.draw(tasks(drawn(size)))
    first = read_regional_annotations(task, PLACE, size, ignored)
    written = through_a_file(
        regional_task(task["data"]["pair_id"], first, size), tmp_path_factory.getbasetemp() / "regions.json"
    )
    second = read_regional_annotations(written, PLACE, size, unexpected)
    assert [without_pixels(one) for one in second] == [without_pixels(one) for one in first]
    for one, other in zip(first, second, strict=True):
        assert near(pixels(other.marks), pixels(one.marks))


def without_box(one: Rationale) -> Rationale:
    return replace(one, box=Box(0, 0, 0, 0) if one.box else None)


def in_order(statements: list[Rationale]) -> list[Rationale]:
    return sorted(statements, key=lambda one: (repr(without_box(one)), one.box or ()))


@given(st.data(), SIZES)
def test_texts_of_any_number_of_reviewers_and_rounds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, size: tuple[int, int]
) -> None:
    task = data.draw(tasks(reviewed(size)))
    first = read_rationales(task, PLACE, size, ignored)
    written = through_a_file(
        rationale_task(task["data"]["pair_id"], first, size), tmp_path_factory.getbasetemp() / "rationales.json"
    )
    second = read_rationales(written, PLACE, size, unexpected)
    # Statements are ordered by time and content (`annotation.rationales.sort_statements`), never by their rows.
    first, second = in_order(first), in_order(second)
    assert [without_box(one) for one in second] == [without_box(one) for one in first]
    for one, other in zip(first, second, strict=True):
        assert near(other.box or (), one.box or ())


@given(st.data())
def test_scores_and_flags_of_any_number_of_raters_and_rounds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    task = data.draw(tasks(scored()))
    first, flags = read_export_ratings(task, PLACE, ignored)
    written = through_a_file(
        rating_task(task["data"]["pair_id"], first, flags), tmp_path_factory.getbasetemp() / "ratings.json"
    )
    second, flags_again = read_export_ratings(written, PLACE, unexpected)
    assert second == first
    assert sorted(map(repr, flags_again)) == sorted(map(repr, flags))


def test_many_disks_without_relations_are_read_again_with_theirs() -> None:
    size = (1000, 1000)
    box = item(
        "b", "box", "rectanglelabels", {"x": 0, "y": 0, "width": 100, "height": 100, "rectanglelabels": ["failure"]}
    )
    disks = [
        item(f"d{number}", "disk", "keypointlabels", {"x": number / 10, "y": 50, "keypointlabels": ["failure"]})
        for number in range(999)
    ]
    annotation = {"completed_by": 1, "updated_at": "2026-01-01", "result": [box, *disks]}
    first = read_regional_annotations({"data": {"pair_id": "p"}, "annotations": [annotation]}, PLACE, size, unexpected)
    assert len(first[0].marks[0].disks) == 999
    second = read_regional_annotations(regional_task("p", first, size), PLACE, size, unexpected)
    assert [len(mark.disks) for mark in second[0].marks] == [999]


def test_disks_of_boxes_with_the_longest_ids_find_their_boxes() -> None:
    marks = tuple(
        Mark("x" * (MAX_ID_LENGTH - 1) + end, "artifact", Box(0, 0, 10, 10), (Disk(1, 1), Disk(2, 2))) for end in "ab"
    )
    first = [RegionalAnnotation("p", "1", marks, "2026-01-01T00:00:00.000000Z", PLACE)]
    assert read_regional_annotations(regional_task("p", first, (100, 100)), PLACE, (100, 100), unexpected) == first


@settings(max_examples=30)
@given(st.data(), SIZES)
def test_pixels_do_not_wander_from_reading_to_reading(data: st.DataObject, size: tuple[int, int]) -> None:
    first = read = read_regional_annotations(data.draw(tasks(drawn(size))), PLACE, size, ignored)
    for _ in range(20):
        read = read_regional_annotations(regional_task("p", read, size), PLACE, size, unexpected)
    assert [near(pixels(one.marks), pixels(other.marks)) for one, other in zip(read, first, strict=True)] == [
        True
    ] * len(first)

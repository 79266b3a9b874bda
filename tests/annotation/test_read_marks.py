"""Stage 1: each rule by which boxes and disks are read out of a result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotation.labelstudio.read_export import read_export_tasks
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.results import build_annotation_json, build_task_json, rating_results, regional_results
from annotation.labelstudio.submissions import ControlNames
from annotation.records import Box, Disk, Mark, Place, RegionalAnnotation, Rejection

REAL_ANSWERS = Path(__file__).parents[1] / "data" / "labelstudio"
PLACE = Place("annotations/regions.json", 4)
AT = "2026-01-02T03:04:05.000000Z"
SIZE = (1000, 400)  # a disk's radius is 20 pixels


def box(name: str, x0: float, y0: float, x1: float, y1: float, kind: str = "artifact") -> dict:
    """A rectangle in pixels, as the server writes it."""
    mark = Mark(name, kind, Box(x0, y0, x1, y1), ())  # type: ignore[arg-type]
    return regional_results([mark], *SIZE)[0]


def disk(name: str, x: float, y: float, kind: str = "artifact") -> dict:
    mark = Mark("_", kind, Box(0, 0, 1, 1), (Disk(x, y),))  # type: ignore[arg-type]
    return regional_results([mark], *SIZE)[1] | {"id": name}


def relation(first: str, second: str, **more: Any) -> dict:
    return {"type": "relation", "from_id": first, "to_id": second, "direction": "right"} | more


def choice(name: str, control: str, *words: object) -> dict:
    return {"id": name, "from_name": control, "to_name": "edited", "type": "choices", "value": {"choices": list(words)}}


def read(*results: object, **changes: Any) -> tuple[list[RegionalAnnotation], list[Rejection]]:
    annotation = build_annotation_json(1, 1, 1, 3, [], AT, 1.0) | {"result": list(results)} | changes
    return read_task(build_task_json(1, 1, {"pair_id": "p1"}, [], AT) | {"annotations": [annotation]})


def read_task(task: Any, names: ControlNames | None = None) -> tuple[list[RegionalAnnotation], list[Rejection]]:
    rejected: list[Rejection] = []
    return read_regional_annotations(task, PLACE, SIZE, rejected.append, names), rejected


def owners(found: list[RegionalAnnotation]) -> dict[str, list[tuple[float, float]]]:
    return {mark.mark_id: [tuple(disk) for disk in mark.disks] for one in found for mark in one.marks}  # type: ignore[misc]


def reasons(rejected: list[Rejection]) -> list[tuple[str, str]]:
    assert all((one.file, one.row) == PLACE for one in rejected)
    return [(one.what, one.reason) for one in rejected]


BOX, DISK = box("b", 100, 100, 200, 200), disk("d", 150, 150)


def change(item: dict, **value: Any) -> dict:
    return item | {"value": item["value"] | value}


# Which disk belongs to which box


@pytest.mark.parametrize("ends", [("d", "b"), ("b", "d")])
@pytest.mark.parametrize("labels", [{}, {"labels": None}, {"labels": []}, {"labels": ["disk_of"]}])
def test_a_relation_in_either_direction_decides_however_far_the_disk_is(ends: tuple[str, str], labels: dict) -> None:
    found, rejected = read(BOX, disk("d", 900, 300), relation(*ends, **labels))
    assert owners(found) == {"b": [pytest.approx((900, 300))]}
    assert rejected == []


def test_a_relation_goes_before_containment() -> None:
    found, _ = read(BOX, box("far", 500, 0, 600, 100), DISK, disk("e", 550, 50), relation("d", "far"))
    assert {name: len(disks) for name, disks in owners(found).items()} == {"far": 2}


def test_without_a_relation_the_smallest_box_of_its_kind_around_the_disk() -> None:
    large, small = box("large", 100, 100, 400, 300), box("small", 120, 120, 200, 200)
    other = box("other", 140, 140, 160, 160, "failure")
    found, rejected = read(small, large, other, DISK, disk("e", 300, 250), disk("f", 141, 141, "failure"))
    assert {name: len(disks) for name, disks in owners(found).items()} == {"small": 1, "large": 1, "other": 1}
    assert rejected == []


@pytest.mark.parametrize(("x", "y", "kept"), [(219, 150, True), (220, 150, True), (221, 150, False), (215, 215, False)])
def test_without_a_box_around_it_the_nearest_within_the_radius(x: float, y: float, kept: bool) -> None:
    found, rejected = read(BOX, DISK, disk("e", x, y))
    assert len(owners(found)["b"]) == 1 + kept
    assert reasons(rejected) == ([] if kept else [("disk", "disk_without_box")])


def test_of_two_near_boxes_the_nearer() -> None:
    found, _ = read(BOX, DISK, box("right", 225, 100, 300, 200), disk("e", 260, 150), disk("near-right", 215, 150))
    assert {name: len(disks) for name, disks in owners(found).items()} == {"b": 1, "right": 2}


def test_a_disk_of_another_kind_belongs_to_no_box() -> None:
    found, rejected = read(BOX, DISK, disk("e", 160, 160, "failure"))
    assert len(owners(found)["b"]) == 1
    assert reasons(rejected) == [("disk", "disk_without_box")]
    assert rejected[0].item_id == "e"


def test_a_box_without_a_disk_does_not_count() -> None:
    found, rejected = read(BOX, DISK, box("lonely", 600, 100, 700, 200))
    assert list(owners(found)) == ["b"]
    assert reasons(rejected) == [("box", "box_without_disk")]
    assert rejected[0].item_id == "lonely"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (relation("d", "gone"), "unknown_relation"),
        (relation("gone", "b"), "unknown_relation"),
        (relation("d", "b", labels=["twin_of"]), "unknown_relation"),
        (relation("d", "b", labels="disk_of"), "unknown_relation"),
        (relation("d", "b", from_id=None), "unknown_relation"),
        (relation("d", "b", to_id={"id": "b"}), "unknown_relation"),
        (relation("d", "e"), "bad_relation"),
        (relation("b", "c"), "bad_relation"),
        (relation("d", "d"), "bad_relation"),
        (relation("d", "f"), "kinds_differ"),
        (relation("f", "d"), "kinds_differ"),
    ],
)
def test_a_relation_that_joins_no_disk_to_a_box_of_its_kind_is_rejected_and_place_decides(
    item: dict, reason: str
) -> None:
    drawn = [BOX, DISK, disk("e", 160, 160), box("c", 300, 100, 400, 200), disk("g", 350, 150)]
    failure = [box("f", 600, 100, 700, 200, "failure"), disk("h", 650, 150, "failure")]
    found, rejected = read(*drawn, *failure, item)
    assert {name: len(disks) for name, disks in owners(found).items()} == {"b": 2, "c": 1, "f": 1}
    assert reasons(rejected) == [("result", reason)]


def test_of_two_relations_of_a_disk_the_first_counts() -> None:
    second = box("c", 300, 100, 400, 200)
    found, rejected = read(BOX, second, DISK, disk("e", 350, 150), relation("d", "c"), relation("d", "b"))
    assert {name: len(disks) for name, disks in owners(found).items()} == {"c": 2}
    assert reasons(rejected) == [("result", "second_relation"), ("box", "box_without_disk")]


def test_a_disk_of_a_box_that_was_set_aside_goes_to_no_other() -> None:
    turned = change(box("turned", 100, 100, 300, 300), rotation=10)
    _, rejected = read(BOX, DISK, turned, disk("e", 110, 110), relation("e", "turned"))
    assert ("disk", "disk_without_box") in reasons(rejected)


# Geometry


def test_boxes_are_clipped_to_the_picture() -> None:
    found, rejected = read(box("b", -0.5, 300, 100, 400.9), disk("d", 10, 350))
    assert found[0].marks[0].box == pytest.approx((0, 300, 100, 400))
    assert rejected == []


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        (box("b", -50, 300, 100, 500), (0, 300, 100, 400)),
        (change(BOX, x=20, y=10, width=500, height=60), (200, 40, 1000, 280)),
        (change(BOX, x=-5, y=0, width=20, height=50), (0, 0, 150, 200)),
        (change(BOX, x=10, y=10, width=20, height=1e300), (100, 40, 300, 400)),
    ],
)
def test_a_box_far_out_of_the_image_is_cut_and_told(item: dict, kept: tuple[float, ...]) -> None:
    found, [told] = read(item, disk("d", *kept[:2]))
    assert found[0].marks[0].box == pytest.approx(kept)
    assert (told.what, told.reason, told.item_id, told.repaired) == ("box", "clipped", "b", True)
    assert "per cent" in told.message


# What is drawn is the box, however Label Studio wrote it: flipped, or turned by quarters.

STANDING = Box(100, 40, 300, 200)


@pytest.mark.parametrize(
    "value",
    [
        {"x": 10, "y": 10, "width": 20, "height": 40},
        {"x": 30, "y": 50, "width": -20, "height": -40},
        {"x": 30, "y": 10, "width": -20, "height": 40},
        {"x": 10, "y": 50, "width": 20, "height": -40},
    ],
)
def test_a_box_that_was_flipped_over_its_own_edge(value: dict) -> None:
    found, rejected = read(change(BOX, **value), disk("d", 150, 150))
    assert found[0].marks[0].box == pytest.approx(STANDING)
    assert rejected == []


@pytest.mark.parametrize(
    "degrees", [0, None, 360, -360, 720, 1080.0, 1e-14, -1e-9, 359.99999999, "0", "360.0", 0.0, 360 * 10**9]
)
@pytest.mark.parametrize("key", ["rotation", "image_rotation"])
def test_no_rotation_in_any_writing(key: str, degrees: object) -> None:
    item = change(BOX, rotation=degrees) if key == "rotation" else BOX | {key: degrees}
    found, rejected = read(item, DISK | ({key: degrees} if key == "image_rotation" else {}))
    assert found[0].marks[0].box == pytest.approx((100, 100, 200, 200))
    assert rejected == []


@pytest.mark.parametrize("degrees", [90, 180, 270, -90, 450, "90", 90 + 1e-9, 0, 180 - 1e-9])
@pytest.mark.parametrize("sides", [(5, 10), (-5, 10), (-5, -10)])
def test_a_box_turned_by_quarters_is_where_label_studio_puts_its_corners(
    degrees: float | str, sides: tuple[float, float]
) -> None:
    from label_studio_sdk.converter.utils import convert_annotation_to_yolo_obb

    value = {"x": 40.0, "y": 50.0, "width": sides[0], "height": sides[1], "rotation": float(degrees)}
    label = value | {"original_width": SIZE[0], "original_height": SIZE[1]}
    corners = [(x * SIZE[0], y * SIZE[1]) for x, y in convert_annotation_to_yolo_obb(label)]
    xs, ys = zip(*corners, strict=True)
    found, rejected = read(change(BOX, **value | {"rotation": degrees}), disk("d", sum(xs) / 4, sum(ys) / 4))
    assert rejected == []
    assert found[0].marks[0].box == pytest.approx((min(xs), min(ys), max(xs), max(ys)), abs=1e-3)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (change(BOX, rotation=1), "rotated"),
        (change(BOX, rotation=0.3), "rotated"),
        (change(BOX, rotation=45), "rotated"),
        (change(BOX, rotation="a bit"), "rotated"),
        (change(BOX, rotation=True), "rotated"),
        (change(BOX, rotation=[]), "rotated"),
        (change(BOX, rotation=float("nan")), "rotated"),
        (BOX | {"image_rotation": 90}, "rotated"),
        (change(BOX, x="10"), "bad_number"),
        (change(BOX, x=True), "bad_number"),
        (change(BOX, y=None), "bad_number"),
        (change(BOX, width=float("nan")), "bad_number"),
        (change(BOX, height=float("inf")), "bad_number"),
        (change(BOX, x=10**400), "bad_number"),
        (change(BOX, width=0), "empty_box"),
        (change(BOX, height=-0.0), "empty_box"),
        (change(BOX, x=-1, width=-30), "outside_picture"),
        (change(BOX, x=100), "outside_picture"),
        (change(BOX, y=-60), "outside_picture"),
        (change(BOX, rectanglelabels=["flaw"]), "unknown_label"),
        (change(BOX, rectanglelabels=[]), "unknown_label"),
        (change(BOX, rectanglelabels=["artifact", "failure"]), "unknown_label"),
        (change(BOX, rectanglelabels="artifact"), "unknown_label"),
        (change(BOX, rectanglelabels=[{}]), "unknown_label"),
        (BOX | {"value": None}, "unknown_label"),
        (BOX | {"to_name": "source"}, "wrong_picture"),
        (BOX | {"to_name": "source", "original_width": 640, "original_height": 480}, "wrong_picture"),
        (BOX | {"item_index": 1}, "wrong_picture"),
        (BOX | {"item_index": 1, "original_width": 640}, "wrong_picture"),
        (BOX | {"id": None}, "no_id"),
        (BOX | {"id": "b\n"}, "no_id"),
    ],
)
def test_a_box_that_is_none_is_one_rejection(item: dict, reason: str) -> None:
    found, rejected = read(box("kept", 600, 100, 700, 200), disk("d", 650, 150), item)
    assert list(owners(found)) == ["kept"]
    assert reasons(rejected) == [("box", reason)]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (change(DISK, x=-0.1), "outside_picture"),
        (change(DISK, y=100.1), "outside_picture"),
        (change(DISK, x="5"), "bad_number"),
        (change(DISK, y=[]), "bad_number"),
        (change(DISK, keypointlabels=["disk"]), "unknown_label"),
        (DISK | {"to_name": "source"}, "wrong_picture"),
        (DISK | {"id": 3}, "no_id"),
    ],
)
def test_a_disk_that_is_none_is_one_rejection(item: dict, reason: str) -> None:
    found, rejected = read(BOX, disk("kept", 120, 120), item)
    assert len(owners(found)["b"]) == 1
    assert reasons(rejected) == [("disk", reason)]


@pytest.mark.parametrize(("x", "y"), [(0, 0), (1000, 400), (1000 + 1e-9, -1e-9)])
def test_a_disk_on_the_border_is_in_the_picture(x: float, y: float) -> None:
    found, rejected = read(box("b", 0, 0, 1000, 400), disk("d", x, y))
    assert rejected == []
    [(found_x, found_y)] = owners(found)["b"]
    assert 0 <= found_x <= 1000
    assert 0 <= found_y <= 400


@pytest.mark.parametrize(
    "sizes",
    [
        {"original_width": 400, "original_height": 1000},
        {"original_width": 1001},
        {"original_width": None},
        {"original_height": [400]},
        {"original_height": "400"},
    ],
)
def test_another_size_sets_the_whole_annotation_aside_at_once(sizes: dict) -> None:
    found, rejected = read(BOX | sizes, DISK | sizes, box("c", 1, 1, 9, 9), change(BOX, x="bad"))
    assert found == []
    assert reasons(rejected) == [("annotation", "wrong_size")]


# What is said of a box


def test_choices_and_text_belong_to_the_box_of_their_id() -> None:
    text = {"id": "b", "from_name": "rationale", "to_name": "edited", "type": "textarea"}
    found, rejected = read(
        choice("b", "flaw_type", "face"),
        choice("b", "severity", "minor"),
        text | {"value": {"text": ["  The e\u0301tat\nis wrong. "]}},
        DISK,
        BOX,
    )
    [mark] = found[0].marks
    assert (mark.flaw_type, mark.severity, mark.rationale) == ("face", "minor", "The état\nis wrong.")
    assert rejected == []


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (choice("b", "flaw_type", "not_executed"), "unknown_flaw_type"),  # a type of failures, not of artifacts
        (choice("b", "flaw_type", "Distortion"), "unknown_flaw_type"),
        (choice("b", "flaw_type", "face", "body"), "bad_choice"),
        (choice("b", "flaw_type", 3), "bad_choice"),
        (choice("b", "flaw_type") | {"value": {"choices": "face"}}, "bad_choice"),
        (choice("b", "flaw_type") | {"value": []}, "bad_choice"),
        (choice("b", "severity", "fatal"), "unknown_severity"),
        (choice("gone", "severity", "minor"), "unknown_region"),
        (choice("d", "severity", "minor"), "unknown_region"),
        (choice("b", "rationale") | {"type": "textarea", "value": {"text": 3}}, "bad_text"),
        (choice("b", "rationale") | {"type": "textarea", "value": {"text": ["\ud800"]}}, "bad_text"),
        (choice("b", "rationale") | {"type": "textarea", "value": {"text": ["x" * 10_001]}}, "text_too_long"),
    ],
)
def test_what_is_not_in_the_closed_lists_is_left_out_and_the_box_stays(item: dict, reason: str) -> None:
    found, rejected = read(BOX, DISK, item)
    [mark] = found[0].marks
    assert (mark.flaw_type, mark.severity, mark.rationale) == (None, None, None)
    assert reasons(rejected) == [("result", reason)]


# Whole annotations


@pytest.mark.parametrize("results", [[], [choice("n", "no_flaw", "no_flaw")]])
def test_an_annotation_without_marks_saw_no_flaw(results: list[dict]) -> None:
    found, rejected = read(*results)
    assert [one.marks for one in found] == [()]
    assert rejected == []


KEYED = {"pair_id": "p1", "key": "regional/p1/ann/0"}


def read_in_campaign(*results: object, **data: Any) -> tuple[list[RegionalAnnotation], list[Rejection]]:
    annotation = build_annotation_json(1, 1, 1, 3, [], AT, 1.0) | {"result": list(results)}
    return read_task(build_task_json(1, 1, KEYED | data, [], AT) | {"annotations": [annotation]})


NOTE = {"id": "n", "from_name": "note", "to_name": "edited", "type": "textarea", "value": {"text": ["No image!"]}}


@pytest.mark.parametrize("results", [[], [NOTE], [choice("n", "no_flaw")], [choice("n", "no_flaw"), NOTE]])
def test_in_a_campaign_an_answer_without_marks_says_no_flaw_or_does_not_count(results: list[dict]) -> None:
    found, [rejection] = read_in_campaign(*results)
    assert (found, rejection.reason) == ([], "nothing_marked")
    assert read_in_campaign(*results, key="of another tool")[0][0].marks == ()
    [found], _ = read_in_campaign(*results[1:], choice("f", "no_flaw", "no_flaw"))
    assert found.marks == ()


@pytest.mark.parametrize("results", [[], [NOTE], [BOX, DISK], [choice("f", "no_flaw", "no_flaw")]])
@pytest.mark.parametrize("data", [{}, KEYED])
def test_who_cannot_judge_says_nothing_about_the_pair(results: list[dict], data: dict) -> None:
    found, [rejection] = read_in_campaign(*results, choice("c", "cannot_judge", "cannot_judge"), **data)
    assert (found, rejection.reason) == ([], "cannot_judge")
    assert len(read(*results, choice("c", "cannot_judge"))[0]) == 1


@pytest.mark.parametrize(
    ("drawn", "faults"),
    [
        ([], ()),
        ([box("lonely", 600, 100, 700, 200)], ("box_without_disk",)),
        ([disk("e", 600, 150)], ("disk_without_box",)),
        ([disk("e", 160, 160, "failure")], ("kinds_mixed",)),
        (
            [box("f", 600, 100, 700, 200, "failure"), disk("e", 650, 150), disk("g", 660, 150), disk("h", 900, 150)],
            ("box_without_disk", "kinds_mixed", "kinds_mixed", "disk_without_box"),
        ),
    ],
)
def test_what_the_annotator_can_correct_is_counted(drawn: list[dict], faults: tuple[str, ...]) -> None:
    [found], rejected = read(BOX, DISK, *drawn)
    assert found.faults == faults
    assert len(rejected) == len(faults)


@pytest.mark.parametrize(("data", "shown"), [({}, "one"), ({"shows_disks": True}, "all"), ({"key": None}, None)])
def test_a_task_says_which_disks_it_showed(data: dict, shown: str | None) -> None:
    [found], _ = read_in_campaign(BOX, DISK, **data)
    assert found.shown_disks == shown


def test_no_flaw_with_boxes_keeps_the_boxes() -> None:
    found, [rejection] = read(BOX, DISK, choice("n", "no_flaw", "no_flaw"))
    assert list(owners(found)) == ["b"]
    assert (rejection.what, rejection.reason, rejection.repaired) == ("result", "contradiction", True)


def test_drawings_of_which_none_can_be_used_do_not_say_no_flaw() -> None:
    found, rejected = read(BOX)
    assert found == []
    assert reasons(rejected) == [("box", "box_without_disk"), ("annotation", "nothing_usable")]


def unknown(kind: str, control: str = "label", **value: object) -> dict:
    return {"id": "u", "from_name": control, "to_name": "edited", "type": kind, "value": value}


@pytest.mark.parametrize(
    "items",
    [
        (BOX | {"from_name": "label"}, DISK | {"from_name": "point"}),
        (DISK | {"from_name": "point"},),
        (unknown("ellipselabels", x=1, y=1, radiusX=3, radiusY=3), choice("n", "no_flaw", "no_flaw")),
        (unknown("polygonlabels", points=[[1, 1], [2, 2], [1, 2]]), choice("u", "flaw_type", "face")),
        (unknown("brushlabels", rle=[1, 2]),),
        (unknown("rectangle", "box", x=1, y=1, width=3, height=3),),
        (unknown("keypoint", "disk", x=1, y=1),),
        (unknown("cuboid of next year"),),
        (None,),
        ({},),
    ],
)
def test_marks_of_unknown_controls_do_not_say_no_flaw(items: tuple[Any, ...]) -> None:
    found, rejected = read(*items)
    assert found == []
    assert reasons(rejected)[-1] == ("annotation", "nothing_usable")


@pytest.mark.parametrize("item", [choice("x", "colour", "red"), unknown("rating", rating=3), unknown("number")])
def test_an_unknown_answer_is_no_mark(item: dict) -> None:
    found, rejected = read(item)
    assert [one.marks for one in found] == [()]
    assert reasons(rejected) == [("result", "unknown_control")]


def test_good_marks_count_beside_those_of_unknown_controls() -> None:
    found, rejected = read(BOX, DISK, unknown("brushlabels"))
    assert list(owners(found)) == ["b"]
    assert reasons(rejected) == [("result", "unknown_control")]


def test_a_skipped_task_does_not_count() -> None:
    found, rejected = read(BOX, DISK, was_cancelled=True)
    assert found == []
    assert reasons(rejected) == [("annotation", "cancelled")]


@pytest.mark.parametrize(
    ("who", "annotator_id"),
    [(3, "3"), ({"id": 6, "email": "a@example.com"}, "6"), ({"email": "a@example.com"}, "a@example.com")],
)
def test_who_did_it(who: object, annotator_id: str) -> None:
    assert read(BOX, DISK, completed_by=who)[0][0].annotator_id == annotator_id


@pytest.mark.parametrize("who", [None, "", "3", True, [], {}, {"id": None}, {"email": 3}, -1, 10**30, 3.0])
def test_nobody_did_it(who: object) -> None:
    found, rejected = read(BOX, DISK, completed_by=who)
    assert found == []
    assert reasons(rejected) == [("annotation", "no_annotator")]


def test_messages_never_name_a_person() -> None:
    _, rejected = read(BOX, completed_by={"email": "a@example.com"})
    assert rejected
    assert all("example.com" not in one.message and one.annotator_id == "a@example.com" for one in rejected)


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({}, AT),
        ({"updated_at": "2026-05-06T07:08:09Z"}, "2026-05-06T07:08:09.000000Z"),
        ({"updated_at": "2026-05-06T07:08:09.5+02:00"}, "2026-05-06T05:08:09.500000Z"),
        ({"updated_at": None}, AT),
        ({"updated_at": 3, "created_at": "2026-05-06"}, "2026-05-06T00:00:00.000000Z"),
    ],
)
def test_times_are_in_utc_so_that_they_compare_as_texts(changes: dict, at: str) -> None:
    [found], rejected = read(BOX, DISK, **changes)
    assert found.at == at
    assert rejected == []


@pytest.mark.parametrize("time", [None, "yesterday", "0001-01-01T00:00:00+14:00", {}])
def test_an_annotation_without_a_time_is_read_as_the_oldest(time: object) -> None:
    [found], [rejection] = read(BOX, DISK, updated_at=time, created_at=time)
    assert found.at == ""
    assert (rejection.reason, rejection.repaired) == ("bad_time", True)


@pytest.mark.parametrize(
    ("item", "what", "reason"),
    [
        (box("b", 300, 100, 400, 200), "box", "duplicate_id"),
        (disk("d", 160, 160), "disk", "duplicate_id"),
        (disk("b", 160, 160), "disk", "duplicate_id"),
        (choice("b", "flaw_type", "body"), "result", "duplicate_id"),
        (choice("x", "colour", "red"), "result", "unknown_control"),
        (choice("x", "box", "red"), "result", "unknown_control"),
        ({}, "result", "unknown_control"),
        ({"type": None, "from_name": None}, "result", "unknown_control"),
        ({"from_name": "colour"}, "result", "unknown_control"),
        ({"from_name": ["box"], "type": {}}, "result", "unknown_control"),
        (None, "result", "bad_item"),
        ("box", "result", "bad_item"),
        ([1], "result", "bad_item"),
    ],
)
def test_an_item_that_is_none_is_one_rejection(item: object, what: str, reason: str) -> None:
    found, rejected = read(BOX, DISK, choice("b", "flaw_type", "face"), item)
    [mark] = found[0].marks
    assert (mark.box, mark.flaw_type, len(mark.disks)) == (pytest.approx((100, 100, 200, 200)), "face", 1)
    assert reasons(rejected) == [(what, reason)]


def test_an_annotation_of_another_stage_is_not_read_as_an_empty_one() -> None:
    found, rejected = read(*rating_results({"perceptual_quality": 3.0}, []))
    assert found == []
    assert reasons(rejected) == [("annotation", "wrong_stage")]


@pytest.mark.parametrize(
    ("changes", "reason"), [({"result": None}, "bad_result"), ({"result": [BOX] * 1_001}, "too_many_results")]
)
def test_results_that_are_none(changes: dict, reason: str) -> None:
    found, rejected = read(**changes)
    assert found == []
    assert reasons(rejected) == [("annotation", reason)]


def test_both_submissions_of_one_person_are_returned() -> None:
    task = build_task_json(1, 1, {"pair_id": "p1"}, [], AT)
    task["annotations"] = [build_annotation_json(n, 1, 1, 3, [BOX, DISK], AT, 1.0) for n in (1, 2)]
    assert len(read_task(task)[0]) == 2


def test_drafts_and_predictions_are_left_alone() -> None:
    task = build_task_json(1, 1, {"pair_id": "p1"}, [], AT)
    task |= {"drafts": [{"result": [BOX]}], "predictions": [{"result": [BOX]}]}
    assert read_task(task) == ([], [])


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({}, "no_pair_id"),
        ({"data": {"pair_id": 3.5}}, "no_pair_id"),
        ({"data": ["p1"]}, "no_pair_id"),
        ({"data": {"pair_id": "p1"}}, "bad_annotations"),
        ({"data": {"pair_id": "p1"}, "annotations": {}}, "bad_annotations"),
        ({"data": {"pair_id": "p1"}, "annotations": [3]}, "bad_annotation"),
        ({"pair_id": "p1", "id": 3, "box": [], "annotator": 1, "annotation_id": 2}, "json_min_export"),
        ({"id": 3, "annotator": 1}, "json_min_export"),
        ({"id": 3, "result": [], "completed_by": {"id": 1}, "task": {"data": {}}}, "target_storage_export"),
        ({"id": 3, "result": [], "task": 7}, "target_storage_export"),
        ({"id": 3, "data": {"pair_id": "p1"}, "completions": [{"id": 1, "result": []}]}, "old_export"),
    ],
)
def test_a_task_that_is_none(task: dict, reason: str) -> None:
    found, rejected = read_task(task)
    assert found == []
    assert reasons(rejected) == [("annotation", reason)]


# The real server


@pytest.fixture
def real(tmp_path: Path) -> Callable[[], dict]:
    def task() -> dict:
        found = list(read_export_tasks(REAL_ANSWERS / "regional_task_from_browser.json", "real.json", pytest.fail))
        return found[0][1]

    return task


def test_what_a_browser_sent_is_read_with_that_interfaces_names(real: Callable[[], dict]) -> None:
    names = ControlNames(pair_id="uid", labels={"artifact": "artifact", "disk_artifact": "artifact"})
    rejected: list[Rejection] = []
    [found] = read_regional_annotations(real(), PLACE, (640, 400), rejected.append, names)
    [mark] = found.marks
    answer = json.loads((REAL_ANSWERS / "regional_task_from_browser.json").read_text())
    value = answer["annotations"][0]["result"][0]["value"]
    assert (found.pair_id, found.annotator_id, found.at) == ("img3", "6", "2026-11-23T18:53:08.396558Z")
    assert (mark.mark_id, mark.kind) == ("qlOI9Rniu7", "artifact")
    assert mark.box.x0 == pytest.approx(6.4 * value["x"])
    assert mark.box.area == pytest.approx(value["width"] * value["height"] * 6.4 * 4)
    assert mark.disks == (pytest.approx((6.4 * 75.17482517482517, 200)),)
    assert rejected == []


def test_with_our_own_names_it_is_set_aside_and_not_lost(real: Callable[[], dict]) -> None:
    found, rejected = read_task(real())
    assert found == []
    assert reasons(rejected) == [("annotation", "no_pair_id")]

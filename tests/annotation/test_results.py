"""Records written as the server's JSON: its shape, and that reading gives the records back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.read_ratings import read_export_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.labelstudio.results import (
    build_annotation_json,
    build_task_json,
    no_flaw_results,
    rating_results,
    rationale_results,
    regional_results,
)
from annotation.records import DIMENSIONS, KINDS, SEVERITIES, Box, Disk, Mark, Place, Region, Rejection
from annotation.taxonomy import list_flaw_types
from annotation.text import normalize_text

REAL_ANSWERS = Path(__file__).parents[1] / "data" / "labelstudio"
PLACE = Place("annotations/x.json", 1)
AT = "2026-01-02T03:04:05.000000Z"
WIDTH, HEIGHT = 640, 400

MARK = Mark(
    "m1", "artifact", Box(64, 40, 128, 200), (Disk(70, 50), Disk(100, 150)), "face", "severe", "The mouth is missing."
)


def whole(results: list[dict], annotator: int = 3) -> dict:
    annotation = build_annotation_json(7, 1, 2, annotator, results, AT, 12.5)
    return json.loads(json.dumps(build_task_json(1, 2, {"pair_id": "p1"}, [annotation], AT)))


# Shape


def test_coordinates_are_per_cent_of_the_picture() -> None:
    box = regional_results([MARK], WIDTH, HEIGHT)[0]
    assert box["value"] == {
        "x": 10.0,
        "y": 10.0,
        "width": 10.0,
        "height": 40.0,
        "rotation": 0,
        "rectanglelabels": ["artifact"],
    }
    assert (box["original_width"], box["original_height"]) == (WIDTH, HEIGHT)


def test_choices_and_text_share_the_id_of_their_box() -> None:
    results = regional_results([MARK], WIDTH, HEIGHT)
    said = {item["from_name"]: item["value"] for item in results if item.get("id") == "m1"}
    assert said["flaw_type"]["choices"] == ["face"]
    assert said["severity"]["choices"] == ["severe"]
    assert said["rationale"]["text"] == ["The mouth is missing."]


def test_a_relation_leads_from_each_disk_to_its_box() -> None:
    results = regional_results([MARK], WIDTH, HEIGHT)
    disks = [item["id"] for item in results if item.get("from_name") == "disk"]
    relations = [item for item in results if item["type"] == "relation"]
    assert [(one["from_id"], one["to_id"], one["labels"]) for one in relations] == [
        (disk, "m1", ["disk_of"]) for disk in disks
    ]


def test_disk_ids_never_meet_mark_ids() -> None:
    marks = [MARK, Mark("m1-d0", "failure", Box(1, 1, 50, 50), (Disk(2, 2),))]
    results = regional_results(marks, WIDTH, HEIGHT)
    drawn = [item["id"] for item in results if item.get("from_name") in ("box", "disk")]
    assert len(drawn) == len(set(drawn)) == 5


def test_a_skipped_task_is_counted_as_cancelled() -> None:
    skipped = build_annotation_json(1, 1, 1, 1, [], AT, 1.0, cancelled=True)
    done = build_annotation_json(2, 1, 1, 2, [], AT, 1.0)
    task = build_task_json(1, 1, {}, [skipped, done], AT)
    assert (task["cancelled_annotations"], task["total_annotations"]) == (1, 1)


def keys(value: object, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {f"{path}.{key}" for key in value} | {one for key in value for one in keys(value[key], f"{path}.{key}")}
    return {one for item in value for one in keys(item, path)} if isinstance(value, list) else set()


def test_the_keys_are_those_of_a_real_export() -> None:
    real = json.loads((REAL_ANSWERS / "textual_snapshot.json").read_text(encoding="utf-8"))[0]
    region = Region("b1", "artifact", Box(100, 80, 260, 240), (), "other", None, "Five legs.", ())
    ours = whole(rationale_results([region], "agree", WIDTH, HEIGHT))
    aside = (".predictions", ".annotations.prediction", ".data")
    real_keys, our_keys = ({key for key in keys(task) if not key.startswith(aside)} for task in (real, ours))
    assert real_keys == our_keys


# Round trips


@st.composite
def marks(draw: st.DrawFn, width: int, height: int) -> list[Mark]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        x0, y0 = draw(st.floats(0, width - 1)), draw(st.floats(0, height - 1))
        x1, y1 = draw(st.floats(x0 + 0.5, width)), draw(st.floats(y0 + 0.5, height))
        kind = draw(st.sampled_from(KINDS))
        disk = st.builds(Disk, st.floats(0, width), st.floats(0, height))
        found.append(
            Mark(
                f"m{number}",
                kind,
                Box(x0, y0, x1, y1),
                tuple(draw(st.lists(disk, min_size=1, max_size=3))),
                draw(st.none() | st.sampled_from(list_flaw_types(kind))),
                draw(st.none() | st.sampled_from(SEVERITIES)),
                draw(st.none() | st.text(st.characters(codec="utf-8"), min_size=1).map(normalize_text).filter(bool)),
            )
        )
    return found


def flat(found: list[Mark] | tuple[Mark, ...]) -> list[float]:
    return [edge for mark in found for point in (mark.box, *mark.disks) for edge in point]


@given(st.data(), st.integers(1, 9_000), st.integers(1, 9_000))
def test_marks_come_back(data: st.DataObject, width: int, height: int) -> None:
    given_marks = data.draw(marks(width, height))
    rejected: list[Rejection] = []
    task = whole(regional_results(given_marks, width, height))
    [found] = read_regional_annotations(task, PLACE, (width, height), rejected.append)
    assert rejected == []
    assert (found.pair_id, found.annotator_id, found.at, found.place) == ("p1", "3", AT, PLACE)
    about = [(mark.mark_id, mark.kind, len(mark.disks), mark.flaw_type, mark.severity) for mark in given_marks]
    assert [(mark.mark_id, mark.kind, len(mark.disks), mark.flaw_type, mark.severity) for mark in found.marks] == about
    assert [mark.rationale for mark in found.marks] == [mark.rationale for mark in given_marks]
    assert flat(found.marks) == pytest.approx(flat(given_marks), abs=1e-6)


def test_no_flaw_comes_back_as_an_annotation_without_marks() -> None:
    rejected: list[Rejection] = []
    [found] = read_regional_annotations(whole(no_flaw_results()), PLACE, (WIDTH, HEIGHT), rejected.append)
    assert found.marks == ()
    assert rejected == []


@given(st.data(), st.sampled_from(["agree", "revise"]))
def test_statements_come_back(data: st.DataObject, verdict: str) -> None:
    regions = [
        Region(mark.mark_id, mark.kind, mark.box, (), mark.flaw_type, mark.severity, mark.rationale or "x", ())
        for mark in data.draw(marks(WIDTH, HEIGHT))
    ]
    rejected: list[Rejection] = []
    task = whole(rationale_results(regions, verdict, WIDTH, HEIGHT))  # type: ignore[arg-type]
    found = read_rationales(task, PLACE, (WIDTH, HEIGHT), rejected.append)
    assert [(one.region_id, one.kind, one.text, one.flaw_type, one.severity, one.verdict) for one in found] == [
        (region.region_id, region.kind, region.rationale, region.flaw_type, region.severity, verdict)
        for region in regions
    ]
    assert [one.reason for one in rejected] == ([] if regions else ["no_region"])


@given(
    st.dictionaries(st.sampled_from(DIMENSIONS), st.floats(1, 5)),
    st.lists(st.text("abc-1", min_size=1), unique=True),
)
def test_ratings_and_flags_come_back(scores: dict, flagged: list[str]) -> None:
    rejected: list[Rejection] = []
    found, flags = read_export_ratings(whole(rating_results(scores, flagged)), PLACE, rejected.append)
    assert {one.dimension: one.score for one in found} == scores
    assert [one.region_id for one in flags] == flagged
    assert {(one.annotator_id, one.pair_id) for one in [*found, *flags]} <= {("3", "p1")}
    assert [one.reason for one in rejected] == ([] if scores else ["no_scores"])

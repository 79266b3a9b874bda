"""Stages 2 and 3: statements, ratings and flags out of a result; and that no JSON, however odd, stops the reading."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.labelstudio.read_export import read_export_tasks
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.read_ratings import read_export_ratings, read_latest_ratings
from annotation.labelstudio.read_rationales import read_rationales
from annotation.labelstudio.results import (
    build_annotation_json,
    build_task_json,
    rating_results,
    rationale_results,
    regional_results,
)
from annotation.labelstudio.submissions import ControlNames, read_pair_id
from annotation.records import DIMENSIONS, Box, Disk, Flag, Mark, Place, Rating, Rationale, Region, Rejection

REAL_ANSWERS = Path(__file__).parents[1] / "data" / "labelstudio"
PLACE = Place("annotations/rationales.json", 2)
AT = "2026-01-02T03:04:05.000000Z"
SIZE = (640, 400)

REGION = Region("a-1", "artifact", Box(64, 40, 128, 200), (), "face", "minor", "The mouth is missing.", ())


def task(results: object, **changes: Any) -> dict:
    annotation = build_annotation_json(1, 1, 1, 3, [], AT, 1.0) | {"result": results} | changes
    return build_task_json(1, 1, {"pair_id": "p1"}, [], AT) | {"annotations": [annotation]}


def statements(results: object, **changes: Any) -> tuple[list[Rationale], list[Rejection]]:
    rejected: list[Rejection] = []
    return read_rationales(task(results, **changes), PLACE, SIZE, rejected.append), rejected


def scored(results: object, **changes: Any) -> tuple[list[Rating], list[Flag], list[Rejection]]:
    rejected: list[Rejection] = []
    found, flags = read_export_ratings(task(results, **changes), PLACE, rejected.append)
    return found, flags, rejected


def reasons(rejected: list[Rejection]) -> list[tuple[str, str]]:
    return [(one.what, one.reason) for one in rejected]


RESULTS = rationale_results([REGION], "revise", *SIZE)
BARE = rationale_results([Region("a-1", "artifact", REGION.box, (), None, None, None, ())], "agree", *SIZE)


# Stage 2


def test_a_statement_has_region_text_and_verdict() -> None:
    [found], rejected = statements(RESULTS)
    assert found == Rationale(
        pair_id="p1",
        region_id="a-1",
        annotator_id="3",
        kind="artifact",
        box=found.box,
        text="The mouth is missing.",
        flaw_type="face",
        severity="minor",
        verdict="revise",
        at=AT,
        place=PLACE,
    )
    assert found.box == pytest.approx(REGION.box)
    assert rejected == []


def test_a_bare_agree_has_no_text() -> None:
    [found], rejected = statements(BARE)
    assert (found.text, found.verdict) == (None, "agree")
    assert rejected == []


@pytest.mark.parametrize("verdict", [[], ["revise"]])
def test_a_region_without_text_needs_an_agree(verdict: list[str]) -> None:
    found, rejected = statements([BARE[0], *(RESULTS[-1:] if verdict else [])])
    assert found == []
    assert reasons(rejected) == [("rationale", "no_text")]


def test_a_text_keeps_its_region_although_the_box_is_not_there() -> None:
    [found], rejected = statements([item for item in RESULTS if item["from_name"] == "rationale"])
    assert (found.region_id, found.kind, found.box, found.text) == ("a-1", None, None, "The mouth is missing.")
    assert rejected == []


def test_an_unknown_verdict_is_left_out() -> None:
    odd = RESULTS[-1] | {"value": {"choices": ["maybe"]}}
    [found], rejected = statements([*RESULTS[:-1], odd])
    assert found.verdict is None
    assert reasons(rejected) == [("result", "unknown_verdict")]


def test_of_two_verdicts_the_first_counts() -> None:
    second = RESULTS[-1] | {"id": "other", "value": {"choices": ["agree"]}}
    [found], rejected = statements([*RESULTS, second])
    assert found.verdict == "revise"
    assert reasons(rejected) == [("result", "duplicate_result")]


def test_a_verdict_on_nothing_is_reported() -> None:
    assert reasons(statements(RESULTS[-1:])[1]) == [("rationale", "no_region")]


def test_another_size_sets_the_statements_aside() -> None:
    found, rejected = statements([item | {"original_width": 1} for item in RESULTS])
    assert found == []
    assert reasons(rejected) == [("annotation", "wrong_size")]


def test_what_a_real_server_exported_is_read_with_that_interfaces_names() -> None:
    names = ControlNames(pair_id="uid", rationale="reasoning", verdicts={"agree": "agree", "revised": "revise"})
    rejected: list[Rejection] = []
    found = [
        statement
        for row, one in read_export_tasks(REAL_ANSWERS / "textual_snapshot.json", "real.json", rejected.append)
        for statement in read_rationales(one, Place("real.json", row), SIZE, rejected.append, names)
    ]
    assert [(one.pair_id, one.region_id, one.annotator_id, one.text, one.verdict) for one in found] == [
        ("img0", "b1", "3", "The dog has five legs.", "agree"),
        ("img1", "b1", "6", "The dog has FIVE legs, anatomically implausible.", "revise"),
    ]
    assert [one.box for one in found] == [Box(100, 80, 260, 240)] * 2
    # That interface's flaw types are not those of the closed list.
    assert reasons(rejected) == [("result", "unknown_flaw_type")] * 2


# Stage 3


SCORES = {"perceptual_quality": 3.27, "instruction_following": 1, "visual_consistency": 5.0}


def test_a_number_per_dimension_and_a_flag_per_region() -> None:
    found, flags, rejected = scored(rating_results(SCORES, ["a-1", "f-2"]))
    assert found == [Rating("p1", "3", dimension, SCORES[dimension], AT, PLACE) for dimension in DIMENSIONS]
    assert flags == [Flag("p1", region, "3", PLACE) for region in ("a-1", "f-2")]
    assert rejected == []


def test_the_range_is_left_to_the_table() -> None:
    assert scored(rating_results({"perceptual_quality": 77.0}, []))[0][0].score == 77.0


@pytest.mark.parametrize("value", [True, "3", None, float("nan"), float("inf"), 10**400, [3], {}])
def test_a_number_that_is_none_is_rejected(value: object) -> None:
    results = rating_results(SCORES, [])
    results[0] = results[0] | {"value": {"number": value}}
    found, _, rejected = scored(results)
    assert [one.dimension for one in found] == ["instruction_following", "visual_consistency"]
    assert reasons(rejected) == [("rating", "bad_number")]


def test_of_two_numbers_for_a_dimension_the_first_counts() -> None:
    results = rating_results(SCORES, [])
    found, _, rejected = scored([*results, results[0] | {"id": "x", "value": {"number": 1}}])
    assert found[0].score == 3.27
    assert reasons(rejected) == [("rating", "duplicate_result")]


def test_the_regions_that_raters_were_shown_are_passed_over() -> None:
    shown = [*regional_results([Mark("b", "artifact", REGION.box, (Disk(70, 50),))], *SIZE), *RESULTS[3:4]]
    found, _, rejected = scored([*shown, *rating_results(SCORES, [])])
    assert len(found) == 3
    assert rejected == []


def test_an_annotation_without_numbers_is_reported() -> None:
    _, flags, rejected = scored(rating_results({}, ["a-1"]))
    assert [one.region_id for one in flags] == ["a-1"]
    assert reasons(rejected) == [("annotation", "no_scores")]


def test_one_person_flags_a_region_once() -> None:
    results = rating_results(SCORES, ["a-1", "a-1"])
    assert len(scored(results)[1]) == 1


@pytest.mark.parametrize("words", [[3], ["a\n"], "a-1", None])
def test_flags_that_are_none_are_rejected(words: object) -> None:
    results = rating_results(SCORES, ["a-1"])
    results[-1] = results[-1] | {"value": {"choices": words}}
    _, flags, rejected = scored(results)
    assert flags == []
    assert reasons(rejected) == [("flag", "bad_choice")]


def test_another_stage_is_not_read() -> None:
    assert reasons(scored(RESULTS)[2]) == [("annotation", "wrong_stage")]


# Anything at all


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["box", "disk", "b", "artifact", "relation", "choices", "agree"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "value", "type", "result", "choices", "text"]) | st.text(), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The path to every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [found for key, one in inner for found in places(one, (*path, key))]


MARKS = [
    Mark("b", "artifact", Box(10, 10, 90, 90), (Disk(20, 20), Disk(30, 30)), "face", "minor", "Odd."),
    Mark("c", "failure", Box(200, 10, 300, 90), (Disk(210, 20),), "partial"),
]
VALID = [
    task(regional_results(MARKS, *SIZE)),
    task(RESULTS),
    task(rating_results(SCORES, ["a-1"])),
    task([], completed_by={"id": 1, "email": "a@example.com"}),
]


@given(st.data())
def test_no_json_is_an_exception(data: st.DataObject) -> None:
    one = copy.deepcopy(data.draw(st.sampled_from(VALID)))
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from([path for path in places(one) if path]))
        holder = one
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = data.draw(ODD)
    rejected: list[Rejection] = []
    read_pair_id(one)
    found = [
        *read_regional_annotations(one, PLACE, SIZE, rejected.append),
        *read_rationales(one, PLACE, SIZE, rejected.append),
        *(record for records in read_export_ratings(one, PLACE, rejected.append) for record in records),
    ]
    assert found or rejected or one["annotations"] == []
    # Whatever comes out can be written.
    repr((found, rejected)).encode()
    for record in rejected:
        f"{record.message}{record.item_id}{record.pair_id}".encode()


# Several submissions of one person


def submitted(*parts: tuple[int, str, list[dict]]) -> dict:
    annotations = [
        build_annotation_json(number, 1, 1, person, results, at, 1.0)
        for number, (person, at, results) in enumerate(parts, start=1)
    ]
    return build_task_json(1, 1, {"pair_id": "p1"}, annotations, AT)


def scores_of(score: float, *flagged: str) -> list[dict]:
    return rating_results(dict.fromkeys(DIMENSIONS, score), flagged)


def test_of_a_person_who_scores_again_the_latest_submission_counts_with_its_flags() -> None:
    again = submitted(
        (3, "2026-01-03T00:00:00Z", scores_of(4, "r2")),
        (3, "2026-01-02T00:00:00Z", scores_of(1, "r1")),
        (4, "2026-01-01T00:00:00Z", scores_of(2, "r1")),
    )
    rejected: list[Rejection] = []
    found, flags = read_latest_ratings(again, PLACE, rejected.append)
    assert {(one.annotator_id, one.score) for one in found} == {("3", 4), ("4", 2)}
    assert [(one.annotator_id, one.region_id) for one in flags] == [("3", "r2"), ("4", "r1")]
    assert [(one.what, one.reason, one.annotator_id) for one in rejected] == [("annotation", "superseded", "3")]
    assert len(read_export_ratings(again, PLACE, rejected.append)[0]) == 9


def test_at_equal_times_the_later_in_the_task_counts() -> None:
    found, _ = read_latest_ratings(
        submitted((3, AT, scores_of(1)), (3, AT, scores_of(5))), PLACE, lambda rejection: None
    )
    assert {one.score for one in found} == {5}


def test_a_later_submission_without_scores_takes_none_back() -> None:
    rejected: list[Rejection] = []
    later = submitted((3, "2026-01-02T00:00:00Z", scores_of(4)), (3, "2026-01-03T00:00:00Z", []))
    found, _ = read_latest_ratings(later, PLACE, rejected.append)
    assert {one.score for one in found} == {4}
    assert [one.reason for one in rejected] == ["no_scores", "superseded"]

"""From marks to regions: support, expert review, flags, texts, and that no order matters."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.consensus import PairConsensus, resolve_regions
from annotation.records import (
    KINDS,
    Box,
    Disk,
    Flag,
    Mark,
    PairSubmissions,
    Place,
    Rationale,
    RegionalAnnotation,
    Rejection,
)
from annotation.rules import AnnotationRules

OPTIONS = AnnotationRules()
BOX = Box(100, 100, 200, 200)


def mark(name: str, box: Box = BOX, kind: str = "artifact", disks: int = 1, **about: Any) -> Mark:
    centre = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return Mark(name, kind, box, tuple(Disk(centre[0] + n, centre[1]) for n in range(disks)), **about)  # type: ignore[arg-type]


def shifted(by: float, box: Box = BOX) -> Box:
    return Box(box.x0 + by, box.y0, box.x1 + by, box.y1)


def from_(
    who: str, *marks: Mark, at: int = 0, row: int = 1, file: str = "annotations/regions.json"
) -> RegionalAnnotation:
    return RegionalAnnotation("p1", who, marks, f"2026-01-01T00:00:{at:02}Z", Place(file, row))


def says(who: str, region: str, text: str | None, at: int = 0, **about: Any) -> Rationale:
    values = {"kind": None, "box": None, "flaw_type": None, "severity": None} | about
    return Rationale(
        "p1",
        region,
        who,
        text=text,
        verdict="agree" if text is None else "revise",
        at=f"2026-01-02T00:00:{at:02}Z",
        place=Place("annotations/rationales.json", at + 1),
        **values,
    )


def flag(who: str, region: str) -> Flag:
    return Flag("p1", region, who, Place("annotations/ratings.json", 1))


def run(
    annotations: list[RegionalAnnotation],
    expert: list[RegionalAnnotation] | None = None,
    rationales: list[Rationale] | None = None,
    flags: list[Flag] | None = None,
    options: AnnotationRules = OPTIONS,
) -> tuple[PairConsensus, list[Rejection]]:
    rejected: list[Rejection] = []
    submissions = PairSubmissions(annotations, expert or [], rationales or [], flags or [])
    outcome = resolve_regions("p1", submissions, options, rejected.append)
    return outcome, rejected


def statuses(outcome: PairConsensus) -> dict[tuple[str, str], str]:
    return {(one.annotation.annotator_id, one.mark.mark_id): one.status for one in outcome.marks}


THREE = [from_("1", mark("a")), from_("2", mark("b", shifted(10))), from_("3", mark("c", shifted(-6)))]


def region_id(annotations: list[RegionalAnnotation]) -> str:
    return run(annotations)[0].regions[0].region_id


# Support


def test_a_region_is_the_median_of_its_members_with_all_their_disks() -> None:
    outcome, rejected = run(THREE)
    [region] = outcome.regions
    assert region.box == BOX
    assert region.kind == "artifact"
    assert region.disks == tuple(sorted(disk for one in THREE for disk in one.marks[0].disks))
    assert region.annotators == ("1", "2", "3")
    assert region.mark_ids == ("a", "b", "c")
    assert set(statuses(outcome).values()) == {"accepted"}
    assert {mark.region_id for mark in outcome.marks} == {region.region_id}
    assert rejected == []


def test_two_of_three_are_enough_and_one_is_not() -> None:
    lonely = mark("d", Box(500, 500, 600, 600))
    outcome, _ = run([*THREE[:2], from_("3", lonely)])
    [region] = outcome.regions
    assert region.annotators == ("1", "2")
    assert region.box == shifted(5)
    assert statuses(outcome)["3", "d"] == "unsupported"


def test_support_counts_people_and_not_boxes() -> None:
    outcome, _ = run([from_("1", mark("a"), mark("b"), mark("c"))])
    assert outcome.regions == ()
    assert Counter(statuses(outcome).values()) == {"unsupported": 3}


def test_kinds_do_not_support_each_other() -> None:
    assert run([from_("1", mark("a")), from_("2", mark("b", kind="failure"))])[0].regions == ()


@pytest.mark.parametrize(("height", "accepted"), [(50.0, True), (50.0 - 1e-11, True), (49.9, False)])
def test_the_overlap_may_be_just_the_threshold(height: float, accepted: bool) -> None:
    half = Box(100, 100, 200, 100 + height)
    assert bool(run([from_("1", mark("a")), from_("2", mark("b", half))])[0].regions) == accepted


def test_every_two_members_overlap_not_only_neighbours_in_a_chain() -> None:
    chain = [from_(str(n), mark("a", shifted(30 * n))) for n in range(3)]
    outcome, _ = run(chain)
    [region] = outcome.regions
    assert len(region.annotators) == 2
    assert Counter(statuses(outcome).values()) == {"accepted": 2, "unsupported": 1}


def test_options_are_obeyed() -> None:
    assert run(THREE[:1], options=AnnotationRules(min_support=1))[0].regions
    assert not run(THREE, options=AnnotationRules(min_support=4))[0].regions
    assert not run(THREE[:2], options=AnnotationRules(iou=0.95))[0].regions


def test_regions_come_by_kind_then_from_top_to_bottom() -> None:
    low, left, right = Box(0, 300, 50, 350), Box(0, 100, 50, 150), Box(80, 100, 130, 150)
    people = [from_(who, mark("f", left, "failure"), mark("l", low), mark("r", right), mark("t", left)) for who in "12"]
    assert [(region.kind, region.box) for region in run(people)[0].regions] == [
        ("artifact", left),
        ("artifact", right),
        ("artifact", low),
        ("failure", left),
    ]


def test_nothing_was_said() -> None:
    assert run([]) == (PairConsensus((), ()), [])


def test_the_same_record_may_be_handed_in_for_two_people() -> None:
    shared = mark("a")
    outcome, _ = run([from_("1", shared), from_("2", shared), from_("3", mark("x", Box(0, 0, 9, 9)))])
    assert statuses(outcome) == {("1", "a"): "accepted", ("2", "a"): "accepted", ("3", "x"): "unsupported"}


# Ids


def test_an_id_begins_with_its_kind_and_depends_on_the_members_alone() -> None:
    first = region_id(THREE)
    assert re.fullmatch(r"a-[0-9a-f]{8}", first)
    assert region_id([replace(one, annotator_id=one.annotator_id * 2) for one in reversed(THREE)]) == first
    assert region_id(THREE[:2]) != first
    assert region_id([*THREE[:2], from_("3", mark("c", shifted(-5)))]) != first


def test_two_regions_of_the_same_boxes_have_two_ids() -> None:
    outcome, _ = run([from_(who, mark("a", disks=1), mark("b", disks=2)) for who in "12"])
    first, second = (region.region_id for region in outcome.regions)
    assert second == f"{first}-2"


# Submissions


@pytest.mark.parametrize("order", [1, -1])
def test_of_each_person_the_latest_submission_counts(order: int) -> None:
    old, new = from_("1", mark("old"), at=1), from_("1", mark("new"), at=2)
    outcome, _ = run([*[old, new][::order], from_("2", mark("b"))])
    assert statuses(outcome) == {("1", "old"): "superseded", ("1", "new"): "accepted", ("2", "b"): "accepted"}
    assert outcome.regions[0].mark_ids == ("b", "new")


def test_of_two_submissions_at_one_time_the_later_place_counts() -> None:
    outcome, _ = run([from_("1", mark("later"), row=5), from_("1", mark("first"), row=3), from_("2", mark("b"))])
    assert statuses(outcome)["1", "first"] == "superseded"


def test_a_person_who_took_it_all_back_supports_nothing() -> None:
    assert run([*THREE[:2], from_("2", at=9)])[0].regions == ()


# The expert


def test_the_experts_marks_are_the_regions() -> None:
    own = mark("e", shifted(20), disks=2)
    outcome, rejected = run([*THREE, from_("4", mark("d", Box(500, 500, 600, 600)))], [from_("9", own)])
    [region] = outcome.regions
    assert (region.region_id, region.box) == ("e", own.box)
    assert region.annotators == ("1", "2", "3", "9")
    assert len(region.disks) == 5
    assert statuses(outcome) == {
        ("1", "a"): "accepted",
        ("2", "b"): "accepted",
        ("3", "c"): "accepted",
        ("4", "d"): "overruled",
        ("9", "e"): "accepted",
    }
    assert rejected == []


def test_a_mark_goes_to_the_experts_region_that_it_overlaps_best() -> None:
    outcome, _ = run([from_("1", mark("a"))], [from_("9", mark("worse", shifted(20)), mark("better", shifted(-5)))])
    assert {region.region_id: region.annotators for region in outcome.regions} == {
        "better": ("1", "9"),
        "worse": ("9",),
    }


def test_an_expert_who_sees_no_flaw_overrules_everyone() -> None:
    outcome, _ = run(THREE, [from_("9")])
    assert outcome.regions == ()
    assert set(statuses(outcome).values()) == {"overruled"}


def reviewed(people: list[RegionalAnnotation], **changes: Any) -> RegionalAnnotation:
    """The expert's submission of the regions that the annotators' task shows, as a browser gives it back."""
    shown = run(people)[0].regions
    kept = [
        Mark(one.region_id, one.kind, one.box, tuple(Disk(x + 1e-9, y - 1e-9) for x, y in one.disks)) for one in shown
    ]
    return replace(from_("9", *kept), shown_disks="all", **changes)


LOOSE = [
    from_("1", mark("a", Box(100, 100, 200, 200), disks=3)),
    from_("2", mark("b", Box(100, 100, 200, 165), disks=2)),
    from_("3", mark("c", Box(100, 100, 200, 101 + 60), disks=2), mark("alone", Box(500, 500, 600, 600))),
]
"""Three who agree; the box of the first overlaps the median box less than the boxes of the others."""


@pytest.mark.parametrize("people", [THREE, LOOSE, [from_("1", mark("a", disks=5)), from_("2", mark("b", disks=5))]])
def test_what_the_expert_leaves_stays_as_the_annotators_drew_it(people: list[RegionalAnnotation]) -> None:
    before, _ = run(people)
    after, rejected = run(people, [reviewed(people)])
    assert rejected == []
    assert [replace(one, annotators=(), mark_ids=()) for one in after.regions] == [
        replace(one, annotators=(), mark_ids=()) for one in before.regions
    ]
    assert [one.annotators[:-1] for one in after.regions] == [one.annotators for one in before.regions]
    drawn = {key: status for key, status in statuses(after).items() if key[0] != "9"}
    assert drawn == {
        key: "overruled" if status == "unsupported" else status for key, status in statuses(before).items()
    }


def test_a_disk_that_the_expert_removed_is_gone_and_one_that_was_set_is_there() -> None:
    people = [from_("1", mark("a", disks=3)), from_("2", mark("b", disks=2))]
    [kept] = reviewed(people).marks
    corrected = replace(kept, disks=(*kept.disks[2:], Disk(110, 111)))
    outcome, _ = run(people, [replace(reviewed(people), marks=(corrected,))])
    assert outcome.regions[0].disks == (Disk(110, 111), Disk(151, 150), Disk(151, 150), Disk(152, 150))


def test_a_box_that_the_expert_moved_far_away_is_another_region() -> None:
    [kept] = reviewed(THREE).marks
    outcome, _ = run(THREE, [replace(reviewed(THREE), marks=(replace(kept, box=Box(700, 700, 800, 800)),))])
    assert outcome.regions[0].annotators == ("9",)
    assert {status for (who, _), status in statuses(outcome).items() if who != "9"} == {"overruled"}


def test_the_one_disk_that_earlier_versions_showed_counts_once() -> None:
    people = [from_("1", mark("a", disks=2)), from_("2", mark("b", Box(101, 100, 201, 200), disks=2))]
    [region] = run(people)[0].regions
    review = from_("9", Mark(region.region_id, "artifact", region.box, (region.disks[1],)))
    for shown, count in (("one", 4), (None, 5)):
        outcome, _ = run(people, [replace(review, shown_disks=shown)])  # type: ignore[arg-type]
        assert len(outcome.regions[0].disks) == count


def test_of_all_experts_the_latest_decides() -> None:
    outcome, _ = run([], [from_("9", mark("new"), at=2), from_("8", mark("old"), at=1)])
    assert [region.region_id for region in outcome.regions] == ["new"]
    assert statuses(outcome) == {("9", "new"): "accepted", ("8", "old"): "superseded"}


# Flags


@pytest.mark.parametrize(("raters", "kept"), [("123", True), ("1234", False), ("111122223333", True)])
def test_more_than_three_raters_discard_a_region(raters: str, kept: bool) -> None:
    name = region_id(THREE)
    outcome, rejected = run(THREE, flags=[flag(who, name) for who in raters])
    assert bool(outcome.regions) == kept
    assert set(statuses(outcome).values()) == {"accepted" if kept else "flagged"}
    assert {mark.region_id for mark in outcome.marks} == {name}
    assert [(one.what, one.reason, one.item_id) for one in rejected] == [("region", "flagged", name)] * (not kept)


def test_a_flag_may_name_a_members_mark() -> None:
    flags = [flag("1", "a"), flag("2", "b"), flag("3", "c"), flag("4", region_id(THREE))]
    assert run(THREE, flags=flags)[0].regions == ()


def test_a_flag_on_no_or_no_single_region_is_reported() -> None:
    twice = [from_(who, mark("m"), mark("n", Box(300, 300, 400, 400))) for who in "1"]
    twice += [from_("2", mark("n"), mark("m", Box(300, 300, 400, 400)))]
    outcome, rejected = run(twice, flags=[flag(who, name) for name in ("gone", "m") for who in "12345"])
    assert len(outcome.regions) == 2
    assert {(one.what, one.reason) for one in rejected} == {("flag", "unknown_region")}
    assert Counter(one.item_id for one in rejected) == {"gone": 5, "m": 5}


# Texts


def test_a_text_is_final_when_three_agree() -> None:
    name = region_id(THREE)
    words = [
        says(who, name, "Six fingers.", at, flaw_type="hand_foot", severity="severe") for at, who in enumerate("123")
    ]
    outcome, rejected = run(THREE, rationales=words)
    [region] = outcome.regions
    assert (region.rationale, region.flaw_type, region.severity) == ("Six fingers.", "hand_foot", "severe")
    assert rejected == []


def test_a_text_on_which_two_agree_is_not() -> None:
    name = region_id(THREE)
    words = [says("1", name, "A"), says("2", name, "B", 1), says("3", name, None, 2)]
    outcome, [rejection] = run(THREE, rationales=words)
    assert outcome.regions[0].rationale is None
    assert (rejection.what, rejection.reason, rejection.item_id) == ("rationale", "not_final", name)
    assert "2 of 3 reviewers" in rejection.message


@pytest.mark.parametrize(
    ("name", "about", "found"),
    [
        ("b", {}, True),
        ("x", {"kind": "artifact", "box": shifted(25)}, True),
        ("x", {"kind": "failure", "box": BOX}, False),
        ("x", {"kind": "artifact", "box": shifted(60)}, False),
        ("x", {"kind": None, "box": BOX}, False),
        ("x", {}, False),
    ],
)
def test_a_statement_finds_its_region_by_id_by_mark_or_by_place(name: str, about: dict, found: bool) -> None:
    words = [says(who, name, "Text.", **about) for who in "123"]
    outcome, rejected = run(THREE, rationales=words)
    assert outcome.regions[0].rationale == ("Text." if found else None)
    assert [(one.what, one.reason) for one in rejected] == [("rationale", "unknown_region")] * (0 if found else 3)


def test_without_statements_type_and_severity_are_the_annotators_majority() -> None:
    people = [
        from_("1", mark("a", flaw_type="body", severity="severe")),
        from_("2", mark("b", flaw_type="body", severity="minor")),
        from_("3", mark("c", flaw_type="face")),
    ]
    outcome, rejected = run(people)
    [region] = outcome.regions
    # "minor" and "severe" are equally common: the order of the closed list decides.
    assert (region.flaw_type, region.severity, region.rationale) == ("body", "minor", None)
    assert rejected == []


def test_the_experts_text_is_final_by_itself() -> None:
    own = mark("e", rationale="The hand melts.", flaw_type="hand_foot")
    people = [from_("1", mark("a", flaw_type="body", severity="minor"))]
    outcome, rejected = run(people, [from_("9", own)], [says("1", "e", "Another text.")])
    [region] = outcome.regions
    assert (region.rationale, region.flaw_type, region.severity) == ("The hand melts.", "hand_foot", "minor")
    assert rejected == []


def test_an_expert_who_wrote_no_text_leaves_it_to_the_reviewers() -> None:
    words = [says(who, "e", "Agreed.") for who in "123"]
    assert run(THREE, [from_("9", mark("e"))], words)[0].regions[0].rationale == "Agreed."


def test_a_flaw_type_of_the_other_kind_does_not_enter_a_region() -> None:
    words = [says(who, region_id(THREE), "Text.", flaw_type="not_executed") for who in "123"]
    assert run(THREE, rationales=words)[0].regions[0].flaw_type is None


# Order


def test_of_two_equally_near_boxes_geometry_decides_and_not_their_order() -> None:
    left, right = mark("z", shifted(-10)), mark("a", shifted(10))
    found = [
        run([from_(one, *marks), from_(two, mark("m"))])[0].regions[0].box
        for marks in ([left, right], [right, left])
        for one, two in ("12", "21")
    ]
    assert found == [shifted(-5)] * 4


coordinate = st.sampled_from([0, 1, 2, 3, 10, 11, 12])
box_of = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), coordinate, coordinate, st.integers(8, 12), st.integers(8, 12)
)
marks_of = st.lists(
    st.builds(
        lambda name, box, kind, disks: mark(name, box, kind, disks),
        st.sampled_from("abcd"),
        box_of,
        st.sampled_from(KINDS),
        st.integers(1, 2),
    ),
    max_size=4,
    unique_by=lambda one: one.mark_id,
)
people_of = st.lists(
    st.builds(
        lambda who, marks, at, row: from_(who, *marks, at=at, row=row),
        st.sampled_from("12345"),
        marks_of,
        st.integers(0, 2),
        st.integers(1, 2),
    ),
    max_size=7,
)
NAMES = st.sampled_from("abcdx")


@settings(deadline=None)
@given(people_of, st.lists(st.tuples(st.sampled_from("12345"), NAMES), max_size=8), st.data())
def test_no_order_of_people_marks_texts_or_flags_matters(
    people: list[RegionalAnnotation], pointed: list[tuple[str, str]], data: st.DataObject
) -> None:
    expert = data.draw(
        st.lists(st.builds(lambda marks, at: from_("9", *marks, at=at), marks_of, st.integers(0, 2)), max_size=2)
    )
    words = [
        says(who, name, data.draw(st.sampled_from([None, "T", "U"])), at) for at, (who, name) in enumerate(pointed)
    ]
    flags = [flag(who, name) for who, name in pointed]
    options = AnnotationRules(max_flags=1, reviewers=2)
    outcome, rejected = run(people, expert, words, flags, options)

    def mixed(items: list) -> list:
        return data.draw(st.permutations(items))

    turned = [replace(one, marks=tuple(mixed(list(one.marks)))) for one in mixed(people)]
    other, other_rejected = run(turned, mixed(expert), mixed(words), mixed(flags), options)
    assert other.regions == outcome.regions
    assert other_rejected == rejected

    def statuses_of(one: PairConsensus) -> Counter:
        return Counter((f.annotation.annotator_id, f.annotation.at, f.mark, f.status, f.region_id) for f in one.marks)

    assert statuses_of(other) == statuses_of(outcome)


@settings(deadline=None)
@given(people_of, people_of)
def test_every_mark_has_one_status_and_accepted_ones_a_region(
    people: list[RegionalAnnotation], expert: list[RegionalAnnotation]
) -> None:
    outcome, _ = run(people, expert)
    assert len(outcome.marks) == sum(len(one.marks) for one in [*people, *expert])
    ids = [region.region_id for region in outcome.regions]
    assert len(ids) == len(set(ids))
    accepted = [mark for mark in outcome.marks if mark.status == "accepted"]
    assert {mark.region_id for mark in accepted} == set(ids)
    assert all(mark.region_id is None for mark in outcome.marks if mark.status != "accepted")
    for region in outcome.regions:
        members = [mark for mark in accepted if mark.region_id == region.region_id]
        assert sum(len(member.mark.disks) for member in members) == len(region.disks)
        assert len(region.annotators) >= (1 if expert else OPTIONS.min_support)

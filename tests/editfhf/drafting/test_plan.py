"""What a run asks about: nothing that is there already, and no second attempt twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from annotation.campaign.drafts import RationaleDraft
from editfhf.drafting.drafts_file import DraftStatus
from editfhf.drafting.plan import (
    LeftOutRegions,
    RedoChoice,
    RunChoice,
    delete_redo_list,
    plan_new_chunks,
    plan_redo_chunks,
    prepare_redo_list,
)
from editfhf.drafting.requests import RegionChunk
from tests.editfhf.drafting.marked_pairs import TEXT, Pairs, marked, region

GOOD = RationaleDraft(TEXT, "hand_foot", "minor")
SELECTION = Pairs(marked("p1"), marked("p2"))


def new(
    standing: DraftStatus, *pairs: object, left: LeftOutRegions | None = None, **choice: object
) -> list[tuple[str, list[str]]]:
    selection = Pairs(*pairs) if pairs else SELECTION  # type: ignore[arg-type]
    found = plan_new_chunks(selection, standing, RunChoice(**choice), 12, left or LeftOutRegions())  # type: ignore[arg-type]
    return [(chunk.pair.pair_id, wanted(chunk)) for chunk in found]


def wanted(chunk: RegionChunk) -> list[str]:
    return [chunk.regions[number].region_id for number in sorted(chunk.wanted)]


def again(
    root: Path, standing: DraftStatus, redo: RedoChoice, keep: bool = True, **choice: object
) -> list[tuple[str, list[str]]]:
    made = RunChoice(redo=redo, **choice)  # type: ignore[arg-type]
    listed = prepare_redo_list(root, SELECTION, standing, made, keep)
    return [(chunk.pair.pair_id, wanted(chunk)) for chunk in plan_redo_chunks(SELECTION, listed, standing, 12)]


def test_regions_with_a_draft_a_text_a_reviewer_or_a_fault_are_passed_over_and_counted() -> None:
    one = marked("p1", 6)
    one = replace(one, decided={"a-5": region("a-5", rationale="Done.")}, under_review=frozenset({"f-6"}))
    standing = DraftStatus({"p1": {"a-1": GOOD}}, {("p1", "f-2"): ("refused", 1)})
    left = LeftOutRegions()
    assert new(standing, one, left=left) == [("p1", ["a-3", "f-4"])]
    assert (left.with_draft, left.rejected, left.with_text, left.under_review) == (1, 1, 1, 1)


def test_pairs_are_chosen_and_limited() -> None:
    assert [name for name, _ in new(DraftStatus())] == ["p1", "p2"]
    assert [name for name, _ in new(DraftStatus(), pairs={"p2"})] == ["p2"]
    assert [name for name, _ in new(DraftStatus(), limit=1)] == ["p1"]
    assert new(DraftStatus(), limit=0) == []


STANDING = DraftStatus(
    {"p1": {"a-1": GOOD, "f-2": RationaleDraft("Short.", "partial", "minor")}},
    {("p1", "a-3"): ("invalid", 1), ("p2", "a-1"): ("refused", 2)},
)


@pytest.mark.parametrize(("redo", "expected"), [
    ("failed", [("p1", ["a-3"]), ("p2", ["a-1"])]),
    ("low-quality", [("p1", ["f-2"])]),
    ("all", [("p1", ["a-1", "f-2", "a-3"]), ("p2", ["a-1"])]),
])  # fmt: skip
def test_what_is_attempted_again(tmp_path: Path, redo: RedoChoice, expected: list[tuple[str, list[str]]]) -> None:
    assert again(tmp_path, STANDING, redo) == expected
    assert again(tmp_path, STANDING, redo, pairs={"p2"}) == [row for row in expected if row[0] == "p2"]
    assert again(tmp_path, STANDING, redo, limit=1) == expected[:1]


def test_an_interrupted_redo_goes_on_with_its_list(tmp_path: Path) -> None:
    again(tmp_path, STANDING, "all")
    attempted = {"a-1": replace(GOOD, attempt=2), "f-2": RationaleDraft("Short.", "partial", "minor")}
    later = DraftStatus({"p1": attempted}, STANDING.rejections_by_region | {("p1", "a-3"): ("invalid", 2)})
    assert again(tmp_path, later, "all") == [("p1", ["f-2"]), ("p2", ["a-1"])]
    delete_redo_list(tmp_path)
    assert again(tmp_path, later, "all") == [("p1", ["a-1", "f-2", "a-3"]), ("p2", ["a-1"])]


def test_a_dry_run_writes_no_list(tmp_path: Path) -> None:
    again(tmp_path, STANDING, "all", keep=False)
    assert list(tmp_path.rglob("*")) == []


def test_a_second_attempt_says_what_was_wrong_and_counts_the_first(tmp_path: Path) -> None:
    listed = prepare_redo_list(tmp_path, SELECTION, STANDING, RunChoice(redo="low-quality"), True)
    (chunk,) = plan_redo_chunks(SELECTION, listed, STANDING, 12)
    assert chunk.redo == 1 and "1 words" in chunk.notes[2] and len(chunk.boxes) == 3


def test_what_reviewers_spoke_of_is_not_drafted_again(tmp_path: Path) -> None:
    heard = Pairs(replace(marked("p1"), under_review=frozenset({"a-1", "f-2", "a-3"})))
    assert prepare_redo_list(tmp_path, heard, STANDING, RunChoice(redo="all"), True) == {}

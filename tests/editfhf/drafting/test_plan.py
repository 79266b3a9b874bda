"""What a run asks about: nothing that is there already, and no second attempt twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from annotation.campaign.drafts import Draft
from editfhf.drafting.drafts_file import Standing
from editfhf.drafting.plan import Choice, Left, Redo, new_chunks, redo_chunks, redo_is_done, to_redo
from editfhf.drafting.requests import Chunk
from tests.editfhf.drafting.marked_pairs import TEXT, Pairs, marked, region

GOOD = Draft(TEXT, "hand_foot", "minor")
SELECTION = Pairs(marked("p1"), marked("p2"))


def new(standing: Standing, *pairs: object, left: Left | None = None, **choice: object) -> list[tuple[str, list[str]]]:
    selection = Pairs(*pairs) if pairs else SELECTION  # type: ignore[arg-type]
    found = new_chunks(selection, standing, Choice(**choice), 12, left or Left())  # type: ignore[arg-type]
    return [(chunk.pair.pair_id, wanted(chunk)) for chunk in found]


def wanted(chunk: Chunk) -> list[str]:
    return [chunk.asked[number].region_id for number in sorted(chunk.wanted)]


def again(
    root: Path, standing: Standing, redo: Redo, keep: bool = True, **choice: object
) -> list[tuple[str, list[str]]]:
    made = Choice(redo=redo, **choice)  # type: ignore[arg-type]
    listed = to_redo(root, SELECTION, standing, made, keep)
    return [(chunk.pair.pair_id, wanted(chunk)) for chunk in redo_chunks(SELECTION, listed, standing, 12)]


def test_regions_with_a_draft_a_text_a_reviewer_or_a_fault_are_passed_over_and_counted() -> None:
    one = marked("p1", 6)
    one = replace(one, decided={"a-5": region("a-5", rationale="Done.")}, spoken=frozenset({"f-6"}))
    standing = Standing({"p1": {"a-1": GOOD}}, {("p1", "f-2"): ("refused", 1)})
    left = Left()
    assert new(standing, one, left=left) == [("p1", ["a-3", "f-4"])]
    assert (left.drafted, left.set_aside, left.texts, left.reviewed) == (1, 1, 1, 1)


def test_pairs_are_chosen_and_limited() -> None:
    assert [name for name, _ in new(Standing())] == ["p1", "p2"]
    assert [name for name, _ in new(Standing(), pairs={"p2"})] == ["p2"]
    assert [name for name, _ in new(Standing(), limit=1)] == ["p1"]
    assert new(Standing(), limit=0) == []


STANDING = Standing(
    {"p1": {"a-1": GOOD, "f-2": Draft("Short.", "partial", "minor")}},
    {("p1", "a-3"): ("invalid", 1), ("p2", "a-1"): ("refused", 2)},
)


@pytest.mark.parametrize(("redo", "expected"), [
    ("failed", [("p1", ["a-3"]), ("p2", ["a-1"])]),
    ("low-quality", [("p1", ["f-2"])]),
    ("all", [("p1", ["a-1", "f-2", "a-3"]), ("p2", ["a-1"])]),
])  # fmt: skip
def test_what_is_attempted_again(tmp_path: Path, redo: Redo, expected: list[tuple[str, list[str]]]) -> None:
    assert again(tmp_path, STANDING, redo) == expected
    assert again(tmp_path, STANDING, redo, pairs={"p2"}) == [row for row in expected if row[0] == "p2"]
    assert again(tmp_path, STANDING, redo, limit=1) == expected[:1]


def test_an_interrupted_redo_goes_on_with_its_list(tmp_path: Path) -> None:
    again(tmp_path, STANDING, "all")
    attempted = {"a-1": replace(GOOD, attempt=2), "f-2": Draft("Short.", "partial", "minor")}
    later = Standing({"p1": attempted}, STANDING.aside | {("p1", "a-3"): ("invalid", 2)})
    assert again(tmp_path, later, "all") == [("p1", ["f-2"]), ("p2", ["a-1"])]
    redo_is_done(tmp_path)
    assert again(tmp_path, later, "all") == [("p1", ["a-1", "f-2", "a-3"]), ("p2", ["a-1"])]


def test_a_dry_run_writes_no_list(tmp_path: Path) -> None:
    again(tmp_path, STANDING, "all", keep=False)
    assert list(tmp_path.rglob("*")) == []


def test_a_second_attempt_says_what_was_wrong_and_counts_the_first(tmp_path: Path) -> None:
    listed = to_redo(tmp_path, SELECTION, STANDING, Choice(redo="low-quality"), True)
    (chunk,) = redo_chunks(SELECTION, listed, STANDING, 12)
    assert chunk.redo == 1 and "1 words" in chunk.notes[2] and len(chunk.boxes) == 3


def test_what_reviewers_spoke_of_is_not_drafted_again(tmp_path: Path) -> None:
    heard = Pairs(replace(marked("p1"), spoken=frozenset({"a-1", "f-2", "a-3"})))
    assert to_redo(tmp_path, heard, STANDING, Choice(redo="all"), True) == {}

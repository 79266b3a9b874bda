"""Checks of drafts: each finds what it is for, and lets a good description pass."""

from __future__ import annotations

from typing import Any

import pytest

from annotation.campaign.drafts import RationaleDraft
from editfhf.drafting.checks import DRAFT_CHECKS, check_pair
from tests.editfhf.drafting.marked_pairs import TEXT, pair, region

REGIONS = {"a-1": region("a-1"), "f-2": region("f-2", "failure"), "a-3": region("a-3")}
FAILURE = (
    "The instruction asks for a black cat, but the brown bushy tail of the dog still hangs behind the animal's hind "
    "legs, so the swap was left half done."
)


def found(**drafts: RationaleDraft) -> set[tuple[str, str]]:
    by_name = {name.replace("_", "-"): draft for name, draft in drafts.items()}
    return {(issue.region_id, issue.check) for issue in check_pair(pair(), REGIONS, by_name)}


def test_good_drafts_pass() -> None:
    assert (
        found(a_1=RationaleDraft(TEXT, "hand_foot", "minor"), f_2=RationaleDraft(FAILURE, "partial", "minor")) == set()
    )


@pytest.mark.parametrize(("text", "flaw_type", "severity", "check"), [
    ("The left hand of the seated woman has six fingers.", "hand_foot", "minor", "length"),
    (f"{TEXT} {TEXT} {TEXT} {TEXT}", "hand_foot", "minor", "length"),
    (TEXT, "partial", "minor", "flaw_type"),
    (TEXT, None, "minor", "flaw_type"),
    (TEXT, "hand_foot", None, "severity"),
    (f"{TEXT} <b>Bold</b>", "hand_foot", "minor", "markup"),
    (
        "The region in the edited image contains a visible artifact that looks unnatural and unrealistic, and it is "
        "not correct when compared with the source image.",
        "texture", "minor", "generic",
    ),
])  # fmt: skip
def test_each_check_finds_its_own(text: str, flaw_type: str | None, severity: Any, check: str) -> None:
    assert found(a_1=RationaleDraft(text, flaw_type, severity)) == {("a-1", check)}


def test_a_failure_names_something_of_the_instruction_in_any_form_of_the_word() -> None:
    without = RationaleDraft(TEXT, "partial", "minor")
    assert ("f-2", "instruction") in found(f_2=without)
    assert found(f_2=RationaleDraft(FAILURE.replace("black cat", "replacement"), "partial", "minor")) == set()
    assert found(a_1=RationaleDraft(TEXT, "hand_foot", "minor")) == set()


@pytest.mark.parametrize("flaw_type", ["unintended_change", "identity_loss", "global_drift", "other"])
def test_a_failure_beyond_the_instruction_need_not(flaw_type: str) -> None:
    assert found(f_2=RationaleDraft(TEXT, flaw_type, "minor")) == set()


def test_an_instruction_without_words_asks_for_none() -> None:
    drafts = {"f-2": RationaleDraft(TEXT, "partial", "minor")}
    assert check_pair(pair(instruction="→ 12 !!"), REGIONS, drafts) == []


def test_the_same_text_twice_is_found_at_the_second_region() -> None:
    nearly = TEXT.replace("red", "blue")
    assert found(a_1=RationaleDraft(TEXT, "hand_foot", "minor"), a_3=RationaleDraft(nearly, "hand_foot", "minor")) == {
        ("a-3", "duplicate")
    }


def test_reasons_are_in_our_own_words_and_regions_that_are_gone_are_passed_over() -> None:
    drafts = {"a-1": RationaleDraft("<i>obey</i>", "zzz", None), "gone": RationaleDraft("<i>obey</i>")}
    issues = check_pair(pair(), REGIONS, drafts)
    assert {issue.region_id for issue in issues} == {"a-1"}
    assert all("obey" not in issue.reason and "zzz" not in issue.reason for issue in issues)
    assert {issue.check for issue in issues} <= DRAFT_CHECKS.keys()

"""Drafts against final texts: counted by hand, and against other implementations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from annotation.campaign.drafts import RationaleDraft
from editfhf.drafting.report import (
    DraftReport,
    compare_drafts,
    draft_report_rows,
    render_draft_page,
    word_distance,
    write_draft_page,
)
from tests.editfhf.drafting.marked_pairs import TEXT, marked, region

HOSTILE = "<script>alert(1)</script> {{7*7}} \x00"


def compared(finals: dict[str, Any], drafts: dict[str, RationaleDraft]) -> DraftReport:
    decided = {name: region(name, "failure" if name[0] == "f" else "artifact", **said) for name, said in finals.items()}
    return compare_drafts([replace(marked(), decided=decided)], {"p1": drafts})


def final(text: str, flaw_type: str | None = "hand_foot", severity: str | None = "minor") -> dict[str, Any]:
    return {"rationale": text, "flaw_type": flaw_type, "severity": severity}


@pytest.fixture
def report() -> DraftReport:
    draft = RationaleDraft(TEXT, "hand_foot", "minor", "gpt-5", "v1-abc")
    return compared(
        {"a-1": final(f" {TEXT}  "), "f-2": final(TEXT.replace("six", "seven"), "partial", "severe")},
        {
            "a-1": draft,
            "f-2": replace(draft, flaw_type="wrong_content", prompt_version="v2-abc"),
            "a-3": draft,
            "gone": draft,
        },
    )


def test_drafts_are_counted_where_they_belong(report: DraftReport) -> None:
    whole = report.whole
    assert (whole.drafts, whole.decided, report.gone) == (3, 2, 1)
    assert (whole.accepted.count, whole.same_text.count) == (1, 1)
    assert (whole.changed_type.count, whole.changed_severity.count) == (1, 1)
    assert whole.mean_distance == pytest.approx(1 / len(TEXT.split()) / 2)
    by_prompt = {row.name: (row.drafts, row.accepted.count) for row in report.groups["prompt_version"]}
    assert by_prompt == {"v1-abc": (2, 1), "v2-abc": (1, 0)}
    assert [row.name for row in report.groups["kind"]] == ["artifact", "failure"]
    assert report.types == [("wrong_content", "partial", 1), ("hand_foot", "hand_foot", 1)]
    assert report.severities == [("minor", "severe", 1), ("minor", "minor", 1)]
    assert [one.region_id for one in report.examples] == ["f-2"]


def test_intervals_are_wilsons(report: DraftReport) -> None:
    share = report.whole.accepted
    expected = binomtest(1, 2).proportion_ci(0.95, method="wilson")
    assert (share.share, share.low, share.high) == pytest.approx((0.5, expected.low, expected.high))


def test_drafts_in_doubt_are_set_against_the_others() -> None:
    found = compared(
        {"a-1": final(TEXT), "a-3": final(TEXT)},
        {"a-1": RationaleDraft(TEXT, "hand_foot", "minor"), "a-3": RationaleDraft("Bad hand.", "hand_foot", "minor")},
    )
    accepted = {row.name: (row.decided, row.accepted.count) for row in found.groups["check"]}
    assert accepted == {"length": (1, 0), "generic": (1, 0), "no doubt": (1, 1)}


def test_what_people_left_open_is_no_change() -> None:
    found = compared({"a-1": final(TEXT, None, None)}, {"a-1": RationaleDraft(TEXT, "hand_foot", "minor")})
    assert found.whole.accepted.count == 1


def test_without_a_final_text_there_is_nothing_to_divide() -> None:
    found = compared({}, {"a-1": RationaleDraft(TEXT, "hand_foot", "minor")})
    assert found.whole.accepted.share is None and found.whole.mean_distance is None
    assert "nothing to compare" in render_draft_page(found, "x") and len(list(draft_report_rows(found))) > 1


def test_the_page_is_the_same_every_time_and_escapes_what_comes_from_outside(tmp_path: Path) -> None:
    draft = RationaleDraft(HOSTILE, "hand_foot", "minor", HOSTILE[:30], HOSTILE[:30])
    found = compared({"a-1": final("Another <b>text</b>.")}, {"a-1": draft})
    write_draft_page(tmp_path / "page.html", found, HOSTILE)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert (
        page == render_draft_page(found, HOSTILE)
        and "<script" not in page
        and "<b>text" not in page
        and "\x00" not in page
    )
    assert "default-src 'none'" in page and "&lt;script&gt;" in page and "http" not in page.replace("http-equiv", "")


words = st.lists(st.sampled_from("abcd"), max_size=8)


def plain(one: list[str], other: list[str]) -> int:
    """The definition of the distance, word for word."""
    if not one or not other:
        return len(one) + len(other)
    if one[0] == other[0]:
        return plain(one[1:], other[1:])
    return 1 + min(plain(one[1:], other), plain(one, other[1:]), plain(one[1:], other[1:]))


@given(one=words.filter(lambda w: len(w) < 6), other=words.filter(lambda w: len(w) < 6))
def test_the_distance_is_levenshteins(one: list[str], other: list[str]) -> None:
    longest = max(len(one), len(other), 1)
    assert word_distance(" ".join(one), "  ".join(other)) == plain(one, other) / longest


@given(one=words, other=words)
def test_the_distance_is_a_share_and_no_order_matters(one: list[str], other: list[str]) -> None:
    there, back = word_distance(" ".join(one), " ".join(other)), word_distance(" ".join(other), " ".join(one))
    assert there == back and 0 <= there <= 1 and (there == 0) == (one == other)

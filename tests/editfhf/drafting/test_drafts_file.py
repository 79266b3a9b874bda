"""The two files of drafting: they only grow, survive a torn end, and their shares add up."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from operator import add
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.campaign.drafts import read_drafts
from editfhf.chat import Usage
from editfhf.drafting.drafts_file import DraftResult, DraftSource, DraftWriter, divide_usage, read_draft_status
from editfhf.drafting.reply import RegionDescription, reject_draft
from mos.rejections import Rejection

GOOD = RegionDescription("face", "minor", "Two noses.")


def result(said: RegionDescription | Rejection, region: str = "r", attempt: int = 1) -> DraftResult:
    return DraftResult(("p", region), DraftSource("m", "v1-x", "k", attempt), said, Usage(cost=Decimal("0.1")))


def refuse(rejection: object) -> None:
    raise AssertionError(rejection)


def test_what_is_written_is_what_a_campaign_reads(tmp_path: Path) -> None:
    DraftWriter(tmp_path).write([result(GOOD)])
    draft = read_drafts(tmp_path, refuse)["p"]["r"]
    assert (draft.text, draft.flaw_type, draft.severity) == ("Two noses.", "face", "minor")
    assert (draft.model, draft.prompt_version, draft.attempt) == ("m", "v1-x", 1)


@pytest.mark.parametrize(("history", "drafted", "failed", "attempts"), [
    ([], False, False, 0),
    ([(GOOD, 1)], True, False, 1),
    ([(reject_draft("refused", ""), 1)], False, True, 1),
    ([(reject_draft("failed", ""), 1)], False, False, 0),
    ([(reject_draft("bad_picture", ""), 1)], False, False, 0),
    ([(reject_draft("refused", ""), 1), (GOOD, 2)], True, False, 2),
    ([(GOOD, 1), (reject_draft("refused", ""), 2)], True, True, 2),
    ([(GOOD, 1), (reject_draft("failed", ""), 2)], True, False, 1),
])  # fmt: skip
def test_where_a_region_stands(
    tmp_path: Path,
    history: list[tuple[RegionDescription | Rejection, int]],
    drafted: bool,
    failed: bool,
    attempts: int,
) -> None:
    for said, attempt in history:
        DraftWriter(tmp_path).write([result(said, attempt=attempt)])
    standing, ids = read_draft_status(tmp_path, refuse), ("p", "r")
    assert (standing.has_draft(ids), standing.has_failed(ids), standing.count_attempts(ids)) == (
        drafted,
        failed,
        attempts,
    )


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_torn_line_is_taken_away_and_the_others_stay(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "drafts.jsonl"
    DraftWriter(tmp_path).write([result(GOOD, "one"), result(GOOD, "two")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    DraftWriter(tmp_path).write([result(GOOD, "three")])
    regions = [orjson.loads(line)["region_id"] for line in path.read_bytes().splitlines()]
    # A line that lacks nothing but its end is whole.
    assert regions == (["one", "two", "three"] if cut == 1 else ["one", "three"])


amounts = st.integers(0, 10**9)
money = st.none() | st.decimals(0, 1000, places=9)


@given(usage=st.builds(Usage, amounts, amounts, amounts, amounts, amounts, money), parts=st.integers(1, 40))
def test_shares_add_up_to_the_whole(usage: Usage, parts: int) -> None:
    found = divide_usage(usage, parts)
    assert len(found) == parts and reduce(add, found) == usage

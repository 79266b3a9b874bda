"""Rewards of replies: over all boxes, by number, and nothing to be gained by the known hacks."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.records import Box, Region
from annotation.taxonomy import load_flaw_definitions
from training.vlm.reasoning.reply_text import format_reply, read_reply
from training.vlm.reasoning.rewards import (
    COPIED,
    PADDED,
    REPEATED,
    AskedRegions,
    compare_words,
    find_hacks,
    reward_format,
    reward_similarity,
    reward_types,
)

TEXTS = ("The left hand has six fingers and no thumb.", "The lamp was asked for, but there is none on the desk.")


ENTRIES = st.fixed_dictionaries(
    {
        "number": st.integers(-1, 4),
        "flaw_type": st.sampled_from(["hand_foot", "not_executed", "x"]),
        "severity": st.just("minor"),
        "reasoning": st.text(max_size=40),
    }
)


def make_region(kind: Any, flaw_type: str, text: str) -> Region:
    return Region("r", kind, Box(0, 0, 9, 9), (), flaw_type, "severe", text, ("1",))


ASKED = AskedRegions(
    {1: make_region("artifact", "hand_foot", TEXTS[0]), 2: make_region("failure", "not_executed", TEXTS[1])},
    "Put a green lamp on the wooden desk beside the open window.",
)
PERFECT = format_reply(ASKED.regions)


def rewards(text: str) -> tuple[float, float, float]:
    return (
        reward_format(text, ASKED),
        reward_types(text, ASKED),
        round(reward_similarity(text, ASKED, compare_words), 6),
    )


def change(**values: Any) -> str:
    """The perfect reply with other values in its first entry."""
    reply = orjson.loads(PERFECT)
    reply["regions"][0] |= values
    return orjson.dumps(reply).decode()


def test_the_reply_of_people_earns_everything() -> None:
    assert rewards(PERFECT) == (1.0, 1.0, 1.0)


def test_entries_are_matched_by_number_not_by_place() -> None:
    regions = orjson.loads(PERFECT)["regions"]
    assert rewards(orjson.dumps({"regions": regions[::-1]}).decode()) == (1.0, 1.0, 1.0)
    swapped = [entry | {"number": 3 - entry["number"]} for entry in regions]
    assert reward_types(orjson.dumps({"regions": swapped}).decode(), ASKED) == 0.0


@pytest.mark.parametrize(
    "text",
    ["", "flaw_type description", f"```json\n{PERFECT}\n```", f"Here it is: {PERFECT}", PERFECT[:-1], "[]", "{}"],
)
def test_another_form_earns_nothing(text: str) -> None:
    """The words of the schema alone earned the authors' whole reward for the format."""
    assert rewards(text) == (0.0, 0.0, 0.0)


def test_every_box_counts() -> None:
    first, second = orjson.loads(PERFECT)["regions"]
    for entries, wanted in (
        ([first], (0.5, 0.5, 0.5)),
        ([first, first, second], (0.5, 0.5, 0.5)),
        ([first, second, second | {"number": 7}], (2 / 3, 1.0, 1.0)),
    ):
        assert rewards(orjson.dumps({"regions": entries}).decode()) == wanted


def test_a_wrong_type_or_an_extra_field_costs() -> None:
    assert rewards(change(flaw_type="face")) == (1.0, 0.5, 1.0)
    assert rewards(change(flaw_type="unintended_change")) == (0.5, 0.5, 0.5)  # of the other kind
    assert rewards(change(sure=True)) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("text", "hack"),
    [
        (TEXTS[0] + " It is bad." * 10, PADDED),
        (ASKED.instruction, COPIED),
        (load_flaw_definitions()["artifact"]["hand_foot"], COPIED),
        (TEXTS[1], REPEATED),
    ],
)
def test_hacks_have_names_and_earn_nothing(text: str, hack: str) -> None:
    parsed = read_reply(change(reasoning=text), ASKED.kinds)
    assert parsed is not None and hack in find_hacks(parsed, ASKED)[1]
    assert reward_similarity(change(reasoning=text), ASKED, compare_words) <= 0.5


def test_honest_texts_are_no_hacks() -> None:
    for text in (TEXTS[0], "Six fingers.", "The hand in front has one finger too many, and its thumb is missing."):
        parsed = read_reply(change(reasoning=text), ASKED.kinds)
        assert parsed is not None and find_hacks(parsed, ASKED) == {1: [], 2: []}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-1, 4), st.sampled_from(["hand_foot", "not_executed", "x"]), st.text(max_size=40)),
        max_size=5,
    )
)
def test_no_reply_earns_more_than_that_of_people(entries: list[tuple[int, str, str]]) -> None:
    reply = {
        "regions": [
            {"number": number, "flaw_type": flaw, "severity": "minor", "reasoning": text}
            for number, flaw, text in entries
        ]
    }
    for reward in rewards(orjson.dumps(reply).decode()):
        assert 0 <= reward <= 1

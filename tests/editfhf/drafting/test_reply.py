"""What counts of a reply: each region by itself, and nothing about any other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from annotation.flaws import flaw_types
from annotation.records import Kind
from editfhf.chat.schema import strict_schema
from editfhf.drafting.reply import Described, Fault, clean, judge, reply_model
from tests.editfhf.chat.strict_schema import problem
from tests.editfhf.drafting.marked_pairs import TEXT, entry

KINDS: dict[int, Kind] = {1: "artifact", 2: "failure", 3: "artifact"}


def judged(*said: Any) -> Any:
    return judge(reply_model(KINDS).model_validate({"regions": list(said)}), KINDS)


def right() -> list[dict[str, Any]]:
    return [entry(number, kind) for number, kind in KINDS.items()]


@pytest.mark.parametrize("kinds", [KINDS, {4: "failure"}, {1: "artifact", 9: "artifact"}])
def test_strict_servers_take_the_schema(kinds: dict[int, Kind]) -> None:
    assert problem(strict_schema(reply_model(kinds))) is None


def test_the_schema_names_the_numbers_and_each_kinds_flaw_types() -> None:
    one, two = strict_schema(reply_model(KINDS))["properties"]["regions"]["items"]["anyOf"]
    assert one["properties"]["number"]["enum"] == [1, 3] and two["properties"]["number"]["enum"] == [2]
    assert one["properties"]["flaw_type"]["enum"] == list(flaw_types("artifact"))
    assert two["properties"]["flaw_type"]["enum"] == list(flaw_types("failure"))


def test_a_right_reply_describes_every_region() -> None:
    found = judged(*right())
    assert found.described.keys() == KINDS.keys() and not found.faults and found.strays == 0


@pytest.mark.parametrize("spoil", [
    lambda one, two, three: [one, three],
    lambda one, two, three: [one, two, two, three],
    lambda one, two, three: [one, two | {"number": 7}, three],
    lambda one, two, three: [one, two | {"number": True}, three],
    lambda one, two, three: [one, two | {"number": "2"}, three],
    lambda one, two, three: [one, two | {"flaw_type": "hand_foot"}, three],
    lambda one, two, three: [one, two | {"flaw_type": ["partial"]}, three],
    lambda one, two, three: [one, two | {"severity": "fatal"}, three],
    lambda one, two, three: [one, two | {"reasoning": None}, three],
    lambda one, two, three: [one, two | {"reasoning": "  \n "}, three],
    lambda one, two, three: [one, two | {"reasoning": "word " * 900}, three],
    lambda one, two, three: [one, two | {"reasoning": f"<img src=x onerror=alert(1)> {TEXT}"}, three],
    lambda one, two, three: [one, two | {"reasoning": f"&lt;script&gt; {TEXT}"}, three],
    lambda one, two, three: [one, two | {"reasoning": f"[see](http://x.org) {TEXT}"}, three],
    lambda one, two, three: [one, two | {"reasoning": f"\u202e{TEXT}"}, three],
    lambda one, two, three: [one, two | {"reasoning": f"\u0000{TEXT}"}, three],
    lambda one, two, three: [one, two | {"region_id": "f-1"}, three],
    lambda one, two, three: [one, {"number": 2}, three],
])  # fmt: skip
def test_a_bad_entry_spoils_no_other(spoil: Any) -> None:
    found = judged(*spoil(*right()))
    assert found.described.keys() == {1, 3} and found.faults.keys() == {2}


def test_entries_about_other_regions_are_counted_and_go_nowhere() -> None:
    found = judged(*right(), entry(8, "artifact"), entry(-1, "failure"))
    assert found.described.keys() == KINDS.keys() and found.strays == 2


def test_a_reply_of_another_shape_is_refused_as_a_whole() -> None:
    for value in ({"regions": right(), "orders": 1}, {"regions": "none"}, {}, {"regions": [3]}):
        with pytest.raises(ValidationError):
            reply_model(KINDS).model_validate(value)


def test_emphasis_and_blanks_are_put_right() -> None:
    assert clean(" The **left**\n hand\tof the `cat` ") == "The left hand of the cat"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["number", "flaw_type", "severity", "reasoning", "extra"])


@given(said=st.lists(st.dictionaries(fields, json_values | st.sampled_from([1, 2, 3, "minor", "partial", TEXT]))))
def test_whatever_comes_every_region_is_described_or_has_a_reason(said: list[dict[str, Any]]) -> None:
    found = judged(*said)
    assert found.described.keys() | found.faults.keys() == KINDS.keys()
    assert not found.described.keys() & found.faults.keys()
    for number, one in found.described.items():
        assert isinstance(one, Described) and one.flaw_type in flaw_types(KINDS[number])


@given(text=st.text())
def test_a_cleaned_text_is_clean(text: str) -> None:
    found = clean(text)
    assert isinstance(found, Fault) or clean(found) == found

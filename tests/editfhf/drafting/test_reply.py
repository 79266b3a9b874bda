"""What counts of a reply: each region by itself, and nothing about any other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from annotation.records import Kind
from annotation.taxonomy import list_flaw_types
from editfhf.chat.request import strict_schema
from editfhf.drafting.reply import RegionDescription, clean_reasoning, parse_draft_reply, reply_model
from mos.rejections import Rejection
from tests.editfhf.chat.strict_schema import problem
from tests.editfhf.drafting.marked_pairs import TEXT, entry

KINDS: dict[int, Kind] = {1: "artifact", 2: "failure", 3: "artifact"}


def judged(*said: Any) -> Any:
    return parse_draft_reply(reply_model(KINDS).model_validate({"regions": list(said)}), KINDS)


def right() -> list[dict[str, Any]]:
    return [entry(number, kind) for number, kind in KINDS.items()]


@pytest.mark.parametrize("kinds", [KINDS, {4: "failure"}, {1: "artifact", 9: "artifact"}])
def test_strict_servers_take_the_schema(kinds: dict[int, Kind]) -> None:
    assert problem(strict_schema(reply_model(kinds))) is None


def test_the_schema_names_the_numbers_and_each_kinds_flaw_types() -> None:
    one, two = strict_schema(reply_model(KINDS))["properties"]["regions"]["items"]["anyOf"]
    assert one["properties"]["number"]["enum"] == [1, 3] and two["properties"]["number"]["enum"] == [2]
    assert one["properties"]["flaw_type"]["enum"] == list(list_flaw_types("artifact"))
    assert two["properties"]["flaw_type"]["enum"] == list(list_flaw_types("failure"))


def test_a_right_reply_describes_every_region() -> None:
    found = judged(*right())
    assert found.described.keys() == KINDS.keys() and not found.rejections and found.strays == 0


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
    assert found.described.keys() == {1, 3} and found.rejections.keys() == {2}


def test_entries_about_other_regions_are_counted_and_go_nowhere() -> None:
    found = judged(*right(), entry(8, "artifact"), entry(-1, "failure"))
    assert found.described.keys() == KINDS.keys() and found.strays == 2


def test_a_reply_of_another_shape_is_refused_as_a_whole() -> None:
    for value in ({"regions": right(), "orders": 1}, {"regions": "none"}, {}, {"regions": [3]}):
        with pytest.raises(ValidationError):
            reply_model(KINDS).model_validate(value)


SIGN = "The letters of the sign run into each other: it reads www.shopp.com in place of www.shop.com"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a smeared back\u00adground", "a smeared background"),
        ("\ufeffa smeared\u200b wheel\u2060", "a smeared wheel"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("a \U0001f469\u200d\U0001f680 of two", "a \U0001f469\u200d\U0001f680 of two"),
        ("shaking \U0001fae8, later \U0001fadf", "shaking \U0001fae8, later \U0001fadf"),
        ("5 < 6 and a > b; [sic] 3:2", "5 < 6 and a > b; [sic] 3:2"),
    ],
)
def test_characters_of_plain_text(text: str, clean: str) -> None:
    assert clean_reasoning(text) == clean


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\x00b", "control_characters"),
        ("a\x1b[31mb", "control_characters"),
        ("\u202eolleh", "hidden_characters"),
        ("a\u2066b\u2069", "hidden_characters"),
        ("a\u200eb", "hidden_characters"),
        ("a\U000e0041b", "hidden_characters"),
        ("a\ue000b", "hidden_characters"),
        ("a\ufdd0b", "hidden_characters"),
        ("a\U0001ffffb", "hidden_characters"),
        ("a\u2065b", "hidden_characters"),
        ("<b\u00ad>", "markup"),
        ("<\u00adscript>", "markup"),
        ("<\u200cscript>", "markup"),
        ("&lt;\u200dscript&gt;", "markup"),
        ("[a]\u200b(b)", "markup"),
        ("``\u00ad`", "markup"),
        ("see www\u00ad.a.org", "address"),
        ("see w\u200cww.a.org", "address"),
        ("see http:\u200b//a.org", "address"),
        ("see ftp://a.org", "address"),
        ("see HTTPS://a.org", "address"),
        ("see https&#58;//a.org", "address"),
    ],
)
def test_each_refusal_has_its_own_reason(text: str, reason: str) -> None:
    found = clean_reasoning(text)
    assert isinstance(found, Rejection) and found.reason == reason


@pytest.mark.parametrize("flaw_type", ["garbled_text", "foreign_mark"])
def test_an_address_that_can_be_read_in_the_image_may_be_quoted(flaw_type: str) -> None:
    found = judged(entry(1, "artifact") | {"flaw_type": flaw_type, "reasoning": SIGN})
    assert found.described[1].text == SIGN


@pytest.mark.parametrize("text", [f"[{SIGN}](http://x.org)", f"<a href='http://x.org'>{SIGN}</a>", f"{SIGN} ```js```"])
def test_a_quoted_address_opens_no_way_for_markup(text: str) -> None:
    found = judged(entry(1, "artifact") | {"flaw_type": "garbled_text", "reasoning": text})
    assert found.rejections[1].reason == "markup"


def test_other_flaws_quote_no_address() -> None:
    found = judged(entry(1, "artifact") | {"flaw_type": "texture", "reasoning": SIGN})
    assert found.rejections[1].reason == "address"


def test_emphasis_and_blanks_are_put_right() -> None:
    assert clean_reasoning(" The **left**\n hand\tof the `cat` ") == "The left hand of the cat"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["number", "flaw_type", "severity", "reasoning", "extra"])


@given(said=st.lists(st.dictionaries(fields, json_values | st.sampled_from([1, 2, 3, "minor", "partial", TEXT]))))
def test_whatever_comes_every_region_is_described_or_has_a_reason(said: list[dict[str, Any]]) -> None:
    found = judged(*said)
    assert found.described.keys() | found.rejections.keys() == KINDS.keys()
    assert not found.described.keys() & found.rejections.keys()
    for number, one in found.described.items():
        assert isinstance(one, RegionDescription) and one.flaw_type in list_flaw_types(KINDS[number])


@given(text=st.text())
def test_a_cleaned_text_is_clean(text: str) -> None:
    found = clean_reasoning(text)
    assert isinstance(found, Rejection) or clean_reasoning(found) == found

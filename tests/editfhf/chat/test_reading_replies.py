"""From the text of a reply to its object, or to a sentence that holds none of the text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editfhf.chat.reading import Misfit, read
from editfhf.chat.replies import MAX_TEXT, Reply, Unreadable, read_envelope, unpack
from editfhf.chat.usage import Usage
from tests.editfhf.chat.asking import Flaws

GOOD = {"regions": [{"region": 1, "flaw_type": "edge", "text": "A seam runs through the wheel."}]}
TEXT = json.dumps(GOOD)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"\n {TEXT}\n",
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"Here it is: {TEXT} I hope this helps.",
        f"The set {{a, b}} is fine. {TEXT}",
    ],
)
def test_one_object_is_found_in_its_wrapping(text: str) -> None:
    value = read(text, Flaws)
    assert value.model_dump() == GOOD


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "empty"),
        ("  ", "empty"),
        ("no", "no JSON"),
        (TEXT[:-5], "no JSON"),
        (TEXT[:-1], "does not fit"),
        (f"{TEXT} or {TEXT}", "2 JSON objects"),
        ("[1]", "model_type"),
        ('{"regions": []}', "regions: too_short"),
        ('{"regions": [{"region": 0, "flaw_type": "edge", "text": "abc"}]}', "regions.0.region: greater_than_equal"),
        ('{"regions": [{"region": 1, "flaw_type": "bogus", "text": "abc"}]}', "regions.0.flaw_type: literal_error"),
        ("{" * 100_000, "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("x" * (MAX_TEXT + 1), "longer than"),
    ],
)
def test_what_is_wrong_is_said_in_our_words(text: str | None, said: str) -> None:
    with pytest.raises(Misfit, match=said):
        read(text, Flaws)


def test_no_word_of_the_model_is_repeated() -> None:
    text = json.dumps({"SECRET": 1, "regions": [{"region": "SECRET", "flaw_type": "SECRET", "text": ["SECRET"]}]})
    with pytest.raises(Misfit) as caught:
        read(text, Flaws)
    assert "SECRET" not in str(caught.value) and "extra_forbidden" in str(caught.value)


@given(st.text())
def test_any_text_is_an_object_or_a_misfit(text: str) -> None:
    with pytest.raises(Misfit):
        read(text, Flaws)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["choices", "message", "content", "usage", "prompt_tokens", "finish_reason"]), inner)))  # fmt: skip  # noqa: E501
def test_any_answer_is_a_completion_or_unreadable(value: object) -> None:
    try:
        envelope = read_envelope(json.dumps(value).encode())
    except Unreadable:
        return
    assert isinstance(value, dict) and isinstance(value["choices"], list)
    assert envelope.text is None or envelope.text


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": "9", "completion_tokens": 1},
     {"prompt_tokens": True, "completion_tokens": 1}, {"prompt_tokens": 1 << 60, "completion_tokens": 1}],
)  # fmt: skip
def test_a_count_that_is_none_is_not_believed(usage: object) -> None:
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    assert read_envelope(json.dumps(body).encode()).count is None


def test_more_cached_tokens_than_tokens_are_not_believed() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    count = read_envelope({"choices": [], "usage": usage}).count
    assert count is not None and count.cached_tokens == 5


def test_half_a_surrogate_pair_is_replaced() -> None:
    envelope = read_envelope(b'{"choices": [{"message": {"content": "a\\ud83d"}, "finish_reason": "length"}]}')
    assert envelope.text == "a?"


@pytest.mark.parametrize("data", [b"", b"[]", b"<html>", b'{"choices": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_completion_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_envelope(data)


def test_a_reply_is_kept_as_it_was() -> None:
    reply = Reply("stop", "text", False, "gpt-test", Usage(1, 2, 3, 1, 4, None), False)
    assert unpack(reply.pack()) == reply

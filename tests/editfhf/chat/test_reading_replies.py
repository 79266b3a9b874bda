"""From the text of a reply to its object, or to a sentence that holds none of the text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editfhf.chat.budget import Usage
from editfhf.chat.replies import (
    MAX_REPLY_TEXT,
    ModelReply,
    ReplyMismatch,
    UnreadableReply,
    parse_reply,
    read_completion,
    unpack_reply,
)
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
        f"<think>Perhaps {TEXT}? Yes.</think>\n{TEXT}",
        f"<think>Perhaps {TEXT}?</think> No. <think>{TEXT}</think> Here it is: {TEXT}",
        f"Perhaps {TEXT}?</thinking>```json\n{TEXT}\n```",
        f"<think>\n\n</think>\n\n[{TEXT}]",
        f"[{TEXT}]",
        json.dumps(GOOD["regions"]),
        json.dumps(TEXT),
        json.dumps(f"```json\n{TEXT}\n```"),
        json.dumps(f"[{TEXT}]"),
    ],
)
def test_one_object_is_found_in_its_wrapping(text: str) -> None:
    value = parse_reply(text, Flaws)
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
        (f"[{TEXT}, {TEXT}]", "model_type"),
        ("[]", "model_type"),
        (f"[[{TEXT}]]", "model_type"),
        (json.dumps(json.dumps(json.dumps(GOOD))), "model_type"),
        (f"<think>{TEXT}</think>", "no JSON"),
        (f"<think>{TEXT}</think> I cannot say.", "no JSON"),
        (f"<think>x</think>{TEXT} or {TEXT}", "2 JSON objects"),
        ('{"regions": []}', "regions: too_short"),
        ('{"regions": [{"region": 0, "flaw_type": "edge", "text": "abc"}]}', "regions.0.region: greater_than_equal"),
        ('{"regions": [{"region": 1, "flaw_type": "bogus", "text": "abc"}]}', "regions.0.flaw_type: literal_error"),
        ("{" * 100_000, "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("x" * (MAX_REPLY_TEXT + 1), "longer than"),
    ],
)
def test_what_is_wrong_is_said_in_our_words(text: str | None, said: str) -> None:
    with pytest.raises(ReplyMismatch, match=said):
        parse_reply(text, Flaws)


def test_no_word_of_the_model_is_repeated() -> None:
    text = json.dumps({"SECRET": 1, "regions": [{"region": "SECRET", "flaw_type": "SECRET", "text": ["SECRET"]}]})
    with pytest.raises(ReplyMismatch) as caught:
        parse_reply(text, Flaws)
    assert "SECRET" not in str(caught.value) and "extra_forbidden" in str(caught.value)


@given(st.text())
def test_any_text_is_an_object_or_a_misfit(text: str) -> None:
    with pytest.raises(ReplyMismatch):
        parse_reply(text, Flaws)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["choices", "message", "content", "usage", "prompt_tokens", "finish_reason"]), inner)))  # fmt: skip  # noqa: E501
def test_any_answer_is_a_completion_or_unreadable(value: object) -> None:
    try:
        envelope = read_completion(json.dumps(value).encode())
    except UnreadableReply:
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
    assert read_completion(json.dumps(body).encode()).count is None


def test_more_cached_tokens_than_tokens_are_not_believed() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    count = read_completion({"choices": [], "usage": usage}).count
    assert count is not None and count.cached_tokens == 5


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
    {"type": "text", "text": TEXT[:20]},
    {"type": "text", "text": TEXT[20:]},
]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (PARTS, TEXT),
        ([{"type": "output_text", "text": "a"}], "a"),
        ([*PARTS, 3, None, {"type": "text"}, {"type": "text", "text": 4}, {"type": "image", "text": "no"}], TEXT),
        ([PARTS[0]], None),
        ([], None),
        ({"type": "text", "text": "a"}, None),
        (3, None),
    ],
)
def test_content_in_parts_is_its_text(content: object, text: str | None) -> None:
    assert read_completion({"choices": [{"message": {"content": content}}]}).text == text


def test_a_refusal_may_be_a_part() -> None:
    content = [{"type": "refusal", "refusal": "No."}]
    assert read_completion({"choices": [{"message": {"content": content}}]}).refused


def test_a_text_that_names_the_end_of_thinking_is_read() -> None:
    reply = {"regions": [GOOD["regions"][0] | {"text": "The sign reads </think>."}]}
    assert parse_reply(json.dumps(reply), Flaws).model_dump() == reply


def test_half_a_surrogate_pair_is_replaced() -> None:
    envelope = read_completion(b'{"choices": [{"message": {"content": "a\\ud83d"}, "finish_reason": "length"}]}')
    assert envelope.text == "a?"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"<html>", b'{"choices": 1}', b"\xff", b"[" * 100_000, b'{"a":' + b"1," * 2_000_001]
)
def test_what_is_no_completion_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableReply):
        read_completion(data)


def test_a_reply_is_kept_as_it_was() -> None:
    reply = ModelReply("stop", "text", False, "gpt-test", Usage(1, 2, 3, 1, 4, None), False)
    assert unpack_reply(reply.pack()) == reply

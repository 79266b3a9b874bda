"""What an HTTP answer means for a request."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from editfhf.chat.verdicts import Fate, Verdict, judge, retry_after


def verdict(status: int, code: str | None = None, **headers: str) -> Verdict:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judge(status, named, json.dumps({"error": {"code": code, "message": "SECRET"}}).encode(), "http://h/v1", "m")


@pytest.mark.parametrize(
    ("status", "code", "fate"),
    [
        (200, None, Fate.ok), (307, None, Fate.stop), (400, None, Fate.failed), (400, "content_filter", Fate.filtered),
        (400, "unsupported_parameter", Fate.stop), (401, None, Fate.stop), (403, None, Fate.stop),
        (404, "model_not_found", Fate.stop), (408, None, Fate.again), (409, None, Fate.again), (413, None, Fate.failed),
        (422, None, Fate.failed), (429, None, Fate.again), (429, "insufficient_quota", Fate.stop),
        (500, None, Fate.again), (503, None, Fate.again), (529, None, Fate.again),
    ],
)  # fmt: skip
def test_each_status_has_one_fate(status: int, code: str | None, fate: Fate) -> None:
    found = verdict(status, code)
    assert found.fate is fate and "SECRET" not in found.sentence


def test_the_server_has_the_last_word_on_retries() -> None:
    assert verdict(500, x_should_retry="false").fate is Fate.failed
    assert verdict(400, x_should_retry="true").fate is Fate.again


@pytest.mark.parametrize(("status", "unsure"), [(429, False), (500, False), (503, False), (502, True), (504, True)])
def test_after_a_gateways_answer_the_model_may_have_answered_all_the_same(status: int, unsure: bool) -> None:
    assert verdict(status).unsure is unsure


@pytest.mark.parametrize("code", ["a b", "<script>", "x" * 61, "/etc/passwd", 7, None])
def test_a_code_that_could_be_text_is_not_repeated(code: object) -> None:
    body = json.dumps({"error": {"code": code, "type": None}}).encode()
    assert judge(400, {}, body, "http://h/v1", "m").sentence.endswith("request: 400.")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000, b"[]", b'{"error": "x"}'])
def test_an_answer_of_any_kind_is_judged(content: bytes) -> None:
    assert judge(500, {}, content, "http://h/v1", "m").fate is Fate.again


def test_retry_after_is_read_in_seconds_and_as_a_date_without_a_cap() -> None:
    now = time.time()
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after": "200"}) == 200
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": formatdate(int(now) + 300, usegmt=True)}, int(now)) == 300
    assert retry_after({"retry-after": formatdate(now - 300, usegmt=True)}) == 0
    assert retry_after({"retry-after": "-5"}) == 0
    assert retry_after({}) is None


@pytest.mark.parametrize("value", ["soon", "nan", "", "Wed, 99 Foo 9999999999 00:00:00 GMT"])
def test_what_is_no_time_is_none(value: str) -> None:
    assert retry_after({"retry-after": value}) is None

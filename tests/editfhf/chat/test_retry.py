"""What an HTTP answer means for a request."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from editfhf.chat.retry import ClassifiedResponse, ResponseKind, classify_response, parse_retry_after


def verdict(status: int, code: str | None = None, **headers: str) -> ClassifiedResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify_response(
        status, named, json.dumps({"error": {"code": code, "message": "SECRET"}}).encode(), "http://h/v1", "m"
    )


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (200, None, ResponseKind.ok), (307, None, ResponseKind.stop),
        (400, None, ResponseKind.failed), (400, "content_filter", ResponseKind.filtered),
        (400, "unsupported_parameter", ResponseKind.stop), (401, None, ResponseKind.stop),
        (403, None, ResponseKind.stop), (404, "model_not_found", ResponseKind.stop),
        (408, None, ResponseKind.retry), (409, None, ResponseKind.retry),
        (413, None, ResponseKind.failed), (422, None, ResponseKind.failed),
        (429, None, ResponseKind.retry), (429, "insufficient_quota", ResponseKind.stop),
        (500, None, ResponseKind.retry), (503, None, ResponseKind.retry),
        (529, None, ResponseKind.retry),
    ],
)  # fmt: skip
def test_each_status_has_one_kind(status: int, code: str | None, kind: ResponseKind) -> None:
    found = verdict(status, code)
    assert found.kind is kind and "SECRET" not in found.message


def test_the_server_has_the_last_word_on_retries() -> None:
    assert verdict(500, x_should_retry="false").kind is ResponseKind.failed
    assert verdict(400, x_should_retry="true").kind is ResponseKind.retry


@pytest.mark.parametrize(("status", "unsure"), [(429, False), (500, False), (503, False), (502, True), (504, True)])
def test_after_a_gateways_answer_the_model_may_have_answered_all_the_same(status: int, unsure: bool) -> None:
    assert verdict(status).uncertain is unsure


@pytest.mark.parametrize("code", ["a b", "<script>", "x" * 61, "/etc/passwd", 7, None])
def test_a_code_that_could_be_text_is_not_repeated(code: object) -> None:
    body = json.dumps({"error": {"code": code, "type": None}}).encode()
    assert classify_response(400, {}, body, "http://h/v1", "m").message.endswith("request: 400.")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000, b"[]", b'{"error": "x"}'])
def test_an_answer_of_any_kind_is_judged(content: bytes) -> None:
    assert classify_response(500, {}, content, "http://h/v1", "m").kind is ResponseKind.retry


def test_retry_after_is_read_in_seconds_and_as_a_date_without_a_cap() -> None:
    now = time.time()
    assert parse_retry_after({"retry-after": "2.5"}) == 2.5
    assert parse_retry_after({"retry-after": "200"}) == 200
    assert parse_retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert parse_retry_after({"retry-after": formatdate(int(now) + 300, usegmt=True)}, int(now)) == 300
    assert parse_retry_after({"retry-after": formatdate(now - 300, usegmt=True)}) == 0
    assert parse_retry_after({"retry-after": "-5"}) == 0
    assert parse_retry_after({}) is None


@pytest.mark.parametrize("value", ["soon", "nan", "", "Wed, 99 Foo 9999999999 00:00:00 GMT"])
def test_what_is_no_time_is_none(value: str) -> None:
    assert parse_retry_after({"retry-after": value}) is None

"""Ids and texts."""

from __future__ import annotations

import pytest

from annotation.text import collapse_blanks, describe_bad_id, is_unicode, normalize_text


@pytest.mark.parametrize("value", ["pair-1", "ж/é 3", "x" * 200, "名前", "a\u00a0b"])
def test_printable_ids_of_any_script_are_ids(value: str) -> None:
    assert describe_bad_id(value) is None


@pytest.mark.parametrize("value", ["", " ", "a\nb", "a\x00", "a\x7f", "x" * 201, "\ud800"])
def test_what_is_no_id(value: str) -> None:
    assert describe_bad_id(value) is not None


def test_texts_are_composed_and_stripped() -> None:
    assert normalize_text("  e\u0301 \n") == "é"
    assert collapse_blanks(" e\u0301\t\n b ") == "é b"


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert not is_unicode("a\ud800")
    assert is_unicode("😀")

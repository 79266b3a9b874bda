"""Two spellings of one id are found, whatever makes them differ, and how they differ can be seen."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.spellings import KnownSpellings, describe_difference, find_other_spellings, fold_spelling, is_missing_mark

PAIRS = [
    ("Caf\u00e9", "Cafe\u0301"),
    ("\ud55c\uad6d", unicodedata.normalize("NFD", "\ud55c\uad6d")),
    ("\u30d0", "\u30cf\u3099"),
    ("Vi\u1ec7t", "Vie\u0323\u0302t"),
    ("\u2126", "\u03a9"),  # OHM SIGN
    ("\u212b", "\u00c5"),  # ANGSTROM SIGN
    ("\uf900", "\u8c48"),  # a CJK compatibility ideograph
    ("a\u00a0b", "a b"),
    ("ab", "a\u200bb"),
    ("7", "007"),
    ("7", "7.0"),
    ("100000", "1E+05"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_another_spelling_is_found_and_shown(one: str, other: str) -> None:
    assert find_other_spellings([one, "x", other]) == [(one, other)]
    said = KnownSpellings([one, "x"]).explain(other)
    assert describe_difference(one, other) in said
    if one.isdigit():
        assert "the same number" in said
    else:
        assert any(f"U+{ord(char):04X}" in said for char in {*one, *other} - ({*one} & {*other}))


@pytest.mark.parametrize("ids", [["A.png", "a.png"], ["p1", "p01"], ["1E+05", "1E+06"], ["v1.0", "v1"], ["", "x"]])
def test_what_differs_to_a_reader_is_not_told(ids: list[str]) -> None:
    assert find_other_spellings(ids) == []
    assert KnownSpellings(ids[:1]).explain(ids[1]) == ""


def test_long_numbers_and_huge_exponents_are_compared_exactly() -> None:
    assert find_other_spellings(["12345678901234567890", "012345678901234567891"]) == []
    assert find_other_spellings(["1e9999", "1e9998", "01"]) == []
    assert find_other_spellings(["1e99999999999999999999", "01"]) == []


@given(st.text(max_size=8))
def test_every_unicode_form_is_another_spelling(text: str) -> None:
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, text)
        assert fold_spelling(other) == fold_spelling(text)
        assert bool(KnownSpellings([text]).explain(other)) == (other != text)


@pytest.mark.parametrize("mark", ["NA", "N/A", "#N/A", "<NA>", "null", "NULL", "None", ".", "-", " na ", "NaN"])
def test_marks_for_missing_values(mark: str) -> None:
    assert is_missing_mark(mark)


@pytest.mark.parametrize("text", ["", "0", "-1", "nature", "no", "..", "4 -"])
def test_other_texts_are_no_marks(text: str) -> None:
    assert not is_missing_mark(text)

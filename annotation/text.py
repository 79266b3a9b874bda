"""What counts as an id and as a text in anything that people or servers wrote."""

from __future__ import annotations

import unicodedata

MAX_TEXT = 10_000
"""Characters of the longest text that is read (instruction, rationale)."""

MAX_ID = 200
"""Characters of the longest id."""


def bad_id(value: str) -> str | None:
    """What is wrong with an id, as the end of a sentence; None when it is one.

    >>> bad_id("pair-1") is None
    True
    >>> bad_id("a\\nb")
    'has a control character'
    """
    if not value or value.isspace():
        return "is empty"
    if value != value.strip():
        return "has blanks at its ends"
    if len(value) > MAX_ID:
        return f"has {len(value):,} characters: at most {MAX_ID} are allowed"
    if not value.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        return "has a control character"
    return None


def is_unicode(value: str) -> bool:
    """Whether the text can be written as UTF-8: JSON may name half of a surrogate pair, which cannot."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def normal(value: str) -> str:
    """The text in Unicode's composed form (NFC) without blanks at its ends."""
    return unicodedata.normalize("NFC", value).strip()


def collapsed(value: str) -> str:
    """The text as it is compared: composed form, every run of blanks one space.

    >>> collapsed(" a \\n b ")
    'a b'
    """
    return " ".join(unicodedata.normalize("NFC", value).split())

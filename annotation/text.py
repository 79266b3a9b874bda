"""Check and normalise ids and texts that participants or servers wrote."""

from __future__ import annotations

import unicodedata

MAX_TEXT_LENGTH = 10_000
"""Characters of the longest text that is read (instruction, rationale)."""


MAX_ID_LENGTH = 200
"""Characters of the longest id."""


def describe_bad_id(value: str) -> str | None:
    """Describe what is wrong with an id, as the end of a sentence; None for a valid id.

    >>> describe_bad_id("pair-1") is None
    True
    >>> describe_bad_id("a\\nb")
    'has a control character'
    """
    if not value or value.isspace():
        return "is empty"
    if value != value.strip():
        return "has blanks at its ends"
    if len(value) > MAX_ID_LENGTH:
        return f"has {len(value):,} characters: at most {MAX_ID_LENGTH} are allowed"
    if not value.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        return "has a control character"
    return None


_EXACT_WHOLE = 2**53
"""Up to this number a floating-point number holds every whole number exactly."""


def read_id_text(value: object) -> str | None:
    """The text of an id in JSON: a text as it is, a whole number as its digits; None for anything else.

    Spreadsheets and imports of CSV files turn ids that look like numbers into numbers.

    >>> read_id_text("007"), read_id_text(7), read_id_text(7.0), read_id_text(7.5), read_id_text(True)
    ('007', '7', '7', None, None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_WHOLE:
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def is_unicode(value: str) -> bool:
    """Whether the text can be encoded as UTF-8; half of a surrogate pair, which JSON allows, cannot."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def normalize_text(value: str) -> str:
    """The text in Unicode's composed form (NFC) without blanks at its ends."""
    return unicodedata.normalize("NFC", value).strip()


def collapse_blanks(value: str) -> str:
    """The text for comparison: composed form (NFC), every run of blanks as one space.

    >>> collapse_blanks(" a \\n b ")
    'a b'
    """
    return " ".join(unicodedata.normalize("NFC", value).split())

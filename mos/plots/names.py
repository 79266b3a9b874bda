"""Names of raters and items, which anyone may have written, made fit to stand in a plot."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Control characters, surrogates and non-characters have no place in XML; marks of direction would turn what follows.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def short(name: str, width: int = 24) -> str:
    """The name in at most `width` columns, its middle replaced by an ellipsis where it is longer.

    Ids mostly differ at their ends.  Wide letters and emoji count as two columns; what cannot be shown becomes U+FFFD.

    >>> short("session-2024-11-03/participant-0017", 16)
    'session-…nt-0017'
    """
    # Nobody reads the middle of a megabyte.
    ends = name if len(name) <= 4 * width else name[: 2 * width] + name[-2 * width :]
    text = _UNFIT.sub("\ufffd", ends)
    if _columns(text) <= width and ends is name:
        return text
    head = _fitting(text, width // 2)
    tail = _fitting(reversed(text), width - 1 - width // 2)[::-1]
    return f"{head}…{tail}"


def _fitting(letters: Iterable[str], width: int) -> str:
    """As many of the first letters as fit."""
    taken: list[str] = []
    for letter in letters:
        width -= _columns(letter)
        if width < 0:
            break
        taken.append(letter)
    return "".join(taken)


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)

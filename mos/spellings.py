"""How ids, and marks for a missing value, are written.

Two ids may mean the same to a reader and differ as text: in another Unicode form, as a number written another way.
Ids are never changed or merged; what finds two spellings of one id tells the user.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{1,4})?", re.IGNORECASE)
_MAX_SHOWN = 4
"""Most code points that are shown of each spelling."""

MISSING_MARKS = frozenset(
    (
        *(".", "-", "--", "\N{EN DASH}", "\N{EM DASH}", "na", "n/a", "#na", "#n/a", "<na>", "nan", "-nan"),
        *("null", "#null!", "none", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    )
)
"""What R, pandas, spreadsheets and statistics packages write for a missing value, in small letters."""


def is_missing_mark(text: str) -> bool:
    """Whether a text stands for a missing value.

    >>> is_missing_mark(" NA "), is_missing_mark("3")
    (True, False)
    """
    return text.strip().lower() in MISSING_MARKS


def fold_spelling(text: str) -> str | Decimal:
    r"""What all spellings of an id have in common.

    Parameters
    ----------
    text : str

    Returns
    -------
    str or Decimal
        The value of a number; of other text its Unicode normal form KC without invisible characters.

    Examples
    --------
    >>> fold_spelling("1E+05") == fold_spelling("100000"), fold_spelling("e\u0301") == fold_spelling("\u00e9")
    (True, True)
    """
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if text.isascii():
        return text
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFKC", visible)


def find_other_spellings(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Find the texts that are another spelling of an earlier one.

    Parameters
    ----------
    texts : sequence of str
        Distinct ids.

    Returns
    -------
    list of (str, str)
        The first spelling of an id and another one, in the order of the other ones.

    Examples
    --------
    >>> find_other_spellings(["7", "p7", "007", "7.0"])
    [('7', '007'), ('7', '7.0')]
    """
    if not any(map(_is_unusual, texts)):  # one of two spellings is
        return []
    first: dict[str | Decimal, str] = {}
    return [(one, text) for text in texts if (one := first.setdefault(fold_spelling(text), text)) != text]


def describe_difference(one: str, other: str) -> str:
    r"""Describe how two spellings of an id differ, so that it can be seen.

    Parameters
    ----------
    one, other : str
        Two spellings, see `fold_spelling`.

    Returns
    -------
    str
        "the same number" or the code points where they begin to differ, those of `one` first.

    Examples
    --------
    >>> describe_difference("caf\u00e9", "cafe\u0301")
    'U+00E9 and U+0065 U+0301'
    >>> describe_difference("7", "007")
    'the same number'
    """
    if isinstance(fold_spelling(one), Decimal):
        return "the same number"
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    # Where one spelling only adds characters, the last common one is shown as well.
    start -= start == min(len(one), len(other)) and start > 0
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    return f"{_format_points(one[start : len(one) - end])} and {_format_points(other[start : len(other) - end])}"


class KnownSpellings:
    r"""The ids that there are, to explain one that is not among them.

    Parameters
    ----------
    ids : iterable of str

    Examples
    --------
    >>> KnownSpellings(["caf\u00e9", "b"]).explain("cafe\u0301")
    'it is there in another spelling (U+00E9 and U+0065 U+0301)'
    >>> KnownSpellings(["007"]).explain("7"), KnownSpellings(["007"]).explain("8")
    ("it is there as '007' (the same number)", '')
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = ids
        self._first: dict[str | Decimal, str] | None = None

    def explain(self, text: str) -> str:
        """The end of a sentence about another spelling of `text`; "" where there is none."""
        if self._first is None:
            self._first = {}
            for each in self._ids:
                self._first.setdefault(fold_spelling(each), each)
        folded = fold_spelling(text)
        known = self._first.get(folded)
        if known is None or known == text:
            return ""
        where = f"as {known[:80]!r}" if isinstance(folded, Decimal) else "in another spelling"
        return f"it is there {where} ({describe_difference(known, text)})"


def _is_unusual(text: str) -> bool:
    """Whether a text is not the usual spelling of an id: not ASCII, or a number with more than its digits."""
    return not text.isascii() or (
        _NUMBER.fullmatch(text) is not None and not (text.isdigit() and (text[0] != "0" or text == "0"))
    )


def _format_points(text: str) -> str:
    shown = " ".join(f"U+{ord(char):04X}" for char in text[:_MAX_SHOWN]) or "nothing"
    return f"{shown} ..." if len(text) > _MAX_SHOWN else shown

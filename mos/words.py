"""Text for output: safe on a terminal or an HTML page, numbers in one format, and hints for misspelt words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

# Control characters are not shown, and a lone surrogate cannot be encoded; tab and line feed stay.
_CONTROL_CHARACTERS = dict.fromkeys(
    (*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0xD800, 0xE000)), "\ufffd"
)

# C0 and C1 controls, marks that turn the direction of text, line separators, and lone surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def replace_control_characters(value: Any) -> Any:
    """Replace control characters in text; other values, also our own markup type, are returned unchanged.

    >>> replace_control_characters("a\\x07b")
    'a\ufffdb'
    """
    return value.translate(_CONTROL_CHARACTERS) if type(value) is str else value


def format_identifier(name: str) -> str:
    """An identifier as words; "not given" when it is empty.

    >>> format_identifier("hand_foot")
    'hand foot'
    """
    return name.replace("_", " ") if name else "not given"


def format_count(count: int | None) -> str:
    """A count with thousands separators; a dash for None.

    >>> format_count(687915)
    '687,915'
    """
    return "–" if count is None else f"{count:,}"


def format_quantity(count: int, noun: str) -> str:
    """A count with its noun, which gets an "s" unless the count is 1.

    >>> format_quantity(1, "task"), format_quantity(1200, "new answer")
    ('1 task', '1,200 new answers')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_decimal(value: float | None, digits: int = 1) -> str:
    """A number with a fixed number of decimals, thousands separators and a true minus sign; a dash for None.

    >>> format_decimal(-1234.56), format_decimal(None)
    ('−1,234.6', '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def format_percent(share: float | None, digits: int = 0) -> str:
    """A share (0 to 1) as a percentage, with a no-break space; a dash for None.

    >>> format_percent(0.125, 1)
    '12.5\xa0%'
    """
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def escape_unprintable(text: str) -> str:
    r"""Write characters that could control a terminal as escapes, such as \x1b; tab and line feed stay.

    A byte of a file name that is not UTF-8 becomes an escape as well.

    >>> print(escape_unprintable("\x1b[2Jann"))
    \x1b[2Jann
    """
    return _UNPRINTABLE.sub(_escape_character, text)


def escape_to_one_line(text: str) -> str:
    r"""Write text on one line: as `escape_unprintable`, and tab and line feed as \t and \n.

    >>> print(escape_to_one_line("a\nb"))
    a\nb
    """
    return escape_unprintable(text).replace("\t", "\\t").replace("\n", "\\n")


def _escape_character(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python reads a byte of a file name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the known word nearest to a misspelt one; "" when none is near.

    >>> did_you_mean("papr", ["paper", "mos"])
    " Did you mean 'paper'?"
    >>> did_you_mean("xyz", ["paper", "mos"])
    ''
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""

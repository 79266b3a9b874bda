"""Limits of JSON that others wrote: a few bytes can hold values that take a hundred times their size in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MAX_JSON_LENGTH = 16 << 20
"""Bytes, or characters, of the longest JSON text that is parsed as a whole."""

MAX_JSON_VALUES = 2_000_000
"""Values of the largest JSON text, estimated by its commas and brackets: they take some 200 MB."""

MAX_JSON_NESTING = 200
"""Levels of lists and objects; orjson reads 1,024 levels and writes 254."""


def describe_json_excess(text: bytes | str, start: int = 0) -> str | None:
    """Describe what makes a JSON text too large to be parsed.

    Parameters
    ----------
    text : bytes or str
        The text, whether it is valid or not.
    start : int
        Where the JSON begins in it.

    Returns
    -------
    str or None
        The excess as the end of a sentence, such as "is larger than 16 MiB"; None within the limits.

    Examples
    --------
    >>> describe_json_excess(b'{"a": [1, 2]}') is None
    True
    >>> describe_json_excess("[" + "0," * 3_000_000 + "0]")
    'holds more than 2,000,000 values'
    """
    if len(text) - start > MAX_JSON_LENGTH:
        return f"is larger than {MAX_JSON_LENGTH >> 20} MiB"
    if len(text) - start <= MAX_JSON_VALUES:
        return None
    marks: Iterable[Any] = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    if sum(text.count(mark, start) for mark in marks) > MAX_JSON_VALUES:
        return f"holds more than {MAX_JSON_VALUES:,} values"
    return None


def is_nested_too_deeply(value: object) -> bool:
    """Whether a parsed value has more than `MAX_JSON_NESTING` levels of lists and objects.

    >>> is_nested_too_deeply([{"a": [1]}])
    False
    """
    level = [value]
    for _ in range(MAX_JSON_NESTING):
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        if not inner:
            return False
        level = inner
    return any(isinstance(one, (dict, list)) for one in level)

"""How much of a text was changed, in words."""

from __future__ import annotations

from collections.abc import Sequence

from annotation.text import collapsed


def word_distance(before: str, after: str) -> float:
    """Levenshtein distance between the words of two texts, divided by the number of words of the longer one: 0 to 1.

    Words are what blanks separate, in composed form and as they are written: a changed capital or comma counts.

    >>> word_distance("the left hand has six fingers", "the left hand has seven fingers")
    0.16666666666666666
    """
    one, other = collapsed(before).split(), collapsed(after).split()
    longest = max(len(one), len(other))
    return _distance(*_trimmed(one, other)) / longest if longest else 0.0


def _trimmed(one: list[str], other: list[str]) -> tuple[list[str], list[str]]:
    """What is left of two lists without their common beginning and end, which cost nothing."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    end = 0
    while end < min(len(one), len(other)) and one[-1 - end] == other[-1 - end]:
        end += 1
    return one[: len(one) - end], other[: len(other) - end]


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    row = list(range(len(other) + 1))
    for deleted, word in enumerate(one, start=1):
        corner, row[0] = row[0], deleted
        for place, against in enumerate(other, start=1):
            corner, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, corner + (word != against))
    return row[-1]

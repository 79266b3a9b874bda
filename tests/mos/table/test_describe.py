"""Values that a person should look at are told, and ordinary ones are not."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mos.table import Ratings, validate_ratings
from mos.table.describe import id_warnings, rating_times, score_warnings


def rated(scores: list[float], raters: list[str] | None = None) -> Ratings:
    names = raters or [f"r{number}" for number in range(len(scores))]
    columns = {"item": ["a"] * len(scores), "rater": names, "dimension": ["x"] * len(scores), "score": scores}
    return validate_ratings(pa.table(columns), None)[0]


def test_the_same_number_written_twice() -> None:
    found = id_warnings(rated([1, 2, 3, 4, 5], ["9001", "9001.0", "09001", "12", "anna"]))
    assert len(found) == 1
    assert found[0].startswith("2 ids of raters are the same number as another one")
    found = id_warnings(rated([1, 2, 3], ["1E+05", "100000", "1e4"]))
    assert [sentence[:22] for sentence in found] == ["1 ids of raters are th"]
    assert id_warnings(rated([1, 2, 3], ["9001.0", "9002.0", "v1.0"])) == []


def test_the_same_text_in_two_unicode_forms() -> None:
    found = id_warnings(rated([1, 2, 3], ["Cafe\u0301", "Caf\u00e9", "Cafe"]))
    assert len(found) == 1
    assert "1 ids of raters are the same text as another one in another Unicode form" in found[0]
    assert "U+0065 U+0301 and U+00E9" in found[0]


@pytest.mark.parametrize(
    ("times", "microseconds"),
    [
        (["2026-01-09T10:05:00+02:00", "2026-01-09T08:05:00Z"], [0, 0]),
        (["2026-01-09 10:05:00 +02:00", "2026-01-09T08:05:00.25Z"], [0, 250_000]),
        (["2026-01-09 08:05", "2026-01-09T08:06:00.123456789"], [0, 60_123_456]),
        (["1/9/2026", "2026-01-09"], None),
    ],
)
def test_times_of_ratings(times: list[str], microseconds: list[int] | None) -> None:
    table = pa.table(
        {"item": ["a", "b"], "rater": ["r"] * 2, "dimension": ["x"] * 2, "score": [1, 2], "rated_at": times}
    )
    found, sentence = rating_times(validate_ratings(table, None)[0], table)
    start = 1_767_945_900_000_000
    assert (None if found is None else [int(time) - start for time in found]) == microseconds
    assert ("not ISO 8601" in sentence) == (microseconds is None)


@pytest.mark.parametrize(
    ("scores", "mark"),
    [
        ([1, 2, 5, -1], "1 ratings are -1 "),
        ([1, 2, 99, 99], "2 ratings are 99 "),
        ([1, 50, 98, 99], None),
        ([0, 1, 2, 4], "1 ratings are 0 "),
        ([0, 0.5, 1, 4], None),
        ([0, 1, 50, 100], None),
        ([-2, -1, 0, 1], None),
        ([-1, 1], None),
        ([], None),
    ],
)
def test_marks_for_missing_answers(scores: list[float], mark: str | None) -> None:
    found = score_warnings(rated(scores))
    assert [sentence.startswith(mark or "?") for sentence in found] == ([True] if mark else [])

"""Values that a person should look at are told, and ordinary ones are not."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mos.table import Ratings, code
from mos.table.doubts import doubtful_extremes, doubtful_ids


def rated(scores: list[float], raters: list[str] | None = None) -> Ratings:
    names = raters or [f"r{number}" for number in range(len(scores))]
    columns = {"item": ["a"] * len(scores), "rater": names, "dimension": ["x"] * len(scores), "score": scores}
    return code(pa.table(columns), None)[0]


def test_the_same_number_written_twice() -> None:
    found = doubtful_ids(rated([1, 2, 3, 4, 5], ["9001", "9001.0", "09001", "12", "anna"]))
    assert len(found) == 1
    assert found[0].startswith("2 ids of raters are the same number as another one")
    assert doubtful_ids(rated([1, 2, 3], ["9001.0", "9002.0", "v1.0"])) == []


@pytest.mark.parametrize(
    ("scores", "mark"),
    [
        ([1, 2, 5, -1], "1 ratings are -1 "),
        ([1, 2, 99, 99], "2 ratings are 99 "),
        ([1, 50, 98, 99], None),
        ([-2, -1, 0, 1], None),
        ([-1, 1], None),
        ([], None),
    ],
)
def test_marks_for_missing_answers(scores: list[float], mark: str | None) -> None:
    found = doubtful_extremes(rated(scores))
    assert [sentence.startswith(mark or "?") for sentence in found] == ([True] if mark else [])

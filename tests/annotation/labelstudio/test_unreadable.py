"""What cannot be shown is found among what can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.labelstudio.connection import StudioUnavailableError
from annotation.labelstudio.read_tasks import fetch_readable_tasks


@given(st.sets(st.integers(0, 99), min_size=1), st.sets(st.integers(0, 99)))
def test_exactly_what_cannot_be_shown_is_set_apart(ids: set[int], garbled: set[int]) -> None:
    def fetch(some: list[int]) -> list[dict[str, int]]:
        if garbled.intersection(some):
            raise StudioUnavailableError("500")
        return [{"id": number} for number in some]

    found, lost = fetch_readable_tasks(sorted(ids), fetch, lambda: None)
    assert [task["id"] for task in found] == sorted(ids - garbled)
    assert lost == sorted(ids & garbled)


def test_of_a_server_that_is_away_nothing_is_said() -> None:
    def away(*_: object) -> list[dict[str, int]]:
        raise StudioUnavailableError("away")

    with pytest.raises(StudioUnavailableError, match="away"):
        fetch_readable_tasks([1, 2], away, away)

"""Times are ordered as times where they can be, and never silently otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos.times import TimeKind, order_times, read_time


def later(texts: list[str | None]) -> tuple[int, bool]:
    """Position of the last time in order, and whether there is an order."""
    rank, ordered = order_times(texts, np.array([0]))
    return len(texts) - 1 - int(np.argmax(rank[::-1])), bool(ordered[0])


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2026-01-09T11:05:00+02:00", "2026-01-09T10:05:00+00:00"),
        ("2026-01-09T10:05:00", "2026-01-09 10:06:00"),
        ("2026-01-09 10:05:00", "2026-01-09T10:05:01"),
        ("2026-01-09T10:05:00Z", "2026-01-09T10:05:00.5Z"),
        ("2026-01-09T10:05:00.45Z", "2026-01-09T10:05:00.5Z"),
        ("2026-01-09T10:05:00.1234567Z", "2026-01-09T10:05:00.12345671Z"),
        ("2026-01-09 10:05:00 UTC", "2026-01-09 11:06:00 +0100"),
        ("2026-01-09 10:05:00+00", "20260109T100501Z"),
        ("2026-01", "2026-02"),
        ("2026-01-09", "2026-01-09T00:00:01"),
        ("999999999", "1000000000"),
        ("1767953100.25", "1767953100.5"),
        ("46031.9", "46032.1"),
        ("9", "10"),
        ("", "2026-01-09"),
        ("NA", "9"),
    ],
)
def test_the_newer_time_is_the_later_in_either_order(older: str, newer: str) -> None:
    assert later([older, newer]) == (1, True)
    assert later([newer, older]) == (0, True)


@pytest.mark.parametrize(
    "times",
    [
        ["1/9/2026 10:05", "1/9/2026 9:05"],
        ["02.02.2026", "10.01.2026"],
        ["2026-01-09 01:00 PM", "2026-01-09 09:00 AM"],
        ["2026-01-09", "1767953100"],
        ["2026-01-09", "yesterday"],
        ["1767953100", "1767953100000"],
        ["2026-02-30", "2026-02-01"],
    ],
)
def test_times_without_an_order_are_told_and_the_last_row_is_last(times: list[str | None]) -> None:
    assert later(times) == (1, False)
    assert later(times[::-1]) == (1, False)


def test_each_group_has_an_order_of_its_own() -> None:
    rank, ordered = order_times(["2", "10", "1/9", "1/10", "x", "x", None, ""], np.array([0, 2, 4, 6]))
    assert ordered.tolist() == [True, False, True, True]
    assert rank[0] < rank[1] and rank[2] == rank[3] and rank[4] == rank[5] and rank[6] == rank[7]
    assert [len(part) for part in order_times([], np.array([], int))] == [0, 0]


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)),
            st.integers(-14 * 60, 14 * 60),
            st.sampled_from("T "),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_iso_times_are_ordered_as_datetime_orders_them(times: list[tuple[datetime, int, str]]) -> None:
    moments = [moment.replace(tzinfo=timezone(timedelta(minutes=zone))) for moment, zone, _ in times]
    rank, ordered = order_times(
        [one.isoformat(sep=mark) for one, (_, _, mark) in zip(moments, times, strict=True)], np.array([0])
    )
    assert ordered.all()
    order = sorted({one.astimezone(UTC) for one in moments})
    places = [order.index(one.astimezone(UTC)) for one in moments]
    assert np.unique(rank, return_inverse=True)[1].tolist() == places


@pytest.mark.parametrize("text", ["", None, "NA", "-"])
def test_no_time(text: str | None) -> None:
    assert read_time(text).kind is TimeKind.MISSING

"""Speed without breaks, and the end with its interval, against scipy's intervals and simulated work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from annotation.campaign.status.pace import (
    ONE_DAY,
    UNKNOWN_END,
    EstimatedEnd,
    WorkPace,
    estimate_end,
    estimate_pace,
    latest_end,
    worked_seconds,
)
from mos.times import parse_utc_time

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
BREAK = timedelta(minutes=15)


def at(*seconds: float) -> list[datetime]:
    return [NOW + timedelta(seconds=second) for second in seconds]


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


class TestWorkBehindASubmission:
    def test_is_the_time_since_the_one_before(self) -> None:
        assert worked_seconds(at(0, 60, 200), [50, 30, 30], BREAK) == [50, 60, 140]

    def test_after_a_break_it_is_the_time_on_the_task(self) -> None:
        assert worked_seconds(at(0, 60, 60 + 8 * 3600), [50, 30, 40], BREAK) == [50, 60, 40]

    def test_a_task_that_stayed_open_over_night_counts_as_one_break(self) -> None:
        assert worked_seconds(at(0, 8 * 3600), [50, 8 * 3600], BREAK) == [50, 900]

    @pytest.mark.parametrize("unknown", [None, 0.0, -3.0, float("nan"), float("inf")])
    def test_where_that_is_unknown_the_median_of_the_others(self, unknown: float | None) -> None:
        assert worked_seconds(at(0, 60, 200, 90_000), [unknown, 1, 1, unknown], BREAK) == [100, 60, 140, 100]

    def test_nothing_is_known_of_a_first_submission_without_time(self) -> None:
        assert worked_seconds(at(0), [None], BREAK) == [None]
        assert worked_seconds([], [], BREAK) == []


class TestPace:
    @given(st.lists(st.integers(0, 60), min_size=1, max_size=7), st.sampled_from([0.5, 0.8, 0.95]))
    def test_is_the_mean_of_the_days_with_students_interval(self, counts: list[int], level: float) -> None:
        done = [ago(day + 0.5) for day, count in enumerate(counts) for _ in range(count)]
        found = estimate_pace(done, ago(len(counts)), NOW, 7, level)
        mean = np.mean(counts)
        if mean == 0:
            assert found is None
            return
        assert found is not None
        if len(counts) > 1:
            error = np.sqrt(max(mean, np.var(counts, ddof=1)) / len(counts))
            expected = stats.t.interval(level, len(counts) - 1, mean, error)
        else:
            expected = stats.norm.interval(level, mean, np.sqrt(mean))
        assert found == pytest.approx((expected[0], mean, expected[1]))

    def test_only_the_last_days_count(self) -> None:
        done = [ago(day + 0.5) for day in range(20) for _ in range(100 if day > 6 else 10)]
        assert estimate_pace(done, ago(30), NOW, 7, 0.8) == pytest.approx(estimate_pace(done[:70], ago(7), NOW, 7, 0.8))

    def test_it_is_unknown_within_the_first_day_and_without_work(self) -> None:
        assert estimate_pace([ago(0.1)] * 9, ago(0.9), NOW, 7, 0.8) is None
        assert estimate_pace([], ago(9), NOW, 7, 0.8) is None

    def test_a_clock_that_is_ahead_does_no_harm(self) -> None:
        assert estimate_pace([ago(-1)], ago(1), NOW, 7, 0.8) == estimate_pace([ago(0)], ago(1), NOW, 7, 0.8)

    @pytest.mark.parametrize("dispersion", [1, 5])
    def test_its_interval_covers_the_true_pace_about_as_often_as_it_says(self, dispersion: int) -> None:
        rng = np.random.default_rng(3)
        covered = 0
        for _ in range(400):
            counts = dispersion * rng.poisson(20 / dispersion, 7)
            found = estimate_pace(
                [ago(day + 0.5) for day, n in enumerate(counts) for _ in range(n)], ago(7), NOW, 7, 0.8
            )
            covered += found is not None and found.low <= 20 <= found.high
        assert 0.75 < covered / 400 < 0.95


class TestTheEnd:
    def test_is_what_is_left_over_the_pace(self) -> None:
        assert estimate_end(40, WorkPace(10, 20, 40), NOW) == EstimatedEnd(
            NOW + ONE_DAY, NOW + 2 * ONE_DAY, NOW + 4 * ONE_DAY
        )

    def test_is_unknown_without_a_pace_and_open_where_there_may_be_none(self) -> None:
        assert estimate_end(40, None, NOW) == UNKNOWN_END
        assert estimate_end(40, WorkPace(-1, 20, 40), NOW).latest is None
        assert estimate_end(10**9, WorkPace(1, 1, 1), NOW) == UNKNOWN_END

    def test_of_several_is_the_last_or_unknown_where_one_is(self) -> None:
        one, other = (
            EstimatedEnd(NOW, NOW + 2 * ONE_DAY, None),
            EstimatedEnd(NOW + ONE_DAY, NOW + ONE_DAY, NOW + 9 * ONE_DAY),
        )
        assert latest_end([one, other]) == EstimatedEnd(NOW + ONE_DAY, NOW + 2 * ONE_DAY, None)
        assert latest_end([one, UNKNOWN_END]) == UNKNOWN_END


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-15T12:00:00.000000Z", NOW),
        ("2026-03-15T13:00:00+01:00", NOW),
        ("2026-03-15T12:00:00", NOW),
        ("", None),
        ("soon", None),
        ("0001-01-01T00:00:00+23:00", None),
    ],
)
def test_a_moment_is_read_in_utc(text: str, moment: datetime | None) -> None:
    assert parse_utc_time(text) == moment

"""Figures of a campaign on its way, from records of who has what and who submitted what."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.campaign.status.agreement import AgreementShare
from annotation.campaign.status.pace import UNKNOWN_END
from annotation.campaign.status.progress import (
    AssignedTask,
    CampaignProgress,
    PersonProgress,
    ProgressOptions,
    StageProgress,
    SubmittedAnswer,
    compute_progress,
    make_status_rows,
)
from annotation.campaign.status.report import sum_rows_by_stage

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
OPTIONS = ProgressOptions()


def time(days: float = 0, seconds: float = 0) -> str:
    """So long before now."""
    return (NOW - timedelta(days=days, seconds=seconds)).isoformat()


def assigned(number: int, person: str = "ann", stage: str = "regional", since: str = time(10)) -> list[AssignedTask]:
    return [AssignedTask(stage, person, f"p{i}", since) for i in range(number)]


def submitted(
    number: int, person: str = "ann", stage: str = "regional", days: float = 0, every: float = 100, first: int = 0
) -> list[SubmittedAnswer]:
    """One every so many seconds, the last so many days ago."""
    return [
        SubmittedAnswer(stage, person, f"p{first + i}", time(days, every * (number - 1 - i)), 60.0)
        for i in range(number)
    ]


def person(found: CampaignProgress, name: str = "ann", stage: str = "regional") -> PersonProgress:
    return next(one for one in found.people if (one.stage, one.person_id) == (stage, name))


def stage(found: CampaignProgress, name: str = "regional") -> StageProgress:
    return next(one for one in found.stages if one.stage == name)


class TestCounts:
    def test_what_is_done_left_and_set_aside(self) -> None:
        spoiled = [SubmittedAnswer("regional", "ann", "p9", time(1), 60.0, counts=False)]
        found = person(compute_progress(assigned(10), [*submitted(4), *spoiled], NOW, OPTIONS))
        assert (found.assigned, found.done, found.left, found.set_aside) == (10, 4, 5, 1)

    def test_a_task_submitted_twice_is_done_once_and_one_given_again_is_another(self) -> None:
        again = [AssignedTask("regional", "ann", "p0", time(1), 1)]
        found = person(compute_progress([*assigned(3), *again], [*submitted(2), *submitted(2)], NOW, OPTIONS))
        assert (found.assigned, found.done, found.left) == (4, 2, 2)

    def test_what_counts_in_the_end_is_not_set_aside(self) -> None:
        bad = SubmittedAnswer("regional", "ann", "p0", time(1), 60.0, counts=False)
        found = person(compute_progress(assigned(1), [bad, *submitted(1)], NOW, OPTIONS))
        assert (found.done, found.set_aside) == (1, 0)

    def test_work_on_what_was_taken_away_counts(self) -> None:
        found = person(compute_progress([], submitted(2), NOW, OPTIONS))
        assert (found.assigned, found.done, found.left, found.end) == (2, 2, 0, None)

    @given(
        st.lists(st.tuples(st.sampled_from(["regional", "scoring"]), st.sampled_from("ab"), st.integers(0, 5))),
        st.lists(
            st.tuples(
                st.sampled_from(["regional", "scoring"]),
                st.sampled_from("ab"),
                st.integers(0, 5),
                st.sampled_from(["", time(0.1), time(0.2), time(3), time(9)]),
                st.sampled_from([None, 0.0, 50.0, 1e6]),
                st.booleans(),
            ),
            max_size=30,
        ),
    )
    @settings(max_examples=60)
    def test_they_add_up_whatever_comes_in_whatever_order(self, tasks, answers) -> None:  # type: ignore[no-untyped-def]
        have = [AssignedTask(kind, name, f"p{pair}", time(4)) for kind, name, pair in tasks]
        gave = [
            SubmittedAnswer(kind, name, f"p{pair}", at, lead, 0, good) for kind, name, pair, at, lead, good in answers
        ]
        found = compute_progress(have, gave, NOW, OPTIONS)
        every: list[PersonProgress | StageProgress] = [*found.people, *found.stages]
        for one in every:
            assert one.assigned == one.done + one.left + one.set_aside
            assert (one.end is None) == (one.left == 0)
        for whole in found.stages:
            assert whole.assigned == sum(one.assigned for one in found.people if one.stage == whole.stage)
        random.Random(0).shuffle(have)
        random.Random(1).shuffle(gave)
        assert compute_progress(have, gave, NOW, OPTIONS) == found
        make_status_rows(found)


class TestSpeed:
    def test_is_in_hours_of_work_whatever_the_nights_and_breaks(self) -> None:
        week = [one for day in range(5) for one in submitted(30, days=day, every=100, first=30 * day)]
        found = person(compute_progress(assigned(300), week, NOW, OPTIONS))
        # five mornings of 29 tasks every 100 s and one of 60 s
        assert found.per_hour == pytest.approx(150 / (5 * (29 * 100 + 60) / 3600))

    def test_is_that_of_the_last_days(self) -> None:
        slow, quick = submitted(50, days=9, every=400), submitted(50, every=50, first=50)
        assert person(compute_progress(assigned(100), [*slow, *quick], NOW, OPTIONS)).per_hour == pytest.approx(
            72, rel=0.01
        )
        assert person(compute_progress(assigned(100), slow, NOW, OPTIONS)).per_hour is None

    def test_time_in_another_stage_is_that_stages(self) -> None:
        turns = [
            SubmittedAnswer(kind, "ann", f"p{i}", time(0, 6000 - 100 * (2 * i + later)), 60.0)
            for i in range(30)
            for later, kind in enumerate(["regional", "textual"])
        ]
        found = compute_progress([], turns, NOW, OPTIONS)
        assert person(found).per_hour == pytest.approx(36, rel=0.02)
        assert person(found, stage="textual").per_hour == pytest.approx(36)

    def test_is_unknown_from_two_tasks(self) -> None:
        assert person(compute_progress(assigned(9), submitted(2), NOW, OPTIONS)).per_hour is None

    def test_times_on_tasks_have_a_median_without_what_is_no_time(self) -> None:
        times = [10.0, 20.0, 1e5, None, 0.0]
        answers = [SubmittedAnswer("regional", "ann", f"p{i}", time(1), lead) for i, lead in enumerate(times)]
        assert person(compute_progress([], answers, NOW, OPTIONS)).median_seconds == 20


class TestStuck:
    def test_who_has_work_and_submitted_nothing_for_long(self) -> None:
        found = compute_progress(assigned(9), submitted(3, days=4), NOW, OPTIONS)
        assert person(found).stuck == pytest.approx(96)
        assert stage(found).stuck == 1
        assert make_status_rows(found)[0].stuck == "nothing for 4 days"

    def test_not_who_is_ready_or_got_the_work_just_now(self) -> None:
        assert person(compute_progress(assigned(3), submitted(3, days=4), NOW, OPTIONS)).stuck is None
        new = [AssignedTask("regional", "ann", "new", time(1))]
        assert person(compute_progress([*assigned(3), *new], submitted(3, days=4), NOW, OPTIONS)).stuck is None

    def test_not_who_works_in_another_stage(self) -> None:
        answers = [*submitted(3, days=4), *submitted(3, stage="scoring", days=0.5)]
        assert person(compute_progress(assigned(9), answers, NOW, OPTIONS)).stuck is None

    def test_who_never_began_is(self) -> None:
        found = person(compute_progress(assigned(9), [], NOW, OPTIONS))
        assert (found.stuck, found.last_seen) == (240, None)

    def test_nothing_is_known_without_any_time(self) -> None:
        assert person(compute_progress(assigned(9, since=""), [], NOW, OPTIONS)).stuck is None


class TestTheEnd:
    def steady(self, name: str = "ann", a_day: int = 10) -> list[SubmittedAnswer]:
        days = [submitted(a_day, name, days=day + 0.3, first=a_day * day) for day in range(10)]
        return [one for own in days for one in own]

    def test_is_at_the_pace_of_the_last_days(self) -> None:
        found = person(compute_progress(assigned(120), self.steady(), NOW, OPTIONS))
        assert found.left == 20
        assert found.end is not None and found.end.earliest and found.end.latest
        assert found.end.at == NOW + timedelta(days=2)
        assert found.end.earliest < NOW + timedelta(days=2) < found.end.latest

    def test_of_a_stage_is_that_of_its_last_person(self) -> None:
        have = [*assigned(120), *assigned(160, "ben")]
        gave = [*self.steady(), *self.steady("ben")]
        found = compute_progress(have, gave, NOW, OPTIONS)
        assert stage(found).end == person(found, "ben").end

    def test_is_unknown_while_somebody_with_work_does_none(self) -> None:
        found = compute_progress([*assigned(120), *assigned(5, "ben")], self.steady(), NOW, OPTIONS)
        assert stage(found).end == UNKNOWN_END
        ready = compute_progress(
            [*assigned(120), *assigned(2, "ben")], [*self.steady(), *submitted(2, "ben")], NOW, OPTIONS
        )
        assert stage(ready).end == person(ready).end

    def test_takes_in_what_is_to_come(self) -> None:
        found = compute_progress(assigned(100), self.steady(), NOW, OPTIONS, to_come={"regional": 30, "scoring": 5})
        end = stage(found).end
        assert end is not None and end.at == NOW + timedelta(days=3)
        assert (stage(found, "scoring").to_come, stage(found, "scoring").end) == (5, UNKNOWN_END)
        assert person(found).end is None


class TestRows:
    def found(self) -> CampaignProgress:
        have = [*assigned(120), *assigned(50, "ben"), *assigned(3, "cem", "expert")]
        gave = [*TestTheEnd().steady(), *submitted(40, "ben", days=5)]
        agreement = {("regional", "ann"): AgreementShare(0.8, 30), ("regional", "ben"): AgreementShare(0.4, 10)}
        return compute_progress(have, gave, NOW, OPTIONS, agreement)

    def test_stages_come_in_the_order_of_the_work_with_their_people(self) -> None:
        found = self.found()
        assert [row.stage for row in found.stages] == ["regional", "expert"]
        assert [row.stuck for row in found.stages] == [1, 1]
        rows = make_status_rows(found)
        assert [(row.stage, row.person) for row in rows] == [
            ("regional", "ann"),
            ("regional", "ben"),
            ("expert", "cem"),
        ]
        assert [row.stuck for row in rows] == [None, "nothing for 5 days", "nothing for 10 days"]

    def test_the_sums_of_the_status_are_those_of_the_stages(self) -> None:
        found = self.found()
        sums = sum_rows_by_stage(make_status_rows(found))
        assert [(row.stage, row.done, row.left) for row in sums] == [
            (one.stage, one.done, one.left) for one in found.stages
        ]
        assert sums[0].agreement == pytest.approx((30 * 0.8 + 10 * 0.4) / 40)
        assert make_status_rows(found)[0].ends == "2026-03-17"

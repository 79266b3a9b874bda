"""Progress of a campaign: figures of every person in every stage, and of every stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from annotation.campaign.status.agreement import AgreementByPerson, AgreementShare
from annotation.campaign.status.pace import (
    EstimatedEnd,
    estimate_end,
    estimate_pace,
    is_valid_lead_time,
    latest_end,
    worked_seconds,
)
from annotation.campaign.status.report import StatusRow, sort_status_rows
from mos.times import parse_utc_time

SECONDS_PER_HOUR = 3600.0


class ProgressOptions(BaseModel):
    """When there was a break, when a person is stuck, and over how many days the pace is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    days: int = Field(7, ge=1, le=365, description="Days before now over which the pace is measured.")
    break_minutes: float = Field(15, gt=0, description="Time between two submissions that counts as a break.")
    least_tasks: int = Field(3, ge=1, description="Fewest tasks in these days from which the pace is known.")
    stuck_hours: float = Field(
        48, gt=0, description="Hours without a submission after which a person with open tasks is stuck."
    )
    level: float = Field(0.8, gt=0, lt=1, description="Level of the interval of the estimated end.")


class AssignedTask(NamedTuple):
    """A task of a person; `since` is the ISO time from which they could begin, "" when unknown."""

    stage: str
    person_id: str
    pair_id: str
    since: str
    round: int = 0


class SubmittedAnswer(NamedTuple):
    """An answer to a task, or a change of it.

    person_id: owner of the task; at: ISO time, "" when unknown; lead_time: seconds on the task, None when unknown
    counts: False when it was rejected
    """

    stage: str
    person_id: str
    pair_id: str
    at: str
    lead_time: float | None
    round: int = 0
    counts: bool = True


@dataclass(frozen=True, slots=True)
class PersonProgress:
    """One person in one stage: assigned = done + left + set_aside.

    set_aside: tasks with submissions of which none counts; another task replaces such a task
    median_seconds: time on a finished task; per_hour: tasks in an hour of work over the last days
    agreement: as given to `compute_progress`; last_seen: last submission in any stage
    stuck: hours without a submission while tasks are open, once they are too many; None before
    end: when the open tasks are done at the pace of the last days; None without open tasks
    """

    stage: str
    person_id: str
    assigned: int
    done: int
    left: int
    set_aside: int
    median_seconds: float | None
    per_hour: float | None
    agreement: AgreementShare | None
    last_seen: datetime | None
    stuck: float | None
    end: EstimatedEnd | None


@dataclass(frozen=True, slots=True)
class StageProgress:
    """One stage; see `PersonProgress`.

    to_come: tasks that do not exist yet; stuck: number of stuck people; last_seen: last submission in this stage
    per_hour: tasks in an hour of one person's work
    end: the latest end of its people, and not before the pace of all together allows for the tasks to come; unknown
        while it is unknown for one of them
    """

    stage: str
    assigned: int
    done: int
    left: int
    set_aside: int
    to_come: int
    median_seconds: float | None
    per_hour: float | None
    last_seen: datetime | None
    stuck: int
    end: EstimatedEnd | None


@dataclass(frozen=True, slots=True)
class CampaignProgress:
    """Progress of a campaign at `now`; stages in their order, people by stage and id."""

    now: datetime
    stages: tuple[StageProgress, ...]
    people: tuple[PersonProgress, ...]


def compute_progress(
    assigned: Iterable[AssignedTask],
    submitted: Iterable[SubmittedAnswer],
    now: datetime,
    options: ProgressOptions,
    agreement: AgreementByPerson | None = None,
    to_come: Mapping[str, int] | None = None,
) -> CampaignProgress:
    """Compute the progress of a campaign; the order of the input does not matter.

    Parameters
    ----------
    assigned
        Tasks that exist or should exist.
    submitted
        Every version of every answer; its task counts as assigned too.
    now
        Present time, with a time zone.
    options
        Limits for breaks and stuck work.
    agreement
        Agreement by stage and person.
    to_come
        Number of tasks that do not exist yet, by stage.
    """
    work = _group_work(assigned, submitted, timedelta(minutes=options.break_minutes))
    expected = to_come or {}
    people = [_person_progress(own, now, options, (agreement or {}).get((own.stage, own.person_id))) for own in work]
    names = {own.stage for own in work} | expected.keys()
    order = [row.stage for row in sort_status_rows(StatusRow(stage, "", 0, 0) for stage in names)]
    stages = [
        _stage_progress(
            stage,
            [own for own in work if own.stage == stage],
            [one for one in people if one.stage == stage],
            expected.get(stage, 0),
            now,
            options,
        )
        for stage in order
    ]
    people.sort(key=lambda one: (order.index(one.stage), one.person_id))
    return CampaignProgress(now, tuple(stages), tuple(people))


def make_status_rows(progress: CampaignProgress) -> list[StatusRow]:
    """The people as rows of a status, by stage and id."""
    return [
        StatusRow(
            one.stage,
            one.person_id,
            one.done,
            one.done + one.left,
            one.per_hour,
            one.agreement.share if one.agreement else None,
            _format_stuck(one.stuck),
            one.end.at.date().isoformat() if one.end and one.end.at else None,
            compared=one.agreement.compared if one.agreement else 0,
        )
        for one in progress.people
    ]


class _TimedAnswer(NamedTuple):
    """A submission; worked: seconds of work behind it."""

    task: tuple[str, int]
    counts: bool
    at: datetime | None
    lead_time: float | None
    worked: float | None


@dataclass(frozen=True, slots=True)
class _PersonWork:
    """One person's work in one stage: tasks with the time from which they are open, and answers in order."""

    stage: str
    person_id: str
    tasks: Mapping[tuple[str, int], datetime | None]
    answers: Sequence[_TimedAnswer]
    last_seen: datetime | None

    def done(self) -> dict[tuple[str, int], _TimedAnswer]:
        """The first answer to each task that counts."""
        first: dict[tuple[str, int], _TimedAnswer] = {}
        for answer in self.answers:
            if answer.counts:
                first.setdefault(answer.task, answer)
        return first

    def moments(self) -> list[datetime]:
        """Times at which tasks were done, where known."""
        return [answer.at for answer in self.done().values() if answer.at is not None]

    def times(self) -> list[float]:
        """Seconds on each finished task, from its latest answer."""
        latest = {answer.task: answer.lead_time for answer in self.answers if answer.counts}
        return [seconds for seconds in latest.values() if seconds is not None and is_valid_lead_time(seconds)]

    def begun(self) -> datetime | None:
        """When the person could first begin."""
        return min([*(since for since in self.tasks.values() if since is not None), *self.moments()], default=None)


def _group_work(
    assigned: Iterable[AssignedTask], submitted: Iterable[SubmittedAnswer], longest: timedelta
) -> list[_PersonWork]:
    tasks: dict[tuple[str, str], dict[tuple[str, int], datetime | None]] = {}
    for one in sorted(assigned):
        own = tasks.setdefault((one.stage, one.person_id), {})
        if own.get((one.pair_id, one.round)) is None:
            own[one.pair_id, one.round] = parse_utc_time(one.since)
    by_person: dict[str, list[tuple[SubmittedAnswer, datetime | None]]] = {}
    for answer in submitted:
        tasks.setdefault((answer.stage, answer.person_id), {}).setdefault((answer.pair_id, answer.round), None)
        by_person.setdefault(answer.person_id, []).append((answer, parse_utc_time(answer.at)))
    answers: dict[tuple[str, str], list[_TimedAnswer]] = {}
    last_seen: dict[str, datetime] = {}
    for person_id, given in by_person.items():
        given.sort(key=_submission_order)
        timed = [(answer, at) for answer, at in given if at is not None]
        times = [at for _, at in timed]
        worked = iter(worked_seconds(times, [answer.lead_time for answer, _ in timed], longest))
        if times:
            last_seen[person_id] = times[-1]
        for answer, at in given:
            entry = _TimedAnswer(
                (answer.pair_id, answer.round), answer.counts, at, answer.lead_time, next(worked) if at else None
            )
            answers.setdefault((answer.stage, person_id), []).append(entry)
    return [_PersonWork(*key, tasks[key], answers.get(key, ()), last_seen.get(key[1])) for key in sorted(tasks)]


def _submission_order(given: tuple[SubmittedAnswer, datetime | None]) -> tuple[object, ...]:
    """By time, those without one first; lead times break ties, unknown ones first."""
    answer, at = given
    when = at.timestamp() if at else float("-inf")
    lead_time = answer.lead_time if answer.lead_time is not None else float("-inf")
    return when, answer.stage, answer.pair_id, answer.round, answer.counts, lead_time


def _person_progress(
    work: _PersonWork, now: datetime, options: ProgressOptions, agreement: AgreementShare | None
) -> PersonProgress:
    done = work.done()
    spoiled = {answer.task for answer in work.answers} - done.keys()
    left = work.tasks.keys() - done.keys() - spoiled
    times, begun = work.times(), work.begun()
    speed = estimate_pace(work.moments(), begun, now, options.days, options.level) if begun else None
    return PersonProgress(
        work.stage,
        work.person_id,
        len(work.tasks),
        len(done),
        len(left),
        len(spoiled),
        median(times) if times else None,
        _tasks_per_hour([work], now, options),
        agreement,
        work.last_seen,
        _stuck_hours(work, left, now, options),
        estimate_end(len(left), speed, now) if left else None,
    )


def _stage_progress(
    stage: str,
    work: Sequence[_PersonWork],
    people: Sequence[PersonProgress],
    to_come: int,
    now: datetime,
    options: ProgressOptions,
) -> StageProgress:
    left = sum(one.left for one in people)
    ends = [one.end for one in people if one.end is not None]
    begun = min((since for own in work if (since := own.begun()) is not None), default=None)
    if to_come:
        moments = [at for own in work for at in own.moments()]
        speed = estimate_pace(moments, begun, now, options.days, options.level) if begun else None
        ends.append(estimate_end(left + to_come, speed, now))
    times = [seconds for own in work for seconds in own.times()]
    return StageProgress(
        stage,
        sum(one.assigned for one in people),
        sum(one.done for one in people),
        left,
        sum(one.set_aside for one in people),
        to_come,
        median(times) if times else None,
        _tasks_per_hour(work, now, options),
        max((answer.at for own in work for answer in own.answers if answer.at is not None), default=None),
        sum(one.stuck is not None for one in people),
        latest_end(ends) if ends else None,
    )


def _tasks_per_hour(work: Sequence[_PersonWork], now: datetime, options: ProgressOptions) -> float | None:
    """Finished tasks of the last days per hour of work on all submissions of these days."""
    start = now - timedelta(days=options.days)
    tasks = sum(at >= start for own in work for at in own.moments())
    hours = sum(
        answer.worked or 0.0 for own in work for answer in own.answers if answer.at is not None and answer.at >= start
    )
    return tasks / (hours / SECONDS_PER_HOUR) if tasks >= options.least_tasks and hours > 0 else None


def _stuck_hours(
    work: _PersonWork, left: Iterable[tuple[str, int]], now: datetime, options: ProgressOptions
) -> float | None:
    tasks = list(left)
    waiting = min((since for task in tasks if (since := work.tasks[task]) is not None), default=None)
    known = [moment for moment in (waiting, work.last_seen) if moment is not None]
    if not tasks or not known:
        return None
    hours = (now - max(known)).total_seconds() / SECONDS_PER_HOUR
    return hours if hours >= options.stuck_hours else None


def _format_stuck(hours: float | None) -> str | None:
    if hours is None:
        return None
    return f"nothing for {hours:.0f} hours" if hours < 72 else f"nothing for {hours / 24:.0f} days"

"""Figures of a campaign on its way: of every person in every stage, and of every stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from annotation.campaign.status.pace import UNKNOWN, End, end_of, is_time, last_of, moment_of, pace, worked_seconds
from annotation.campaign.status.rows import Row, ordered

HOUR = 3600.0


class ProgressOptions(BaseModel):
    """What counts as a break, as stuck, and as now."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    days: int = Field(7, ge=1, le=365, description="Days before now that say how fast people are.")
    break_minutes: float = Field(15, gt=0, description="Time between two submissions above which there was a break.")
    least_tasks: int = Field(3, ge=1, description="Tasks in these days without which the speed is unknown.")
    stuck_hours: float = Field(48, gt=0, description="Hours without a submission after which waiting work is stuck.")
    level: float = Field(0.8, gt=0, lt=1, description="Level of the interval of the estimated end.")


class Assigned(NamedTuple):
    """A task that a person has: `since` is the ISO time at which they could begin, "" when unknown."""

    stage: str
    person_id: str
    pair_id: str
    since: str
    round: int = 0


class Submitted(NamedTuple):
    """An answer to a task, or a change of it.

    person_id: whose task it is; at: ISO time, "" when unknown; lead_time: seconds on the task, None when unknown
    counts: False for what was set aside
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

    set_aside: tasks in which something was submitted and nothing counts; what comes instead is another task
    median_seconds: time on a task, of all that are done; per_hour: tasks in an hour of work over the last days
    agreement: as it was given; last_seen: last submission in any stage
    stuck: hours without any submission while work is waiting, once they are too many; None before
    end: when what is left is done at the pace of the last days; None when nothing is left
    """

    stage: str
    person_id: str
    assigned: int
    done: int
    left: int
    set_aside: int
    median_seconds: float | None
    per_hour: float | None
    agreement: float | None
    last_seen: datetime | None
    stuck: float | None
    end: End | None


@dataclass(frozen=True, slots=True)
class StageProgress:
    """One stage; see `PersonProgress`.

    to_come: tasks that do not exist yet; stuck: how many people are; last_seen: of anybody in this stage
    per_hour: tasks in an hour of one person's work; agreement: mean over people, weighted by what they did
    end: the latest end of its people, for nobody does another's tasks, and no earlier than the pace of all together
    allows with what is to come; unknown while it is for one of them
    """

    stage: str
    assigned: int
    done: int
    left: int
    set_aside: int
    to_come: int
    median_seconds: float | None
    per_hour: float | None
    agreement: float | None
    last_seen: datetime | None
    stuck: int
    end: End | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign stands at `now`; stages in the order of the work, people by stage and id."""

    now: datetime
    stages: tuple[StageProgress, ...]
    people: tuple[PersonProgress, ...]


def progress(
    assigned: Iterable[Assigned],
    submitted: Iterable[Submitted],
    now: datetime,
    options: ProgressOptions,
    agreement: Mapping[tuple[str, str], float] | None = None,
    to_come: Mapping[str, int] | None = None,
) -> Progress:
    """The figures at `now` (with a zone); no order of the records matters.

    What was submitted to a task that is no longer assigned counts as assigned too.  `agreement` is by stage and
    person, `to_come` by stage: tasks that are not handed out yet.
    """
    work = _gathered(assigned, submitted, timedelta(minutes=options.break_minutes))
    expected = to_come or {}
    people = [_person(own, now, options, (agreement or {}).get((own.stage, own.person_id))) for own in work]
    names = {own.stage for own in work} | expected.keys()
    order = [row.stage for row in ordered(Row(stage, "", 0, 0) for stage in names)]
    stages = [
        _stage(
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
    return Progress(now, tuple(stages), tuple(people))


def status_rows(found: Progress) -> list[Row]:
    """The people as the rows of a status, by stage and id."""
    return [
        Row(
            one.stage,
            one.person_id,
            one.done,
            one.done + one.left,
            one.per_hour,
            one.agreement,
            _phrase(one.stuck),
            one.end.at.date().isoformat() if one.end and one.end.at else None,
        )
        for one in found.people
    ]


def table(found: Progress) -> list[dict[str, Any]]:
    """Each stage (its person is None) and the people in it, as rows of JSON values; times in UTC, None for unknown.

    `stuck` is a phrase for a person and a number of people for a stage.
    """
    rows = []
    for stage in found.stages:
        rows.append(_values(stage, None, stage.to_come, stage.stuck))
        rows += [_values(one, one.person_id, 0, _phrase(one.stuck)) for one in found.people if one.stage == stage.stage]
    return rows


class _Answer(NamedTuple):
    """A submission; worked: seconds of work behind it."""

    task: tuple[str, int]
    counts: bool
    at: datetime | None
    lead_time: float | None
    worked: float | None


@dataclass(frozen=True, slots=True)
class _Work:
    """What one person has in one stage: tasks with the time since which they wait, and answers in their order."""

    stage: str
    person_id: str
    tasks: Mapping[tuple[str, int], datetime | None]
    answers: Sequence[_Answer]
    last_seen: datetime | None

    def done(self) -> dict[tuple[str, int], _Answer]:
        """The first answer that counts of every task."""
        first: dict[tuple[str, int], _Answer] = {}
        for answer in self.answers:
            if answer.counts:
                first.setdefault(answer.task, answer)
        return first

    def moments(self) -> list[datetime]:
        """When each task was done, where that is known."""
        return [answer.at for answer in self.done().values() if answer.at is not None]

    def times(self) -> list[float]:
        """Seconds on each task that is done, as its latest answer says."""
        latest = {answer.task: answer.lead_time for answer in self.answers if answer.counts}
        return [seconds for seconds in latest.values() if seconds is not None and is_time(seconds)]

    def begun(self) -> datetime | None:
        """When there first was something to do."""
        return min([*(since for since in self.tasks.values() if since is not None), *self.moments()], default=None)


def _gathered(assigned: Iterable[Assigned], submitted: Iterable[Submitted], longest: timedelta) -> list[_Work]:
    tasks: dict[tuple[str, str], dict[tuple[str, int], datetime | None]] = {}
    for one in sorted(assigned):
        own = tasks.setdefault((one.stage, one.person_id), {})
        if own.get((one.pair_id, one.round)) is None:
            own[one.pair_id, one.round] = moment_of(one.since)
    by_person: dict[str, list[tuple[Submitted, datetime | None]]] = {}
    for answer in submitted:
        tasks.setdefault((answer.stage, answer.person_id), {}).setdefault((answer.pair_id, answer.round), None)
        by_person.setdefault(answer.person_id, []).append((answer, moment_of(answer.at)))
    answers: dict[tuple[str, str], list[_Answer]] = {}
    last_seen: dict[str, datetime] = {}
    for person_id, given in by_person.items():
        given.sort(key=_order)
        timed = [(answer, at) for answer, at in given if at is not None]
        times = [at for _, at in timed]
        worked = iter(worked_seconds(times, [answer.lead_time for answer, _ in timed], longest))
        if times:
            last_seen[person_id] = times[-1]
        for answer, at in given:
            entry = _Answer(
                (answer.pair_id, answer.round), answer.counts, at, answer.lead_time, next(worked) if at else None
            )
            answers.setdefault((answer.stage, person_id), []).append(entry)
    return [_Work(*key, tasks[key], answers.get(key, ()), last_seen.get(key[1])) for key in sorted(tasks)]


def _order(given: tuple[Submitted, datetime | None]) -> tuple[object, ...]:
    """By time, those without one first; lead times break ties, unknown ones first."""
    answer, at = given
    when = at.timestamp() if at else float("-inf")
    lead_time = answer.lead_time if answer.lead_time is not None else float("-inf")
    return when, answer.stage, answer.pair_id, answer.round, answer.counts, lead_time


def _person(work: _Work, now: datetime, options: ProgressOptions, agreement: float | None) -> PersonProgress:
    done = work.done()
    spoiled = {answer.task for answer in work.answers} - done.keys()
    left = work.tasks.keys() - done.keys() - spoiled
    times, begun = work.times(), work.begun()
    speed = pace(work.moments(), begun, now, options.days, options.level) if begun else None
    return PersonProgress(
        work.stage,
        work.person_id,
        len(work.tasks),
        len(done),
        len(left),
        len(spoiled),
        median(times) if times else None,
        _per_hour([work], now, options),
        agreement,
        work.last_seen,
        _stuck(work, left, now, options),
        end_of(len(left), speed, now) if left else None,
    )


def _stage(
    stage: str,
    work: Sequence[_Work],
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
        speed = pace(moments, begun, now, options.days, options.level) if begun else None
        ends.append(end_of(left + to_come, speed, now))
    times = [seconds for own in work for seconds in own.times()]
    judged = [(one.agreement, one.done) for one in people if one.agreement is not None and one.done]
    return StageProgress(
        stage,
        sum(one.assigned for one in people),
        sum(one.done for one in people),
        left,
        sum(one.set_aside for one in people),
        to_come,
        median(times) if times else None,
        _per_hour(work, now, options),
        sum(value * done for value, done in judged) / sum(done for _, done in judged) if judged else None,
        max((answer.at for own in work for answer in own.answers if answer.at is not None), default=None),
        sum(one.stuck is not None for one in people),
        last_of(ends) if ends else None,
    )


def _per_hour(work: Sequence[_Work], now: datetime, options: ProgressOptions) -> float | None:
    """Tasks that were done in the last days, in an hour of the work that went into all submissions of these days."""
    start = now - timedelta(days=options.days)
    tasks = sum(at >= start for own in work for at in own.moments())
    hours = sum(
        answer.worked or 0.0 for own in work for answer in own.answers if answer.at is not None and answer.at >= start
    )
    return tasks / (hours / HOUR) if tasks >= options.least_tasks and hours > 0 else None


def _stuck(work: _Work, left: Iterable[tuple[str, int]], now: datetime, options: ProgressOptions) -> float | None:
    tasks = list(left)
    waiting = min((since for task in tasks if (since := work.tasks[task]) is not None), default=None)
    known = [moment for moment in (waiting, work.last_seen) if moment is not None]
    if not tasks or not known:
        return None
    hours = (now - max(known)).total_seconds() / HOUR
    return hours if hours >= options.stuck_hours else None


def _phrase(hours: float | None) -> str | None:
    if hours is None:
        return None
    return f"nothing for {hours:.0f} hours" if hours < 72 else f"nothing for {hours / 24:.0f} days"


def _values(
    one: PersonProgress | StageProgress, person_id: str | None, to_come: int, stuck: str | int | None
) -> dict[str, Any]:
    end = one.end or UNKNOWN
    return {
        "stage": one.stage,
        "person": person_id,
        "assigned": one.assigned,
        "done": one.done,
        "left": one.left,
        "to_come": to_come,
        "set_aside": one.set_aside,
        "median_seconds": one.median_seconds,
        "per_hour": one.per_hour,
        "agreement": one.agreement,
        "last_seen": _text(one.last_seen),
        "stuck": stuck,
        "earliest": _text(end.earliest),
        "ends": _text(end.at),
        "latest": _text(end.latest),
    }


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None

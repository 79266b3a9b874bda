"""How fast somebody works, breaks left out, and when what is left would be done at the pace of the last days."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

DAY = timedelta(days=1)
FARTHEST = 36_500.0
"""Days from now beyond which an end is as good as unknown."""


class Pace(NamedTuple):
    """Tasks a day, and the interval in which the true number lies; `low` may be 0 or less."""

    low: float
    middle: float
    high: float


class End(NamedTuple):
    """When work would end, and between which moments; None where that is unknown."""

    earliest: datetime | None
    at: datetime | None
    latest: datetime | None


UNKNOWN = End(None, None, None)


def moment_of(text: str) -> datetime | None:
    """An ISO time in UTC, which it is taken for without a zone; None for a text that is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def worked_seconds(
    moments: Sequence[datetime], lead_times: Sequence[float | None], longest: timedelta
) -> list[float | None]:
    """Seconds of work behind each of one person's submissions, which come in the order of their `moments`.

    The time since the submission before, which has loading and thinking in it.  After a break, which is more than
    `longest`, and at the very beginning it is the time on the task, at most `longest`: a task may stay open over night.
    Where that is unknown it is the median of the others; None where nothing is known.
    """
    most = longest.total_seconds()
    found: list[float | None] = []
    for index, (moment, lead_time) in enumerate(zip(moments, lead_times, strict=True)):
        gap = (moment - moments[index - 1]).total_seconds() if index else math.inf
        if gap <= most:
            found.append(gap)
        else:
            found.append(min(lead_time, most) if lead_time is not None and is_time(lead_time) else None)
    known = [seconds for seconds in found if seconds is not None]
    usual = float(np.median(known)) if known else None
    return [usual if seconds is None else seconds for seconds in found]


def is_time(seconds: float) -> bool:
    """Whether a time on a task can be one: imported work says 0."""
    return 0 < seconds < math.inf


def pace(done: Iterable[datetime], begun: datetime, now: datetime, days: int, level: float) -> Pace | None:
    """Tasks a day over the last `days` periods of 24 hours before `now`, of those that lie wholly after `begun`.

    Periods without work count: nights and free days are part of the pace, and seven of them have one of each.  The
    interval at confidence `level` is that of the mean of the periods by Student's t, their variance no less than that
    of a Poisson process (with a single period: exactly that, and the normal quantile).  None before the first period
    is over, and where nothing was done in any.
    """
    from scipy.special import ndtri, stdtrit

    periods = min(days, int((now - begun) / DAY))
    if periods < 1:
        return None
    counts = np.zeros(periods)
    for moment in done:
        period = int((now - min(moment, now)) / DAY)
        if period < periods:
            counts[period] += 1
    mean = float(counts.mean())
    if mean == 0:
        return None
    variance = max(mean, float(counts.var(ddof=1)) if periods > 1 else 0.0)
    share = (1 + level) / 2
    quantile = float(stdtrit(periods - 1, share) if periods > 1 else ndtri(share))
    half = quantile * math.sqrt(variance / periods)
    return Pace(mean - half, mean, mean + half)


def end_of(left: int, speed: Pace | None, now: datetime) -> End:
    """When `left` tasks are done at a pace."""
    if speed is None:
        return UNKNOWN
    return End(_after(now, left, speed.high), _after(now, left, speed.middle), _after(now, left, speed.low))


def last_of(ends: Sequence[End]) -> End:
    """When all of these have ended; unknown where one of them is."""
    return End(*(None if None in moments else max(moments) for moments in zip(*ends, strict=True)))


def _after(now: datetime, left: int, a_day: float) -> datetime | None:
    if a_day <= 0 or left / a_day > FARTHEST:
        return None
    return now + timedelta(days=left / a_day)

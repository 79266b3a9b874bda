"""How fast people work, without their breaks, and when the open tasks would be done at the pace of the last days."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

ONE_DAY = timedelta(days=1)
MAX_FORECAST_DAYS = 36_500.0
"""Days from now beyond which an end counts as unknown."""


class WorkPace(NamedTuple):
    """Tasks a day, and the interval in which the true number lies; `low` may be 0 or less."""

    low: float
    middle: float
    high: float


class EstimatedEnd(NamedTuple):
    """When work would end, with an interval; None where unknown."""

    earliest: datetime | None
    at: datetime | None
    latest: datetime | None


UNKNOWN_END = EstimatedEnd(None, None, None)


def worked_seconds(
    moments: Sequence[datetime], lead_times: Sequence[float | None], longest: timedelta
) -> list[float | None]:
    """Seconds of work behind each of one person's submissions, in the order of their `moments`.

    It is the time since the previous submission, loading and thinking included.  For the first one, and after a break
    of more than `longest`, it is the time on the task, at most `longest`, as a task may stay open over night.  Where
    that is unknown it is the median of the others; None when nothing is known.
    """
    most = longest.total_seconds()
    worked: list[float | None] = []
    for index, (moment, lead_time) in enumerate(zip(moments, lead_times, strict=True)):
        gap = (moment - moments[index - 1]).total_seconds() if index else math.inf
        if gap <= most:
            worked.append(gap)
        else:
            worked.append(min(lead_time, most) if lead_time is not None and is_valid_lead_time(lead_time) else None)
    known = [seconds for seconds in worked if seconds is not None]
    usual = float(np.median(known)) if known else None
    return [usual if seconds is None else seconds for seconds in worked]


def is_valid_lead_time(seconds: float) -> bool:
    """Whether a lead_time is a possible time on a task: imported work has 0."""
    return 0 < seconds < math.inf


def estimate_pace(done: Iterable[datetime], begun: datetime, now: datetime, days: int, level: float) -> WorkPace | None:
    """Tasks a day over the last `days` periods of 24 hours before `now` that lie wholly after `begun`.

    Periods without work count, because nights and free days are part of the pace.  The interval at confidence `level`
    is that of the mean of the periods by Student's t, with a variance of at least that of a Poisson process (with a
    single period: exactly that, and the normal quantile).  None before the first period is over, and when no task was
    done in any period.
    """
    from scipy.special import ndtri, stdtrit

    periods = min(days, int((now - begun) / ONE_DAY))
    if periods < 1:
        return None
    counts = np.zeros(periods)
    for moment in done:
        period = int((now - min(moment, now)) / ONE_DAY)
        if period < periods:
            counts[period] += 1
    mean = float(counts.mean())
    if mean == 0:
        return None
    variance = max(mean, float(counts.var(ddof=1)) if periods > 1 else 0.0)
    share = (1 + level) / 2
    quantile = float(stdtrit(periods - 1, share) if periods > 1 else ndtri(share))
    half = quantile * math.sqrt(variance / periods)
    return WorkPace(mean - half, mean, mean + half)


def estimate_end(left: int, speed: WorkPace | None, now: datetime) -> EstimatedEnd:
    """When `left` tasks will be done at a pace."""
    if speed is None:
        return UNKNOWN_END
    return EstimatedEnd(
        _end_at_rate(now, left, speed.high), _end_at_rate(now, left, speed.middle), _end_at_rate(now, left, speed.low)
    )


def latest_end(ends: Sequence[EstimatedEnd]) -> EstimatedEnd:
    """When all of these will have ended; unknown when one of them is."""
    return EstimatedEnd(*(None if None in moments else max(moments) for moments in zip(*ends, strict=True)))


def _end_at_rate(now: datetime, left: int, a_day: float) -> datetime | None:
    if a_day <= 0 or left / a_day > MAX_FORECAST_DAYS:
        return None
    return now + timedelta(days=left / a_day)

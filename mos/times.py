"""Times as people and tools write them, and their order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos.spellings import is_missing_mark

_ISO_TIME = re.compile(
    r"(?P<day>\d{4}-?\d\d-?\d\d|\d{4}-\d\d)"
    r"(?:[T ](?P<clock>\d\d(?::?\d\d(?::?\d\d(?:[.,](?P<fraction>\d+))?)?)?)"
    r" ?(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)

_EPOCH_FROM = Decimal(10**8)
"""Numbers from here on are seconds or smaller units since 1970; smaller ones are days, or a count."""

_UNIT_RATIO = 100
"""Numbers of seconds since 1970 that are so many times as large as others are in another unit."""


class TimeKind(IntEnum):
    """How a time is written. Only times of one kind can be ordered, and those of the kind OTHER cannot be."""

    MISSING = 0
    ISO = 1
    NUMBER = 2
    OTHER = 3


def parse_utc_time(text: str) -> datetime | None:
    """Parse an ISO time to UTC; a time without a zone is in UTC.  None for any other text."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


class WrittenTime(NamedTuple):
    """A time as it was written.

    kind: how
    moment: of ISO times, whole seconds; else None
    value: the fraction of the second of ISO times; of numbers, the number; else 0
    """

    kind: TimeKind
    moment: datetime | None
    value: Decimal


def read_time(text: str | None) -> WrittenTime:
    """Read a time.

    Parameters
    ----------
    text : str or None
        ISO 8601 with or without an offset (without one it is UTC), T or a blank, fractions of any length; or a number,
        such as seconds since 1970.

    Returns
    -------
    WrittenTime

    Examples
    --------
    >>> read_time("2026-01-09 10:05:00.25 +02:00").moment.isoformat()
    '2026-01-09T08:05:00+00:00'
    >>> [read_time(text).kind.name for text in ("1767953100", "1/9/2026 9:05", "2026-01-09 01:00 PM", "")]
    ['NUMBER', 'OTHER', 'OTHER', 'MISSING']
    """
    text = (text or "").strip()
    if not text or is_missing_mark(text):
        return WrittenTime(TimeKind.MISSING, None, Decimal(0))
    if _NUMBER.fullmatch(text):
        return WrittenTime(TimeKind.NUMBER, None, Decimal(text))
    found = _ISO_TIME.fullmatch(text)
    if found is not None:
        clock, fraction, zone = (found[name] or "" for name in ("clock", "fraction", "zone"))
        day = found["day"] if len(found["day"]) > len("2026-03") else f"{found['day']}-01"
        whole = clock[: len(clock) - len(fraction) - 1] if fraction else clock
        offset = zone if zone[:1] in "+-" else ""
        moment = parse_utc_time(f"{day}T{whole}{offset}" if whole else day)
        if moment is not None:
            return WrittenTime(TimeKind.ISO, moment, Decimal(f"0.{fraction or 0}"))
    return WrittenTime(TimeKind.OTHER, None, Decimal(0))


def order_times(texts: Sequence[str | None], first: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Order times within groups.

    Parameters
    ----------
    texts : sequence of str or None, length N
        The times, those of a group next to each other; see `read_time`.
    first : ndarray of int, shape (groups,)
        Position of the first time of each group, ascending.

    Returns
    -------
    rank : ndarray of int64, shape (N,)
        Ascending with the time. 0 for a missing one, which counts as the earliest, and in groups without an order.
    ordered : ndarray of bool, shape (groups,)
        Whether the times of a group have an order: they are all ISO 8601, or all numbers in one unit, or equal.
    """
    distinct = {text: read_time(text) for text in dict.fromkeys(texts)}
    ascending = sorted(distinct.items(), key=lambda item: _sort_key(item[1]))
    place: dict[str | None, int] = {}
    number, before = 0, None
    for text, time in ascending:
        number += before is None or time.kind is TimeKind.OTHER or time != before
        place[text], before = number - 1 if time.kind is TimeKind.MISSING else number, time
    if not len(first):
        return np.zeros(0, np.int64), np.zeros(0, bool)
    times = [distinct[text] for text in texts]
    rank = np.array([place[text] for text in texts], np.int64)
    kind = np.array([time.kind for time in times], np.int64)
    value = np.array([float(time.value) if time.kind is TimeKind.NUMBER else np.nan for time in times])
    given = kind != TimeKind.MISSING
    lowest_kind = np.minimum.reduceat(np.where(given, kind, TimeKind.OTHER), first)
    highest_kind = np.maximum.reduceat(kind, first)
    lowest = np.fmin.reduceat(value, first)
    one_unit = ~((lowest >= float(_EPOCH_FROM)) & (np.fmax.reduceat(value, first) >= _UNIT_RATIO * lowest))
    equal = np.minimum.reduceat(rank, first) == np.maximum.reduceat(rank, first)
    ordered = equal | ((lowest_kind == highest_kind) & (highest_kind != TimeKind.OTHER) & one_unit)
    sizes = np.diff(first, append=len(texts))
    return np.where(np.repeat(ordered, sizes), rank, 0), ordered


def _sort_key(time: WrittenTime) -> tuple[int, datetime, Decimal]:
    return time.kind, time.moment or datetime.min.replace(tzinfo=UTC), time.value

"""How far a campaign is, as rows for a terminal, a page or a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from annotation.campaign.options import STAGES


@dataclass(frozen=True, slots=True)
class Row:
    """One person's part in one stage, or the whole stage.

    done, assigned: tasks; assigned counts those that exist, the done among them
    per_hour: tasks in an hour of work; agreement: with the others, in [0, 1]; None where there is too little work yet
    stuck: why somebody should ask what is the matter, as a short phrase; None when nothing is
    ends: ISO date on which the last of these tasks would be done at this pace; None when unknown, or all is done
    gold: share of the hidden gold tasks of late that the person agrees with, in [0, 1]; None without any
    """

    stage: str
    person: str
    done: int
    assigned: int
    per_hour: float | None = None
    agreement: float | None = None
    stuck: str | None = None
    ends: str | None = None
    gold: float | None = None

    @property
    def left(self) -> int:
        return max(0, self.assigned - self.done)

    @property
    def share(self) -> float:
        """Of the tasks done, in [0, 1]; 0 where there are none."""
        return min(1.0, self.done / self.assigned) if self.assigned else 0.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a stage, such as how far its people agree.

    value: in [0, 1] where kind is "share"; of: how many things it is taken from, and `things` what these are
    """

    stage: str
    what: str
    value: float
    kind: Literal["share", "number"]
    of: int
    things: str

    @property
    def text(self) -> str:
        """The value as people read it."""
        return f"{100 * self.value:.0f} %" if self.kind == "share" else f"{self.value:.2f}"


@dataclass(frozen=True, slots=True)
class Status:
    """A campaign at a moment.

    at: ISO time of the reading; heard: ISO time of the last thing that anybody submitted, None when nothing was
    rows: one for each stage and person; finished, pairs: pairs that went through every step, and all of them
    set_aside: how many submitted things do not count, by reason; notes: sentences for the manager
    figures: what else is known of the stages; to_come: by stage, tasks that no pair has come to yet
    """

    name: str
    at: str
    heard: str | None
    rows: Sequence[Row]
    finished: int
    pairs: int
    set_aside: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    to_come: Mapping[str, int] = field(default_factory=dict)

    @property
    def has_gold(self) -> bool:
        """Whether anybody answered hidden gold."""
        return any(row.gold is not None for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values, the sums over stages too."""
        return asdict(self) | {
            "rows": [_values(row) for row in self.rows],
            "stages": [_values(row) for row in by_stage(self.rows)],
            "total": _values(total(self.rows)),
        }


def by_stage(rows: Iterable[Row]) -> list[Row]:
    """A row for each stage, in the order of the stages; the person is empty."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.stage, []).append(row)
    return [_sum(stage, groups[stage]) for stage in sorted(groups, key=_place)]


def total(rows: Iterable[Row]) -> Row:
    """One row for everything that has been handed out so far; an agreement over stages would mean nothing."""
    together = _sum("", list(rows))
    return replace(together, agreement=None, gold=None)


def ordered(rows: Iterable[Row]) -> list[Row]:
    """By stage, then by person."""
    return sorted(rows, key=lambda row: (_place(row.stage), row.person))


def _place(stage: str) -> tuple[int, str]:
    known: Sequence[str] = STAGES
    # What comes before the regions (the qualification) is no step of a pair, so it is not among the stages.
    return (known.index(stage) if stage in known else -1, stage)


def _sum(stage: str, rows: Sequence[Row]) -> Row:
    speeds = [row.per_hour for row in rows if row.per_hour is not None]
    waiting = [row for row in rows if row.left]
    ends = [row.ends for row in waiting if row.ends is not None]
    stuck = sum(row.stuck is not None for row in rows)
    return Row(
        stage,
        "",
        sum(row.done for row in rows),
        sum(row.assigned for row in rows),
        sum(speeds) if speeds else None,
        _mean([(row.agreement, row.done) for row in rows]),
        f"{stuck} of {len(rows)}" if stuck else None,
        # One person of whom nothing is known leaves the end open.
        max(ends) if waiting and len(ends) == len(waiting) else None,
        _mean([(row.gold, row.done) for row in rows]),
    )


def _mean(values: Iterable[tuple[float | None, int]]) -> float | None:
    """The mean of what is known, weighted by tasks done."""
    known = [(value, done) for value, done in values if value is not None and done]
    weight = sum(done for _, done in known)
    return sum(value * done for value, done in known) / weight if weight else None


def _values(row: Row) -> dict[str, Any]:
    return asdict(row) | {"left": row.left}

"""The status of a campaign: rows, sums, JSON values, and one self-contained HTML page without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from annotation.campaign.options import CAMPAIGN_STAGES
from annotation.campaign.participant_notes import ParticipantNote
from mos import pages
from mos.words import format_quantity


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One person in one stage, or a whole stage.

    Parameters
    ----------
    stage, person
        Stage, and person_id; the person is empty for a sum.
    done, assigned
        Number of finished tasks, and of all existing ones.
    per_hour
        Tasks in an hour of work; None with too little work.
    agreement
        Agreement with the others, in [0, 1]; None with too little work.
    stuck
        A short phrase that says for how long nothing was submitted; None when the person is not stuck.
    ends
        ISO date on which the last task would be done at this pace; None when unknown or when all are done.
    compared
        What `agreement` is a share of: boxes of both sides, or texts. A stage's agreement adds up the counts of its
        people.
    gold
        Share of the latest hidden gold tasks that agree with gold, in [0, 1]; None without any.
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
    compared: int = 0

    @property
    def left(self) -> int:
        return max(0, self.assigned - self.done)

    @property
    def share(self) -> float:
        """Share of the tasks that are done, in [0, 1]; 0 without tasks."""
        return min(1.0, self.done / self.assigned) if self.assigned else 0.0


@dataclass(frozen=True, slots=True)
class StageFigure:
    """One figure of a stage, such as the agreement of its people.

    value: in [0, 1] when kind is "share"; of: the number of `things` from which it is computed
    """

    stage: str
    what: str
    value: float
    kind: Literal["share", "number"]
    of: int
    things: str

    @property
    def text(self) -> str:
        """The value as text."""
        return f"{100 * self.value:.0f} %" if self.kind == "share" else f"{self.value:.2f}"


WaitReason = Literal["qualification", "redo", "drafts", "rewrite"]

WAIT_PHRASES: dict[WaitReason, str] = {
    "qualification": "for people who have yet to qualify",
    "redo": "for people who were asked to do a task again",
    "drafts": "for drafts of their texts",
    "rewrite": "for a rewritten instruction",
}


@dataclass(frozen=True, slots=True)
class WaitingPairs:
    """Pairs that wait for the same thing; a pair can wait for two.

    tasks: tasks that cannot be done before; 0 where their number is not known yet
    """

    why: WaitReason
    pairs: int
    tasks: int = 0

    @property
    def text(self) -> str:
        """The number of pairs, and of tasks where known, and what they wait for."""
        tasks = f" ({format_quantity(self.tasks, 'task')})" if self.tasks else ""
        waits = "waits" if self.pairs == 1 else "wait"
        return f"{format_quantity(self.pairs, 'pair')}{tasks} {waits} {WAIT_PHRASES[self.why]}."


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """The status of a campaign at one moment.

    Parameters
    ----------
    name
        Name of the campaign.
    at
        ISO time of the status.
    heard
        ISO time of the last submission; None without any.
    rows
        One for each stage and person.
    finished, pairs
        Number of pairs that finished every step, and of all pairs.
    set_aside
        Number of rejections, by reason.
    notes
        Sentences for the manager.
    figures
        More figures of the stages.
    to_come
        Number of tasks that do not exist yet, by stage.
    participant_notes
        What participants wrote to the manager, and the pairs that they cannot judge.
    waiting
        Pairs that nobody can go on with now, by what they wait for.
    """

    name: str
    at: str
    heard: str | None
    rows: Sequence[StatusRow]
    finished: int
    pairs: int
    set_aside: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    figures: Sequence[StageFigure] = ()
    to_come: Mapping[str, int] = field(default_factory=dict)
    participant_notes: Sequence[ParticipantNote] = ()
    waiting: Sequence[WaitingPairs] = ()

    @property
    def has_gold(self) -> bool:
        """Whether there are answers to hidden gold."""
        return any(row.gold is not None for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values, with the sums of each stage and of all."""
        return asdict(self) | {
            "rows": [_row_values(row) for row in self.rows],
            "stages": [_row_values(row) for row in sum_rows_by_stage(self.rows)],
            "total": _row_values(sum_all_rows(self.rows)),
        }


def sum_rows_by_stage(rows: Iterable[StatusRow]) -> list[StatusRow]:
    """A row for each stage, in the order of the stages; its person is empty."""
    groups: dict[str, list[StatusRow]] = {}
    for row in rows:
        groups.setdefault(row.stage, []).append(row)
    return [_sum_rows(stage, groups[stage]) for stage in sorted(groups, key=_stage_position)]


def sum_all_rows(rows: Iterable[StatusRow]) -> StatusRow:
    """One row for all tasks that exist, without agreement, which cannot be averaged over stages."""
    total = _sum_rows("", list(rows))
    return replace(total, agreement=None, gold=None, compared=0)


def sort_status_rows(rows: Iterable[StatusRow]) -> list[StatusRow]:
    """The rows by stage, then by person."""
    return sorted(rows, key=lambda row: (_stage_position(row.stage), row.person))


def _stage_position(stage: str) -> tuple[int, str]:
    known: Sequence[str] = CAMPAIGN_STAGES
    # An unknown stage comes first.
    return (known.index(stage) if stage in known else -1, stage)


def _sum_rows(stage: str, rows: Sequence[StatusRow]) -> StatusRow:
    speeds = [row.per_hour for row in rows if row.per_hour is not None]
    waiting = [row for row in rows if row.left]
    ends = [row.ends for row in waiting if row.ends is not None]
    stuck = sum(row.stuck is not None for row in rows)
    return StatusRow(
        stage,
        "",
        sum(row.done for row in rows),
        sum(row.assigned for row in rows),
        sum(speeds) if speeds else None,
        _weighted_mean([(row.agreement, row.compared) for row in rows]),
        f"{stuck} of {len(rows)}" if stuck else None,
        # The end is unknown while it is for one person.
        max(ends) if waiting and len(ends) == len(waiting) else None,
        _weighted_mean([(row.gold, row.done) for row in rows]),
        sum(row.compared for row in rows if row.agreement is not None),
    )


def _weighted_mean(values: Iterable[tuple[float | None, int]]) -> float | None:
    """The mean of the known values, each with its weight."""
    known = [(value, weight) for value, weight in values if value is not None and weight]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def _row_values(row: StatusRow) -> dict[str, Any]:
    return asdict(row) | {"left": row.left}


STATUS_TEMPLATE = "page.html"


STATUS_STYLE = (
    ".tile b{font-size:25px;white-space:nowrap}tbody th{font-weight:550}"
    "progress{width:120px;height:9px;accent-color:var(--accent)}tbody th{min-width:9em}"
    "@media (max-width:520px){.tiles{grid-template-columns:1fr 1fr}.tile b{font-size:21px}}"
)


def write_status_page(out: Path, status: CampaignStatus, refresh: int | None = None) -> None:
    """Write the status page, replacing the file in one step.

    Parameters
    ----------
    out
        Path of the HTML file.
    status
        What to show.
    refresh
        Seconds after which a browser reloads the page; None for never.
    """
    pages.write_page(out, render_status_page(status, refresh))


def render_status_page(status: CampaignStatus, refresh: int | None = None) -> str:
    """The HTML of the page, with every value escaped; see `write_status_page`."""
    return pages.render_page(
        "annotation.campaign.status",
        STATUS_TEMPLATE,
        filters={"moment": lambda value: value[:16].replace("T", " ")},
        status=status,
        tiles=status_tiles(status),
        stages=sum_rows_by_stage(status.rows),
        rows=sort_status_rows(status.rows),
        refresh=refresh,
        style=pages.page_style(STATUS_STYLE),
    )


def status_tiles(status: CampaignStatus) -> list[tuple[str, str, str]]:
    """The most important figures: value, label, and a note to compare it with."""
    everything = sum_all_rows(status.rows)
    people = {row.person for row in status.rows}
    stuck = {row.person for row in status.rows if row.stuck}
    return [
        (f"{status.finished:,}", "pairs finished", f"of {status.pairs:,}"),
        (f"{everything.done:,}", "tasks done", f"of {everything.assigned:,} that exist"),
        (f"{everything.left:,}", "tasks left", "so far; later steps bring more"),
        (f"{len(people):,}", "people", f"{len(stuck)} of them stuck" if stuck else "nobody is stuck"),
        (everything.ends or "–", "estimated end", "of the tasks that exist, at this pace"),
    ]

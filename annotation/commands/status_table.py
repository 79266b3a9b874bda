"""The status of a campaign as a table on a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from annotation.campaign.status.report import (
    CampaignStatus,
    StageFigure,
    StatusRow,
    sort_status_rows,
    sum_all_rows,
    sum_rows_by_stage,
)
from mos.words import escape_to_one_line, format_decimal, format_percent

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text


STATUS_COLUMNS = ("stage", "person", "done", "left", "tasks/h", "agreement", "gold", "stuck", "ends")
LEFT_ALIGNED_COLUMNS = ("stage", "person", "stuck")


def render_status_table(status: CampaignStatus) -> Group:
    """Make the table of stages and participants, followed by figures, rejections and notes.

    Parameters
    ----------
    status
        Status of the campaign.

    Returns
    -------
    Group
        For `rich`. Names and sentences are plain text, with question marks for characters that could control the
        terminal.
    """
    from rich.console import Group
    from rich.text import Text

    lines = [
        Text(f"{status.finished:,} of {status.pairs:,} pairs finished all stages. {_format_last_work(status)}"),
        *(
            Text(escape_to_one_line(f"Still to create: {count:,} {stage.replace('_', ' ')} tasks"))
            for stage, count in status.to_come.items()
        ),
        *(Text(one.text) for one in status.waiting),
        *(Text(escape_to_one_line(_format_figure(figure))) for figure in status.figures),
        *(
            Text(f"Rejected: {number:,} {escape_to_one_line(reason)}")
            for reason, number in sorted(status.set_aside.items())
        ),
        *(Text(escape_to_one_line(note), style="yellow") for note in status.notes),
        *(
            [Text(f"Notes of participants: {len(status.participant_notes):,}. Read them with: editfhf annotate notes")]
            if status.participant_notes
            else []
        ),
    ]
    return Group(_people_table(status), *lines)


def _people_table(status: CampaignStatus) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(escape_to_one_line(status.name)), title_justify="left")
    for name in STATUS_COLUMNS:
        if name != "gold" or status.has_gold:
            table.add_column(name, justify="left" if name in LEFT_ALIGNED_COLUMNS else "right")
    sums = {row.stage: row for row in sum_rows_by_stage(status.rows)}
    for stage, people in groupby(sort_status_rows(status.rows), key=lambda row: row.stage):
        table.add_row(*_format_cells(sums[stage], stage.replace("_", " "), "everybody", status.has_gold), style="bold")
        for row in people:
            table.add_row(*_format_cells(row, "", row.person, status.has_gold), style="red" if row.stuck else None)
        table.add_section()
    if len(sums) > 1:
        table.add_row(*_format_cells(sum_all_rows(status.rows), "all", "everybody", status.has_gold), style="bold")
    return table


def _format_figure(figure: StageFigure) -> str:
    return (
        f"{figure.stage.replace('_', ' ').capitalize()}: {figure.what}: {figure.text} ({figure.of:,} {figure.things})."
    )


def _format_cells(row: StatusRow, stage: str, person: str, gold: bool) -> list[Text]:
    from rich.text import Text

    texts = [escape_to_one_line(text) for text in (stage, person, row.stuck or "", row.ends or "")]
    # Numbers are not replaced: the no-break space of a percentage counts as unprintable.
    numbers = [f"{row.done:,}/{row.assigned:,}", f"{row.left:,}", format_decimal(row.per_hour)]
    numbers += [format_percent(row.agreement), *([format_percent(row.gold)] if gold else [])]
    return [Text(cell) for cell in (*texts[:2], *numbers, *texts[2:])]


def _format_last_work(status: CampaignStatus) -> str:
    if not status.heard:
        return "There are no submissions yet."
    return f"Last submission: {status.heard[:16].replace('T', ' ')}."

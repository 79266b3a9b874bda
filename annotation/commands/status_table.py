"""The status of a campaign as a table on a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from annotation.campaign.status import Row, Status, by_stage, ordered, total

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

COLUMNS = ("stage", "person", "done", "left", "tasks/h", "agreement", "stuck", "ends")
LEFT = ("stage", "person", "stuck")


def drawn(status: Status) -> Group:
    """What `rich` prints: a table of stages and people, then what was set aside and what else there is to say.

    Names and sentences are text: markup in them is shown, and what could steer a terminal is a question mark.
    """
    from rich.console import Group
    from rich.text import Text

    lines = [
        Text(f"{status.finished:,} of {status.pairs:,} pairs went through every step. {_heard(status)}"),
        *(Text(f"Set aside: {number:,} {_plain(reason)}") for reason, number in sorted(status.set_aside.items())),
        *(Text(_plain(note), style="yellow") for note in status.notes),
    ]
    return Group(_table(status), *lines)


def _table(status: Status) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(_plain(status.name)), title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in LEFT else "right")
    sums = {row.stage: row for row in by_stage(status.rows)}
    for stage, people in groupby(ordered(status.rows), key=lambda row: row.stage):
        table.add_row(*_cells(sums[stage], stage.replace("_", " "), "everybody"), style="bold")
        for row in people:
            table.add_row(*_cells(row, "", row.person), style="red" if row.stuck else None)
        table.add_section()
    if len(sums) > 1:
        table.add_row(*_cells(total(status.rows), "all", "everybody"), style="bold")
    return table


def _cells(row: Row, stage: str, person: str) -> list[Text]:
    from rich.text import Text

    values = (
        stage,
        person,
        f"{row.done:,}/{row.assigned:,}",
        f"{row.left:,}",
        "" if row.per_hour is None else f"{row.per_hour:.1f}",
        "" if row.agreement is None else f"{100 * row.agreement:.0f} %",
        row.stuck or "",
        row.ends or "",
    )
    return [Text(_plain(value)) for value in values]


def _heard(status: Status) -> str:
    return f"The last work came in {status.heard[:16].replace('T', ' ')}." if status.heard else "No work came in yet."


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)

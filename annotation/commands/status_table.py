"""The status of a campaign as a table on a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from annotation.campaign.status.rows import Figure, Row, Status, by_stage, ordered, total
from mos.terminal import printable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

COLUMNS = ("stage", "person", "done", "left", "tasks/h", "agreement", "gold", "stuck", "ends")
LEFT = ("stage", "person", "stuck")


def drawn(status: Status) -> Group:
    """What `rich` prints: a table of stages and people, then what was set aside and what else there is to say.

    Names and sentences are text: markup in them is shown, and what could steer a terminal is a question mark.
    """
    from rich.console import Group
    from rich.text import Text

    lines = [
        Text(f"{status.finished:,} of {status.pairs:,} pairs went through every step. {_heard(status)}"),
        *(
            Text(printable(f"To come: {count:,} {stage.replace('_', ' ')} tasks"))
            for stage, count in status.to_come.items()
        ),
        *(Text(printable(_sentence(figure))) for figure in status.figures),
        *(Text(f"Set aside: {number:,} {printable(reason)}") for reason, number in sorted(status.set_aside.items())),
        *(Text(printable(note), style="yellow") for note in status.notes),
    ]
    return Group(_table(status), *lines)


def _table(status: Status) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(printable(status.name)), title_justify="left")
    for name in COLUMNS:
        if name != "gold" or status.has_gold:
            table.add_column(name, justify="left" if name in LEFT else "right")
    sums = {row.stage: row for row in by_stage(status.rows)}
    for stage, people in groupby(ordered(status.rows), key=lambda row: row.stage):
        table.add_row(*_cells(sums[stage], stage.replace("_", " "), "everybody", status.has_gold), style="bold")
        for row in people:
            table.add_row(*_cells(row, "", row.person, status.has_gold), style="red" if row.stuck else None)
        table.add_section()
    if len(sums) > 1:
        table.add_row(*_cells(total(status.rows), "all", "everybody", status.has_gold), style="bold")
    return table


def _sentence(figure: Figure) -> str:
    return (
        f"{figure.stage.replace('_', ' ').capitalize()}: {figure.what}: {figure.text} ({figure.of:,} {figure.things})."
    )


def _cells(row: Row, stage: str, person: str, gold: bool) -> list[Text]:
    from rich.text import Text

    values = (
        stage,
        person,
        f"{row.done:,}/{row.assigned:,}",
        f"{row.left:,}",
        "" if row.per_hour is None else f"{row.per_hour:.1f}",
        _percent(row.agreement),
        *([_percent(row.gold)] if gold else []),
        row.stuck or "",
        row.ends or "",
    )
    return [Text(printable(value)) for value in values]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _heard(status: Status) -> str:
    return f"The last work came in {status.heard[:16].replace('T', ' ')}." if status.heard else "No work came in yet."

"""`editfhf annotate qualify CORPUS`: results of candidates and of hidden gold, and requests to qualify again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_json, print_line, table_console

if TYPE_CHECKING:
    from rich.table import Table

    from annotation.campaign.planning.pass_list import PassList


WHY_WIDTH = 60
"""Characters of a line in a column of sentences: in a pipe, a table is as wide as its content."""


def annotate_qualify(
    corpus: Annotated[Path, typer.Argument(help="Corpus with a campaign.")],
    again: Annotated[
        list[str] | None,
        typer.Option("--again", metavar="PERSON", help="Re-qualify this participant; can be repeated."),
    ] = None,
    again_flagged: Annotated[
        bool, typer.Option("--again-flagged", help="Re-qualify every participant who fails the hidden gold checks.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON on stdout.")] = False,
) -> None:
    """Show the results of candidates and of hidden gold, and ask participants to qualify again.

    Reads the answers of the last `sync`, also while one is running, and needs no server. From the next sync on, a
    participant who qualifies again gets only gold tasks that are new to them, until they pass. Earlier answers count.

    Examples:

        editfhf annotate qualify my-corpus

        editfhf annotate qualify my-corpus --again anna
    """
    from annotation.campaign.gold.candidates import request_requalification
    from annotation.campaign.planning.pass_list import make_pass_list
    from annotation.campaign.read_record import read_campaign_record

    record, _ = read_campaign_record(corpus)
    found = make_pass_list(record)
    wanted = dict.fromkeys(again or ())
    if again_flagged:
        busy = {name for name, one in found.standings.items() if one.phase in ("training", "gold")}
        wanted |= dict.fromkeys(one.person_id for _, one in found.gold if one.flagged and one.person_id not in busy)
    for person_id in wanted:
        since = request_requalification(corpus, record, person_id, datetime.now(UTC))
        print_line(f"{person_id} qualifies again with attempt {since.attempt} of gold.jsonl.", to_stderr=True)
    if wanted:
        record, _ = read_campaign_record(corpus)
        found = make_pass_list(record)
    if json:
        print_json(found.as_dict())
    else:
        _print_pass_list(found)


def _print_pass_list(found: PassList) -> None:
    console = table_console()
    if found.standings:
        console.print(_candidate_table(found))
    if found.gold:
        console.print(_gold_table(found))
    for note in found.notes:
        console.print(note, markup=False)
    if not (found.standings or found.gold or found.notes):
        console.print("There are no candidates, and no answers to hidden gold.")


def _candidate_table(found: PassList) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("candidate", "phase", "attempt", "open", "figures", title="Qualification", title_justify="left")
    table.add_column("why", max_width=WHY_WIDTH)
    for one in found.standings.values():
        last = one.verdicts[-1] if one.verdicts else None
        figures = (
            [f"{figure.name} {figure.value:.2f}" for figure in last.figures if figure.value is not None] if last else []
        )
        attempt = "" if one.attempt is None else str(one.attempt)
        why = "\n".join(last.sentences) if last else ""
        table.add_row(Text(one.person_id), one.phase, attempt, str(len(one.todo)), "\n".join(figures), why)
    return table


def _gold_table(found: PassList) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("stage", "person", "agree", "of", "interval", "", title="Hidden gold", title_justify="left")
    for stage, one in found.gold:
        interval = f"{one.low:.2f} to {one.high:.2f}"
        flag = "flagged" if one.flagged else ""
        table.add_row(stage, Text(one.person_id), str(one.agreed), str(one.n), interval, flag)
    return table

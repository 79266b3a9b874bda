"""`editfhf annotate qualify CORPUS`: who passed, who did not and why, and who should qualify again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from annotation.campaign.gold.passing import PassList


def qualify(
    corpus: Annotated[Path, typer.Argument(help="A corpus with a campaign.")],
    again: Annotated[
        list[str] | None,
        typer.Option("--again", metavar="PERSON", help="Ask a person to qualify again; may be said several times."),
    ] = None,
    again_flagged: Annotated[
        bool, typer.Option("--again-flagged", help="Ask everybody to qualify again whom hidden gold speaks against.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON on stdout.")] = False,
) -> None:
    """Show where candidates stand and how people do on hidden gold; ask people to qualify again.

    Reads what the last `sync` filed, beside a running one too, and needs no server.  Whoever is asked again gets no new
    task but gold they have not seen, from the next sync on, until they pass; what they did before counts.

    Examples:

        editfhf annotate qualify my-corpus

        editfhf annotate qualify my-corpus --again anna
    """
    from annotation.campaign.beside import record_beside
    from annotation.campaign.gold.passing import again as ask
    from annotation.campaign.gold.passing import pass_list

    record, _ = record_beside(corpus)
    found = pass_list(record)
    wanted = dict.fromkeys(again or ())
    if again_flagged:
        busy = {name for name, one in found.standings.items() if one.phase in ("training", "gold")}
        wanted |= dict.fromkeys(one.person_id for _, one in found.gold if one.flagged and one.person_id not in busy)
    for person_id in wanted:
        since = ask(corpus, record, person_id, datetime.now(UTC))
        typer.echo(f"{person_id} qualifies again, with attempt {since.attempt} of gold.jsonl.", err=True)
    if wanted:
        record, _ = record_beside(corpus)
        found = pass_list(record)
    if json:
        import orjson

        typer.echo(orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)


def _print(found: PassList) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    if found.standings:
        console.print(_candidates(found))
    if found.gold:
        console.print(_gold(found))
    for note in found.notes:
        console.print(note, markup=False)
    if not (found.standings or found.gold or found.notes):
        console.print("Nobody has to qualify, and nobody has answered hidden gold.")


def _candidates(found: PassList) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "candidate", "phase", "attempt", "open", "figures", "why", title="Qualification", title_justify="left"
    )
    for one in found.standings.values():
        last = one.verdicts[-1] if one.verdicts else None
        figures = (
            [f"{figure.name} {figure.value:.2f}" for figure in last.figures if figure.value is not None] if last else []
        )
        attempt = "" if one.attempt is None else str(one.attempt)
        why = "\n".join(last.sentences) if last else ""
        table.add_row(Text(one.person_id), one.phase, attempt, str(len(one.todo)), "\n".join(figures), why)
    return table


def _gold(found: PassList) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("stage", "person", "agree", "of", "interval", "", title="Hidden gold", title_justify="left")
    for stage, one in found.gold:
        interval = f"{one.low:.2f} to {one.high:.2f}"
        flag = "flagged" if one.flagged else ""
        table.add_row(stage, Text(one.person_id), str(one.agreed), str(one.n), interval, flag)
    return table

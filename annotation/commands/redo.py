"""`editfhf annotate redo CORPUS`: give tasks to their people again where the answers look wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from annotation.campaign.quality.redo_list import RedoList


def redo(
    corpus: Annotated[Path, typer.Argument(help="A corpus with a campaign.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done again; write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the tasks as JSON on stdout.")] = False,
) -> None:
    """Find answers that were hasty, all alike, or alone against others who agree, and ask for them once more.

    Adds a line to CORPUS/campaign/redo.jsonl for every task; the next `sync` gives it to the same person as a new task,
    and the answer so far no longer counts.  No task is asked for twice.  Raters whom the scoring excludes are named and
    not asked.

    Examples:

        editfhf annotate redo my-corpus --dry-run

        editfhf annotate redo my-corpus
    """
    from annotation.campaign.beside import record_beside
    from annotation.campaign.quality.redo_list import asked_already, note, redo_list

    record, _ = record_beside(corpus)
    found = redo_list(record, asked_already(corpus))
    if json:
        import orjson

        typer.echo(orjson.dumps([one._asdict() for one in found.tasks], option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)
    tasks = "1 task" if len(found.keys) == 1 else f"{len(found.keys)} tasks"
    if dry_run:
        typer.echo(f"{tasks} would be done again. Nothing was written.", err=True)
    else:
        note(corpus, found)
        typer.echo(f"{tasks} to do again; the next sync hands them out.", err=True)


def _print(found: RedoList) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    if found.tasks:
        table = Table("stage", "pair", "person", "reason", "why", title="To do again", title_justify="left")
        for one in found.tasks:
            table.add_row(one.stage, Text(one.pair_id), Text(one.person_id), one.reason, one.sentence)
        console.print(table)
        reasons = Counter(one.reason for one in found.tasks)
        console.print(", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())))
    for rater, reason in sorted(found.excluded.items()):
        console.print(f"Not asked again: {rater}, whom the scoring excludes. {reason}", markup=False)
    if found.spared:
        console.print(f"Tasks of these raters that were left out: {found.spared}.")
    for sentence in found.advice:
        console.print(sentence, markup=False)

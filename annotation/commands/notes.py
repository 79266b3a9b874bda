"""`editfhf annotate notes CORPUS`: what participants wrote to the manager."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_json, table_console
from mos.words import escape_to_one_line

if TYPE_CHECKING:
    from annotation.campaign.participant_notes import ParticipantNote


def annotate_notes(
    corpus: Annotated[Path, typer.Argument(help="Corpus with a campaign.")],
    json: Annotated[bool, typer.Option("--json", help="Print the notes as JSON on stdout.")] = False,
) -> None:
    """Show the notes of participants, and the pairs that they cannot judge.

    Reads the answers of the last `sync`, also while one is running, and needs no server. Each note has the address of
    its task.

    Examples:

        editfhf annotate notes my-corpus

        editfhf annotate notes my-corpus --json | jq -r '.[].text'
    """
    from annotation.campaign.participant_notes import read_campaign_notes

    notes = read_campaign_notes(corpus)
    if json:
        print_json([note.as_dict() for note in notes])
    else:
        _print_notes(notes)


def _print_notes(notes: list[ParticipantNote]) -> None:
    from rich.text import Text

    console = table_console()
    for note in notes:
        head = f"{note.at[:16].replace('T', ' ')}  {note.person_id}  {note.stage.replace('_', ' ')}  {note.pair_id}"
        if note.cannot_judge:
            head += "  cannot judge"
        console.print(Text(escape_to_one_line(head), style="bold"))
        for line in note.text.splitlines():
            console.print(Text(f"    {escape_to_one_line(line)}"))
        if note.link is not None:
            console.print(Text(f"    {escape_to_one_line(note.link)}"), soft_wrap=True)
    if not notes:
        console.print("There are no notes.")

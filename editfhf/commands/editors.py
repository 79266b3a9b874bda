"""`editfhf editors`: which editors there are, and what each really does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_json, print_line, show_progress, table_console

if TYPE_CHECKING:
    from editfhf.editors.conformance.card import EditorCard
    from editfhf.editors.registry import EditorEntry

editors_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    help="Image editors: which there are, and what each really does with mask, place, colours and seed.",
)


@editors_app.command("list")
def list_command(
    json: Annotated[bool, typer.Option("--json", help="Print the entries as JSON on stdout.")] = False,
) -> None:
    """List the editors with their licence, how each takes the mask, and what it lacks here.

    Examples:

        editfhf editors list

        editfhf editors list --json
    """
    from editfhf.editors.registry import read_editor_entries

    entries = read_editor_entries()
    if json:
        print_json([entry.model_dump(mode="json") | {"lacks": entry.describe_lack()} for entry in entries.values()])
    else:
        _print_entries(list(entries.values()))


@editors_app.command("check")
def check_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `editfhf editors list`.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the card to DIR/editor.json.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON on stdout.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many edits would be asked for.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Give an editor synthetic images and say what it does: the conformance card.

    A fault is no reason not to use an editor: paste-back undoes shift, zoom and colour drift, and keeps what is outside
    of the mask. But an editor that does nothing, or ignores the source or the seed, will not do what it is asked.

    Examples:

        editfhf editors check restore

        editfhf editors check patch-fill --out cards/patch-fill

        editfhf editors check restore --json
    """
    from editfhf.editors.conformance.card import write_card
    from editfhf.editors.conformance.check_editor import EditorDeclaration, check_editor
    from editfhf.editors.registry import find_editor_entry, load_editor

    entry = find_editor_entry(name)
    declaration = EditorDeclaration(entry.mask != "none", entry.takes_source, entry.takes_seed)
    if dry_run:
        print_line(f"{declaration.calls} edits would be asked of {name}.")
        return
    editor = load_editor(name)
    with show_progress(quiet) as progress:
        card = check_editor(editor, declaration, progress)
    if out is not None:
        path = write_card(card, out)
        print_line(f"{path} has the card.", to_stderr=True)
    if json:
        print_json(card.model_dump(mode="json") | {"digest": card.digest})
    else:
        _print_card(card)


def _print_entries(entries: list[EditorEntry]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("Name", "Kind", "What it does", "Licence", "Mask", "Here")
    for entry in entries:
        lack = entry.describe_lack()
        here = Text("ready", "green") if not lack else Text(lack, "yellow")
        table.add_row(entry.name, entry.kind.replace("_", "-"), entry.summary, entry.licence, entry.mask, here)
    table_console().print(table)


def _print_card(card: EditorCard) -> None:
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "fault": "red", "unknown": "yellow"}
    table = Table("Probe", "Verdict", "What was found")
    for name, probe in card.probes.items():
        verdict = Text(probe.verdict, colours.get(probe.verdict, ""))
        table.add_row(name.replace("_", " "), verdict, Text(probe.sentence))
    table_console().print(table)
    faults = ", ".join(name.replace("_", " ") for name in card.faults) or "no fault"
    print_line(f"{card.editor} {card.version}: {faults}. {card.calls} edits, {card.seconds:.1f} s, ${card.cost:.2f}.")

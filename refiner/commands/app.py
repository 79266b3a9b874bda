"""`editfhf app`: repair a pair by hand and by editors, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos.errors import UserError


def run_app(
    source: Annotated[Path | None, typer.Argument(metavar="SOURCE", help="Image before the edit.")] = None,
    edited: Annotated[Path | None, typer.Argument(metavar="EDITED", help="Image after the edit.")] = None,
    instruction: Annotated[
        str | None, typer.Option("--instruction", "-i", help="What the editor was asked to do.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 7860,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on. There is no key: others who reach it can use it.")
    ] = "127.0.0.1",
    perception: Annotated[str, typer.Option("--perception", help="Perception agent.")] = "auto",
    reasoning: Annotated[str, typer.Option("--reasoning", help="Reasoning agent, or none.")] = "auto",
    evaluation: Annotated[str, typer.Option("--evaluation", help="Evaluation agent, or none.")] = "auto",
    editor: Annotated[
        list[str] | None, typer.Option("--editor", help="Editor, can be repeated; auto: those without weights.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Look at a pair, correct masks, let editors propose changes, keep or reject each, undo, compare, download.

    The app runs on this machine and fetches nothing. Ctrl-C ends it; download what you keep first.

    Examples:

        editfhf app

        editfhf app before.png after.png --instruction "Remove the hat."

        editfhf app --port 0 --no-browser --editor auto --editor flux-kontext-inpaint
    """
    import webbrowser

    from refiner.app.run_app import open_and_run
    from refiner.choose_team import choose_team
    from training.diagnosis.read_images import read_rgb_image

    given = [value is not None for value in (source, edited, instruction)]
    if any(given) and not all(given):
        raise typer.BadParameter("expected SOURCE, EDITED and --instruction TEXT together, or none of them.")
    if instruction is not None and not instruction.strip():
        raise UserError("The instruction is empty: say what the editor was asked to do.")
    pair = None
    if source is not None and edited is not None and instruction is not None:
        pair = read_rgb_image(source, "source"), read_rgb_image(edited, "edited"), instruction
    team = choose_team(
        perception=perception, reasoning=reasoning, evaluation=evaluation, editors=tuple(editor or ["auto"])
    )
    open_and_run(team, host, port, pair, webbrowser.open if browser else None)

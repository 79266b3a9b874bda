"""`editfhf annotate export CORPUS`: what was collected, as files that `editfhf build` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    corpus: Annotated[Path, typer.Argument(help="A corpus with a campaign.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace files in annotations/ that no export left as they are.")
    ] = False,
) -> None:
    """Write CORPUS/annotations/{regions,expert,rationales,ratings}-CAMPAIGN.json from what was synchronised.

    Needs no server, and may be run at any time: a pair that is not finished is exported as far as it is.

    Example:

        editfhf annotate export my-corpus && editfhf build my-corpus my-dataset
    """
    from annotation.campaign.export import export_campaign

    done = export_campaign(corpus, force)
    for file, count in done.files.items():
        typer.echo(f"{file}: {count} tasks")
    typer.echo(f"{done.finished} of {done.pairs} pairs went through every step.")

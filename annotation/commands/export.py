"""`editfhf annotate export CORPUS`: write the answers as files that `editfhf build` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos.console import print_line


def annotate_export(
    corpus: Annotated[Path, typer.Argument(help="Corpus with a campaign.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Overwrite files in annotations/ that no export wrote or that changed since."),
    ] = False,
) -> None:
    """Write CORPUS/annotations/{regions,expert,rationales,ratings}-CAMPAIGN.json from the synchronised answers.

    The rules of the campaign are written to CORPUS/annotations/rules.yaml, where `editfhf build` reads them.

    Needs no server and can be run at any time: of an unfinished pair, the finished stages are exported.

    Example:

        editfhf annotate export my-corpus && editfhf build my-corpus my-dataset
    """
    from annotation.campaign.write_exports import export_campaign

    done = export_campaign(corpus, force)
    for file, count in done.files.items():
        print_line(f"{file}: {count} tasks")
    print_line(f"{done.rules}: the rules of the campaign")
    print_line(f"{done.finished} of {done.pairs} pairs finished all stages.")

"""`editfhf retract`: remove sources from a corpus, with everything derived from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos.console import print_json, print_line


def run_retract(
    source_ids: Annotated[list[str], typer.Argument(help="Ids of the sources to remove.")],
    corpus: Annotated[Path, typer.Option("--corpus", help="Folder of the corpus.")],
    json: Annotated[bool, typer.Option("--json", help="Print the receipt as JSON on stdout.")] = False,
) -> None:
    """Remove sources with their pairs, images, annotations and ratings. Then build the dataset again.

    The receipt is appended to CORPUS/retractions.jsonl: what was removed, and the digests of the images.

    Example:

        editfhf retract 0a1b2c3d4e5f6071 --corpus my-corpus
    """
    from editfhf.collect.retract import retract_sources

    receipt = retract_sources(corpus, source_ids)
    if json:
        print_json(receipt)
        return
    print_line(f"Removed {len(receipt['pair_ids']):,} pairs and {len(receipt['images']):,} images.")

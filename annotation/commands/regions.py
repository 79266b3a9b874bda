"""`editfhf annotate regions CORPUS`: list the accepted regions with their ids."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mos.console import print_json, print_line, table_console


def annotate_regions(
    corpus: Annotated[Path, typer.Argument(help="Corpus with marked regions.")],
    json: Annotated[bool, typer.Option("--json", help="Print the regions as JSON on stdout.")] = False,
) -> None:
    """List the accepted regions of every pair whose regions are final, with the ids that drafts.jsonl names.

    With a campaign, they are those of the last sync; else those of the exports in CORPUS/annotations/. Needs no server.

    Examples:

        editfhf annotate regions my-corpus

        editfhf annotate regions my-corpus --json | jq -c '.[] | {pair_id, region_id, text: ""}' > drafts.jsonl
    """
    from annotation.region_list import list_regions

    regions = list(list_regions(corpus))
    if json:
        print_json([region.as_dict() for region in regions])
        return
    from rich.table import Table
    from rich.text import Text

    if regions:
        table = Table("pair_id", "region_id", "kind", "flaw type", "severity", "box", "text")
        for one in regions:
            text = "final" if one.rationale is not None else "draft" if one.draft else "none"
            box = ", ".join(f"{edge:.0f}" for edge in one.box)
            words = (one.pair_id, one.region_id, one.kind, one.flaw_type or "", one.severity or "", box, text)
            # Text, not markup: ids are untrusted.
            table.add_row(*map(Text, words))
        table_console().print(table)
    pairs = len({region.pair_id for region in regions})
    print_line(f"{len(regions):,} regions of {pairs:,} pairs.", to_stderr=True)

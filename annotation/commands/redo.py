"""`editfhf annotate redo CORPUS`: repeat tasks whose answers look wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_json, print_line, table_console

if TYPE_CHECKING:
    from annotation.campaign.quality.redo import CampaignRedoList


WHY_WIDTH = 60
"""Characters of a line in a column of sentences: in a pipe, a table is as wide as its content."""

EXCLUSION_SENTENCES = {
    "outlier_share": "Too many of their scores are outliers.",
    "constant": "They gave the same score to everything.",
    "too_few": "Too few of their scores are left.",
    "no_ratings": "None of their scores can be used.",
}
"""Why the scoring excludes a rater, by the code of the reason."""


def annotate_redo(
    corpus: Annotated[Path, typer.Argument(help="Corpus with a campaign.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the tasks to repeat; write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the tasks as JSON on stdout.")] = False,
) -> None:
    """Find answers that were too fast, all the same, contradict others who agree, or hold marks that do not count.

    Requests them again: adds a line to CORPUS/campaign/redo.jsonl for each task. The next `sync` gives it to the same
    participant as a new task, and the earlier answer no longer counts. A task is repeated only once. Raters whom the
    scoring excludes are listed, but their tasks are not repeated.

    Examples:

        editfhf annotate redo my-corpus --dry-run

        editfhf annotate redo my-corpus
    """
    from annotation.campaign.quality.redo import append_redo_requests, make_redo_list, read_requested_redos
    from annotation.campaign.read_record import read_campaign_record

    record, _ = read_campaign_record(corpus)
    found = make_redo_list(record, read_requested_redos(corpus))
    if json:
        print_json([task._asdict() for task in found.tasks])
    else:
        _print_redo_list(found)
    tasks = "1 task" if len(found.keys) == 1 else f"{len(found.keys)} tasks"
    if dry_run:
        print_line(f"{tasks} would be repeated. Nothing was written.", to_stderr=True)
    else:
        append_redo_requests(corpus, found)
        print_line(f"{tasks} to repeat; the next sync assigns them.", to_stderr=True)


def _print_redo_list(found: CampaignRedoList) -> None:
    from rich.table import Table
    from rich.text import Text

    console = table_console()
    if found.tasks:
        table = Table("stage", "pair", "person", "reason", title="Tasks to repeat", title_justify="left")
        table.add_column("why", max_width=WHY_WIDTH)
        for one in found.tasks:
            table.add_row(one.stage, Text(one.pair_id), Text(one.person_id), one.reason, one.sentence)
        console.print(table)
        reasons = Counter(one.reason for one in found.tasks)
        console.print(", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())))
    for rater, reason in sorted(found.excluded.items()):
        why = EXCLUSION_SENTENCES.get(reason, f"The reason is {reason}.")
        console.print(f"Not repeated: tasks of {rater}, whom the scoring excludes. {why}", markup=False)
    if found.spared:
        console.print(f"Tasks of these raters that are not repeated: {found.spared}.")
    for sentence in found.advice:
        console.print(sentence, markup=False)

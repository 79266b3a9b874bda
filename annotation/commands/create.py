"""`editfhf annotate create CORPUS`: the options and people of a campaign."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from mos.errors import UserError


def create(
    corpus: Annotated[Path, typer.Argument(help="The corpus that is to be annotated.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file with the options of the campaign and its people.")
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option("--people", help="CSV file person_id,email,name,roles; every other option has its default."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the options of a campaign that is there.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the options and how much work that makes; write nothing.")
    ] = False,
) -> None:
    """Write CORPUS/campaign/campaign.yaml, after checking that there are enough people for every stage.

    Roles are regional, expert, reviewer, rater and candidate.  Edit the file as the campaign goes on; it holds no
    secrets.  Nothing is sent to a server: that is what `sync` does.

    Examples:

        editfhf annotate create my-corpus --people people.csv --dry-run

        editfhf annotate create my-corpus --config campaign.yaml
    """
    from annotation.campaign.options import load_yaml, new_options, parse_options, write_options
    from annotation.campaign.people import read_people
    from annotation.campaign.planner import Record, assignment
    from annotation.corpus import Corpus

    opened = Corpus.open(corpus)
    if (config is None) == (people is None):
        raise UserError("Expected one of --config FILE and --people FILE: who annotates, and how?")
    if config is not None:
        options = parse_options(load_yaml(config), str(config))
    elif people is not None:
        options = new_options(opened.meta.name, read_people(people), str(people))
    pairs = list(opened.pairs(lambda rejection: None))
    loads: Counter[tuple[str, str]] = Counter()
    for (_, stage), names in assignment(Record(options, pairs)).items():
        loads.update((stage, name) for name in names)
    if dry_run:
        typer.echo(options.text(), nl=False)
    typer.echo(f"{len(pairs)} pairs. Most tasks of one person, at one task a pair:", err=True)
    for need in options.needs():
        own = [count for (stage, _), count in loads.items() if stage == need.stage]
        typer.echo(f"  {need.stage}: {len(own)} people, at most {max(own, default=0)} tasks each", err=True)
    if dry_run:
        return
    path = corpus / "campaign" / "campaign.yaml"
    typer.echo(f"Wrote {path}." if write_options(corpus, options, force) else f"{path} says so already.")

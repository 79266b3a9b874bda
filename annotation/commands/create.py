"""`editfhf annotate create CORPUS`: the options and people of a campaign, and with `--from` its corpus too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from annotation.campaign.options import Options
    from annotation.records import Pair


def create(
    corpus: Annotated[Path, typer.Argument(help="The corpus that is to be annotated; with --from, a new folder.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file with the options of the campaign and its people.")
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option("--people", help="CSV file person_id,email,name,roles; every other option has its default."),
    ] = None,
    refined: Annotated[
        Path | None,
        typer.Option("--from", help="Make CORPUS out of refined images: a pairs.jsonl, a folder with it, a dataset."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the options of a campaign that is there.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the options and how much work that makes; write nothing.")
    ] = False,
) -> None:
    """Write CORPUS/campaign/campaign.yaml, after checking that there are enough people for every stage.

    Roles are regional, expert, reviewer, rater, candidate and checker.  Edit the file as the campaign goes on; it holds
    no secrets.  Nothing is sent to a server: that is what `sync` does.

    Examples:

        editfhf annotate create my-corpus --people people.csv --dry-run

        editfhf annotate create my-corpus --config campaign.yaml

        editfhf annotate create second-corpus --from refined/pairs.jsonl --people people.csv
    """
    if (config is None) == (people is None):
        raise UserError("Expected one of --config FILE and --people FILE: who annotates, and how?")
    if refined is not None:
        if force:
            raise UserError("--force replaces options that are there, and --from makes a new corpus. Leave one out.")
        _refined(corpus, refined, config, people, dry_run)
        return
    from annotation.campaign.gold.pairs import read_gold
    from annotation.campaign.options import write_options
    from annotation.corpus import Corpus

    opened = Corpus.open(corpus)
    options = _options(opened.meta.name, config, people)
    pairs = list(opened.pairs(lambda rejection: None))
    gold = read_gold(corpus, pairs, options)
    _tell(options, [pair for pair in pairs if pair.pair_id not in gold.pairs], dry_run)
    if options.qualification is None and any("candidate" in person.roles for person in options.people):
        typer.echo("Candidates get work at once: the options have no 'qualification'.", err=True)
    if gold.pairs:
        typer.echo(f"{len(gold.pairs)} pairs of gold.jsonl have known answers and are left to it.", err=True)
    if dry_run:
        return
    path = corpus / "campaign" / "campaign.yaml"
    typer.echo(f"Wrote {path}." if write_options(corpus, options, force) else f"{path} says so already.")


def _options(name: str, config: Path | None, people: Path | None) -> Options:
    from annotation.campaign.options import load_yaml, new_options, parse_options
    from annotation.campaign.people import read_people

    if config is not None:
        return parse_options(load_yaml(config), str(config))
    if people is not None:
        return new_options(name, read_people(people), str(people))
    raise ValueError("neither a configuration nor people")


def _tell(options: Options, pairs: Sequence[Pair], dry_run: bool) -> None:
    """Say how much work there is; `UserError` when there are too few people for it."""
    from annotation.campaign.planning.planner import Record, assignment

    loads: Counter[tuple[str, str]] = Counter()
    for (_, stage), names in assignment(Record(options, pairs)).items():
        loads.update((stage, name) for name in names)
    if dry_run:
        typer.echo(options.text(), nl=False)
    typer.echo(f"{len(pairs)} pairs. Most tasks of one person, at one task a pair:", err=True)
    for need in options.needs():
        own = [count for (stage, _), count in loads.items() if stage == need.stage]
        typer.echo(f"  {need.stage}: {len(own)} people, at most {max(own, default=0)} tasks each", err=True)


def _refined(corpus: Path, source: Path, config: Path | None, people: Path | None, dry_run: bool) -> None:
    """Make the corpus of refined images with its campaign: all of it, or nothing."""
    from annotation.campaign.options import write_options
    from annotation.campaign.refined.corpus import gather, refuse_taken, saver, whole, write
    from annotation.campaign.refined.rows import open_refined
    from annotation.records import Rejection

    refuse_taken(corpus)
    name = corpus.absolute().name
    options = _options(name, config, people)
    rejected: list[Rejection] = []
    found = open_refined(source, rejected.append)
    if options.campaign_id == found.campaign_id:
        raise UserError(
            f"The campaign_id {options.campaign_id!r} is that of the campaign in {source}. "
            "Give the new folder another name, or set another one with --config."
        )
    if dry_run:
        made = gather(found, name, rejected, lambda path, data: None)
        _tell(options, made.pairs, dry_run)
    else:
        with whole(corpus) as folder:
            made = gather(found, name, rejected, saver(folder))
            _tell(options, made.pairs, dry_run)
            write(made, folder)
            write_options(folder, options)
    for reason, count in sorted(Counter(one.reason for one in rejected if not one.repaired).items()):
        typer.echo(f"Set aside: {count} {reason}", err=True)
    if not dry_run:
        where = f" What was set aside is in {corpus / 'rejected.jsonl'}." if rejected else ""
        typer.echo(f"Wrote {corpus}, a corpus of {len(made.pairs)} pairs with its campaign.{where}")

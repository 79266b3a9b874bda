"""`editfhf annotate create CORPUS`: write the options of a campaign, and with `--from` its corpus too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_line
from mos.errors import UserError
from mos.files import open_folder_replacement

if TYPE_CHECKING:
    from annotation.campaign.options import CampaignOptions
    from annotation.records import Pair


def annotate_create(
    corpus: Annotated[Path, typer.Argument(help="Corpus to annotate; with --from, a folder to create.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file with the options and participants of the campaign.")
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(
            "--people",
            help="CSV file person_id,email,name,roles; without --config, all other options have their defaults.",
        ),
    ] = None,
    refined: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Create CORPUS from refined images: a pairs.jsonl, a folder with one, or a dataset."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the options of an existing campaign.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the options and the amount of work; write nothing.")
    ] = False,
) -> None:
    """Write CORPUS/campaign/campaign.yaml, and check that there are enough participants for every stage.

    With --people alone and too few participants, the file is written all the same, for you to edit, and the exit
    status is 1.

    Roles are regional, expert, reviewer, rater, candidate and checker. You may edit the file during the campaign; it
    contains no secrets. Nothing is sent to a server; `sync` does that.

    Examples:

        editfhf annotate create my-corpus --people people.csv --dry-run

        editfhf annotate create my-corpus --config campaign.yaml

        editfhf annotate create my-corpus --config options.yaml --people people.csv

        editfhf annotate create second-corpus --from refined/pairs.jsonl --people people.csv
    """
    if config is None and people is None:
        raise UserError("Expected --people FILE, --config FILE or both: they name the participants.")
    if refined is not None:
        if force:
            raise UserError("--force overwrites existing options, --from creates a new corpus: use only one.")
        _create_refined_corpus(corpus, refined, config, people, dry_run)
        return
    from annotation.campaign.gold_file import read_gold_file
    from annotation.campaign.options import write_campaign_options
    from annotation.campaign.planning.staffing import describe_missing_people
    from annotation.corpus import Corpus

    opened = Corpus.open(corpus)
    options = _load_options(opened.meta.name, config, people)
    path = corpus / "campaign" / "campaign.yaml"
    missing = describe_missing_people(options)
    if missing and config is None and not dry_run:
        write_campaign_options(corpus, options, force)
        raise UserError(f"Wrote {path}, which has too few people yet. {' '.join(missing)} Edit the file, then sync.")
    pairs = list(opened.pairs(lambda rejection: None))
    gold = read_gold_file(corpus, pairs, options)
    _print_workload(options, [pair for pair in pairs if pair.pair_id not in gold.pairs], dry_run)
    if options.qualification is None and any("candidate" in person.roles for person in options.people):
        print_line("Candidates get tasks without a test: the options have no 'qualification'.", to_stderr=True)
    if gold.pairs:
        print_line(f"{len(gold.pairs)} pairs of gold.jsonl have known answers and get no other tasks.", to_stderr=True)
    if dry_run:
        return
    print_line(f"Wrote {path}." if write_campaign_options(corpus, options, force) else f"{path} is up to date.")


def _load_options(name: str, config: Path | None, people: Path | None) -> CampaignOptions:
    from annotation.campaign.options import load_options_yaml, make_default_options, parse_campaign_options
    from annotation.campaign.people import read_people_table

    table = None if people is None else read_people_table(people)
    if config is None:
        return make_default_options(name, table or [], str(people))
    values = load_options_yaml(config)
    if table is not None:
        if values.get("people"):
            raise UserError(f"{config} lists people, and so does {people}: leave 'people' out of the first.")
        values["people"] = table
    return parse_campaign_options(values, str(config))


def _print_workload(options: CampaignOptions, pairs: Sequence[Pair], dry_run: bool) -> None:
    """Print the amount of work; `UserError` if a stage has too few participants."""
    from annotation.campaign.model import CampaignRecord
    from annotation.campaign.planning.planner import plan_assignment
    from annotation.campaign.planning.staffing import describe_missing_people, stage_needs

    missing = describe_missing_people(options)
    if missing:
        raise UserError(f"{' '.join(missing)} Set options in a file for --config.")
    loads: Counter[tuple[str, str]] = Counter()
    for (_, stage), names in plan_assignment(CampaignRecord(options, pairs)).items():
        loads.update((stage, name) for name in names)
    if dry_run:
        print_line(options.text().removesuffix("\n"))
    print_line(f"{len(pairs)} pairs. Tasks of one participant at most, with one task per pair:", to_stderr=True)
    for need in stage_needs(options):
        counts = [count for (stage, _), count in loads.items() if stage == need.stage]
        print_line(f"  {need.stage}: {len(counts)} people, at most {max(counts, default=0)} tasks each", to_stderr=True)


def _create_refined_corpus(corpus: Path, source: Path, config: Path | None, people: Path | None, dry_run: bool) -> None:
    """Create the corpus of refined images with its campaign: completely, or not at all."""
    from annotation.campaign.options import write_campaign_options
    from annotation.campaign.refined_corpus import (
        collect_refined_corpus,
        make_image_saver,
        open_refined_images,
        require_empty_folder,
        write_refined_corpus,
    )
    from annotation.records import Rejection

    require_empty_folder(corpus)
    name = corpus.absolute().name
    options = _load_options(name, config, people)
    rejected: list[Rejection] = []
    found = open_refined_images(source, rejected.append)
    if options.campaign_id == found.campaign_id:
        raise UserError(
            f"The campaign in {source} has the campaign_id {options.campaign_id!r} too. "
            "Give the new folder another name, or set another campaign_id with --config."
        )
    if dry_run:
        made = collect_refined_corpus(found, name, rejected, lambda path, data: None)
        _print_workload(options, made.pairs, dry_run)
    else:
        with open_folder_replacement(corpus) as folder:
            made = collect_refined_corpus(found, name, rejected, make_image_saver(folder))
            _print_workload(options, made.pairs, dry_run)
            write_refined_corpus(made, folder)
            write_campaign_options(folder, options)
    for reason, count in sorted(Counter(one.reason for one in rejected if not one.repaired).items()):
        print_line(f"Rejected: {count} {reason}", to_stderr=True)
    if not dry_run:
        where = f" Rejections are in {corpus / 'rejected.jsonl'}." if rejected else ""
        print_line(f"Wrote {corpus}, a corpus of {len(made.pairs)} pairs with its campaign.{where}")

"""`editfhf build CORPUS DATASET`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mos.errors import UserError


class Where(StrEnum):
    local = "local"
    dask = "dask"


def build(
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="Folder with corpus.yaml, pairs.jsonl, images/ and annotations/.")
    ],
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="New or empty folder, or an earlier build to resume or update.")
    ],
    config: Annotated[Path | None, typer.Option(help="build.yaml with options; misspelt keys are named.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes (default: all cores).")] = None,
    executor: Annotated[Where, typer.Option(help="Where shards are made.")] = Where.local,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, with --executor dask.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row.")] = False,
    max_rejected: Annotated[int | None, typer.Option(min=0, help="Fail when more things are set aside.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Rebuild what changed in an existing dataset.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be done.")] = False,
    sigma: Annotated[str | None, typer.Option(help='Width of a disk in the maps: "H/40", "0.025H", "12px".')] = None,
    profile: Annotated[str | None, typer.Option(help="gaussian, disk*gaussian or union+blur.")] = None,
    min_support: Annotated[int | None, typer.Option(help="Annotators who must have drawn a region.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split.")] = None,
    push: Annotated[str | None, typer.Option(metavar="REPO", help="Send it to the Hub when it is built.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Build a dataset that `datasets.load_dataset` opens from a corpus of edited images and what people said of them.

    Bad rows are set aside in DATASET/rejected.jsonl with their reason; the rest builds. Interrupted, run it again.

    Examples:

        editfhf build examples/real out

        editfhf build corpus out --workers 8 --config build.yaml

        editfhf build corpus out --dry-run

        editfhf build corpus out --update        (new ratings came in)

        editfhf build corpus out --executor dask --scheduler tcp://10.0.0.1:8786
    """
    from editfhf import executors

    executors.warm_up(executor.value, workers)

    from editfhf.build import Running, preview, read_options
    from editfhf.build import build as run
    from editfhf.commands.progress import print_preview, print_summary, watching

    overrides = {
        "saliency.sigma": sigma,
        "saliency.profile": profile,
        "regions.min_support": min_support,
        "split.seed": seed,
    }
    options = read_options(config, overrides)
    running = Running(
        workers=workers,
        executor=executor.value,
        scheduler=scheduler,
        strict=strict,
        max_rejected=max_rejected,
        update=update,
    )
    if dry_run:
        with watching(quiet) as watcher:
            found = preview(corpus, options, running, watcher)
        print_preview(found, dataset, as_json=json)
        if max_rejected is not None and found.faults > max_rejected:
            raise UserError(f"{found.faults} things would be set aside, more than --max-rejected {max_rejected}.")
        return
    with watching(quiet) as watcher:
        summary = run(corpus, dataset, options, running, watcher)
    print_summary(summary, as_json=json)
    if push:
        from editfhf.hub import push as send

        typer.echo(send(dataset, push, update=update))

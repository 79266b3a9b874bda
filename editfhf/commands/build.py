"""`editfhf build CORPUS DATASET`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mos.console import print_line
from mos.errors import UserError


class ExecutorKind(StrEnum):
    local = "local"
    dask = "dask"


def run_build(
    corpus: Annotated[
        Path, typer.Argument(metavar="CORPUS", help="Folder with corpus.yaml, pairs.jsonl, images/ and annotations/.")
    ],
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="New or empty folder, or an earlier build to resume or update.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="YAML file with build options; unknown keys are an error.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes (default: all cores).")] = None,
    executor: Annotated[ExecutorKind, typer.Option(help="Where shards are made.")] = ExecutorKind.local,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, with --executor dask.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first unexpected rejection.")] = False,
    max_rejected: Annotated[int | None, typer.Option(min=0, help="Fail if more than N inputs are rejected.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Rebuild what changed in an existing dataset.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print what would be done.")] = False,
    sigma: Annotated[str | None, typer.Option(help='Width of a disk in the maps: "H/40", "0.025H", "12px".')] = None,
    profile: Annotated[str | None, typer.Option(help="gaussian, disk*gaussian or union+blur.")] = None,
    min_support: Annotated[int | None, typer.Option(help="Number of annotators who must have drawn a region.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split.")] = None,
    push: Annotated[
        str | None, typer.Option(metavar="REPO", help="Push the dataset to this Hub repository after the build.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Build a dataset for `datasets.load_dataset` from a corpus of edited images and their annotations and ratings.

    Invalid rows are written to DATASET/rejected.jsonl with their reason. After an interruption, run it again: it
    resumes.

    Examples:

        editfhf build examples/real out

        editfhf build corpus out --workers 8 --config build.yaml

        editfhf build corpus out --dry-run

        editfhf build corpus out --update        (there are new ratings)

        editfhf build corpus out --executor dask --scheduler tcp://10.0.0.1:8786
    """
    import editfhf
    from editfhf import executors

    executors.warm_up_workers(executor.value, workers)

    from editfhf.builder import BuildRunOptions, preview_build, read_build_options
    from editfhf.commands.build_output import print_build_preview, print_build_summary
    from mos.console import show_progress

    overrides = {
        "saliency.sigma": sigma,
        "saliency.profile": profile,
        "regions.min_support": min_support,
        "split.seed": seed,
    }
    options = read_build_options(config, overrides)
    if dry_run:
        running = BuildRunOptions(
            workers=workers, executor=executor.value, scheduler=scheduler, strict=strict, update=update
        )
        with show_progress(quiet) as bars:
            preview = preview_build(corpus, options, running, bars)
        print_build_preview(preview, dataset, as_json=json)
        if preview.problem is not None:
            raise UserError(preview.problem)
        if max_rejected is not None and preview.faults > max_rejected:
            raise UserError(f"{preview.faults} inputs would be rejected, but --max-rejected allows {max_rejected}.")
        return
    summary = editfhf.build(
        corpus,
        dataset,
        options=options,
        workers=workers,
        executor=executor.value,
        scheduler=scheduler,
        strict=strict,
        max_rejected=max_rejected,
        update=update,
        progress=not quiet,
    )
    print_build_summary(summary, as_json=json)
    if push:
        print_line(editfhf.push(dataset, push, update=update) or "")

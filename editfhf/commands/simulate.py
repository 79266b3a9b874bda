"""`editfhf simulate CORPUS`: a corpus with known truth, to try everything on before people are paid."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from editfhf.simulate.settings import Settings

LARGEST_EXPORT = 200_000
"""Ratings beyond which a table is written unless exports are asked for."""


class Encoding(StrEnum):
    jpeg = "jpeg"
    png = "png"
    webp = "webp"
    mixed = "mixed"


class Ratings(StrEnum):
    auto = "auto"
    exports = "exports"
    table = "table"


class Behaviour(StrEnum):
    random = "random"
    straight = "straight"
    inverted = "inverted"


def simulate(
    corpus: Annotated[Path, typer.Argument(help="Folder to create; it must not exist, or be empty.")],
    pairs: Annotated[int, typer.Option(min=1, max=99_999, help="Pairs of source and edited image.")] = 48,
    raters: Annotated[int, typer.Option(min=1, max=50, help="Ratings per pair and dimension.")] = 15,
    pool: Annotated[int | None, typer.Option(min=1, help="Raters in all (default: as many as rate one pair).")] = None,
    annotators: Annotated[int, typer.Option(min=1, max=9, help="People who mark regions, per pair.")] = 3,
    careless: Annotated[str, typer.Option(help="Careless raters: a count (2) or a share of the pool (0.1).")] = "1",
    careless_behaviour: Annotated[Behaviour, typer.Option(help="What careless raters do.")] = Behaviour.random,
    missing: Annotated[float, typer.Option(min=0, max=0.9, help="Share of ratings that never came.")] = 0.02,
    annotator_error: Annotated[
        float, typer.Option(min=0, max=5, help="Annotators' noise; up to 1 the truth can be recovered.")
    ] = 1.0,
    expert: Annotated[float, typer.Option(min=0, max=1, help="Share of pairs that an expert reviewed.")] = 0.25,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Height of the edited images in pixels.")] = 512,
    edits_per_source: Annotated[int, typer.Option(min=1, max=13, help="Pairs that share a source.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and options: same bytes.")] = 0,
    photos: Annotated[Path | None, typer.Option(help="Folder of your own photos.")] = None,
    format: Annotated[Encoding, typer.Option(help="Encoding of the images.")] = Encoding.jpeg,
    ratings: Annotated[
        Ratings, typer.Option(help=f"Shape of the ratings; auto: exports up to {LARGEST_EXPORT:,}, then a table.")
    ] = Ratings.auto,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes (default: all cores); same bytes.")] = None,
) -> None:
    """Write a corpus with KNOWN TRUTH: real photos, real edits, injected flaws, simulated people.

    The layout is that of a real campaign, Label Studio exports and all. What only a simulation knows is in
    truth.parquet (quality and regions of every pair) and truth_raters.parquet (who was careless).

    Examples:

        editfhf simulate demo

        editfhf simulate noisy --pairs 300 --pool 40 --careless 0.1 --missing 0.05

        editfhf simulate own --photos ~/Pictures --size 768 --format mixed

        editfhf simulate full --pairs 15287 --size 192
    """
    from editfhf.simulate.settings import Settings

    everybody = raters if pool is None else pool
    if everybody < raters:
        raise UserError(f"--pool {everybody} is smaller than --raters {raters}: one pair needs that many raters.")
    settings = Settings(
        pairs=pairs,
        raters=raters,
        pool=everybody,
        annotators=annotators,
        careless=_careless(careless, everybody),
        careless_behaviour=careless_behaviour.value,
        missing=missing,
        height=size,
        edits_per_source=edits_per_source,
        seed=seed,
        format=format.value,
        annotator_error=annotator_error,
        expert=expert,
        exports=ratings is Ratings.exports or (ratings is Ratings.auto and 3 * pairs * raters <= LARGEST_EXPORT),
    )
    _run(settings, corpus, photos, workers)


def _careless(text: str, pool: int) -> int:
    """Number of careless raters out of a count ("2") or a share of the pool ("0.1")."""
    try:
        count = int(text) if text.isdecimal() else round(float(text) * pool) if 0 <= float(text) < 1 else -1
    except ValueError:
        count = -1
    if not 0 <= count <= pool:
        raise UserError(f"--careless {text!r}: expected a count from 0 to {pool}, or a share from 0 to below 1.")
    return count


def _run(settings: Settings, corpus: Path, photos: Path | None, workers: int | None) -> None:
    import os

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from editfhf.simulate import photos as library
    from editfhf.simulate.run import refuse_occupied, simulate

    refuse_occupied(corpus)
    found = library.folder(photos) if photos else library.packaged()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("pairs", total=settings.pairs)
        processes = min(workers or os.cpu_count() or 1, settings.sources)
        counts = simulate(settings, found, corpus, processes, lambda n: progress.advance(bar, n))
    typer.echo(
        f"{corpus}: {counts['pairs']:,} pairs from {settings.sources:,} sources, {counts['regions']:,} true regions, "
        f"{counts['ratings']:,} ratings by {settings.pool} raters ({settings.careless} careless), "
        f"{counts['flags']:,} flags.\n"
        f"The truth is in {corpus / 'truth.parquet'} and {corpus / 'truth_raters.parquet'}.\n"
        f"Next: editfhf build {corpus} DATASET"
    )

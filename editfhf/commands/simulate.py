"""`editfhf simulate CORPUS`: a corpus with known truth, to try everything on before people are paid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mos.errors import UserError

if TYPE_CHECKING:
    from editfhf.simulate.settings import Settings

LARGEST_EXPORT = 200_000
"""Ratings beyond which a table is written unless exports are asked for."""
FORMATS, RATINGS, BEHAVIOURS = (
    ("jpeg", "png", "webp", "mixed"),
    ("auto", "exports", "table"),
    ("random", "straight", "inverted"),
)


def simulate(
    corpus: Path = typer.Argument(..., help="Folder to create; it must not exist or be empty.", show_default=False),
    pairs: int = typer.Option(48, min=1, max=1_000_000, help="Pairs of source and edited image."),
    raters: int = typer.Option(15, min=1, max=1000, help="Ratings per pair and dimension."),
    pool: int = typer.Option(0, min=0, max=100_000, help="Raters in all; 0: as many as rate one pair."),
    annotators: int = typer.Option(3, min=1, max=9, help="People who mark regions, per pair."),
    careless: str = typer.Option("1", help="Careless raters: a count (2) or a share of the pool (0.1)."),
    careless_behaviour: str = typer.Option("random", help=f"What they do: {', '.join(BEHAVIOURS)}."),
    missing: float = typer.Option(0.02, min=0, max=0.9, help="Share of the rating submissions that never came."),
    annotator_error: float = typer.Option(
        1.0, min=0, max=5, help="Annotators' noise; up to 1 the truth can be recovered."
    ),
    expert: float = typer.Option(0.25, min=0, max=1, help="Share of the pairs that an expert reviewed."),
    size: int = typer.Option(512, min=64, max=4096, help="Height of the edited images in pixels."),
    edits_per_source: int = typer.Option(6, min=1, max=13, help="Pairs that share a source."),
    seed: int = typer.Option(0, min=0, help="Same seed and options: same bytes."),
    photos: Path | None = typer.Option(None, help="Folder of your own photos, instead of those in installed packages."),
    format: str = typer.Option("jpeg", help=f"Encoding of the images: {', '.join(FORMATS)}."),
    ratings: str = typer.Option("auto", help=f"{', '.join(RATINGS)}; auto: exports up to {LARGEST_EXPORT:,} ratings."),
    workers: int = typer.Option(0, min=0, max=256, help="Processes; 0: one per core. The bytes stay the same."),
) -> None:
    """Write a corpus with KNOWN TRUTH: real photos, real edits, injected flaws, simulated people.

    The layout is that of a real campaign (Label Studio exports and all). What only a simulation knows is in
    truth.parquet (true quality and regions of every pair) and truth_raters.parquet (who was careless).

    [bold]Examples[/bold]

      editfhf simulate demo

      editfhf simulate demo-rated --pairs 300 --pool 40 --careless 0.1 --missing 0.05

      editfhf simulate own --photos ~/Pictures --size 768 --format mixed

      editfhf simulate full --pairs 15287 --size 192 --ratings table
    """
    _check("--format", format, FORMATS)
    _check("--ratings", ratings, RATINGS)
    _check("--careless-behaviour", careless_behaviour, BEHAVIOURS)
    everybody = pool or raters
    if everybody < raters:
        raise UserError(
            f"--pool {everybody} is smaller than --raters {raters}: a pair needs that many different raters."
        )
    from editfhf.simulate.settings import Settings

    exports = ratings == "exports" or (ratings == "auto" and 3 * pairs * raters <= LARGEST_EXPORT)
    settings = Settings(
        pairs, raters, everybody, annotators, _careless(careless, everybody), careless_behaviour, missing, size,  # type: ignore[arg-type]
        edits_per_source, seed, format, annotator_error, expert, exports,
    )  # fmt: skip
    _run(settings, corpus, photos, workers)


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"{option} {value!r} is unknown: expected one of {', '.join(known)}.")


def _careless(text: str, pool: int) -> int:
    """Number of careless raters out of a count ("2") or a share ("0.1")."""
    try:
        count = int(text) if text.isdigit() else round(float(text) * pool) if 0 <= float(text) < 1 else -1
    except ValueError:
        count = -1
    if not 0 <= count <= pool:
        raise UserError(f"--careless {text!r}: expected a count up to {pool}, or a share from 0 to below 1.")
    return count


def _run(settings: Settings, corpus: Path, photos: Path | None, workers: int) -> None:
    import os

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from editfhf.simulate import photos as library
    from editfhf.simulate.run import refuse_occupied, simulate

    refuse_occupied(corpus)
    found = library.folder(photos) if photos else library.packaged()
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
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

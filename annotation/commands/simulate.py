"""`editfhf simulate CORPUS`: write a simulated corpus with known truth."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos.console import print_line, show_progress
from mos.errors import UserError

if TYPE_CHECKING:
    from annotation.simulate.options import SimulationOptions


LARGEST_EXPORTED_RATINGS = 200_000
"""Largest number of ratings that `--ratings auto` writes as exports."""


class EncodingChoice(StrEnum):
    jpeg = "jpeg"
    png = "png"
    webp = "webp"
    mixed = "mixed"


class RatingsChoice(StrEnum):
    auto = "auto"
    exports = "exports"
    table = "table"


class ProfileChoice(StrEnum):
    demo = "demo"
    paper = "paper"


class BehaviourChoice(StrEnum):
    random = "random"
    straight = "straight"
    inverted = "inverted"


def simulate_command(
    corpus: Annotated[Path, typer.Argument(help="Folder to create; it must not exist, or be empty.")],
    pairs: Annotated[int, typer.Option(min=1, max=99_999, help="Pairs of source and edited image.")] = 48,
    raters: Annotated[int, typer.Option(min=1, max=50, help="Ratings per pair and dimension.")] = 15,
    pool: Annotated[int | None, typer.Option(min=1, help="Number of raters in all (default: --raters).")] = None,
    annotators: Annotated[int, typer.Option(min=1, max=9, help="Annotators who mark regions, per pair.")] = 3,
    careless: Annotated[str, typer.Option(help="Careless raters: a count (2) or a fraction of the pool (0.1).")] = "1",
    careless_behaviour: Annotated[
        BehaviourChoice, typer.Option(help="Behaviour of careless raters.")
    ] = BehaviourChoice.random,
    missing: Annotated[float, typer.Option(min=0, max=0.9, help="Fraction of missing ratings.")] = 0.02,
    annotator_error: Annotated[
        float, typer.Option(min=0, max=5, help="Scale of the annotators' noise; up to 1 the truth can be recovered.")
    ] = 1.0,
    expert: Annotated[float, typer.Option(min=0, max=1, help="Fraction of pairs that an expert reviews.")] = 0.25,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Height of the images in pixels.")] = 512,
    edits_per_source: Annotated[int, typer.Option(min=1, max=13, help="Pairs that share a source.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; the same seed and options give the same bytes.")] = 0,
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder with your own photos (default: photos of scikit-image and scikit-learn)."),
    ] = None,
    profile: Annotated[
        ProfileChoice,
        typer.Option(
            help="demo: a few large flaws; paper: about 9 regions a pair, many pairs with none, subtle flaws, and one "
            "source id for all crops of a photo."
        ),
    ] = ProfileChoice.demo,
    rendered: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Fraction of pairs rendered as a generative editor does: shifted, zoomed, softened, off in colour.",
        ),
    ] = 0.0,
    truth: Annotated[
        bool, typer.Option("--truth", help="Also write the edit of each pair without its flaws, to truth/PAIR_ID.png.")
    ] = False,
    format: Annotated[EncodingChoice, typer.Option(help="Encoding of the images.")] = EncodingChoice.jpeg,
    ratings: Annotated[
        RatingsChoice,
        typer.Option(
            help=f"Format of the ratings; auto: exports up to {LARGEST_EXPORTED_RATINGS:,} ratings, else a table."
        ),
    ] = RatingsChoice.auto,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes (default: all cores); it does not change the bytes.")
    ] = None,
) -> None:
    """Write a corpus with KNOWN TRUTH: real photos, real edits, injected flaws, simulated participants.

    The corpus has the files of a real campaign, Label Studio exports included. The truth is in truth.parquet (quality
    and regions of every pair) and truth_raters.parquet (behaviour of every rater).

    Examples:

        editfhf simulate demo

        editfhf simulate noisy --pairs 300 --pool 40 --careless 0.1 --missing 0.05

        editfhf simulate own --photos ~/Pictures --size 768 --format mixed

        editfhf simulate full --pairs 15287 --size 192

        editfhf simulate training --pairs 3000 --size 384 --profile paper --rendered 0.75 --photos ~/Pictures
    """
    from annotation.simulate.options import SimulationOptions

    pool = raters if pool is None else pool
    if pool < raters:
        raise UserError(f"--pool {pool} is smaller than --raters {raters}: one pair needs that many raters.")
    settings = SimulationOptions(
        pairs=pairs,
        raters=raters,
        pool=pool,
        annotators=annotators,
        careless=_parse_careless(careless, pool),
        careless_behaviour=careless_behaviour.value,
        missing=missing,
        height=size,
        edits_per_source=edits_per_source,
        seed=seed,
        format=format.value,
        annotator_error=annotator_error,
        expert=expert,
        profile=profile.value,
        rendered=rendered,
        clean_images=truth,
        exports=ratings is RatingsChoice.exports
        or (ratings is RatingsChoice.auto and 3 * pairs * raters <= LARGEST_EXPORTED_RATINGS),
    )
    _run_simulation(settings, corpus, photos, workers)


def _parse_careless(text: str, pool: int) -> int:
    """Number of careless raters from a count ("2") or a fraction of the pool ("0.1")."""
    try:
        count = int(text) if text.isdecimal() else round(float(text) * pool) if 0 <= float(text) < 1 else -1
    except ValueError:
        count = -1
    if not 0 <= count <= pool:
        raise UserError(f"--careless {text!r}: expected a count from 0 to {pool}, or a fraction from 0 to below 1.")
    return count


def _run_simulation(settings: SimulationOptions, corpus: Path, photos: Path | None, workers: int | None) -> None:
    import os

    from annotation.simulate.corpus_writer import refuse_occupied_corpus, simulate_corpus
    from annotation.simulate.photos import list_folder_photos, list_packaged_photos

    refuse_occupied_corpus(corpus)
    source_photos = list_folder_photos(photos) if photos else list_packaged_photos()
    with show_progress() as progress:
        progress.begin("Pairs", settings.pairs)
        processes = min(workers or os.cpu_count() or 1, settings.sources)
        counts = simulate_corpus(settings, source_photos, corpus, processes, progress.advance)
    print_line(
        f"{corpus}: {counts['pairs']:,} pairs from {settings.sources:,} sources, {counts['regions']:,} true regions, "
        f"{counts['ratings']:,} ratings by {settings.pool} raters ({settings.careless} careless), "
        f"{counts['flags']:,} flags.\n"
        f"The truth is in {corpus / 'truth.parquet'} and {corpus / 'truth_raters.parquet'}.\n"
        f"Next: editfhf build {corpus} DATASET"
    )

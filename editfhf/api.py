"""The functions of `editfhf` for notebooks and scripts; the console commands call the same functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mos.errors import UserError, require_choice
from mos.files import require_path

if TYPE_CHECKING:
    from annotation.simulate.options import CarelessBehaviour, ImageEncoding, SimulationProfile
    from editfhf.builder import BuildOptions, BuildSummary
    from editfhf.hub import PushPlan
    from editfhf.validation import ValidationReport


@dataclass(frozen=True)
class SimulationSummary:
    """What a simulated corpus holds.

    Attributes
    ----------
    corpus : Path
        Its folder.
    pairs, sources, regions, ratings, flags : int
        Counts; `regions` are the flaws that were put in, all of them in `truth.parquet`.
    """

    corpus: Path
    pairs: int
    sources: int
    regions: int
    ratings: int
    flags: int

    def __repr__(self) -> str:
        return (
            f"SimulationSummary({str(self.corpus)!r}: {self.pairs:,} pairs of {self.sources:,} sources, "
            f"{self.regions:,} true regions, {self.ratings:,} ratings, {self.flags:,} flags)"
        )


def simulate(
    corpus: str | Path,
    pairs: int = 120,
    *,
    raters: int = 15,
    annotators: int = 3,
    careless: int = 1,
    careless_behaviour: CarelessBehaviour = "random",
    missing: float = 0.02,
    height: int = 512,
    edits_per_source: int = 6,
    seed: int = 0,
    photos: str | Path | None = None,
    profile: SimulationProfile = "demo",
    rendered: float = 0.0,
    truth: bool = False,
    encoding: ImageEncoding = "jpeg",
    workers: int | None = 1,
    progress: bool = False,
) -> SimulationSummary:
    """Write a corpus with known truth: real photos, scripted edits, injected flaws, simulated participants.

    Parameters
    ----------
    corpus
        Folder to create; it must not exist, or be empty.
    pairs
        Pairs of source and edited image, 1 to 99,999.
    raters
        Ratings per pair and dimension, 1 to 50.
    annotators
        Annotators per pair, 1 to 9.
    careless
        Number of careless raters, at most `raters`.
    careless_behaviour
        "random", "straight" or "inverted".
    missing
        Fraction of missing ratings, 0 to 0.9.
    height
        Height of the edited images in pixels, 64 to 4096.
    edits_per_source
        Pairs that share a source, 1 to 13.
    seed
        The same seed and options give the same bytes.
    photos
        Folder of your own photos; the photos of scikit-image and scikit-learn when None.
    profile
        "demo": a few large flaws; "paper": the density of the published data, for training and measuring agents.
    rendered
        Fraction of pairs whose edited image is rendered as a generative editor does, 0 to 1.
    truth
        Also write the edit of each pair without its flaws, to `truth/PAIR_ID.png`.
    encoding
        "jpeg", "png", "webp" or "mixed".
    workers
        Processes; all cores when None. More than one needs `if __name__ == "__main__":` in a script.
    progress
        Show a progress bar on stderr.

    Returns
    -------
    SimulationSummary
        Folder and counts.

    Raises
    ------
    UserError
        A value is out of range, the folder is not empty, or a package for the photos is missing.

    Examples
    --------
    >>> editfhf.simulate("corpus", pairs=4, height=64)     # doctest: +SKIP
    SimulationSummary('corpus': 4 pairs of 1 sources, 7 true regions, 178 ratings, 5 flags)
    """
    from annotation.commands.simulate import LARGEST_EXPORTED_RATINGS
    from annotation.simulate.corpus_writer import simulate_corpus
    from annotation.simulate.options import SimulationOptions
    from annotation.simulate.photos import list_folder_photos, list_packaged_photos

    ranges = {
        "pairs": (pairs, 1, 99_999),
        "raters": (raters, 1, 50),
        "annotators": (annotators, 1, 9),
        "careless": (careless, 0, raters),
        "missing": (missing, 0, 0.9),
        "height": (height, 64, 4096),
        "edits_per_source": (edits_per_source, 1, 13),
        "seed": (seed, 0, 2**63),
        "rendered": (rendered, 0, 1),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise UserError(f"{name} must be from {low:,} to {high:,}, but got {value}.")
    require_choice("careless_behaviour", careless_behaviour, ("random", "straight", "inverted"))
    require_choice("profile", profile, ("demo", "paper"))
    require_choice("encoding", encoding, ("jpeg", "png", "webp", "mixed"))
    settings = SimulationOptions(
        pairs=pairs,
        raters=raters,
        pool=raters,
        annotators=annotators,
        careless=careless,
        careless_behaviour=careless_behaviour,
        missing=missing,
        height=height,
        edits_per_source=edits_per_source,
        seed=seed,
        format=encoding,
        profile=profile,
        rendered=rendered,
        clean_images=truth,
        exports=3 * pairs * raters <= LARGEST_EXPORTED_RATINGS,
    )
    folder = require_path(corpus)
    try:
        library = list_folder_photos(require_path(photos)) if photos is not None else list_packaged_photos()
    except ModuleNotFoundError as error:
        raise UserError(
            f"A simulated corpus needs the package {error.name!r}, which is not installed. "
            "Run: pip install 'editfhf[simulate]'"
        ) from None
    from mos.console import show_progress

    processes = min(workers or os.cpu_count() or 1, settings.sources)
    with show_progress(not progress) as bars:
        bars.begin("Simulating pairs", pairs)
        counts = simulate_corpus(settings, library, folder, processes, bars.advance)
    return SimulationSummary(
        folder, counts["pairs"], settings.sources, counts["regions"], counts["ratings"], counts["flags"]
    )


def build(
    corpus: str | Path,
    dataset: str | Path,
    *,
    options: BuildOptions | Mapping[str, Any] | str | Path | None = None,
    workers: int | None = None,
    executor: Literal["local", "dask"] = "local",
    scheduler: str | None = None,
    strict: bool = False,
    max_rejected: int | None = None,
    update: bool = False,
    progress: bool = False,
) -> BuildSummary:
    """Build the dataset of a corpus; after an interruption the same call resumes.

    Parameters
    ----------
    corpus
        Folder with corpus.yaml, pairs.jsonl, images/ and annotations/.
    dataset
        New or empty folder, or an earlier build to resume or update.
    options
        Options as in build.yaml: a mapping, or the path of a YAML file. Options that are not given follow the rules
        of the corpus.
    workers
        Worker processes; all cores when None.
    executor, scheduler
        "local", or "dask" with the address of a scheduler.
    strict
        Raise at the first invalid input instead of rejecting it.
    max_rejected
        Raise if more than this number of inputs are rejected.
    update
        Rebuild what changed in an existing dataset.
    progress
        Show progress bars on stderr.

    Returns
    -------
    BuildSummary
        Counts of every step, of the splits and of the rejections, and warnings.

    Raises
    ------
    UserError
        The corpus or the options cannot be used, no pair is left, or too many inputs are rejected.

    Examples
    --------
    >>> editfhf.build("corpus", "dataset", options={"saliency": {"sigma": "12px"}})     # doctest: +SKIP
    BuildSummary('dataset': 120 pairs (train 80, validation 20, test 20), 3 rejected, 0 warnings)
    """
    from editfhf import executors
    from mos.processes import require_address_space

    require_address_space()
    executors.warm_up_workers(executor, workers)

    from editfhf.builder import BuildOptions, BuildRunOptions, build_dataset, parse_build_options, read_build_options
    from mos.console import show_progress

    if isinstance(options, str | Path):
        options = read_build_options(require_path(options))
    elif options is not None and not isinstance(options, BuildOptions):
        options = parse_build_options(options)
    running = BuildRunOptions(
        workers=workers,
        executor=executor,
        scheduler=scheduler,
        strict=strict,
        max_rejected=max_rejected,
        update=update,
    )
    with show_progress(not progress) as bars:
        return build_dataset(require_path(corpus), require_path(dataset), options, running, bars)


def validate(path: str | Path, *, deep: bool = False, progress: bool = False) -> ValidationReport:
    """Check a corpus before it is built, or a dataset after it.

    Parameters
    ----------
    path
        A corpus, or a folder that `build` wrote.
    deep
        Decode every image of a dataset as well; slow.
    progress
        Show a progress bar on stderr.

    Returns
    -------
    ValidationReport
        All findings; `.ok` is True when none of them is an error.

    Raises
    ------
    UserError
        The folder is neither a corpus nor a dataset.

    Examples
    --------
    >>> editfhf.validate("dataset").ok     # doctest: +SKIP
    True
    """
    from editfhf.validation import validate_folder
    from mos.console import show_progress

    with show_progress(not progress) as bars:
        bars.begin("Checking rows", None)
        return validate_folder(require_path(path), deep=deep, progress=bars.advance)


def push(
    dataset: str | Path,
    repo: str,
    *,
    private: bool = False,
    revision: str = "main",
    update: bool = False,
    message: str | None = None,
    confirm: Callable[[PushPlan], bool] = lambda plan: True,
) -> str | None:
    """Send a dataset to a dataset repository of the Hugging Face Hub.

    The files are checked against the manifest first; shards go up byte for byte.

    Parameters
    ----------
    dataset
        A folder that `build` wrote.
    repo
        "user/name"; created when there is none.
    private
        Create the repository as a private one.
    revision
        Branch; created when there is none.
    update
        Replace an older build in the repository.
    message
        Message of the commit.
    confirm
        Called with the plan before anything is sent; nothing is sent when it returns False.

    Returns
    -------
    str or None
        Address of the dataset; None when `confirm` returned False.

    Raises
    ------
    UserError
        The dataset is damaged, the repository holds other files, or the Hub refuses or cannot be reached.

    Examples
    --------
    >>> editfhf.push("dataset", "me/my-edits", private=True)     # doctest: +SKIP
    'https://huggingface.co/datasets/me/my-edits'
    """
    from editfhf.hub import push_dataset
    from editfhf.validation import require_intact_dataset

    root = require_path(dataset)
    require_intact_dataset(root, "Nothing was sent.")
    return push_dataset(root, repo, private=private, revision=revision, update=update, message=message, confirm=confirm)

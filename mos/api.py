"""The public functions of `mos`; `import mos` gives them. Arguments are named like the options of the commands."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mos.comparison import MethodComparison, compare_methods
from mos.errors import UserError
from mos.load import RatingDuplicates, RatingMissing, load_study
from mos.methods import METHODS, find_method, score_ratings
from mos.planning import PLANNED_COUNTS, PlanTargets, StudyPlan, plan_study
from mos.ratings import Ratings
from mos.reliability import AgreementReport, measure_agreement
from mos.scoring.options import ScoringOptions
from mos.scoring.result import ScoringResult

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    RatingSource: TypeAlias = str | os.PathLike[str] | pd.DataFrame | pa.Table


def read(
    source: RatingSource | Sequence[RatingSource],
    *,
    scale: tuple[float, float] | None = None,
    duplicates: RatingDuplicates | None = None,
    missing: RatingMissing = "reject",
    rejected: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> Ratings:
    """Read and check the ratings of a study.

    Parameters
    ----------
    source
        Path of a `.csv` or `.parquet` table with one rating a row, or of a Label Studio export of the scoring stage
        (`.json`); or a table in memory: a pandas `DataFrame`, a `pyarrow.Table`. A list of them is one study.
    scale
        Lowest and highest possible rating; None takes the extremes of the data.
    duplicates
        Which rating counts if a rater rated the same thing more than once: "error", "first", "last" (by `rated_at`),
        "mean", or "repetition" (all count). None is "error"; for Label Studio exports it is "last".
    missing
        Whether a blank or NaN score is an invalid row ("reject") or no rating ("drop").
    rejected
        File for invalid rows, as JSON lines with reasons. None: the first invalid row is an error.
    columns
        Names of the columns `item`, `rater`, `dimension`, `rating`, `repetition` and `rated_at` in the source, if they
        are not the usual ones (such as `image_id`, `annotator_id`, `score`).

    Returns
    -------
    Ratings

    Raises
    ------
    UserError
        For a source that cannot be read, a missing column, or invalid rows (the first five are named).

    Warns
    -----
    UserWarning
        For rows that were rejected or dropped, suspicious ids, and scores that look like codes for missing answers.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"item": ["a", "a", "b", "b"], "rater": ["r", "s", "r", "s"], "score": [4, 5, 1, 2]})
    >>> read(frame, scale=(1, 5))
    Ratings(4 ratings: 2 items x 2 raters x 1 dimension, scale 1 to 5)
    """
    several = isinstance(source, (list, tuple))
    given: Any = source if several else [source]
    if not given:
        raise UserError("Expected at least one source of ratings; got an empty list.")
    sources = [Path(each) if isinstance(each, (str, os.PathLike)) else each for each in given]
    study = load_study(
        sources,
        columns,
        scale=scale,
        duplicates=duplicates,
        missing=missing,
        rejected=None if rejected is None else Path(rejected),
    )
    for note in study.notes:
        if not note.startswith("No scale"):
            warnings.warn(note, UserWarning, stacklevel=2)
    return study.ratings


def score(ratings: Ratings, method: str | ScoringOptions = "paper", **options: Any) -> ScoringResult:
    """Score every item in every dimension.

    Parameters
    ----------
    ratings
        Of `mos.read`.
    method
        One of `mos.METHODS`, or the options of a method.
    **options
        Options of the method, such as `max_passes=2` or `interval="bootstrap"`; `editfhf mos methods METHOD` lists
        them.

    Returns
    -------
    ScoringResult
        With `scores`, `raters` and `exclusions` as tables, and `plot`.

    Raises
    ------
    UserError
        For an unknown method or option, or a value that an option cannot have.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"item": ["a", "a", "b", "b"], "rater": ["r", "s", "r", "s"], "score": [4, 5, 1, 2]})
    >>> score(read(frame, scale=(1, 5)), "mos").scores["mos"].to_pylist()
    [4.5, 1.5]
    """
    return score_ratings(_require_ratings(ratings), method, options)


def compare(
    ratings: Ratings, methods: str | Iterable[str] | Mapping[str, Mapping[str, Any]] = "all"
) -> MethodComparison:
    """Compare scoring methods on the same ratings.

    Parameters
    ----------
    ratings
        Of `mos.read`.
    methods
        Names of two or more of `mos.METHODS`, "all", or a mapping from names to options.

    Returns
    -------
    MethodComparison
        With the tables `methods`, `pairs` and `items`.

    Raises
    ------
    UserError
        For fewer than two methods, an unknown method or option.
    """
    if isinstance(methods, str):
        methods = list(METHODS) if methods == "all" else [name.strip() for name in methods.split(",")]
    _require_ratings(ratings)
    if not isinstance(methods, Iterable):
        raise UserError(f"Expected names of methods, or a mapping from names to options; got {repr(methods)[:60]}.")
    names = list(methods)
    for name in names:
        find_method(name)
    chosen = dict(methods) if isinstance(methods, Mapping) else {name: {} for name in names}
    for name, options in chosen.items():
        if not isinstance(options, Mapping):
            raise UserError(f"Expected the options of {name} as a mapping from names; got {repr(options)[:60]}.")
    return compare_methods({name: score_ratings(ratings, name, options) for name, options in chosen.items()})


def agreement(
    ratings: Ratings, *, seed: int = 0, replicates: int = 1000, splits: int = 200, level: float = 0.95
) -> AgreementReport:
    """Measure how well the raters agree in each dimension.

    Parameters
    ----------
    ratings
        Of `mos.read`.
    seed
        Random seed of the resampling and the split halves.
    replicates
        Number of resamples of the items for the intervals.
    splits
        Number of random halvings of the raters.
    level
        Confidence level of the intervals, between 0 and 1.

    Returns
    -------
    AgreementReport
        Krippendorff's alpha, intraclass correlations, split-half correlation and the SOS parameter, with intervals.
    """
    return AgreementReport(
        tuple(
            measure_agreement(_require_ratings(ratings), seed=seed, replicates=replicates, splits=splits, level=level)
        )
    )


def plan(
    ratings: Ratings | None = None,
    *,
    sd: float | None = None,
    half_width: float | None = None,
    difference: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int = 1,
    unpaired: bool = False,
    sd_difference: float | None = None,
    icc: float | None = None,
    reliability: float | None = None,
    level: float = 0.95,
    assurance: float | None = None,
    raters: Sequence[int] = PLANNED_COUNTS,
) -> StudyPlan:
    """Plan how many raters a study needs.

    Parameters
    ----------
    ratings
        A pilot study, of `mos.read`; figures that are not given are estimated from it for each dimension.
    sd, sd_difference, icc
        Known figures: standard deviation of the ratings of one item, of one rater's difference between two items,
        both in the unit of the ratings; reliability of a single rater, between 0 and 1.
    half_width
        Target half-width of the confidence interval of a score, at confidence `level`; with `assurance`, it is met
        with this probability instead of on average.
    difference
        Target difference between two items, to be detected with probability `power` at significance level `alpha`
        over all `comparisons`; `unpaired` if different raters rate the two items.
    reliability
        Target reliability of the mean score.
    raters
        Numbers of raters in the table of the plan.

    Returns
    -------
    StudyPlan

    Raises
    ------
    UserError
        If no figure is known, a target lacks its figure, or a value is out of range.

    Examples
    --------
    >>> plan(sd=0.8, half_width=0.3)
    StudyPlan(30 raters for intervals of +-0.3 at 95 % confidence)
    """
    targets = PlanTargets(
        half_width=half_width,
        difference=difference,
        reliability=reliability,
        power=power,
        alpha=alpha,
        comparisons=comparisons,
        unpaired=unpaired,
        level=level,
        assurance=assurance,
    )
    pilot = None if ratings is None else _require_ratings(ratings)
    return plan_study(pilot, targets, sd=sd, sd_difference=sd_difference, icc=icc, counts=raters)


def _require_ratings(ratings: Ratings) -> Ratings:
    """The ratings; UserError for a path or a table that was not read."""
    if not isinstance(ratings, Ratings):
        raise UserError(f"Expected Ratings as mos.read gives them; got {type(ratings).__name__}.")
    return ratings

"""Compute all statistics of a dataset in one pass over its small columns: scores, raters, build steps, rejections."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, KINDS
from annotation.taxonomy import load_task_groups
from editfhf.features import DATASET_SPLITS
from editfhf.manifest import open_texts_of, parse_manifest, read_manifest
from editfhf.report.read_tables import (
    DatasetTables,
    encode_text_column,
    encode_texts,
    read_dataset_tables,
    read_rejected_lines,
    to_float_array,
    to_text_array,
)
from editfhf.report.region_statistics import compute_box_agreement, count_regions_per_image, summarise_regions
from editfhf.report.statistics import (
    SCORE_BIN_WIDTH,
    SCORE_KEYS,
    BuildStep,
    DatasetStatistics,
    GroupStatistics,
    MeanEstimate,
    RaterAgreement,
    RaterStatistics,
    RejectionReason,
    ScoreDistribution,
    SplitCounts,
)
from mos.errors import UserError
from mos.methods.correlation import correlate_with_means
from mos.ranks import rank_with_ties
from mos.reliability.alpha import krippendorff_alpha

_ValueArray = NDArray[np.float64]


_CodeArray = NDArray[np.int64]


MIN_CORRELATED_PAIRS = 3


def summarise_scores(score: str, values: _ValueArray) -> ScoreDistribution:
    """Summarise one score over all pairs; NaN is a missing score."""
    given = values[~np.isnan(values)]
    n = len(given)
    inside = given[(given >= 0) & (given <= 100)]
    histogram, _ = np.histogram(inside, bins=100 // SCORE_BIN_WIDTH, range=(0, 100))
    return ScoreDistribution(
        score=score,
        n=n,
        missing=len(values) - n,
        mean=float(given.mean()) if n else None,
        sd=float(given.std(ddof=1)) if n > 1 else None,
        low=float(given.min()) if n else None,
        high=float(given.max()) if n else None,
        histogram=tuple(int(count) for count in histogram),
        below=int(np.count_nonzero(given < 0)),
        above=int(np.count_nonzero(given > 100)),
    )


def correlate_scores(values: Mapping[str, _ValueArray]) -> Mapping[str, Mapping[str, float | None]]:
    """Pearson and Spearman correlation of every two scores, over the pairs that have both."""
    return {
        f"{first}|{second}": _correlate_columns(values[first], values[second])
        for k, first in enumerate(SCORE_KEYS)
        for second in SCORE_KEYS[k + 1 :]
    }


def _correlate_columns(first: _ValueArray, second: _ValueArray) -> Mapping[str, float | None]:
    both = ~(np.isnan(first) | np.isnan(second))
    x, y = first[both], second[both]
    return {
        "pearson": _pearson_correlation(x, y),
        "spearman": _pearson_correlation(rank_with_ties(x), rank_with_ties(y)),
    }


def _pearson_correlation(x: _ValueArray, y: _ValueArray) -> float | None:
    """Pearson's correlation of two arrays; None with fewer than three values or without variation."""
    if len(x) < MIN_CORRELATED_PAIRS or not (_has_variation(x) and _has_variation(y)):
        return None
    dx, dy = x - x.mean(), y - y.mean()
    return float(np.sum(dx * dy) / np.sqrt(np.sum(dx * dx) * np.sum(dy * dy)))


def _has_variation(values: _ValueArray) -> bool:
    """Whether the values differ by more than rounding."""
    return bool(np.ptp(values) > 1e-12 * np.max(np.abs(values)))


def estimate_group_means(codes: _CodeArray, groups: int, values: _ValueArray) -> list[MeanEstimate]:
    """Mean of each group with its 95 % t interval over images; NaN values are ignored."""
    from scipy.special import stdtrit

    given = ~np.isnan(values)
    code, value = codes[given], values[given]
    n = np.bincount(code, minlength=groups)
    mean = np.bincount(code, value, groups) / np.maximum(n, 1)
    squares = np.bincount(code, (value - mean[code]) ** 2, groups)
    freedom = np.maximum(n - 1, 1)
    half = stdtrit(freedom, 0.975) * np.sqrt(squares / freedom / np.maximum(n, 1))
    return [
        MeanEstimate(float(m) if k else None, float(h) if k > 1 else None, int(k))
        for m, h, k in zip(mean, half, n, strict=True)
    ]


def summarise_groups(
    codes: _CodeArray,
    names: Sequence[str],
    parents: Sequence[str],
    values: Mapping[str, _ValueArray],
    regions: Mapping[str, _CodeArray],
) -> tuple[GroupStatistics, ...]:
    """One record per group of pairs.

    codes: [pairs] group of every pair; names: [groups]; parents: [groups] name of the larger group ("" for none);
    values: [pairs] by score, NaN where missing; regions: [pairs] number of regions, by kind.
    """
    size = len(names)
    clean = sum(regions.values(), np.zeros(len(codes), dtype=np.int64)) == 0
    pairs, cleans = np.bincount(codes, minlength=size), np.bincount(codes, clean, size)
    counted = {kind: np.bincount(codes, lengths, size) for kind, lengths in regions.items()}
    scored = {score: estimate_group_means(codes, size, values[score]) for score in SCORE_KEYS}
    return tuple(
        GroupStatistics(
            name=name,
            group=parents[k],
            pairs=int(pairs[k]),
            artifact_regions=int(counted["artifact"][k]),
            failure_regions=int(counted["failure"][k]),
            clean=int(cleans[k]),
            scores={score: scored[score][k] for score in SCORE_KEYS},
        )
        for k, name in enumerate(names)
    )


OUTLIER_LIMIT_OPTIONS = {"paper": "max_outlier_share", "bt500": "max_share", "p913": "max_share"}
"""Option of a method that holds the outlier share above which a rater can be left out."""


MIN_RATED_IMAGES = 3


MAX_EXAMPLES = 3


MAX_EXAMPLE_LENGTH = 300


def summarise_raters(annotators: pa.Table) -> tuple[RaterStatistics, ...]:
    """Every annotator and rater, in the order of the pseudonyms."""
    rows = sorted(annotators.to_pylist(), key=lambda row: str(row["annotator_id"]))
    return tuple(_summarise_rater(row) for row in rows)


def _summarise_rater(row: Mapping[str, Any]) -> RaterStatistics:
    counts = ("regional_annotations", "boxes", "boxes_accepted", "rationales", "flags", "ratings")
    expected, ratings = row["expected_share"], row["ratings"] or 0
    low, high = compute_null_band(expected, ratings)
    return RaterStatistics(
        annotator_id=str(row["annotator_id"]),
        **{name: int(row[name] or 0) for name in counts},
        outliers=row["outliers"],
        outlier_share=row["outlier_share"],
        expected_share=expected,
        null_low=low,
        null_high=high,
        excluded=bool(row["excluded"]),
        reason=row["reason"],
        excluded_in=row["excluded_in"],
    )


def compute_null_band(expected: float | None, ratings: int) -> tuple[float | None, float | None]:
    """Band with about 95 % of the outlier shares of honest raters: expected share ± 1.96 binomial standard errors."""
    if expected is None or ratings == 0:
        return None, None
    half = 1.96 * math.sqrt(expected * (1 - expected) / ratings)
    return max(0.0, expected - half), min(1.0, expected + half)


def find_outlier_limit(scoring: Mapping[str, Any]) -> float | None:
    """Outlier share above which the method can exclude a rater; None without such a rule."""
    options = scoring.get("options") or {}
    if options.get("screening") == "none":
        return None
    limit = options.get(OUTLIER_LIMIT_OPTIONS.get(str(options.get("method")), ""))
    return float(limit) if isinstance(limit, int | float) else None


def read_expected_exclusions(scoring: Mapping[str, Any]) -> float | None:
    """Expected number of exclusions if all raters were equally careful, from the manifest; None if unknown."""
    expected = scoring.get("expected_false_exclusions")
    return float(expected) if isinstance(expected, int | float) else None


def count_ratings_by_status(ratings: pa.Table) -> Mapping[str, Mapping[str, int]]:
    """Ratings by dimension and status."""
    dimension, dimensions = encode_text_column(ratings["dimension"])
    status, names = encode_text_column(ratings["status"])
    pairs, counts = np.unique(dimension * max(len(names), 1) + status, return_counts=True)
    counted = Counter(
        {
            (dimensions[pair // len(names)], names[pair % len(names)]): int(n)
            for pair, n in zip(pairs, counts, strict=True)
        }
    )
    statuses = sorted({name for _, name in counted}, key=lambda name: (name != "kept", name))
    return {
        dimension: {status: counted[dimension, status] for status in statuses if counted[dimension, status]}
        for dimension in DIMENSIONS
    }


def compute_rater_agreement(ratings: pa.Table) -> tuple[RaterAgreement, ...]:
    """Agreement on each dimension, before screening ("all") and after it ("kept")."""
    image, _ = encode_text_column(ratings["pair_id"])
    rater, _ = encode_text_column(ratings["annotator_id"])
    score = to_float_array(ratings["score"])
    dimension, dimensions = encode_text_column(ratings["dimension"])
    status, names = encode_text_column(ratings["status"])
    given = ~np.isnan(score)
    chosen = {"all": given, "kept": given & (status == _find_position(names, "kept"))}
    return tuple(
        _dimension_agreement(name, label, image[rows], rater[rows], score[rows])
        for name in DIMENSIONS
        for label, mask in chosen.items()
        for rows in [np.flatnonzero(mask & (dimension == _find_position(dimensions, name)))]
    )


def _find_position(names: list[str], name: str) -> int:
    return names.index(name) if name in names else -1


def _dimension_agreement(dimension: str, label: str, image: Any, rater: Any, score: Any) -> RaterAgreement:
    size = int(image.max(initial=-1)) + 1, int(rater.max(initial=-1)) + 1
    correlations = correlate_with_means(score, image, size[0], rater, size[1], leave_one_out=True)
    enough = correlations.n >= MIN_RATED_IMAGES
    return RaterAgreement(
        dimension=dimension,
        ratings=label,
        n=len(score),
        raters=len(np.unique(rater)),
        spearman=_mean_or_none(correlations.spearman[enough]),
        pearson=_mean_or_none(correlations.pearson[enough]),
        alpha=_interval_alpha(image, score),
    )


def _interval_alpha(image: Any, score: Any) -> float | None:
    """Krippendorff's alpha, interval level; None if no image has two ratings, or all are equal."""
    shared = score[np.bincount(image)[image] >= 2]
    return krippendorff_alpha(image, score) if len(shared) and np.ptp(shared) > 0 else None


def _mean_or_none(values: Any) -> float | None:
    given = values[~np.isnan(values)]
    return float(given.mean()) if len(given) else None


def read_build_steps(manifest: Mapping[str, Any]) -> tuple[BuildStep, ...]:
    """The steps of the build in the manifest, in order. UserError if they have another form."""
    try:
        return tuple(_parse_build_step(row) for row in manifest.get("stages", ()))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            "Invalid stages in manifest.json: expected entries with stage, in, out and reasons. "
            "Build the dataset again with this version."
        ) from None


def _parse_build_step(row: Mapping[str, Any]) -> BuildStep:
    return BuildStep(
        stage=str(row["stage"]),
        entered=int(row["in"]),
        left=int(row["out"]),
        set_aside=int(row.get("set_aside", 0)),
        reasons={str(reason): int(count) for reason, count in sorted(row.get("reasons", {}).items())},
    )


def count_rejection_reasons(rows: Iterable[Mapping[str, Any]]) -> tuple[RejectionReason, ...]:
    """All rejections by reason, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    repaired: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        key = str(row.get("what", "")), str(row.get("reason", ""))
        counts[key] += 1
        repaired[key] += bool(row.get("repaired"))
        shown = examples.setdefault(key, [])
        if len(shown) < MAX_EXAMPLES:
            shown.append(_format_example(row))
    return tuple(
        RejectionReason(
            reason=reason,
            what=what,
            count=count,
            repaired=repaired[what, reason],
            examples=tuple(examples[what, reason]),
        )
        for (what, reason), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _format_example(row: Mapping[str, Any]) -> str:
    place = f"{row.get('file') or ''}, row {row.get('row')}" if row.get("row") else str(row.get("file") or "")
    text = f"{place}: {row.get('message') or ''}" if place else str(row.get("message") or "")
    return text if len(text) <= MAX_EXAMPLE_LENGTH else text[: MAX_EXAMPLE_LENGTH - 1] + "…"


def compute_statistics(dataset: Path, manifest: Mapping[str, Any] | None = None) -> DatasetStatistics:
    """Compute the statistics of a dataset without reading an image.

    Parameters
    ----------
    dataset : Path
        Folder of the dataset.
    manifest : mapping, optional
        Content of manifest.json, given by a build that has not written it yet. Read from the folder by default.

    Returns
    -------
    DatasetStatistics

    Raises
    ------
    UserError
        The folder has no finished dataset, or a file is broken.
    """
    tables = read_dataset_tables(dataset)
    content = read_manifest(dataset).as_dict() if manifest is None else manifest
    lengths: dict[str, Any] = {kind: count_regions_per_image(tables, kind) for kind in KINDS}
    values = {score: to_float_array(tables.pairs[score]) for score in SCORE_KEYS}
    scoring = dict(content.get("scores", {}))
    return DatasetStatistics(
        corpus=dict(content.get("corpus", {})),
        versions=dict(content.get("versions", {})),
        splits=_count_splits(tables),
        clean=int(np.count_nonzero(sum(lengths.values(), np.zeros(len(tables.pairs), dtype=np.int64)) == 0)),
        regions=tuple(summarise_regions(tables, kind) for kind in KINDS),
        scores=tuple(summarise_scores(score, values[score]) for score in SCORE_KEYS),
        correlations=correlate_scores(values),
        editors=_summarise_column(tables, "editor", values, lengths),
        tasks=_summarise_column(tables, "task", values, lengths),
        task_groups=_summarise_column(tables, "task_group", values, lengths),
        ratings=count_ratings_by_status(tables.ratings),
        raters=summarise_raters(tables.annotators),
        outlier_limit=find_outlier_limit(scoring),
        expected_exclusions=read_expected_exclusions(scoring),
        box_agreement=tuple(compute_box_agreement(tables.marks, kind) for kind in KINDS),
        rater_agreement=compute_rater_agreement(tables.ratings),
        stages=read_build_steps(content),
        rejected=count_rejection_reasons(read_rejected_lines(dataset)),
        scoring=scoring,
        open_texts=tuple(open_texts_of(parse_manifest(content))),
    )


def _count_splits(tables: DatasetTables) -> tuple[SplitCounts, ...]:
    """Counts of each split with pairs, then of the whole dataset."""
    codes = [
        encode_texts(values)[0]
        for values in (to_text_array(tables.pairs["source_id"]), to_text_array(tables.pairs["editor"]), tables.tasks)
    ]
    rows = {split: np.flatnonzero(tables.splits == split) for split in DATASET_SPLITS if split in tables.splits}
    return tuple(
        SplitCounts(split, len(found), *(len(np.unique(code[found])) for code in codes))
        for split, found in {**rows, "all": np.arange(len(tables.pairs))}.items()
    )


def _summarise_column(
    tables: DatasetTables, column: str, values: Mapping[str, Any], lengths: Mapping[str, Any]
) -> tuple[GroupStatistics, ...]:
    code, names = encode_texts(tables.tasks if column == "task" else to_text_array(tables.pairs[column]))
    match column:
        case "task":
            _, first = np.unique(code, return_index=True)
            parents = [str(group) for group in to_text_array(tables.pairs["task_group"])[first]]
        case "task_group":
            parents = [load_task_groups().get(name, name) for name in names]
        case _:
            parents = [""] * len(names)
    return summarise_groups(code, names, parents, values, lengths)

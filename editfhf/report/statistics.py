"""The statistics of a dataset as frozen records that turn into plain JSON, and how their numbers are formatted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from annotation.records import DIMENSIONS
from mos.words import format_decimal

SCORE_KEYS = (*DIMENSIONS, "overall")


SCORE_BIN_WIDTH = 5


SALIENCY_GRID = 64


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Counts of one split; `split` is "all" for the whole dataset."""

    split: str
    pairs: int
    sources: int
    editors: int
    tasks: int


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean over images with the half-width of its 95 % t interval; None if there are too few values."""

    mean: float | None
    ci95: float | None
    n: int


@dataclass(frozen=True, slots=True)
class ScoreDistribution:
    """One score over all pairs.

    histogram: pairs per bin of 5 points from 0 to 100 (the last bin holds 100 itself); below, above: outside that.
    """

    score: str
    n: int
    missing: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    histogram: tuple[int, ...]
    below: int
    above: int


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """Counts, regions and scores of the pairs of one editor, task or task group."""

    name: str
    group: str
    pairs: int
    artifact_regions: int
    failure_regions: int
    clean: int
    scores: Mapping[str, MeanEstimate]


@dataclass(frozen=True, slots=True)
class CountSpread:
    """Summary of counts or lengths: n, mean, quartiles and range; None if there are none."""

    n: int
    mean: float | None
    low: float | None
    q1: float | None
    median: float | None
    q3: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RegionStatistics:
    """Accepted regions of one kind.

    flaws: regions by flaw type, then by severity ("" where none was given)
    per_image: pairs by their number of regions, from 0 up
    disks: regions by their number of disks, from 0 up
    saliency: mean over all pairs of the map scaled to its peak, [64][64] in [0, 1], rows from the top
    """

    kind: str
    regions: int
    pairs: int
    flaws: Mapping[str, Mapping[str, int]]
    by_group: Mapping[str, int]
    per_image: tuple[int, ...]
    disks: tuple[int, ...]
    rationale_characters: CountSpread
    rationale_words: CountSpread
    saliency: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class BoxAgreement:
    """Agreement of annotators on boxes, before consensus.

    f1: mean over couples of annotators on one image of 2 matched / (boxes of one + boxes of the other),
        matched one to one at IoU >= 0.5; couples without any box of the kind are ignored
    supported: share of the boxes that at least the required number of annotators drew
    """

    kind: str
    boxes: int
    couples: int
    f1: float | None
    supported: float | None
    by_status: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RaterAgreement:
    """Agreement of raters on one dimension.

    spearman, pearson: mean over raters of the correlation with the mean of the others
    alpha: Krippendorff's alpha with the interval metric
    ratings: "all" before any screening, "kept" after it
    """

    dimension: str
    ratings: str
    n: int
    raters: int
    spearman: float | None
    pearson: float | None
    alpha: float | None


@dataclass(frozen=True, slots=True)
class RaterStatistics:
    """One annotator or rater (a pseudonym), with counts of the work and of the accepted work.

    outliers, outlier_share: None if the scoring method counts no outliers
    excluded: none of the ratings counts, for `reason`; excluded_in: dimensions from which the screening excluded the
        rater, "all", or None
    null_low, null_high: band with about 95 % of the outlier shares of honest raters with as many ratings
    """

    annotator_id: str
    regional_annotations: int
    boxes: int
    boxes_accepted: int
    rationales: int
    flags: int
    ratings: int
    outliers: int | None
    outlier_share: float | None
    expected_share: float | None
    null_low: float | None
    null_high: float | None
    excluded: bool
    reason: str | None
    excluded_in: str | None


@dataclass(frozen=True, slots=True)
class BuildStep:
    """One step of the build: counts in, out and rejected, with the reasons of the rejections."""

    stage: str
    entered: int
    left: int
    set_aside: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RejectionReason:
    """Rejections (and repairs) for one reason, with the first few messages."""

    reason: str
    what: str
    count: int
    repaired: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatasetStatistics:
    """Statistics of a dataset, computed without reading an image.

    correlations: for each two scores "a|b", the Pearson and Spearman correlation over pairs
    ratings: ratings by dimension, then by status
    outlier_limit: outlier share above which a rater can be excluded; None without such a rule
    expected_exclusions: expected number of exclusions if all raters were equally careful; None if unknown
    scoring: the entry "scores" of the manifest: method, options, warnings, expected shares
    open_texts: warnings about rationales that are not final
    """

    corpus: Mapping[str, Any]
    versions: Mapping[str, Any]
    splits: tuple[SplitCounts, ...]
    clean: int
    regions: tuple[RegionStatistics, ...]
    scores: tuple[ScoreDistribution, ...]
    correlations: Mapping[str, Mapping[str, float | None]]
    editors: tuple[GroupStatistics, ...]
    tasks: tuple[GroupStatistics, ...]
    task_groups: tuple[GroupStatistics, ...]
    ratings: Mapping[str, Mapping[str, int]]
    raters: tuple[RaterStatistics, ...]
    outlier_limit: float | None
    expected_exclusions: float | None
    box_agreement: tuple[BoxAgreement, ...]
    rater_agreement: tuple[RaterAgreement, ...]
    stages: tuple[BuildStep, ...]
    rejected: tuple[RejectionReason, ...]
    scoring: Mapping[str, Any]
    open_texts: tuple[str, ...]

    @property
    def total(self) -> SplitCounts:
        """Counts of the whole dataset."""
        return self.splits[-1]

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and None: ready for JSON."""
        return asdict(self)


SCORE_TITLES = {
    "perceptual_quality": "Perceptual quality",
    "instruction_following": "Instruction following",
    "visual_consistency": "Visual consistency",
    "overall": "Overall",
}


KIND_TITLES = {"artifact": "Artifacts", "failure": "Instruction failures"}


SCORE_SHAPES = {
    "perceptual_quality": "circle",
    "instruction_following": "square",
    "visual_consistency": "diamond",
    "overall": "bar",
}


def format_limit(share: float) -> str:
    """A limit as a percentage, with all its digits.

    >>> format_limit(0.05), format_limit(0.025)
    ('5\xa0%', '2.5\xa0%')
    """
    return f"{100 * share:g}\N{NO-BREAK SPACE}%"


def format_estimate(value: MeanEstimate, digits: int = 1) -> str:
    """A mean with the half-width of its interval.

    >>> format_estimate(MeanEstimate(61.24, 3.5, 12))
    '61.2 ± 3.5'
    """
    if value.mean is None:
        return "–"
    return (
        format_decimal(value.mean, digits)
        if value.ci95 is None
        else f"{format_decimal(value.mean, digits)} ± {value.ci95:.{digits}f}"
    )

"""What the statistics of a dataset are, as frozen records that turn into plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from annotation.records import DIMENSIONS

SCORES = (*DIMENSIONS, "overall")
SCORE_BIN = 5
GRID = 64


@dataclass(frozen=True, slots=True)
class Split:
    """Counts of one split; `split` is "all" for the whole dataset."""

    split: str
    pairs: int
    sources: int
    editors: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over images with the half-width of its 95 % t interval; None where there are too few values."""

    mean: float | None
    ci95: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Distribution:
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
class Group:
    """The pairs of one editor, task or task group: how many, how flawed, how they scored."""

    name: str
    group: str
    pairs: int
    artifact_regions: int
    failure_regions: int
    clean: int
    scores: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Spread:
    """Summary of counts or lengths: n, mean, quartiles and range; None when there is nothing to sum up."""

    n: int
    mean: float | None
    low: float | None
    q1: float | None
    median: float | None
    q3: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Regions:
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
    rationale_characters: Spread
    rationale_words: Spread
    saliency: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class BoxAgreement:
    """How far annotators drew the same boxes, before consensus.

    f1: mean over couples of annotators on one picture of 2 matched / (boxes of one + boxes of the other),
        matched one to one at IoU >= 0.5; couples in which neither drew a box of the kind are left out
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
    """How far raters order and place pictures alike, on one dimension.

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
class Rater:
    """One annotator (a pseudonym) and what became of the work.

    outliers, outlier_share: None where the scoring method counts nothing against raters
    excluded: none of the ratings counts, for `reason`; excluded_in: dimensions that the screening took the rater out
        of, "all", or None
    null_low, null_high: about 95 % of honest raters with as many ratings have an outlier share in this band
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
class Stage:
    """One stage of the build: what went in, came out and was set aside, and why."""

    stage: str
    entered: int
    left: int
    set_aside: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reason:
    """Everything set aside (or repaired) for one reason, with the first few messages."""

    reason: str
    what: str
    count: int
    repaired: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything that a person asks about a dataset before using it; no image is read for it.

    correlations: for each two scores "a|b", the Pearson and Spearman correlation over pairs
    ratings: ratings by dimension, then by status
    outlier_limit: outlier share above which a rater could be left out; None where the method has no such rule
    expected_exclusions: how often that rule would leave somebody out if all were equally careful; None where unknown
    scoring: how scores were made (the manifest's own entry: method, options, warnings, expected shares)
    """

    corpus: Mapping[str, Any]
    versions: Mapping[str, Any]
    splits: tuple[Split, ...]
    clean: int
    regions: tuple[Regions, ...]
    scores: tuple[Distribution, ...]
    correlations: Mapping[str, Mapping[str, float | None]]
    editors: tuple[Group, ...]
    tasks: tuple[Group, ...]
    task_groups: tuple[Group, ...]
    ratings: Mapping[str, Mapping[str, int]]
    raters: tuple[Rater, ...]
    outlier_limit: float | None
    expected_exclusions: float | None
    box_agreement: tuple[BoxAgreement, ...]
    rater_agreement: tuple[RaterAgreement, ...]
    stages: tuple[Stage, ...]
    rejected: tuple[Reason, ...]
    scoring: Mapping[str, Any]

    @property
    def total(self) -> Split:
        """Counts of the whole dataset."""
        return self.splits[-1]

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and None: ready for JSON."""
        return asdict(self)

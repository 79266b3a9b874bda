"""Quality while a campaign runs: agreement of annotators on regions, and screening of raters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from annotation.campaign.quality.matching import (
    BoxMatches,
    DiskAreas,
    DiskCentres,
    count_matches_at,
    disk_centres_in_radii,
    shared_disk_areas,
)
from annotation.consensus import PairConsensus
from annotation.records import DIMENSIONS, Rating, RegionalAnnotation
from mos import methods, raters, table
from mos.times import parse_utc_time

if TYPE_CHECKING:
    from mos.scoring.result import ScoringResult


COMPARISON_IOUS = (0.3, 0.5, 0.7)
"""Overlaps at which boxes are compared: the same place, the same box, nearly the same pixels."""


@dataclass(frozen=True, slots=True)
class AnnotatorComparison:
    """The marks of two annotators on one pair, compared; neither is the truth.

    first, second: person ids, in their order as text
    matches: of boxes, at each IoU asked for; areas: of disks, in squared disk radii
    """

    pair_id: str
    first: str
    second: str
    matches: tuple[BoxMatches, ...]
    areas: DiskAreas

    @property
    def f1(self) -> tuple[float | None, ...]:
        """F1 of the boxes at each IoU, 0 to 1; None where both drew none (they agree that there is no flaw)."""
        return tuple(found.f1 for found in self.matches)

    @property
    def disk_overlap(self) -> float | None:
        """Intersection over union of the disks, 0 to 1; None without disks."""
        return self.areas.iou


@dataclass(frozen=True, slots=True)
class AnnotatorAgreement:
    """Agreement of one annotator with the others who marked the same pairs; counts are sums over pairs.

    pairs: number of pairs marked by this annotator and another; comparisons: number of pairs times others
    f1: at each IoU, 0 to 1; disk_overlap: 0 to 1; None where neither side drew anything
    marks, accepted: boxes of the annotator on pairs with a consensus, and how many of them are in an accepted region
    regions, found: accepted regions on those pairs, and how many of them the annotator drew
    """

    person_id: str
    pairs: int
    comparisons: int
    f1: tuple[float | None, ...]
    disk_overlap: float | None
    marks: int
    accepted: int
    regions: int
    found: int

    @property
    def precision(self) -> float | None:
        """Share of the annotator's boxes that the consensus (or the expert) accepted; None without boxes."""
        return self.accepted / self.marks if self.marks else None

    @property
    def recall(self) -> float | None:
        """Share of the accepted regions that the annotator drew; None without regions."""
        return self.found / self.regions if self.regions else None


def compare_annotators(
    annotations: Iterable[RegionalAnnotation], heights: Mapping[str, int], ious: Sequence[float] = COMPARISON_IOUS
) -> list[AnnotatorComparison]:
    """Compare every two annotators who marked the same pair.

    Parameters
    ----------
    annotations
        Of an annotator's submissions on a pair the latest counts; the order does not matter.
    heights
        Height of the edited image in pixels, by pair_id; it gives the disks their radius.
    ious
        Overlaps at which boxes are compared.

    Returns
    -------
    list of AnnotatorComparison
        By pair, then by annotators.
    """
    by_pair: dict[str, list[RegionalAnnotation]] = {}
    for annotation in latest_annotations(annotations):
        by_pair.setdefault(annotation.pair_id, []).append(annotation)
    couples: list[tuple[str, str, str, tuple[BoxMatches, ...]]] = []
    disks: list[tuple[DiskCentres, DiskCentres]] = []
    for pair_id, people in by_pair.items():
        drawn = [disk_centres_in_radii(person.marks, heights[pair_id]) for person in people]
        for (first, first_disks), (second, second_disks) in combinations(zip(people, drawn, strict=True), 2):
            matches = count_matches_at(first.marks, second.marks, ious)
            couples.append((pair_id, first.annotator_id, second.annotator_id, matches))
            disks.append((first_disks, second_disks))
    return [
        AnnotatorComparison(*couple, areas) for couple, areas in zip(couples, shared_disk_areas(disks), strict=True)
    ]


def annotator_agreements(
    annotations: Iterable[RegionalAnnotation],
    comparisons: Iterable[AnnotatorComparison],
    outcomes: Mapping[str, PairConsensus],
) -> list[AnnotatorAgreement]:
    """Agreement of each annotator with the others, ordered by id.

    Parameters
    ----------
    annotations
        Annotations of the stage.
    comparisons
        Comparisons of the same annotations, from `compare_annotators`.
    outcomes
        Consensus or expert review, by pair_id, of the pairs that have one.
    """
    counted = latest_annotations(annotations)
    met: dict[str, list[AnnotatorComparison]] = {annotation.annotator_id: [] for annotation in counted}
    for comparison in comparisons:
        met[comparison.first].append(comparison)
        met[comparison.second].append(comparison)
    kept: dict[str, list[tuple[int, int, int, int]]] = {}
    for annotation in counted:
        if annotation.pair_id in outcomes:
            kept.setdefault(annotation.annotator_id, []).append(
                _count_accepted_marks(annotation, outcomes[annotation.pair_id])
            )
    return [_make_agreement(person_id, met[person_id], kept.get(person_id, [])) for person_id in sorted(met)]


def latest_annotations(annotations: Iterable[RegionalAnnotation]) -> list[RegionalAnnotation]:
    """The latest submission of each annotator on each pair, by pair, then by annotator."""
    submissions: dict[tuple[str, str], list[RegionalAnnotation]] = {}
    for annotation in annotations:
        submissions.setdefault((annotation.pair_id, annotation.annotator_id), []).append(annotation)
    return [
        versions[0] if len(versions) == 1 else max(versions, key=_annotation_order)
        for _, versions in sorted(submissions.items(), key=itemgetter(0))
    ]


def _annotation_order(annotation: RegionalAnnotation) -> tuple[object, ...]:
    """By time; at equal times by content, so that the order of the input does not matter."""
    marks = tuple(sorted((mark.box, mark.mark_id, mark.kind, mark.disks) for mark in annotation.marks))
    return annotation.at, annotation.place, marks


def _count_accepted_marks(annotation: RegionalAnnotation, outcome: PairConsensus) -> tuple[int, int, int, int]:
    """The counts marks, accepted, regions and found of `AnnotatorAgreement` for one pair."""
    accepted = [mark.region_id for mark in outcome.marks if mark.status == "accepted" and mark.annotation == annotation]
    return len(annotation.marks), len(accepted), len(outcome.regions), len(set(accepted))


def _make_agreement(
    person_id: str, met: Sequence[AnnotatorComparison], kept: Sequence[tuple[int, int, int, int]]
) -> AnnotatorAgreement:
    columns = zip(*(comparison.matches for comparison in met), strict=True)
    marks, accepted, regions, found = (sum(column) for column in zip(*kept, strict=True)) if kept else (0, 0, 0, 0)
    return AnnotatorAgreement(
        person_id,
        len({comparison.pair_id for comparison in met}),
        len(met),
        tuple(sum(column, BoxMatches()).f1 for column in columns),
        sum((comparison.areas for comparison in met), DiskAreas()).iou,
        marks,
        accepted,
        regions,
        found,
    )


@dataclass(frozen=True, slots=True)
class RaterScreening:
    """The raters so far.

    raters: one row for each rater, with the columns of `mos.raters.RATER_COLUMNS`; null where too little is known
    advice: sentences about raters whom the manager should check; empty when no rater stands out
    result: scores so far, with the status of every rating
    problems: ratings that do not count: out of scale, or replaced by a later one; rows are those of `ratings` in the
        order of their times
    """

    raters: pa.Table
    advice: tuple[str, ...]
    result: ScoringResult
    problems: tuple[table.Rejection, ...]


def screen_campaign_raters(
    ratings: Iterable[Rating], scale: tuple[float, float], method: str = "paper"
) -> RaterScreening:
    """Screen the raters on the ratings so far.

    Parameters
    ----------
    ratings
        Of the ratings of one pair and dimension by one rater the latest counts; the order does not matter.
    scale
        Lowest and highest score.
    method
        One of `mos.methods.METHODS`; `UserError` for an unknown one.

    Returns
    -------
    RaterScreening
        With few ratings, most figures are null and no rater stands out.
    """
    given = sorted(ratings, key=attrgetter("rated_at", "place", "pair_id", "annotator_id", "dimension", "score"))
    coded, problems = table.validate_ratings(_ratings_as_table(given), scale, DIMENSIONS, duplicates="last")
    result = methods.score_ratings(coded, method)
    moments = [parse_utc_time(rating.rated_at) for rating in given]
    known = [moment.replace(tzinfo=None) for moment in moments if moment is not None]
    times = np.array(known, "datetime64[us]")[coded.index] if given and len(known) == len(moments) else None
    report = raters.report_raters(coded, result=result, times=times)
    return RaterScreening(report, tuple(raters.advise_on_raters(report)), result, tuple(problems))


def _ratings_as_table(ratings: Sequence[Rating]) -> pa.Table:
    return pa.table(
        {
            "item": pa.array([rating.pair_id for rating in ratings], pa.string()),
            "rater": pa.array([rating.annotator_id for rating in ratings], pa.string()),
            "dimension": pa.array([rating.dimension for rating in ratings], pa.string()),
            "score": pa.array([rating.score for rating in ratings], pa.float64()),
            "rated_at": pa.array([rating.rated_at for rating in ratings], pa.string()),
        }
    )

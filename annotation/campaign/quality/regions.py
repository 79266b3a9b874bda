"""Quality while a campaign runs: how far annotators agree on regions, and which raters stand out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from annotation.campaign.quality.matching import Areas, Centres, Matches, disk_areas, disk_centres, matches_at
from annotation.campaign.status.pace import moment_of
from annotation.consensus import Outcome
from annotation.records import DIMENSIONS, Rating, RegionalAnnotation
from mos import methods, raters, table

if TYPE_CHECKING:
    from mos.scoring.result import Result

IOUS = (0.3, 0.5, 0.7)
"""Overlaps at which boxes are compared: the same place, the same box, nearly the same pixels."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two people marked on one pair, side by side; neither is the truth.

    first, second: person ids, in their order as text
    matches: of boxes at each of the IoUs asked for; areas: of disks, in squared disk radii
    """

    pair_id: str
    first: str
    second: str
    matches: tuple[Matches, ...]
    areas: Areas

    @property
    def f1(self) -> tuple[float | None, ...]:
        """F1 of the boxes at each IoU, 0 to 1; None where neither drew any: they agree that there is no flaw."""
        return tuple(found.f1 for found in self.matches)

    @property
    def disk_overlap(self) -> float | None:
        """Area within disks of both over area within disks of either, 0 to 1; None without disks."""
        return self.areas.iou


@dataclass(frozen=True, slots=True)
class PersonAgreement:
    """How far one annotator agrees with the others who marked the same pairs, counts of all pairs added up.

    pairs: marked by this person and somebody else; comparisons: with how many others on each, together
    f1: at each IoU, 0 to 1; disk_overlap: 0 to 1; None where neither side drew anything
    marks, accepted: boxes of the person on pairs with a consensus, and how many of them are in an accepted region
    regions, found: accepted regions on those pairs, and how many of them the person drew
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
        """Share of the person's boxes that the consensus (or the expert) accepted; None without boxes."""
        return self.accepted / self.marks if self.marks else None

    @property
    def recall(self) -> float | None:
        """Share of the accepted regions that the person drew; None without regions."""
        return self.found / self.regions if self.regions else None


def compare(
    annotations: Iterable[RegionalAnnotation], heights: Mapping[str, int], ious: Sequence[float] = IOUS
) -> list[Comparison]:
    """Every two people who marked the same pair, by pair and then by people; no order of the arguments matters.

    Of a person's submissions on a pair the latest counts.  `heights` are those of the edited images in pixels, of all
    pairs in `annotations`; they give the disks their radius.
    """
    by_pair: dict[str, list[RegionalAnnotation]] = {}
    for annotation in latest(annotations):
        by_pair.setdefault(annotation.pair_id, []).append(annotation)
    couples: list[tuple[str, str, str, tuple[Matches, ...]]] = []
    disks: list[tuple[Centres, Centres]] = []
    for pair_id, people in by_pair.items():
        drawn = [disk_centres(person.marks, heights[pair_id]) for person in people]
        for (one, own), (other, theirs) in combinations(zip(people, drawn, strict=True), 2):
            matches = matches_at(one.marks, other.marks, ious)
            couples.append((pair_id, one.annotator_id, other.annotator_id, matches))
            disks.append((own, theirs))
    return [Comparison(*couple, areas) for couple, areas in zip(couples, disk_areas(disks), strict=True)]


def by_person(
    annotations: Iterable[RegionalAnnotation],
    comparisons: Iterable[Comparison],
    outcomes: Mapping[str, Outcome],
) -> list[PersonAgreement]:
    """One row for everybody among `annotations`, ordered by id.

    comparisons: of the same annotations, by `compare`; outcomes: consensus or expert's word on the pairs that have one.
    A person's own expert review is not held against what they drew as annotator.
    """
    counted = latest(annotations)
    met: dict[str, list[Comparison]] = {annotation.annotator_id: [] for annotation in counted}
    for comparison in comparisons:
        met[comparison.first].append(comparison)
        met[comparison.second].append(comparison)
    kept: dict[str, list[tuple[int, int, int, int]]] = {}
    for annotation in counted:
        if annotation.pair_id in outcomes:
            kept.setdefault(annotation.annotator_id, []).append(_kept(annotation, outcomes[annotation.pair_id]))
    return [_person(person_id, met[person_id], kept.get(person_id, [])) for person_id in sorted(met)]


def latest(annotations: Iterable[RegionalAnnotation]) -> list[RegionalAnnotation]:
    """The last submission of each person on each pair, by pair and then by person."""
    found: dict[tuple[str, str], list[RegionalAnnotation]] = {}
    for annotation in annotations:
        found.setdefault((annotation.pair_id, annotation.annotator_id), []).append(annotation)
    return [own[0] if len(own) == 1 else max(own, key=_order) for _, own in sorted(found.items(), key=itemgetter(0))]


def _order(annotation: RegionalAnnotation) -> tuple[object, ...]:
    """By time; at equal times by what is said, so that the order in which they come never matters."""
    marks = tuple(sorted((mark.box, mark.mark_id, mark.kind, mark.disks) for mark in annotation.marks))
    return annotation.at, annotation.place, marks


def _kept(annotation: RegionalAnnotation, outcome: Outcome) -> tuple[int, int, int, int]:
    """Counts marks, accepted, regions and found of `PersonAgreement` for one pair."""
    homes = [fate.region_id for fate in outcome.fates if fate.status == "accepted" and fate.annotation == annotation]
    return len(annotation.marks), len(homes), len(outcome.regions), len(set(homes))


def _person(person_id: str, met: Sequence[Comparison], kept: Sequence[tuple[int, int, int, int]]) -> PersonAgreement:
    columns = zip(*(comparison.matches for comparison in met), strict=True)
    marks, accepted, regions, found = (sum(column) for column in zip(*kept, strict=True)) if kept else (0, 0, 0, 0)
    return PersonAgreement(
        person_id,
        len({comparison.pair_id for comparison in met}),
        len(met),
        tuple(sum(column, Matches()).f1 for column in columns),
        sum((comparison.areas for comparison in met), Areas()).iou,
        marks,
        accepted,
        regions,
        found,
    )


@dataclass(frozen=True, slots=True)
class Screening:
    """The raters so far.

    raters: one row each with the columns of `mos.raters.COLUMNS`, null where too little is known
    advice: sentences that name raters whom a person should look at; empty where nobody stands out
    result: scores so far, with the fate of every rating
    problems: ratings that do not count, and why: out of scale, or given again later; rows are those of `ratings` in
        the order of their times
    """

    raters: pa.Table
    advice: tuple[str, ...]
    result: Result
    problems: tuple[table.Problem, ...]


def screen_raters(ratings: Iterable[Rating], scale: tuple[float, float], method: str = "paper") -> Screening:
    """Screen the raters on the ratings so far, by one of `mos.methods.METHODS`; no order of `ratings` matters.

    Of ratings of one pair and dimension by one person the latest counts.  While there are few ratings most figures are
    null and nobody stands out.  `UserError` for an unknown method.
    """
    given = sorted(ratings, key=attrgetter("rated_at", "place", "pair_id", "annotator_id", "dimension", "score"))
    coded, problems = table.code(_table(given), scale, DIMENSIONS, duplicates="last")
    result = methods.score(coded, method)
    moments = [moment_of(rating.rated_at) for rating in given]
    known = [moment.replace(tzinfo=None) for moment in moments if moment is not None]
    times = np.array(known, "datetime64[us]")[coded.index] if given and len(known) == len(moments) else None
    report = raters.report(coded, result=result, times=times)
    return Screening(report, tuple(raters.advice(report)), result, tuple(problems))


def _table(ratings: Sequence[Rating]) -> pa.Table:
    return pa.table(
        {
            "item": pa.array([rating.pair_id for rating in ratings], pa.string()),
            "rater": pa.array([rating.annotator_id for rating in ratings], pa.string()),
            "dimension": pa.array([rating.dimension for rating in ratings], pa.string()),
            "score": pa.array([rating.score for rating in ratings], pa.float64()),
        }
    )

"""The human ceiling: how well one person does at what agents are asked to do, judged by the others.

Each annotator and each rater is left out in turn. What the others agree on is the truth, made by the rules of the
dataset, and the one who was left out is measured like an agent.

Limits: a truth of one person fewer is a little noisier than the dataset's. An annotator who saw no flaw in a pair
leaves no mark, so who missed every flaw of a pair, or rightly found a clean image clean, is not known; maps are
therefore compared where both sides have a mark, and boxes of annotators with a mark in the pair. An agent may be above
the ceiling, since one person is noisier than the mean of many.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.campaign.quality.matching import BoxMatches, match_boxes
from annotation.consensus import resolve_regions
from annotation.records import (
    DIMENSIONS,
    KINDS,
    Box,
    Dimension,
    Disk,
    Kind,
    Mark,
    PairSubmissions,
    Place,
    Region,
    RegionalAnnotation,
)
from annotation.rules import AnnotationRules, compute_overall
from editfhf.saliency import DEFAULT_SIGMA, SaliencySigma, render_saliency
from mos.rejections import Rejection
from training.metrics.maps import mark_positives
from training.metrics.regions import DEFAULT_IOUS
from training.metrics.results import MetricResult
from training.metrics.saliency import saliency_metrics

CEILING_HEIGHT = 256
"""Maps of people are compared at this height at most: CC moves by less than 0.001, and time by a factor of ten."""

OVERALL = "overall"

EXPERT_FILES = "expert"
"""Marks whose file begins so are of experts, who saw what the annotators drew."""


@dataclass(frozen=True, slots=True)
class PersonResult:
    """One annotator on one pair and kind, against the others.

    Attributes
    ----------
    pair_id, source_id : str
    kind : {"artifact", "failure"}
    maps : MetricResult or None
        Metrics of the person's map; None where one side has no mark.
    boxes : tuple of BoxMatches
        The person's boxes and the others' at each of the overlaps.
    """

    pair_id: str
    source_id: str
    kind: Kind
    maps: MetricResult | None
    boxes: tuple[BoxMatches, ...]


@dataclass(frozen=True, slots=True)
class TypeAgreement:
    """Flaw types of two annotators who drew a box around the same object: how many pairs, and how many agree."""

    source_id: str
    kind: Kind
    agreeing: int
    compared: int


def measure_annotators(
    marks: Iterable[Mapping[str, Any]],
    sources: Mapping[str, str],
    *,
    rules: AnnotationRules | None = None,
    sigma: SaliencySigma = DEFAULT_SIGMA,
    preset: str = "mit",
    ious: Sequence[float] = DEFAULT_IOUS,
) -> list[PersonResult]:
    """Measure every annotator against the others, pair by pair.

    Parameters
    ----------
    marks : iterable of mapping
        Rows of the table "marks".
    sources : mapping
        Source of each pair; marks of other pairs are left out.
    rules : AnnotationRules, optional
        Support and overlap of accepted regions. With fewer others than the support, all of them must agree.
    sigma, preset, ious
        As for agents.

    Returns
    -------
    list of PersonResult
        Two (one for each kind) for every annotator of a pair with at least two annotators who drew something.
    """
    rules = rules or AnnotationRules()
    results = []
    for pair_id, people, size in _group_marks(marks, sources):
        for name in sorted(people):
            others = {other: drawn for other, drawn in people.items() if other != name}
            support = min(rules.min_support, len(others))
            truth = _agree_on_regions(pair_id, others, rules.model_copy(update={"min_support": support}))
            for kind in KINDS:
                results.append(
                    PersonResult(
                        pair_id,
                        sources[pair_id],
                        kind,
                        _compare_maps(kind, people[name], truth, size, sigma, preset),
                        _count_boxes(kind, people[name], truth, ious),
                    )
                )
    return results


def _count_boxes(
    kind: Kind, person: Sequence[Mark], truth: Sequence[Region], ious: Sequence[float]
) -> tuple[BoxMatches, ...]:
    ours, theirs = ([each.box for each in marks if each.kind == kind] for marks in (person, truth))
    return tuple(BoxMatches(len(match_boxes(ours, theirs, iou)), len(ours), len(theirs)) for iou in ious)


def measure_type_agreement(
    marks: Iterable[Mapping[str, Any]], sources: Mapping[str, str], iou: float = 0.5
) -> list[TypeAgreement]:
    """Compare the flaw types of every two annotators whose boxes overlap by `iou` or more, pair by pair."""
    found = []
    for pair_id, people, _ in _group_marks(marks, sources):
        names = sorted(people)
        for kind in KINDS:
            agreeing = compared = 0
            for number, name in enumerate(names):
                for other in names[number + 1 :]:
                    ours, theirs = (_typed_marks(people[each], kind) for each in (name, other))
                    for i, k in match_boxes([mark.box for mark in ours], [mark.box for mark in theirs], iou):
                        compared += 1
                        agreeing += ours[i].flaw_type == theirs[k].flaw_type
            if compared:
                found.append(TypeAgreement(sources[pair_id], kind, agreeing, compared))
    return found


def _typed_marks(marks: Sequence[Mark], kind: Kind) -> list[Mark]:
    return [mark for mark in marks if mark.kind == kind and mark.flaw_type]


def _group_marks(
    marks: Iterable[Mapping[str, Any]], sources: Mapping[str, str]
) -> list[tuple[str, dict[str, list[Mark]], tuple[int, int]]]:
    """Pair, marks by annotator, and height and width, of the pairs with at least two annotators."""
    people: dict[str, dict[str, list[Mark]]] = defaultdict(lambda: defaultdict(list))
    sizes: dict[str, tuple[int, int]] = {}
    for row in marks:
        pair_id = row["pair_id"]
        if pair_id not in sources or PurePosixPath(row["file"] or "").name.startswith(EXPERT_FILES):
            continue
        sizes[pair_id] = (row["height"], row["width"])
        people[pair_id][row["annotator_id"]].append(
            Mark(
                mark_id=row["mark_id"],
                kind=row["kind"],
                box=Box(*row["box"]),
                disks=tuple(Disk(x, y) for x, y in row["disks"] or ()),
                flaw_type=row["flaw_type"],
                severity=row["severity"],
            )
        )
    return [(pair_id, dict(drawn), sizes[pair_id]) for pair_id, drawn in sorted(people.items()) if len(drawn) >= 2]


def _agree_on_regions(pair_id: str, people: Mapping[str, Sequence[Mark]], rules: AnnotationRules) -> tuple[Region, ...]:
    """The regions on which some annotators agree, by the rule of the campaign."""
    submissions = [
        RegionalAnnotation(pair_id, name, tuple(marks), "", Place("", row))
        for row, (name, marks) in enumerate(sorted(people.items()), start=1)
    ]

    def ignore(rejection: Rejection) -> None:
        return

    return tuple(resolve_regions(pair_id, PairSubmissions(submissions), rules, ignore).regions)


def _compare_maps(
    kind: Kind,
    person: Sequence[Mark],
    truth: Sequence[Region],
    size: tuple[int, int],
    sigma: SaliencySigma,
    preset: str,
) -> MetricResult | None:
    scale = min(1.0, CEILING_HEIGHT / size[0])
    height, width = (max(1, round(side * scale)) for side in size)
    ours, theirs = (
        np.array([disk for each in marks if each.kind == kind for disk in each.disks], np.float64).reshape(-1, 2)
        * (width / size[1], height / size[0])
        for marks in (person, truth)
    )
    if not len(ours) or not len(theirs):
        return None
    width_of_disk = sigma.pixels(size[0]) * height / size[0]
    prediction, density = (render_saliency(disks, height, width, sigma=width_of_disk)[0] for disks in (ours, theirs))
    positives = mark_positives(theirs, height, width)
    return saliency_metrics(prediction, density, positives, preset, sigma=width_of_disk)


@dataclass(frozen=True, slots=True, eq=False)
class RaterScores:
    """One rater's scores in one dimension, with the others' mean scores of the same pairs.

    Attributes
    ----------
    rater : str
    source_ids : tuple of str
        [n] source of each pair.
    own, others : ndarray
        float64 [n], in MOS points: the rater's scores, and the mean scores of the other raters.
    """

    rater: str
    source_ids: tuple[str, ...]
    own: NDArray[np.float64]
    others: NDArray[np.float64]


RatedCells = dict[tuple[str, str], dict[str, tuple[float, bool]]]
"""By pair and dimension, for each rater the score in MOS points, and whether it was kept."""


def leave_raters_out(ratings: Iterable[Mapping[str, Any]], sources: Mapping[str, str]) -> dict[str, list[RaterScores]]:
    """Set the scores of every rater against the mean of the others.

    Parameters
    ----------
    ratings : iterable of mapping
        Rows of the table "ratings".
    sources : mapping
        Source of each pair; ratings of other pairs are left out.

    Returns
    -------
    dict
        For each dimension, and for `OVERALL` by equation 5, the scores of every rater who was not excluded, with the
        rater's outliers; the others' means are of what was kept.

    Notes
    -----
    As for the dataset's scores, a rater's ratings in a dimension become z-scores by their mean and deviation, here
    over the pairs of `sources`, and 100 (z + 3) / 6 points. A rater whose ratings are all equal has none.
    """
    cells = _standardise_raters(ratings, sources)
    return {name: _pair_with_others(name, cells, sources) for name in (*DIMENSIONS, OVERALL)}


def _standardise_raters(ratings: Iterable[Mapping[str, Any]], sources: Mapping[str, str]) -> RatedCells:
    by_rater: dict[tuple[str, str], list[tuple[str, float, bool]]] = defaultdict(list)
    for row in ratings:
        if row["pair_id"] in sources and row["status"] in ("kept", "outlier"):
            kept = row["status"] == "kept"
            by_rater[row["annotator_id"], row["dimension"]].append((row["pair_id"], float(row["score"]), kept))
    cells: RatedCells = defaultdict(dict)
    for (rater, dimension), rows in by_rater.items():
        scores = np.array([score for _, score, kept in rows if kept])
        spread = float(scores.std(ddof=1)) if len(scores) > 1 else 0.0
        if spread > 0:
            for pair_id, score, kept in rows:
                points = 100 * ((score - float(scores.mean())) / spread + 3) / 6
                cells[pair_id, dimension][rater] = (points, kept)
    return cells


def _pair_with_others(name: str, cells: RatedCells, sources: Mapping[str, str]) -> list[RaterScores]:
    dimensions = DIMENSIONS if name == OVERALL else tuple(each for each in DIMENSIONS if each == name)
    own: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for pair_id, source in sources.items():
        rated = {dimension: cells.get((pair_id, dimension), {}) for dimension in dimensions}
        for rater in sorted(set.intersection(*map(set, rated.values()))):
            theirs: dict[Dimension, float | None] = {}
            for dimension, scores in rated.items():
                kept = [points for other, (points, is_kept) in scores.items() if is_kept and other != rater]
                theirs[dimension] = math.fsum(kept) / len(kept) if kept else None
            mean = _combine_points(name, theirs)
            ours = _combine_points(name, {dimension: scores[rater][0] for dimension, scores in rated.items()})
            if ours is not None and mean is not None:
                own[rater].append((source, ours, mean))
    return [
        RaterScores(rater, tuple(row[0] for row in rows), *(np.array([row[k] for row in rows]) for k in (1, 2)))
        for rater, rows in sorted(own.items())
    ]


def _combine_points(name: str, points: Mapping[Dimension, float | None]) -> float | None:
    return compute_overall(points) if name == OVERALL else next(iter(points.values()))

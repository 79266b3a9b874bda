"""Simulate the annotations of one pair in the order of a campaign: regions, consensus, rationales, ratings with flags.

Region ids are those of `annotation.consensus`, because reviewers and raters see the accepted regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson

from annotation.consensus import resolve_regions
from annotation.labelstudio.results import (
    build_annotation_json,
    build_task_json,
    no_flaw_results,
    rating_results,
    rationale_results,
    regional_results,
)
from annotation.records import Dimension, Mark, PairSubmissions, Place, Region, RegionalAnnotation
from annotation.rules import AnnotationRules
from annotation.simulate.flaws.flaw import InjectedFlaw
from annotation.simulate.options import CAMPAIGN_STREAM, SimulationOptions
from annotation.simulate.participants import (
    ImageSize,
    SimulatedRater,
    choose_flaggers,
    choose_panel,
    draw_wrong_flag_count,
    drop_relations,
    score_pair,
    simulate_expert_marks,
    simulate_marks,
    simulate_reviews,
)

TruthRow = dict[str, Any]


CAMPAIGN_START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


ANNOTATOR_COUNT, FIRST_ANNOTATOR_ID, EXPERT_COUNT, FIRST_EXPERT_ID, REVIEWER_COUNT, FIRST_REVIEWER_ID = (
    9,
    101,
    2,
    201,
    6,
    301,
)


MAX_REVIEW_ROUNDS = 16
"""Largest number of review rounds for which one pair has studio task ids."""


@dataclass(frozen=True)
class EditedPair:
    """A pair with its edited image, before it is annotated."""

    index: int
    pair_id: str
    data: dict[str, Any]
    size: ImageSize
    flaws: tuple[InjectedFlaw, ...]
    quality: Mapping[Dimension, float]


@dataclass
class SimulatedAnnotations:
    """Annotations of one pair: export tasks by file, rows of the tables, and the truth about the campaign."""

    tasks: dict[str, list[bytes]] = field(default_factory=dict)
    ratings: list[tuple[str, str, str, float, str]] = field(default_factory=list)
    flags: list[tuple[str, str, str]] = field(default_factory=list)
    truth: TruthRow = field(default_factory=dict)

    def add(self, file: str, task: Mapping[str, Any]) -> None:
        self.tasks.setdefault(file, []).append(orjson.dumps(task))


def annotate_pair(
    settings: SimulationOptions, pair: EditedPair, raters: Sequence[SimulatedRater]
) -> SimulatedAnnotations:
    """Simulate everything that participants submit about one pair."""
    rng = settings.rng(CAMPAIGN_STREAM, pair.index)
    annotations = SimulatedAnnotations()
    regional, expert, found_by = _simulate_regional(settings, pair, annotations, rng)
    regions = _resolve_regions(pair.pair_id, regional, expert)
    region_ids = _match_flaws_to_regions(pair.flaws, regions)
    true_flaws = {region_ids[i]: flaw for i, flaw in enumerate(pair.flaws) if i in region_ids}
    final = _simulate_textual(pair, regions, true_flaws, annotations, rng)
    flags = {region.region_id: _draw_flag_count(region.region_id in true_flaws, rng) for region in regions}
    flags = _simulate_scoring(settings, pair, raters, flags, annotations, rng)
    annotations.truth = {
        "regions": [
            _true_region_row(flaw)
            | {"found_by": found_by[i], "region_id": region_ids.get(i), "flags": flags.get(region_ids.get(i, ""), 0)}
            for i, flaw in enumerate(pair.flaws)
        ],
        "unfounded": [
            {"kind": r.kind, "box": list(r.box), "region_id": r.region_id, "flags": flags[r.region_id]}
            for r in regions
            if r.region_id not in true_flaws
        ],
        "expert": bool(expert),
        "rationales_final": final,
    }
    return annotations


def _true_region_row(flaw: InjectedFlaw) -> TruthRow:
    return {
        "kind": flaw.kind,
        "box": list(flaw.box),
        "disks": [list(disk) for disk in flaw.disks],
        "flaw_type": flaw.flaw_type,
        "severity": flaw.severity,
        "rationale": flaw.rationale,
    }


def _draw_flag_count(true: bool, rng: np.random.Generator) -> int:
    return draw_wrong_flag_count(rng) if true else int(rng.integers(4, 8))


def _format_time(pair: EditedPair, days: float, minutes: float) -> str:
    """Simulated time of a submission: a stage begins `days` after the first, pairs are two minutes apart."""
    moment = CAMPAIGN_START + timedelta(days=days, minutes=2 * pair.index + minutes)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _simulate_regional(
    settings: SimulationOptions, pair: EditedPair, annotations: SimulatedAnnotations, rng: np.random.Generator
) -> tuple[list[RegionalAnnotation], list[RegionalAnnotation], list[int]]:
    """The stages regional and expert, and how many annotators found each flaw."""
    users = rng.permutation(max(ANNOTATOR_COUNT, settings.annotators))[: settings.annotators] + FIRST_ANNOTATOR_ID
    marks_of_users = simulate_marks(pair.flaws, pair.size, settings.annotators, settings.annotator_error, rng)
    found_by = [
        sum(any(i == flaw for _, i in user_marks) for user_marks in marks_of_users) for flaw in range(len(pair.flaws))
    ]
    regional = []
    for slot, (user, user_marks) in enumerate(zip(users.tolist(), marks_of_users, strict=True), start=1):
        marks = _prefix_mark_ids(pair.pair_id, [mark for mark, _ in user_marks])
        at = _format_time(pair, 0, 600 * slot + rng.uniform(0, 90))
        results = regional_results(marks, pair.size.width, pair.size.height)
        results = drop_relations(results, marks, rng) or no_flaw_results()
        _add_submission(annotations, f"regions-slot-{slot}", pair, pair.index + 1, slot, user, results, at, rng)
        regional.append(RegionalAnnotation(pair.pair_id, str(user), tuple(marks), at, Place("", slot)))
    if rng.random() >= settings.expert:
        return regional, [], found_by
    marks = _prefix_mark_ids(pair.pair_id, simulate_expert_marks(pair.flaws, pair.size, rng))
    user, at = FIRST_EXPERT_ID + int(rng.integers(EXPERT_COUNT)), _format_time(pair, 30, rng.uniform(0, 90))
    results = regional_results(marks, pair.size.width, pair.size.height) or no_flaw_results()
    _add_submission(annotations, "expert", pair, pair.index + 1, 20, user, results, at, rng)
    return regional, [RegionalAnnotation(pair.pair_id, str(user), tuple(marks), at, Place("", 0))], found_by


def _prefix_mark_ids(pair_id: str, marks: Sequence[Mark]) -> list[Mark]:
    return [replace(mark, mark_id=f"{pair_id}-{mark.mark_id}") for mark in marks]


def _resolve_regions(
    pair_id: str, regional: Sequence[RegionalAnnotation], expert: Sequence[RegionalAnnotation]
) -> list[Region]:
    return list(resolve_regions(pair_id, PairSubmissions(regional, expert), AnnotationRules(), lambda _: None).regions)


def _match_flaws_to_regions(flaws: Sequence[InjectedFlaw], regions: Sequence[Region]) -> dict[int, str]:
    """Id of the region that overlaps each flaw best, at least by an IoU of 0.5, by the index of the flaw."""
    region_ids = {}
    for i, flaw in enumerate(flaws):
        same = [region for region in regions if region.kind == flaw.kind]
        best = max(same, key=lambda region: region.box.iou(flaw.box), default=None)
        if best is not None and best.box.iou(flaw.box) >= 0.5:
            region_ids[i] = best.region_id
    return region_ids


def _simulate_textual(
    pair: EditedPair,
    regions: Sequence[Region],
    true_flaws: Mapping[str, InjectedFlaw],
    annotations: SimulatedAnnotations,
    rng: np.random.Generator,
) -> bool:
    """The stage textual, with one task per round in the project of the reviewer; whether the texts became final."""
    if not regions:
        return True
    users = (rng.permutation(REVIEWER_COUNT)[:3] + FIRST_REVIEWER_ID).tolist()
    submissions, final = simulate_reviews(regions, true_flaws, users, rng)
    for number, submission in enumerate(submissions):
        slot = users.index(submission.reviewer) + 1
        at = _format_time(pair, 60, 1440 * number + rng.uniform(0, 60))
        results = rationale_results(submission.regions, submission.verdict, pair.size.width, pair.size.height)
        task_id = pair.index * MAX_REVIEW_ROUNDS + number + 1
        _add_submission(
            annotations, f"rationales-slot-{slot}", pair, task_id, 30 + slot, submission.reviewer, results, at, rng
        )
    return final


def _simulate_scoring(
    settings: SimulationOptions,
    pair: EditedPair,
    raters: Sequence[SimulatedRater],
    wanted: Mapping[str, int],
    annotations: SimulatedAnnotations,
    rng: np.random.Generator,
) -> dict[str, int]:
    """The stage scoring; number of raters who flagged each region."""
    panel = choose_panel(settings, raters, pair.index)
    present = [slot for slot in range(len(panel)) if rng.random() >= settings.missing]
    flagging = {region: choose_flaggers(count, len(present), rng) for region, count in wanted.items()}
    data = pair.data | {"region_choices": [{"value": region} for region in wanted]}
    for number, slot in enumerate(present):
        rater = panel[slot]
        scores = score_pair(rater, pair.quality, rng)
        flagged = [region for region, members in flagging.items() if number in members]
        at = _format_time(pair, 90, 720 * slot + rng.uniform(0, 60))
        if settings.exports:
            results = rating_results({str(name): value for name, value in scores.items()}, flagged)
            file, rated_pair = f"ratings-slot-{slot + 1:02d}", replace(pair, data=data)
            _add_submission(annotations, file, rated_pair, pair.index + 1, 40 + slot, rater.user, results, at, rng)
            continue
        user = str(rater.user)
        annotations.ratings += [(pair.pair_id, user, dimension, value, at) for dimension, value in scores.items()]
        annotations.flags += [(pair.pair_id, region, user) for region in flagged]
    return {region: len(members) for region, members in flagging.items()}


def _add_submission(
    annotations: SimulatedAnnotations, file: str, pair: EditedPair, task_id: int, project: int, user: int,
    results: Sequence[dict[str, Any]], at: str, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Add one studio task with one submission, as the server exports it from the project of one slot."""
    lead = round(float(rng.gamma(4, 12)), 3)
    number = task_id * 100 + project
    submission = build_annotation_json(number, task_id, project, user, results, at, lead)
    annotations.add(file, build_task_json(task_id, project, pair.data, [submission], _format_time(pair, -1, 0)))

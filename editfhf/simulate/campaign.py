"""One pair's way through a campaign: regions, consensus, rationales, ratings with flags, in the order of a real one.

Region ids are those that `annotation.consensus` gives, because reviewers and raters saw the accepted regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson

from annotation import predictions
from annotation.consensus import ConsensusOptions, resolve
from annotation.records import Dimension, Mark, Place, Region, RegionalAnnotation
from editfhf.simulate import annotators, raters, reviewers
from editfhf.simulate.annotators import Size
from editfhf.simulate.flaws.flaw import Flaw
from editfhf.simulate.settings import CAMPAIGN, Settings
from editfhf.simulate.truth import Row

BEGIN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
ANNOTATORS, FIRST_ANNOTATOR, EXPERTS, FIRST_EXPERT, REVIEWERS, FIRST_REVIEWER = 9, 101, 2, 201, 6, 301
ROUNDS = 16
"""Task ids of one pair in stage 2 leave room for this many rounds."""


@dataclass(frozen=True)
class Finished:
    """A pair as the picture stage left it."""

    index: int
    pair_id: str
    data: dict[str, Any]
    size: Size
    flaws: tuple[Flaw, ...]
    quality: Mapping[Dimension, float]


@dataclass
class Papers:
    """What the campaign leaves behind: export tasks by file, rows of the tables, and the truth about the campaign."""

    tasks: dict[str, list[bytes]] = field(default_factory=dict)
    ratings: list[tuple[str, str, str, float, str]] = field(default_factory=list)
    flags: list[tuple[str, str, str]] = field(default_factory=list)
    truth: Row = field(default_factory=dict)

    def add(self, file: str, task: Mapping[str, Any]) -> None:
        self.tasks.setdefault(file, []).append(orjson.dumps(task))


def run(settings: Settings, pair: Finished, people: Sequence[raters.Rater]) -> Papers:
    """Everything that people did about one pair."""
    rng = settings.rng(CAMPAIGN, pair.index)
    papers = Papers()
    regional, expert, found_by = _regional(settings, pair, papers, rng)
    regions = _accepted(pair.pair_id, regional, expert)
    homes = _homes(pair.flaws, regions)
    meant = {homes[i]: flaw for i, flaw in enumerate(pair.flaws) if i in homes}
    final = _textual(pair, regions, meant, papers, rng)
    flags = {region.region_id: _flag_count(region.region_id in meant, rng) for region in regions}
    flags = _scoring(settings, pair, people, flags, papers, rng)
    papers.truth = {
        "regions": [
            _region_row(flaw)
            | {"found_by": found_by[i], "region_id": homes.get(i), "flags": flags.get(homes.get(i, ""), 0)}
            for i, flaw in enumerate(pair.flaws)
        ],
        "unfounded": [
            {"kind": r.kind, "box": list(r.box), "region_id": r.region_id, "flags": flags[r.region_id]}
            for r in regions
            if r.region_id not in meant
        ],
        "expert": bool(expert),
        "rationales_final": final,
    }
    return papers


def _region_row(flaw: Flaw) -> Row:
    return {
        "kind": flaw.kind,
        "box": list(flaw.box),
        "disks": [list(disk) for disk in flaw.disks],
        "flaw_type": flaw.flaw_type,
        "severity": flaw.severity,
        "rationale": flaw.rationale,
    }


def _flag_count(true: bool, rng: np.random.Generator) -> int:
    return raters.honest_flags(rng) if true else int(rng.integers(4, 8))


def _at(pair: Finished, days: float, minutes: float) -> str:
    """Synthetic time of an act: a stage begins `days` after the first, pairs follow one another every two minutes."""
    moment = BEGIN + timedelta(days=days, minutes=2 * pair.index + minutes)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _regional(
    settings: Settings, pair: Finished, papers: Papers, rng: np.random.Generator
) -> tuple[list[RegionalAnnotation], list[RegionalAnnotation], list[int]]:
    """Stage 1 and the expert review; also how many annotators found each flaw."""
    people = rng.permutation(max(ANNOTATORS, settings.annotators))[: settings.annotators] + FIRST_ANNOTATOR
    work = annotators.marks(pair.flaws, pair.size, settings.annotators, settings.annotator_error, rng)
    found_by = [sum(any(i == flaw for _, i in one) for one in work) for flaw in range(len(pair.flaws))]
    regional = []
    for slot, (user, one) in enumerate(zip(people.tolist(), work, strict=True), start=1):
        marks = _named(pair.pair_id, [mark for mark, _ in one])
        at = _at(pair, 0, 600 * slot + rng.uniform(0, 90))
        results = predictions.regional_results(marks, pair.size.width, pair.size.height)
        results = annotators.unrelated(results, marks, rng) or predictions.no_flaw_results()
        _submit(papers, f"regions-slot-{slot}", pair, pair.index + 1, slot, user, results, at, rng)
        regional.append(RegionalAnnotation(pair.pair_id, str(user), tuple(marks), at, Place("", slot)))
    if rng.random() >= settings.expert:
        return regional, [], found_by
    marks = _named(pair.pair_id, annotators.expert_marks(pair.flaws, pair.size, rng))
    user, at = FIRST_EXPERT + int(rng.integers(EXPERTS)), _at(pair, 30, rng.uniform(0, 90))
    results = predictions.regional_results(marks, pair.size.width, pair.size.height) or predictions.no_flaw_results()
    _submit(papers, "expert", pair, pair.index + 1, 20, user, results, at, rng)
    return regional, [RegionalAnnotation(pair.pair_id, str(user), tuple(marks), at, Place("", 0))], found_by


def _named(pair_id: str, marks: Sequence[Mark]) -> list[Mark]:
    return [replace(mark, mark_id=f"{pair_id}-{mark.mark_id}") for mark in marks]


def _accepted(
    pair_id: str, regional: Sequence[RegionalAnnotation], expert: Sequence[RegionalAnnotation]
) -> list[Region]:
    return list(resolve(pair_id, regional, expert, [], [], ConsensusOptions(), lambda _: None).regions)


def _homes(flaws: Sequence[Flaw], regions: Sequence[Region]) -> dict[int, str]:
    """Region id by index of the flaw that it shows: the best overlap of its kind, at least 0.5."""
    homes = {}
    for i, flaw in enumerate(flaws):
        same = [region for region in regions if region.kind == flaw.kind]
        best = max(same, key=lambda region: region.box.iou(flaw.box), default=None)
        if best is not None and best.box.iou(flaw.box) >= 0.5:
            homes[i] = best.region_id
    return homes


def _textual(
    pair: Finished, regions: Sequence[Region], meant: Mapping[str, Flaw], papers: Papers, rng: np.random.Generator
) -> bool:
    """Stage 2: one task per round, in the project of the reviewer whose turn it is; whether the texts became final."""
    if not regions:
        return True
    users = (rng.permutation(REVIEWERS)[:3] + FIRST_REVIEWER).tolist()
    statements, final = reviewers.reviews(regions, meant, users, rng)
    for number, one in enumerate(statements):
        slot = users.index(one.reviewer) + 1
        at = _at(pair, 60, 1440 * number + rng.uniform(0, 60))
        results = predictions.rationale_results(one.regions, one.verdict, pair.size.width, pair.size.height)
        task_id = pair.index * ROUNDS + number + 1
        _submit(papers, f"rationales-slot-{slot}", pair, task_id, 30 + slot, one.reviewer, results, at, rng)
    return final


def _scoring(
    settings: Settings,
    pair: Finished,
    people: Sequence[raters.Rater],
    wanted: Mapping[str, int],
    papers: Papers,
    rng: np.random.Generator,
) -> dict[str, int]:
    """Stage 3; gives how many raters really flagged each region."""
    panel = raters.panel(settings, people, pair.index)
    present = [slot for slot in range(len(panel)) if rng.random() >= settings.missing]
    flagging = {region: raters.flaggers(count, len(present), rng) for region, count in wanted.items()}
    data = pair.data | {"region_choices": [{"value": region} for region in wanted]}
    for number, slot in enumerate(present):
        rater = panel[slot]
        scores = raters.score(rater, pair.quality, rng)
        flagged = [region for region, members in flagging.items() if number in members]
        at = _at(pair, 90, 720 * slot + rng.uniform(0, 60))
        if settings.exports:
            results = predictions.rating_results({str(name): value for name, value in scores.items()}, flagged)
            _submit(papers, f"ratings-slot-{slot + 1:02d}", replace(pair, data=data), pair.index + 1, 40 + slot,
                    rater.user, results, at, rng)  # fmt: skip
            continue
        user = str(rater.user)
        papers.ratings += [(pair.pair_id, user, dimension, value, at) for dimension, value in scores.items()]
        papers.flags += [(pair.pair_id, region, user) for region in flagged]
    return {region: len(members) for region, members in flagging.items()}


def _submit(
    papers: Papers, file: str, pair: Finished, task_id: int, project: int, user: int, results: Sequence[dict[str, Any]],
    at: str, rng: np.random.Generator,
) -> None:  # fmt: skip
    """One task with one annotation, as the server exports it from the project of one slot."""
    lead = round(float(rng.gamma(4, 12)), 3)
    number = task_id * 100 + project
    done = predictions.annotation(number, task_id, project, user, results, at, lead)
    papers.add(file, predictions.task(task_id, project, pair.data, [done], _at(pair, -1, 0)))

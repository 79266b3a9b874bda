"""Simulated participants: annotators and experts mark flaws, reviewers agree on texts, raters score and flag.

Every annotator makes small errors; every rater has a bias and an inconsistency, and some raters are careless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annotation.records import DIMENSIONS, DISK_RADIUS_PER_HEIGHT, SEVERITIES, Box, Dimension, Disk, Kind, Mark, Region
from annotation.simulate.flaws.flaw import InjectedFlaw
from annotation.simulate.options import RATER_STREAM, CarelessBehaviour, SimulationOptions
from annotation.simulate.scene import find_free_box
from annotation.taxonomy import list_flaw_types

EDGE_SHIFT = 0.08
"""Largest shift of a box edge as a share of its side: two annotators then still overlap by (0.84 / 1.16)^2 > 0.5."""


MISSED_RATE, SPURIOUS_RATE, CONFUSED_RATE = 0.12, 0.15, 0.08


@dataclass(frozen=True, slots=True)
class ImageSize:
    width: int
    height: int


def simulate_marks(
    flaws: Sequence[InjectedFlaw], size: ImageSize, annotators: int, error: float, rng: np.random.Generator
) -> list[list[tuple[Mark, int | None]]]:
    """The marks of each annotator, each with the index of its flaw (None for a spurious box).

    With error <= 1 at least two annotators (or all, when there are fewer) see every flaw.
    """
    seen = _choose_seen_flaws(len(flaws), annotators, error, rng)
    spurious: list[Box] = []
    return [
        [
            (_mark_flaw(flaw, f"{person + 1}-{i + 1}", size, error, rng), i)
            for i, flaw in enumerate(flaws)
            if seen[person, i]
        ]
        + _spurious_marks(flaws, spurious, f"{person + 1}-x", size, error, rng)
        for person in range(annotators)
    ]


def _choose_seen_flaws(flaws: int, annotators: int, error: float, rng: np.random.Generator) -> NDArray[Any]:
    seen = rng.random((annotators, flaws)) >= MISSED_RATE * error
    if error <= 1:
        for i in range(flaws):
            blind = rng.permutation(np.flatnonzero(~seen[:, i]))
            seen[blind[: max(0, min(2, annotators) - int(seen[:, i].sum()))], i] = True
    return seen


def _mark_flaw(flaw: InjectedFlaw, mark_id: str, size: ImageSize, error: float, rng: np.random.Generator) -> Mark:
    box = _jitter_box(flaw.box, EDGE_SHIFT * error, size, rng)
    radius = DISK_RADIUS_PER_HEIGHT * size.height
    disks = [
        _disk_inside(d.x + rng.normal(0, radius / 4 * error), d.y + rng.normal(0, radius / 4 * error), box)
        for d in flaw.disks
    ]
    kept = [disk for disk in disks if rng.random() > 0.15 * error] or disks[:1]
    confused = rng.random() < CONFUSED_RATE * error
    flaw_type = str(rng.choice(list_flaw_types(flaw.kind))) if confused else flaw.flaw_type
    severity = flaw.severity
    if rng.random() < 0.2 * error:
        severity = SEVERITIES[int(np.clip(SEVERITIES.index(severity) + rng.choice((-1, 1)), 0, 2))]
    return Mark(mark_id, flaw.kind, box, tuple(kept), flaw_type, severity)


def _jitter_box(box: Box, share: float, size: ImageSize, rng: np.random.Generator) -> Box:
    """The box with each edge moved by up to `share` of its side, inside the image, to a hundredth of a pixel."""
    w, h = box.x1 - box.x0, box.y1 - box.y0
    x0, y0, x1, y1 = np.array(box) + rng.uniform(-share, share, 4) * (w, h, w, h)
    x0, x1 = np.clip((x0, x1), 0, size.width)
    y0, y1 = np.clip((y0, y1), 0, size.height)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return box
    return Box(*(round(float(edge), 2) for edge in (x0, y0, x1, y1)))


def _disk_inside(x: float, y: float, box: Box) -> Disk:
    """The point, moved into the box if it is outside, to a hundredth of a pixel."""
    x, y = np.clip(x, box.x0 + 0.5, box.x1 - 0.5), np.clip(y, box.y0 + 0.5, box.y1 - 0.5)
    return Disk(round(float(x), 2), round(float(y), 2))


def _spurious_marks(
    flaws: Sequence[InjectedFlaw],
    taken: list[Box],
    mark_id: str,
    size: ImageSize,
    error: float,
    rng: np.random.Generator,
) -> list[tuple[Mark, int | None]]:
    """At random one box without a flaw, away from every flaw and from the spurious boxes of all annotators."""
    if rng.random() >= SPURIOUS_RATE * error:
        return []
    mark = make_unfounded_mark([flaw.box for flaw in flaws] + taken, mark_id, size, rng)
    if mark is None:
        return []
    taken.append(mark.box)
    return [(mark, None)]


def make_unfounded_mark(taken: list[Box], mark_id: str, size: ImageSize, rng: np.random.Generator) -> Mark | None:
    """A box with one disk and without a flaw; None when the image has no free place."""
    local = [box for box in taken if box.area < 0.5 * size.width * size.height]
    side = size.height * rng.uniform(0.14, 0.24)
    box = find_free_box(rng, size.height, size.width, (side, side * rng.uniform(0.8, 1.4)), local)
    if box is None:
        return None
    kind: Kind = "artifact" if rng.random() < 0.6 else "failure"
    disk = _disk_inside(rng.uniform(box.x0, box.x1), rng.uniform(box.y0, box.y1), box)
    return Mark(mark_id, kind, box, (disk,), str(rng.choice(list_flaw_types(kind)[:-1])), "minor")


def simulate_expert_marks(flaws: Sequence[InjectedFlaw], size: ImageSize, rng: np.random.Generator) -> list[Mark]:
    """The expert's marks, almost exact; at random one more that shows no flaw."""
    marks = [
        replace(_mark_flaw(flaw, f"e-{i + 1}", size, 0.25, rng), flaw_type=flaw.flaw_type, severity=flaw.severity)
        for i, flaw in enumerate(flaws)
    ]
    extra = make_unfounded_mark([flaw.box for flaw in flaws], "e-x", size, rng) if rng.random() < 0.25 else None
    return [*marks, extra] if extra else marks


def drop_relations(
    results: list[dict[str, Any]], marks: Sequence[Mark], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """The results of a hasty annotator: some relations have no label, some are missing.

    A relation is removed only where the box is clear without it: no other box of its kind contains the disk.
    """
    boxes = {mark.mark_id: mark for mark in marks}
    kept = []
    for item in results:
        if item.get("type") != "relation":
            kept.append(item)
            continue
        draw = rng.random()
        target = boxes[item["to_id"]]
        alone = all(
            other is target or other.kind != target.kind or not any(other.box.contains(disk) for disk in target.disks)
            for other in marks
        )
        if draw < 0.1 and alone:
            continue
        kept.append({**item, "labels": []} if draw < 0.25 else item)
    return kept


VAGUE_DRAFTS = (
    "There seems to be a problem in this region, but its exact nature needs a closer look by a reviewer.",
    "This part of the picture does not look right compared with the source image and with the instruction given.",
    "The marked region shows something unexpected that lowers the quality of the edited picture in this place.",
)


OPEN_SHARE, LATE_SHARE, VAGUE_DRAFT_SHARE = 0.03, 0.12, 0.3
"""Fractions of pairs whose reviewers never agree, agree only after a late revision, and get a vague draft."""


@dataclass(frozen=True, slots=True)
class ReviewSubmission:
    """One reviewer's submission: the regions with their current texts, and the verdict."""

    reviewer: int
    regions: tuple[Region, ...]
    verdict: Literal["agree", "revise"]


def simulate_reviews(
    regions: Sequence[Region],
    true_flaws: Mapping[str, InjectedFlaw],
    reviewers: Sequence[int],
    rng: np.random.Generator,
) -> tuple[list[ReviewSubmission], bool]:
    """The submissions in the order of time, and whether every text became final.

    true_flaws: the flaw by region id; a region without one gets a vague text
    """
    true_texts = tuple(_write_true_text(region, true_flaws.get(region.region_id)) for region in regions)
    draft, careful = true_texts, 0
    if rng.random() < VAGUE_DRAFT_SHARE:
        draft = tuple(
            replace(region, rationale=VAGUE_DRAFTS[int(rng.integers(len(VAGUE_DRAFTS)))]) for region in true_texts
        )
        careful = int(rng.integers(2))  # the reviewer who rejects the vague draft
    final = bool(rng.random() >= OPEN_SHARE)
    # A late revision: the last reviewer finds the texts too short, and the other two must look again.
    late = not final or rng.random() < LATE_SHARE
    settled = tuple(_lengthen_text(region) for region in true_texts) if late else true_texts
    submissions: list[ReviewSubmission] = []
    current, agreed, turn = draft, 0, 0
    while agreed < len(reviewers):
        wanted = settled if turn >= len(reviewers) - 1 else true_texts if turn >= careful else draft
        agreed = agreed + 1 if wanted == current else 1
        submissions.append(
            ReviewSubmission(reviewers[turn % len(reviewers)], wanted, "agree" if wanted == current else "revise")
        )
        current, turn = wanted, turn + 1
        if not final and turn == len(reviewers):
            break
    return submissions, final


def _write_true_text(region: Region, flaw: InjectedFlaw | None) -> Region:
    if flaw is None:
        return replace(
            region, rationale="The marked place looks slightly different from the source and may disturb a viewer."
        )
    return replace(region, rationale=flaw.rationale, flaw_type=flaw.flaw_type, severity=flaw.severity)


def _lengthen_text(region: Region) -> Region:
    return replace(region, rationale=f"{region.rationale} A careful viewer notices it at first glance.")


FIRST_RATER_ID = 1001


@dataclass(frozen=True, slots=True)
class SimulatedRater:
    """Truth about one rater: `bias` is added to every score, `inconsistency` is the standard deviation of the noise."""

    user: int
    behaviour: CarelessBehaviour | None
    bias: float
    inconsistency: float

    @property
    def careless(self) -> bool:
        return self.behaviour is not None


def make_rater_pool(settings: SimulationOptions) -> tuple[SimulatedRater, ...]:
    """All raters; the careless ones are drawn at random."""
    rng = settings.rng(RATER_STREAM)
    careless = set(rng.permutation(settings.pool)[: settings.careless].tolist())
    return tuple(
        SimulatedRater(
            FIRST_RATER_ID + i,
            settings.careless_behaviour if i in careless else None,
            round(float(rng.normal(0, 0.25)), 4),
            round(float(rng.uniform(0.2, 0.5)), 4),
        )
        for i in range(settings.pool)
    )


def choose_panel(settings: SimulationOptions, raters: Sequence[SimulatedRater], pair: int) -> list[SimulatedRater]:
    """The raters of one pair: a window that moves through a shuffled pool, so that any two raters share pairs."""
    order = settings.rng(RATER_STREAM, pair * settings.raters // settings.pool).permutation(len(raters))
    start = pair * settings.raters % len(raters)
    return [raters[int(order[(start + i) % len(raters)])] for i in range(settings.raters)]


def score_pair(
    rater: SimulatedRater, quality: Mapping[Dimension, float], rng: np.random.Generator
) -> dict[Dimension, float]:
    """Scores of one rater for one pair on the scale of 1 to 5 in steps of 0.01."""
    noise = rng.normal(0, rater.inconsistency, len(DIMENSIONS))
    random = rng.uniform(1, 5, len(DIMENSIONS))
    scores: dict[Dimension, float] = {}
    for i, dimension in enumerate(DIMENSIONS):
        match rater.behaviour:
            case "random":
                value = random[i]
            case "straight":
                value = 3.0 + 0.1 * noise[i]
            case "inverted":
                value = 6 - quality[dimension] + noise[i]
            case _:
                value = quality[dimension] + rater.bias + noise[i]
        scores[dimension] = round(float(np.clip(value, 1, 5)), 2)
    return scores


def choose_flaggers(count: int, panel_size: int, rng: np.random.Generator) -> set[int]:
    """Choose the members of a panel who flag one region."""
    return set(rng.permutation(panel_size)[:count].tolist())


def draw_wrong_flag_count(rng: np.random.Generator) -> int:
    """Draw the number of raters who wrongly flag a true region: mostly 0, never enough to discard it."""
    return int(rng.choice(4, p=(0.92, 0.05, 0.02, 0.01)))

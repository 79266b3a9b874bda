"""The human ceiling is what the noise of the simulated people implies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from annotation.records import DIMENSIONS
from editfhf.saliency import DEFAULT_SIGMA
from training.tables import evaluation_table
from training.tables.ceiling import leave_raters_out, measure_annotators, measure_type_agreement
from training.tables.evaluation_table import make_rater_row
from training.tables.perception_table import make_annotator_row
from training.tables.reasoning_table import make_type_row

SIZE = 200
PAIRS = 40
SOURCES = {f"p{number}": f"s{number // 2}" for number in range(PAIRS)}


def draw_marks(jitter: float, missed: float = 0.0, confused: float = 0.0, annotators: int = 3) -> list[dict[str, Any]]:
    """Two objects in every pair; each annotator misses each with a probability, and puts a disk beside its centre."""
    random = np.random.default_rng(0)
    marks = []
    for pair_id in SOURCES:
        for number, (x, y) in enumerate(((60, 60), (140, 140))):
            for person in range(annotators):
                if random.random() < missed:
                    continue
                dx, dy = random.normal(0, jitter, 2) if jitter else (0.0, 0.0)
                marks.append(
                    {
                        "pair_id": pair_id,
                        "annotator_id": f"A{person}",
                        "mark_id": f"{pair_id}-{number}-{person}",
                        "kind": "artifact",
                        "box": [x - 30, y - 30, x + 30, y + 30],
                        "disks": [[x + dx, y + dy]],
                        "flaw_type": "blur" if random.random() >= confused else "other",
                        "severity": "minor",
                        "status": "accepted",
                        "region_id": "r",
                        "width": SIZE,
                        "height": SIZE,
                        "file": "annotations/regions.json",
                    }
                )
    return marks


def test_people_who_agree_are_a_perfect_ceiling() -> None:
    row = make_annotator_row(measure_annotators(draw_marks(0), SOURCES, preset="exact"))
    assert row.cells["artifact.cc"].value == pytest.approx(1)
    assert row.cells["artifact.f1@0.75"].value == 1
    assert row.cells["artifact.cc"].count == 3 * PAIRS
    assert "failure.cc" not in row.cells


@pytest.mark.parametrize("jitter", [2.0, 4.0, 8.0])
def test_correlation_of_maps_is_what_the_distance_of_disks_implies(jitter: float) -> None:
    """Products of Gaussians have a closed form: <g_a, g_b> = exp(-|a - b|^2 / (4 sigma^2)), less the means."""
    sigma = DEFAULT_SIGMA.pixels(SIZE)
    marks = draw_marks(jitter)
    points: dict[str, dict[str, list[Any]]] = {}
    for mark in marks:
        points.setdefault(mark["pair_id"], {}).setdefault(mark["annotator_id"], []).append(mark["disks"][0])
    values = []
    for people in points.values():
        for name in people:
            own = np.array(people[name])
            others = np.array([disk for other, disks in people.items() if other != name for disk in disks])

            def inner(first: np.ndarray, second: np.ndarray) -> float:
                squares = np.square(first[:, None] - second[None]).sum(axis=2)
                means = len(first) * len(second) * (2 * math.pi * sigma**2) ** 2 / SIZE**2
                return float((np.exp(-squares / (4 * sigma**2)) * math.pi * sigma**2).sum() - means)

            values.append(inner(own, others) / math.sqrt(inner(own, own) * inner(others, others)))
    cell = make_annotator_row(measure_annotators(marks, SOURCES, preset="exact")).cells["artifact.cc"]
    assert cell.value == pytest.approx(np.mean(values), abs=0.01)
    assert cell.ci_low < cell.value < cell.ci_high


def test_box_f1_is_what_the_rate_of_misses_implies() -> None:
    """With support by both others: hits m^2 k, own boxes k, others' m... each of probability 1 - missed."""
    seen = 0.7
    people = measure_annotators(draw_marks(0, missed=1 - seen), SOURCES)
    row = make_annotator_row(people)
    # An annotator is known by a mark in the pair; of three with two objects each. Enumerate all cases.
    hits = own = truth = 0.0
    for case in range(64):
        drawn = np.array([case >> bit & 1 for bit in range(6)]).reshape(3, 2)
        chance = seen ** drawn.sum() * (1 - seen) ** (6 - drawn.sum())
        present = [person for person in range(3) if drawn[person].any()]
        if len(present) < 2:
            continue
        for person in present:
            others = [each for each in present if each != person]
            agreed = drawn[others].sum(axis=0) >= min(2, len(others))
            hits += chance * (agreed & (drawn[person] > 0)).sum()
            own += chance * drawn[person].sum()
            truth += chance * agreed.sum()
    assert row.cells["artifact.precision@0.5"].value == pytest.approx(hits / own, abs=0.08)
    assert row.cells["artifact.recall@0.5"].value == pytest.approx(hits / truth, abs=0.08)
    assert row.cells["artifact.f1@0.5"].value == pytest.approx(2 * hits / (own + truth), abs=0.08)


def test_types_agree_as_often_as_people_are_not_confused() -> None:
    row = make_type_row(measure_type_agreement(draw_marks(0, confused=0.2), SOURCES))
    assert row.cells["artifact.accuracy"].value == pytest.approx(0.8**2 + 0.2**2, abs=0.08)
    assert row.cells["artifact.accuracy"].count == PAIRS * 2 * 3


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_one_rater_correlates_as_the_noise_implies(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """r = s^2 / sqrt((s^2 + e^2) (s^2 + e^2 / (n - 1))) for n raters, quality of deviation s, and noise e."""
    monkeypatch.setattr(evaluation_table, "PEOPLE_REPLICATES", 3)  # the interval is not looked at
    random = np.random.default_rng(1)
    sources = {f"p{number}": f"s{number}" for number in range(150)}
    raters, ratings = 6, []
    biases = random.normal(0, 2, raters)
    for pair_id in sources:
        for dimension in DIMENSIONS:
            quality = random.normal()
            for rater in range(raters):
                score = 3 + 0.5 * (quality + random.normal(0, noise)) + biases[rater]
                ratings.append(
                    {"pair_id": pair_id, "annotator_id": f"A{rater}", "dimension": dimension, "score": score,
                     "status": "kept"}
                )  # fmt: skip
    ratings += [dict(row, annotator_id="A99", score=1.0, status="rater_excluded") for row in ratings[::raters]]
    row = make_rater_row(leave_raters_out(ratings, sources))
    expected = 1 / math.sqrt((1 + noise**2) * (1 + noise**2 / (raters - 1)))
    found = np.mean([row.cells[f"{dimension}.plcc"].value for dimension in DIMENSIONS])
    assert found == pytest.approx(expected, abs=0.06)  # two standard errors of 450 pairs
    assert row.cells["overall.plcc"].count == 150 * raters

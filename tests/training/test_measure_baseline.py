"""The public API from end to end: rows of a dataset, a perception agent by name, metrics, and their means."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

import training
from annotation.records import DIMENSIONS
from tests.editfhf import sample_dataset
from training.metrics import compare_texts, mark_positives, mean_squared_error


def rows() -> list[dict[str, Any]]:
    return [row for split in sample_dataset.tables()["default"].values() for row in split]


def test_a_baseline_is_measured_over_sources() -> None:
    agent = training.load_agent("perception", "centre")
    results, sources, clean = [], [], []
    for sample in training.read_samples(rows(), size=training.SampleSize(48, 64)):
        found = agent.perceive(sample.source, sample.edited, sample.instruction)
        density = sample.maps["artifact"]
        disks = [disk for region in sample.regions if region.kind == "artifact" for disk in region.disks]
        result = training.saliency_metrics(found.artifact, density, mark_positives(disks, *sample.size))
        assert bool(disks) == bool(density.max() > 0)
        assert all(map(math.isnan, result.values())) == (not disks)
        json.dumps(result.as_record(), allow_nan=False)
        results.append(result)
        sources.append(sample.source_id)
        if not disks:
            clean.append(training.clean_image_metrics(found.artifact))
            assert clean[-1]["mse"] == mean_squared_error(found.artifact, density)["mse"]
    summary = training.summarise_metrics(results, sources)
    assert set(summary) == {"auc_judd", "nss", "cc", "sim", "kld"}
    assert summary["cc"].count == len(rows()) - len(clean)
    assert summary["cc"].ci_low <= summary["cc"].mean <= summary["cc"].ci_high
    assert sum(summary["cc"].reasons.values()) == len(clean) > 0


def test_perfect_answers_are_perfect() -> None:
    samples = list(training.read_samples(rows()))
    boxes = [sample.boxes_of_kind("failure") for sample in samples]
    assert training.box_metrics(boxes, boxes)["f1@0.75"] == 1
    types = [region.flaw_type or "" for sample in samples for region in sample.regions]
    assert training.flaw_type_metrics(types, types)["accuracy"] == 1
    texts = [region.rationale or "" for sample in samples for region in sample.regions]
    assert training.text_metrics(texts, texts)["rougeL"] == 1
    assert len(compare_texts(texts, texts)) == len(texts)
    scores = [float(sample.scores[DIMENSIONS[1]] or 0) for sample in samples]
    found = training.correlation_metrics(scores, scores)
    assert (found["srcc"], found["krcc"], found["plcc"]) == pytest.approx((1, 1, 1))

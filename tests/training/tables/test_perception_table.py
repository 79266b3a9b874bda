"""Table 2: every number is the mean of what was measured on each pair; failures are coverage; a second run adds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import training
from mos.errors import UserError
from tests.editfhf import sample_dataset
from training.agents import registry
from training.agents.results import AgentIdentity, PerceivedMaps
from training.metrics import mark_positives
from training.tables.table_files import format_markdown


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs of noise; all of the three of source s1 and the one of s2 are in the split train."""
    return sample_dataset.write(tmp_path_factory.mktemp("tables") / "dataset")


class Oracle:
    """Knows the true maps of one dataset by the edited image."""

    def __init__(self, dataset: Path, fails_on: frozenset[str] = frozenset()) -> None:
        self.identity = AgentIdentity("test", "oracle", "1")
        self.asked: list[str] = []
        self._fails_on = fails_on
        self._samples = {
            sample.edited.tobytes(): sample
            for sample in training.read_samples(
                [row for rows in sample_dataset.tables()["default"].values() for row in rows]
            )
        }

    def perceive(self, source: Any, current: Any, instruction: str) -> PerceivedMaps:
        sample = self._samples[current.tobytes()]
        self.asked.append(sample.pair_id)
        if sample.pair_id in self._fails_on:
            raise RuntimeError("out of memory")
        return PerceivedMaps(sample.maps["artifact"], sample.maps["failure"], self.identity)


@pytest.fixture
def oracle(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Oracle:
    made = Oracle(dataset)
    monkeypatch.setitem(registry.BUILT_IN_AGENTS, "perception.oracle", "tests:oracle")
    load_object = registry._load_object
    monkeypatch.setattr(
        registry, "_load_object", lambda place: (lambda: made) if place == "tests:oracle" else load_object(place)
    )
    return made


def test_true_maps_are_perfect_on_regions_and_on_clean_images(dataset: Path, oracle: Oracle) -> None:
    row = training.measure_perception(dataset, ["oracle"], split="train", preset="exact").find_row("oracle")
    for kind in ("artifact", "failure"):
        assert row.cells[f"{kind}.cc"].value == pytest.approx(1)
        assert row.cells[f"{kind}.kld"].value == pytest.approx(0, abs=1e-9)
        assert row.cells[f"{kind}.mse"].value == 0
        assert row.cells[f"{kind}.auc_judd"].value > 0.99
    # p0 and p3 have no artifact, every pair has a failure.
    assert row.cells["artifact.cc"].count == 2
    assert (row.cells["artifact.alarm"].value, row.cells["artifact.alarm"].count) == (0, 2)
    assert row.cells["failure.cc"].count == 4
    assert "failure.alarm" not in row.cells
    assert row.coverage == 1


def test_a_mean_is_that_of_the_metric_on_each_pair(dataset: Path) -> None:
    row = training.measure_perception(dataset, ["centre"], split="train").find_row("centre")
    agent = training.load_agent("perception", "centre")
    values = []
    for sample in training.read_samples(sample_dataset.tables()["default"]["train"]):
        disks = [disk for region in sample.regions if region.kind == "failure" for disk in region.disks]
        found = agent.perceive(sample.source, sample.edited, sample.instruction).failure
        positives = mark_positives(disks, *sample.size)
        values.append(training.saliency_metrics(found, sample.maps["failure"], positives)["nss"])
    cell = row.cells["failure.nss"]
    assert cell.value == pytest.approx(np.mean(values), rel=1e-12)
    assert cell.ci_low <= cell.value <= cell.ci_high


def test_a_failure_is_coverage_and_is_attempted_again(dataset: Path, oracle: Oracle, tmp_path: Path) -> None:
    oracle._fails_on = frozenset({"p1"})
    first = training.measure_perception(dataset, ["oracle"], split="train", out=tmp_path).find_row("oracle")
    assert first.coverage == 0.75
    assert "out of memory" in first.note
    assert (first.cells["failure.cc"].count, first.cells["failure.cc"].missing) == (3, 1)
    assert first.cells["failure.cc"].value == pytest.approx(1)
    oracle._fails_on, oracle.asked = frozenset(), []
    second = training.measure_perception(dataset, ["oracle"], split="train", out=tmp_path).find_row("oracle")
    assert oracle.asked == ["p1"]
    assert (second.coverage, second.note, second.cells["failure.cc"].count) == (1, "", 4)


def test_a_second_run_measures_only_the_new_agent(dataset: Path, oracle: Oracle, tmp_path: Path) -> None:
    alone = training.measure_perception(dataset, ["oracle"], split="train", out=tmp_path)
    oracle.asked = []
    both = training.measure_perception(dataset, ["oracle", "centre"], split="train", out=tmp_path)
    assert oracle.asked == []
    assert both.find_row("oracle") == alone.find_row("oracle")
    assert both.find_row("centre").cells["failure.cc"].count == 4
    # A line that a kill cut is measured again, and nothing else.
    path = next((tmp_path / "records").glob("*oracle.jsonl"))
    path.write_bytes(path.read_bytes()[:-20])
    training.measure_perception(dataset, ["oracle"], split="train", out=tmp_path)
    assert oracle.asked == ["p3"]


def test_records_of_something_else_are_never_used(dataset: Path, oracle: Oracle, tmp_path: Path) -> None:
    training.measure_perception(dataset, ["oracle"], split="train", out=tmp_path)
    oracle.identity = AgentIdentity("test", "oracle", "2")
    with pytest.raises(UserError, match=r"oracle.*measured with another agent: 'test/oracle 1' instead of"):
        training.measure_perception(dataset, ["oracle"], split="train", out=tmp_path)


def test_mistakes_are_one_sentence(dataset: Path) -> None:
    with pytest.raises(UserError, match="'centre' is given twice"):
        training.measure_perception(dataset, ["centre", "centre"])
    with pytest.raises(UserError, match="Did you mean 'centre'"):
        training.measure_perception(dataset, ["center"])
    with pytest.raises(UserError, match="Unknown preset"):
        training.measure_perception(dataset, ["centre"], preset="matlab")


def test_every_number_has_its_provenance(dataset: Path) -> None:
    table = training.measure_perception(dataset, ["centre"], split="train")
    text = format_markdown(table)
    for part in ("preset: mit", table.provenance["manifest_sha256"], "split: train", "sigma: 0.025 H", "centre"):
        assert part in text
    row, people = table.find_row("centre"), next(row for row in table.rows if row.origin == "ceiling")
    cell, ceiling = row.cells["artifact.cc"], people.cells["artifact.cc"]
    assert cell.share == pytest.approx(cell.value / ceiling.value)
    assert all(math.isnan(cell.share) for row in table.rows if row.origin == "paper" for cell in row.cells.values())


def test_the_page_shows_the_maps_of_best_median_and_worst(dataset: Path, oracle: Oracle) -> None:
    table = training.measure_perception(dataset, ["oracle", "centre"], split="train", pictures=True)
    titles = [case.title for case in table.cases]
    assert len(titles) == 6
    assert titles[0].startswith("Best artifact map of oracle: CC 1.000")
    for case in table.cases:
        assert [caption.split(",")[0] for caption, _ in case.pictures] == [
            "source",
            "edited",
            "people",
            "oracle",
            "centre",
        ]
        assert all(uri.startswith("data:image/jpeg;base64,") for _, uri in case.pictures)

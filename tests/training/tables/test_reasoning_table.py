"""Table 3: flaw types and rationales of the true boxes; no answer is wrong, and lowers the coverage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import training
from annotation.records import Box, Kind
from tests.editfhf import sample_dataset
from training.agents import registry
from training.agents.results import AgentIdentity, Finding


class HalfOracle:
    """Gives the true type and rationale of artifacts, and refuses failures."""

    identity = AgentIdentity("test", "half", "1")

    def diagnose_boxes(
        self, source: Any, current: Any, instruction: str, boxes: Sequence[tuple[Kind, Box]]
    ) -> list[Finding]:
        return [
            Finding(kind, box, "ok", self.identity, "other", "minor", "The edge is doubled.")
            if kind == "artifact"
            else Finding(kind, box, "refused", self.identity, detail="No.")
            for kind, box in boxes
        ]


def test_answers_are_compared_with_the_true_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = sample_dataset.write(tmp_path / "dataset")
    monkeypatch.setitem(registry.BUILT_IN_AGENTS, "reasoning.half", f"{__name__}:HalfOracle")
    monkeypatch.setattr(registry, "_load_object", lambda place: HalfOracle)
    table = training.measure_reasoning(dataset, ["half"], split="train")
    row = table.find_row("half")
    # In the split train: artifacts 0 + 1 + 2 + 0, one failure in each of four pairs.
    assert (row.cells["artifact.accuracy"].value, row.cells["artifact.accuracy"].count) == (1, 3)
    assert row.cells["artifact.rougeL"].value == pytest.approx(1)
    assert (row.cells["failure.accuracy"].value, row.cells["failure.accuracy"].count) == (0, 4)
    assert (row.cells["failure.rougeL"].count, row.cells["failure.rougeL"].missing) == (0, 4)
    assert row.coverage == pytest.approx(3 / 7)
    people = next(each for each in table.rows if each.origin == "ceiling")
    assert people.cells["artifact.accuracy"].value == 1  # both annotators say "other"
    assert row.cells["artifact.accuracy"].share == 1

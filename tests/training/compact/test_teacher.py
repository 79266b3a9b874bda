"""A small network learns of a big agent: its maps and scores become the truth, and what it cannot say is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from annotation.records import DIMENSIONS, KINDS
from mos.console import NullProgress
from mos.errors import UserError
from mos.rejections import Rejection
from tests.training.compact.tiny_pairs import make_dataset, make_rows
from training.agents.registry import load_agent
from training.agents.results import AgentFailure
from training.commands.train import train_app
from training.runs.teacher_labels import label_by_teacher
from training.samples.pair_sample import decode_row


class RefusingTeacher:
    """Has no answer about the pairs of some calls."""

    def __init__(self, refused: set[int]) -> None:
        self._agent = load_agent("perception", "difference")
        self.identity = self._agent.identity
        self._refused = refused
        self.calls = 0

    def perceive(self, *pair: Any) -> Any:
        self.calls += 1
        if self.calls - 1 in self._refused:
            raise AgentFailure("It declined.", "refused")
        return self._agent.perceive(*pair)


def test_labels_are_what_the_agents_say(tmp_path: Path) -> None:
    rows = make_dataset(make_rows(4))
    teacher, scorer = RefusingTeacher({1}), load_agent("evaluation", "ssim")
    rejections: list[Rejection] = []
    labelled = label_by_teacher(rows, teacher, scorer, tmp_path, NullProgress(), rejections.append)
    assert labelled["pair_id"] == ["p0", "p2", "p3"]
    assert [(each.pair_id, each.reason) for each in rejections] == [("p1", "no_label")]
    for row in labelled:
        sample = decode_row(row)
        pair = sample.source, sample.edited, sample.instruction
        assert sample.regions == ()
        for kind in KINDS:
            wanted = teacher._agent.perceive(*pair).by_kind(kind)
            np.testing.assert_allclose(sample.maps[kind], wanted, atol=0.5 / 255 + 1e-6)
        scores = {score.dimension: score.value for score in scorer.evaluate(*pair)}
        for name in DIMENSIONS:
            assert sample.scores[name] == pytest.approx(scores[name], abs=1e-4)
    again = label_by_teacher(rows, teacher, scorer, tmp_path, NullProgress(), rejections.append)
    assert teacher.calls == 4 and again._fingerprint == labelled._fingerprint  # asked once


def test_a_teacher_without_any_answer_is_one_sentence(tmp_path: Path) -> None:
    rows = make_dataset(make_rows(2))
    with pytest.raises(UserError, match="no answer about any of 2 pairs"):
        teacher = RefusingTeacher({0, 1})
        label_by_teacher(rows, teacher, load_agent("evaluation", "ssim"), tmp_path, NullProgress(), lambda _: None)


def test_an_unknown_teacher_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = make_dataset(make_rows(2))
    monkeypatch.setattr("training.commands.train.load_split", lambda dataset, split: rows)
    found = CliRunner().invoke(train_app, ["compact", "d", "--out", str(tmp_path / "o"), "--teacher", "compct", "-q"])
    assert "Did you mean 'compact'" in str(found.exception)

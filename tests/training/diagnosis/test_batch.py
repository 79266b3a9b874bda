"""Batches of diagnoses: order, resuming, rejections, and the same bytes whatever happened in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image
from skimage import data

from mos.console import NullProgress
from mos.errors import UserError
from training.agents.results import PerceivedMaps
from training.baselines.difference import DifferencePerception
from training.diagnosis.batch import BatchSummary, diagnose_batch
from training.diagnosis.diagnose_pair import load_diagnosis_agents
from training.diagnosis.pair_list import ListedPair, count_pairs_of_file, list_pairs_of_file

PIXELS = np.ascontiguousarray(data.astronaut()[:64, :80])
COUNT = 4


class CountingAgent(DifferencePerception):
    """The difference baseline, which counts its calls and can fail at one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self._lock = threading.Lock()
        self.fail_at: int | None = None
        self.error: Exception = ZeroDivisionError("planted")

    def perceive(self, *given: Any) -> PerceivedMaps:
        with self._lock:
            self.calls += 1
            number = self.calls
        if number == self.fail_at:
            raise self.error
        return super().perceive(*given)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder with pairs.jsonl of four pairs; the square moves from pair to pair."""
    folder = tmp_path / "pairs"
    (folder / "images").mkdir(parents=True)
    Image.fromarray(PIXELS).save(folder / "images" / "source.png")
    lines = []
    for number in range(COUNT):
        edited = PIXELS.copy()
        edited[10:40, 5 + 10 * number : 30 + 10 * number] = (250, 30, 20)
        Image.fromarray(edited).save(folder / "images" / f"{number}.png")
        line = {"source": "images/source.png", "edited": f"images/{number}.png", "instruction": "Add a box."}
        lines.append(orjson.dumps({"pair_id": f"p{number}", **line}) + b"\n")
    (folder / "pairs.jsonl").write_bytes(b"".join(lines))
    return folder / "pairs.jsonl"


def run(path: Path, out: Path, agent: CountingAgent | None = None, workers: int = 1) -> BatchSummary:
    agents = load_diagnosis_agents(agent or CountingAgent(), "none", "none")
    summary = BatchSummary(agents.identities)
    listed = list_pairs_of_file(path, summary.rejections.append)
    diagnose_batch(listed, agents, out, summary=summary, workers=workers, progress=NullProgress())
    return summary


def read_tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_pair_gets_a_folder_and_a_row(pairs: Path, tmp_path: Path) -> None:
    summary = run(pairs, tmp_path / "out")
    content = orjson.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert [row["pair_id"] for row in content["pairs"]] == [f"p{number}" for number in range(COUNT)]
    assert content == orjson.loads(orjson.dumps(summary.as_dict()))
    for row in content["pairs"]:
        saved = orjson.loads((tmp_path / "out" / row["pair_id"] / "diagnosis.json").read_bytes())
        assert row["artifact_regions"] == sum(each["kind"] == "artifact" for each in saved["findings"]) == 1
    assert not (tmp_path / "out" / "rejected.jsonl").exists()


def test_workers_and_interruptions_do_not_change_a_byte(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "whole")
    run(pairs, tmp_path / "threads", workers=3)
    agent = CountingAgent()
    agent.fail_at, agent.error = 3, UserError("no server")
    with pytest.raises(UserError, match="no server"):
        run(pairs, tmp_path / "stopped", agent)
    assert not (tmp_path / "stopped" / "summary.json").exists()
    again = CountingAgent()
    summary = run(pairs, tmp_path / "stopped", again)
    assert (summary.kept, again.calls) == (2, COUNT - 2)
    whole = read_tree(tmp_path / "whole")
    assert read_tree(tmp_path / "threads") == whole
    assert read_tree(tmp_path / "stopped") == whole


def test_a_pair_is_done_again_when_what_decides_it_changed(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "out")
    (tmp_path / "out" / "p1" / "overlay.png").unlink()
    (tmp_path / "out" / "p2" / "diagnosis.json").write_bytes(b'{"inputs": ')
    Image.fromarray(PIXELS).save(pairs.parent / "images" / "3.png")
    agent = CountingAgent()
    assert run(pairs, tmp_path / "out", agent).kept == COUNT - 3
    assert agent.calls == 3
    content = orjson.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert content["pairs"][3]["clean"] is True


def test_what_cannot_be_used_is_listed_with_its_reason(pairs: Path, tmp_path: Path) -> None:
    good = orjson.loads(pairs.read_bytes().splitlines()[0])
    odd = [
        b"no json",
        orjson.dumps(good | {"pair_id": "p0"}),
        orjson.dumps(good | {"pair_id": "../out"}),
        orjson.dumps(good | {"pair_id": "summary.json"}),
        orjson.dumps(good | {"pair_id": "lost", "edited": "images/lost.png"}),
        orjson.dumps(good | {"pair_id": "outside", "edited": "../../../etc/passwd"}),
        orjson.dumps(good | {"pair_id": "text", "edited": "pairs.jsonl"}),
        orjson.dumps(good | {"pair_id": "long", "instruction": "a" * 20_000}),
        orjson.dumps({key: value for key, value in good.items() if key != "instruction"} | {"pair_id": "silent"}),
    ]
    with pairs.open("ab") as stream:
        stream.write(b"\n".join(odd) + b"\n")
    agent = CountingAgent()
    agent.fail_at = 2
    summary = run(pairs, tmp_path / "out", agent)
    lines = [orjson.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_bytes().splitlines()]
    assert {(line["pair_id"], line["reason"], line["row"]) for line in lines} == {
        ("p1", "agent_failure", 2),
        (None, "broken_json", 5),
        ("p0", "duplicate_pair", 6),
        ("../out", "bad_id", 7),
        ("summary.json", "bad_id", 8),
        ("lost", "missing_file", 9),
        ("outside", "path_leaves_corpus", 10),
        ("text", "unknown_format", 11),
        ("long", "bad_instruction", 12),
        (None, "bad_field", 13),
    }
    assert len(summary.rows) == COUNT - 1
    assert count_pairs_of_file(pairs) == COUNT + len(odd) - 1


def test_pairs_are_listed_shortly_before_they_are_done(tmp_path: Path) -> None:
    """Memory is bounded: two pairs for each thread. Without an instruction nothing is written here."""

    class Counter(NullProgress):
        done = 0

        def advance(self, count: int = 1) -> None:
            self.done += count

    progress, ahead = Counter(), []

    def list_many() -> Iterator[ListedPair]:
        for number in range(30):
            ahead.append(number - progress.done)
            yield ListedPair(f"p{number}", "", "", number, lambda: (PIXELS[:8, :8], PIXELS[:8, :8]))

    agents = load_diagnosis_agents(CountingAgent(), "none", "none")
    diagnose_batch(list_many(), agents, tmp_path, summary=BatchSummary(agents.identities), workers=2, progress=progress)
    assert progress.done == 30
    assert 1 < max(ahead) <= 4

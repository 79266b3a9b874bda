"""A batch: every pair once, a kill costs nothing that was paid, and the result is the corpus of a new campaign."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image
from typer.testing import CliRunner

from annotation.commands import annotate_app
from annotation.corpus import Corpus
from annotation.records import Rejection
from editfhf.editors.protocol import EditRequest, EditResult
from mos.console import NullProgress
from mos.errors import UserError
from refiner.agent_calls import AgentTeam
from refiner.batch.read_pairs import name_pair_folder, read_batch_pairs, read_folder_pairs
from refiner.batch.run_batch import BatchSummary, run_batch
from refiner.options import RefineOptions
from tests.refiner.doubles import FunctionEditor, OraclePerception, Scene, make_scene, restore_source

PAIRS = 4
TIMES = "calls.jsonl"


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(flaws=number % 3, seed=number) for number in range(PAIRS)]


@pytest.fixture(scope="module")
def table(scenes: list[Scene], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    lines = []
    for number, scene in enumerate(scenes):
        for name, image in (("source", scene.source), ("edited", scene.flawed)):
            Image.fromarray(image).save(folder / f"{name}{number}.png")
        lines.append(
            {
                "pair_id": f"pair {number}/../{number}" if number == 3 else f"pair-{number}",
                "source_id": f"source-{number}",
                "source": f"source{number}.png",
                "edited": f"edited{number}.png",
                "instruction": "invert the middle <script>alert(1)</script>",
                "task": "object_replace",
                "editor": "test-editor",
            }
        )
    path = folder / "pairs.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


class ClosestClean(OraclePerception):
    """Knows the clean image of every scene."""

    def __init__(self, scenes: list[Scene]) -> None:
        super().__init__(scenes[0].clean)
        self.scenes = scenes

    def perceive(self, source: Any, current: Any, instruction: str) -> Any:
        clean = min(self.scenes, key=lambda scene: float(np.abs(scene.source - source.astype(int)).sum())).clean
        return OraclePerception(clean).perceive(source, current, instruction)


class PaidEditor(FunctionEditor):
    """Costs money; records what was paid, and kills the run in one of its calls."""

    def __init__(self, paid: list[bytes], kill_at: int = 0) -> None:
        super().__init__(restore_source, cost=0.04)
        self.paid, self.kill_at = paid, kill_at

    def edit(self, request: EditRequest) -> EditResult:
        if len(self.paid) + 1 == self.kill_at:
            raise UserError("killed")
        self.paid.append(request.current.tobytes() + request.mask.tobytes())
        return super().edit(request)


@dataclasses.dataclass(frozen=True, eq=False)
class TestTeam:
    """A team that is made once."""

    __test__ = False
    scenes: list[Scene]
    editor: FunctionEditor
    loads: list[int] = dataclasses.field(default_factory=list)

    def load_team(self) -> AgentTeam:
        self.loads.append(1)
        return AgentTeam(ClosestClean(self.scenes), {"restore": self.editor})

    def __repr__(self) -> str:
        return "TestTeam"


def run(
    pairs: Iterator[Any], team: TestTeam, out: Path, rejected: list[Rejection] | None = None, **how: Any
) -> BatchSummary:
    given = [] if rejected is None else rejected
    return run_batch(pairs, given, team, RefineOptions(), out, NullProgress(), **how)


def refine_table(table: Path, team: TestTeam, out: Path, **how: Any) -> BatchSummary:
    rejected: list[Rejection] = []
    return run(read_batch_pairs(table, rejected.append), team, out, rejected, **how)


def read_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != TIMES
    }


@pytest.fixture(scope="module")
def whole(
    scenes: list[Scene], table: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[bytes], TestTeam]:
    out, paid = tmp_path_factory.mktemp("whole") / "out", []
    team = TestTeam(scenes, PaidEditor(paid))
    refine_table(table, team, out)
    return out, paid, team


def test_every_pair_has_its_folder_and_row(whole: tuple[Path, list[bytes], TestTeam], scenes: list[Scene]) -> None:
    out, _, team = whole
    summary = orjson.loads((out / "summary.json").read_bytes())
    assert [row["pair_id"] for row in summary["rows"]] == ["pair-0", "pair-1", "pair-2", "pair 3/../3"]
    assert [row["kept"] for row in summary["rows"]] == [0, 1, 2, 0]
    assert summary["changed"] == 2 and summary["stops"] == {"clean": PAIRS}
    assert len(team.loads) == 1  # the models are loaded once
    for row, scene in zip(summary["rows"], scenes, strict=True):
        with Image.open(out / row["folder"] / "refined.png") as refined:
            assert np.abs(np.asarray(refined).astype(int) - scene.clean).max() <= 1
        assert (out / row["folder"] / "report.html").is_file()
    assert summary["rows"][3]["folder"] == name_pair_folder("pair 3/../3") and "/" not in summary["rows"][3]["folder"]


def test_the_page_escapes_what_came_from_outside(whole: tuple[Path, list[bytes], TestTeam]) -> None:
    page = (whole[0] / "summary.html").read_text("utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page


@pytest.mark.parametrize("kill_at", [1, 2, 3])
def test_a_batch_that_goes_on_gives_the_same_files_and_pays_nothing_twice(
    whole: tuple[Path, list[bytes], TestTeam], scenes: list[Scene], table: Path, tmp_path: Path, kill_at: int
) -> None:
    paid: list[bytes] = []
    with pytest.raises(UserError, match="killed"):
        refine_table(table, TestTeam(scenes, PaidEditor(paid, kill_at)), tmp_path / "out")
    refine_table(table, TestTeam(scenes, PaidEditor(paid)), tmp_path / "out", resume=True)
    assert sorted(paid) == sorted(whole[1]) and len(paid) == len(set(paid)) == 3
    assert read_files(tmp_path / "out") == read_files(whole[0])


def test_a_new_campaign_takes_the_refined_set_as_it_is(
    whole: tuple[Path, list[bytes], TestTeam], tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    roles = "regional expert reviewer rater checker"
    rows = [f"p{number},p{number}@example.org,P{number},{roles}" for number in range(20)]
    people.write_text("\n".join(["person_id,email,name,roles", *rows]) + "\n")
    new = tmp_path / "next"
    done = CliRunner().invoke(annotate_app, ["create", str(new), "--from", str(whole[0]), "--people", str(people)])
    assert done.exit_code == 0, done.output
    pairs = list(Corpus.open(new).pairs(pytest.fail))
    assert len(pairs) == PAIRS
    origins = {orjson.loads(pair.origin)["parent"]: orjson.loads(pair.origin)["turn"] for pair in pairs}
    assert origins == {"pair-0": 0, "pair-1": 1, "pair-2": 1, "pair 3/../3": 0}


def test_images_that_did_not_change_keep_their_bytes(whole: tuple[Path, list[bytes], TestTeam], table: Path) -> None:
    lines = [orjson.loads(line) for line in (whole[0] / "pairs.jsonl").read_bytes().splitlines()]
    assert (whole[0] / lines[0]["edited"]).read_bytes() == (table.parent / "edited0.png").read_bytes()
    assert all(
        (whole[0] / line["source"]).read_bytes() == (table.parent / f"source{number}.png").read_bytes()
        for number, line in enumerate(lines)
    )


def test_a_pair_that_cannot_be_read_is_rejected_and_the_others_go_on(
    scenes: list[Scene], table: Path, tmp_path: Path
) -> None:
    lines = table.read_bytes().splitlines(keepends=True)
    broken = table.parent / "broken.jsonl"
    bad = [{"pair_id": "x", "source": "../secret.png", "edited": "edited0.png", "instruction": ""}, {"pair_id": 7}]
    broken.write_bytes(b"".join([*(orjson.dumps(line) + b"\n" for line in bad), lines[0]]))
    summary = refine_table(broken, TestTeam(scenes, FunctionEditor(restore_source)), tmp_path / "out")
    assert [row["pair_id"] for row in summary.rows] == ["pair-0"]
    assert [one.reason for one in summary.rejected] == ["path_leaves_corpus", "bad_field"]
    assert len((tmp_path / "out/rejected.jsonl").read_bytes().splitlines()) == 2


def test_two_folders_are_matched_by_name(scenes: list[Scene], tmp_path: Path) -> None:
    for folder, name in (("before", "a.png"), ("before", "b.jpg"), ("after", "a.png"), ("after", "c.png")):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(scenes[0].source).save(tmp_path / folder / name)
    rejected: list[Rejection] = []
    pairs = list(read_folder_pairs(tmp_path / "before", tmp_path / "after", "do it", rejected.append))
    assert [(pair.pair_id, pair.instruction) for pair in pairs] == [("a", "do it")]
    assert [one.reason for one in rejected] == ["no_source"]


def test_a_folder_of_another_batch_is_not_continued(
    whole: tuple[Path, list[bytes], TestTeam], scenes: list[Scene], table: Path, tmp_path: Path
) -> None:
    team = TestTeam(scenes, FunctionEditor(restore_source))
    refine_table(table, team, tmp_path / "out")
    with pytest.raises(UserError, match="Add --resume"):
        refine_table(table, team, tmp_path / "out")
    pairs = read_batch_pairs(table, lambda rejection: None)
    with pytest.raises(UserError, match="other agents or options"):
        run_batch(pairs, [], team, RefineOptions(seed=3), tmp_path / "out", NullProgress(), resume=True)


def test_only_a_few_pairs_are_in_memory_at_a_time(scenes: list[Scene], table: Path, tmp_path: Path) -> None:
    """The reader is never more than one pair ahead of what is refined."""
    ahead, lock = [], threading.Lock()
    editor = FunctionEditor(restore_source)

    def watch() -> Iterator[Any]:
        for number, pair in enumerate(read_batch_pairs(table, lambda rejection: None)):
            with lock:
                ahead.append(number - sum(path.name == "row.json" for path in (tmp_path / "out").rglob("row.json")))
            yield pair

    run(watch(), TestTeam(scenes, editor), tmp_path / "out")
    assert max(ahead) <= 1

"""A run in a folder: its files, and that a kill at any moment costs nothing that was paid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image

from editfhf.editors.protocol import EditRequest
from mos.errors import UserError
from refiner.agent_calls import AgentTeam
from refiner.call_store import FolderCallStore, KeptCall
from refiner.options import RefineOptions
from refiner.run_folder import PairInput, refine_into_folder
from refiner.trace import read_trace
from tests.refiner.doubles import FunctionEditor, OracleEvaluation, Scene, make_scene, make_team, restore_source

TIMES = {"calls.jsonl"}
"""The one file that has times, so that it differs between two runs."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(3)


def give_pair(scene: Scene, instruction: str = "invert the middle") -> PairInput:
    return PairInput(scene.source, scene.flawed, instruction)


def read_files(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in TIMES}


class Killed(BaseException):
    """Ends a run where it stands, as a kill does: nothing after it is executed."""


class KillingEditor(FunctionEditor):
    """Kills the run in its n-th call, before or after it was paid."""

    def __init__(self, at: int) -> None:
        super().__init__(restore_source, cost=0.05)
        self.at = at
        self.asked: list[bytes] = []

    def edit(self, request: EditRequest):  # type: ignore[no-untyped-def]
        if self.calls + 1 == self.at:
            raise UserError("killed")
        self.asked.append(request.mask.tobytes())
        return super().edit(request)


def test_the_files_are_those_of_the_design(scene: Scene, tmp_path: Path) -> None:
    result = refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path)
    names = set(read_files(tmp_path))
    assert {"refined.png", "trace.jsonl", "report.html", "layers.ora"} <= names
    assert {f"turns/01/{name}.png" for name in ("artifact", "failure", "mask")} <= names
    assert sum(name.startswith("turns/01/candidates/") for name in names) == 3 * 3
    with Image.open(tmp_path / "refined.png") as refined:
        assert np.array_equal(np.asarray(refined), result.image)
    with Image.open(tmp_path / "turns/01/failure.png") as found:  # that of the turn, not that of a candidate
        wrong = np.abs(scene.flawed.astype(int) - scene.clean).max(axis=2) > 4
        assert np.array_equal(np.asarray(found) > 127, wrong)
    head, *turns = read_trace(tmp_path / "trace.jsonl")
    assert head["options"]["turns"] == 4 and head["editors"] == ["restore"]
    assert [turn["stop"] for turn in turns] == [None, "clean"]


def test_the_same_run_gives_the_same_bytes(scene: Scene, tmp_path: Path) -> None:
    for name in ("a", "b"):
        refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path / name)
    assert read_files(tmp_path / "a") == read_files(tmp_path / "b")


def test_a_run_that_goes_on_gives_the_same_bytes_and_pays_nothing_twice(scene: Scene, tmp_path: Path) -> None:
    refine_into_folder(give_pair(scene), make_team(scene, KillingEditor(0)), RefineOptions(), tmp_path / "whole")
    whole = read_files(tmp_path / "whole")
    for at in (1, 2, 3):
        folder, paid = tmp_path / str(at), []
        killed = KillingEditor(at)
        with pytest.raises(UserError, match="killed"):
            refine_into_folder(give_pair(scene), make_team(scene, killed), RefineOptions(), folder)
        going_on = KillingEditor(0)
        refine_into_folder(give_pair(scene), make_team(scene, going_on), RefineOptions(), folder, resume=True)
        paid = killed.asked + going_on.asked
        assert len(paid) == len(set(paid)) == 3
        assert read_files(folder) == whole


def test_a_run_that_is_complete_asks_nobody(scene: Scene, tmp_path: Path) -> None:
    refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path)
    before = read_files(tmp_path)
    editor, evaluation = FunctionEditor(restore_source), OracleEvaluation(scene.clean)
    team = make_team(scene, editor, evaluation=evaluation)
    refine_into_folder(give_pair(scene), team, RefineOptions(), tmp_path, resume=True)
    assert (editor.calls, evaluation.calls) == (0, 0)
    assert read_files(tmp_path) == before


def test_a_line_that_a_kill_cut_is_asked_again(scene: Scene, tmp_path: Path) -> None:
    refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path)
    before = read_files(tmp_path)
    for name in ("calls.jsonl", "trace.jsonl"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-40])
    refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path, resume=True)
    assert read_files(tmp_path) == before


def test_a_changed_picture_is_no_answer(tmp_path: Path) -> None:
    store = FolderCallStore(tmp_path)
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    store.keep_call(KeptCall("key", "editor", "x", 1, {"status": "ok"}, 0.5, 0.0, {"candidates/1-x-0.png": pixels}))
    found = FolderCallStore(tmp_path).find_call("key")
    assert found is not None and np.array_equal(found.pictures["candidates/1-x-0.png"], pixels)
    (tmp_path / "turns/01/candidates/1-x-0.png").write_bytes(b"other")
    assert FolderCallStore(tmp_path).find_call("key") is None


def test_a_picture_of_another_folder_is_not_read(tmp_path: Path) -> None:
    """The files of a run are data: a name in one leads nowhere else."""
    store = FolderCallStore(tmp_path)
    pixels = np.zeros((4, 4), np.uint8)
    store.keep_call(KeptCall("key", "perception", "x", 1, {"status": "ok"}, 0.5, 0.0, {"mask.png": pixels}))
    line = orjson.loads((tmp_path / "calls.jsonl").read_bytes())
    line["pictures"] = {"../../../secret.png": next(iter(line["pictures"].values()))}
    (tmp_path / "calls.jsonl").write_bytes(orjson.dumps(line) + b"\n")
    assert FolderCallStore(tmp_path).find_call("key") is None


def test_other_inputs_agents_or_options_do_not_go_on(scene: Scene, tmp_path: Path) -> None:
    refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path)
    team = make_team(scene)
    for pair, other, options, word in (
        (give_pair(scene, "something else"), team, RefineOptions(), "instruction"),
        (give_pair(scene), team, RefineOptions(seed=7), "options"),
        (give_pair(scene), AgentTeam(team.perception, team.editors), RefineOptions(), "reasoning, evaluation"),
    ):
        with pytest.raises(UserError, match=f"another run .it differs in: {word}"):
            refine_into_folder(pair, other, options, tmp_path, resume=True)


def test_nothing_is_overwritten_unasked(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path, resume=True)
    refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path / "new")
    with pytest.raises(UserError, match="Add --resume"):
        refine_into_folder(give_pair(scene), make_team(scene), RefineOptions(), tmp_path / "new")

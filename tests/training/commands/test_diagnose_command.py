"""`editfhf diagnose`: what it prints, writes and refuses, and its exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import orjson
import pytest
import typer
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from mos.errors import UserError
from tests.editfhf import sample_dataset
from tests.editfhf.chat import faulty_replies
from tests.editfhf.chat.fault_server import KEY, MODEL, running
from training.commands.diagnose import run_diagnose
from training.diagnosis.result import DIAGNOSIS_FILES
from training.served.server import close_model_servers

app = typer.Typer()
app.command()(run_diagnose)


def run(*words: str | Path) -> Any:
    """The result of the command; `UserError` goes through, which the whole command prints as one sentence."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """source.png, and edited.png with one changed square."""
    folder = tmp_path_factory.mktemp("pair")
    pixels = np.ascontiguousarray(data.astronaut()[:120, :160])
    Image.fromarray(pixels).save(folder / "source.png")
    pixels[30:80, 40:100] = (250, 20, 20)
    Image.fromarray(pixels).save(folder / "edited.png")
    return folder


@pytest.fixture
def pair(folder: Path) -> tuple[Path, Path, str, str]:
    return folder / "source.png", folder / "edited.png", "--instruction", "Add a red box."


def test_a_pair_is_summarised_and_saved(pair: tuple[Any, ...], tmp_path: Path) -> None:
    found = run(*pair, "--out", tmp_path / "out", "--perception", "difference")
    assert found.exit_code == 0, found.output
    assert "A1" in found.stdout and "overall" in found.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(DIAGNOSIS_FILES)


def test_json_is_what_the_file_says(pair: tuple[Any, ...], tmp_path: Path) -> None:
    found = run(*pair, "--out", tmp_path, "--json", "--perception", "difference")
    assert orjson.loads(found.stdout) == orjson.loads((tmp_path / "diagnosis.json").read_bytes())


def test_another_diagnosis_is_not_replaced_unasked(pair: tuple[Any, ...], tmp_path: Path) -> None:
    run(*pair, "--out", tmp_path, "--perception", "difference")
    before = (tmp_path / "diagnosis.json").read_bytes()
    run(*pair, "--out", tmp_path, "--perception", "difference")  # the same one
    with pytest.raises(UserError, match=r"another diagnosis.*--overwrite"):
        run(*pair[:2], "--instruction", "Remove it.", "--out", tmp_path, "--perception", "difference")
    assert (tmp_path / "diagnosis.json").read_bytes() == before
    run(*pair[:2], "--instruction", "Remove it.", "--out", tmp_path, "--overwrite", "--perception", "difference")
    assert b"Remove it." in (tmp_path / "diagnosis.json").read_bytes()


def test_a_guard_without_a_score_does_not_open(pair: tuple[Any, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no overall score, but --fail-below asks for 60"):
        run(*pair, "--out", tmp_path, "--fail-below", "60", "--evaluation", "none")
    assert (tmp_path / "diagnosis.json").is_file(), "the diagnosis is written first"


@pytest.mark.parametrize(
    "words",
    [("source.png",), ("--pairs", "pairs.jsonl"), ("a.png", "b.png", "-i", "x", "--pairs", "p", "--out", "o")],
)
def test_words_that_do_not_fit_are_wrong_usage(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_a_file_of_pairs_is_diagnosed_and_guarded(folder: Path, tmp_path: Path) -> None:
    line = {"source": "source.png", "edited": "edited.png", "instruction": "Add a red box."}
    rows = [{"pair_id": "one", **line}, {"pair_id": "two", **line, "edited": "lost.png"}]
    (folder / "pairs.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    words = ("--pairs", folder / "pairs.jsonl", "--out", tmp_path, "--perception", "difference", "-q")
    found = run(*words)
    assert "1 pair diagnosed, 0 without a flaw" in found.stdout and "1 rejected" in found.stdout
    assert run(*words, "--json").stdout.encode() == (tmp_path / "summary.json").read_bytes()
    with pytest.raises(UserError, match=r"The pair 'one' has no overall score.*1 more are below or missing"):
        run(*words, "--evaluation", "none", "--fail-below", "1")
    (folder / "pairs.jsonl").write_bytes(orjson.dumps(rows[1]) + b"\n")
    with pytest.raises(UserError, match="No pair could be diagnosed"):
        run(*words)


def test_a_split_of_a_dataset_is_diagnosed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    dataset = sample_dataset.write(tmp_path / "dataset")
    found = run("--dataset", dataset, "--split", "train", "--out", tmp_path / "out", "--perception", "difference", "-q")
    assert found.exit_code == 0, found.output
    content = orjson.loads((tmp_path / "out" / "summary.json").read_bytes())
    rows = sample_dataset.tables()["default"]["train"]
    assert [row["pair_id"] for row in content["pairs"]] == [row["pair_id"] for row in rows]
    assert (tmp_path / "out" / content["pairs"][0]["pair_id"] / "overlay.png").is_file()


def test_a_file_in_the_place_of_the_folder_is_one_sentence(pair: tuple[Any, ...], folder: Path) -> None:
    for out in (folder / "source.png", folder / "source.png" / "deeper"):
        with pytest.raises(UserError, match="no folder, or lies in a file"):
            run(*pair, "--out", out, "--perception", "difference")


def test_served_agents_are_chosen_by_name(
    pair: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    flaw = {"kind": "artifact", "what": "a red box", "left": 250, "top": 250, "right": 625, "bottom": 667}
    compose = faulty_replies.compose

    def answer(body: dict[str, Any], digest: str) -> Any:
        """One flaw; findings and scores as the schema allows."""
        name = body["response_format"]["json_schema"]["name"]
        return {"flaws": [flaw]} if name == "ListedFlaws" else compose(body, digest)

    monkeypatch.setattr(faulty_replies, "compose", answer)
    roles = [word for role in ("perception", "reasoning", "evaluation") for word in (f"--{role}", "served")]
    assert run(*pair, *roles, "--model", MODEL).exit_code == 2, "their answers need a folder"
    (tmp_path / "server").mkdir()
    with running(tmp_path / "server") as server:
        words = (*pair, *roles, "--out", tmp_path / "out", "--model", MODEL, "--base-url", server.url)
        first = run(*words)
        close_model_servers()
        assert first.exit_code == 0, first.output
        again = run(*words, "--json")
        close_model_servers()
        asked = server.bill.visits().count("POST /v1/chat/completions")
    content = orjson.loads(again.stdout)
    assert {score["status"] for score in content["scores"]} == {"ok"}
    assert {agent["family"] for agent in content["agents"].values()} == {"served"}
    assert [finding["status"] for finding in content["findings"]] == ["ok"]
    assert asked == 3, "the second run asked nothing"
    with pytest.raises(UserError, match="No server answers at"):
        run(*pair, *roles, "--out", tmp_path / "new", "--model", MODEL, "--base-url", "http://127.0.0.1:9/v1")
    close_model_servers()

"""Training on a few tiny pairs: the same result twice and after a kill, ONNX equal to torch, and clear errors."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import orjson
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from annotation.records import Box
from mos.console import NullProgress
from mos.errors import UserError
from tests.training.compact.tiny_pairs import make_dataset, make_rows
from training.agents.registry import load_agent
from training.commands.train import train_app
from training.compact.backbone import Backbone
from training.compact.export import PairGraph
from training.compact.model import CompactModel, NetworkSize
from training.compact.network import GRAPH_FILES, CompactNetwork
from training.compact.pair_inputs import prepare_pair
from training.compact.recipe import CompactRecipe, read_compact_recipe
from training.compact.train import TrainingSummary, train_compact
from training.samples.pair_sample import decode_row

QUICK = ("epochs=3", "batch=4", "fine=8", "middle=16", "coarse=16", "text=4", "hidden=8", "threads=1", "patience=3")


class Kill(Exception):
    pass


@pytest.fixture(scope="module")
def rows() -> tuple[list[Any], list[Any]]:
    return [make_dataset(make_rows(6))], [make_dataset(make_rows(3, start=6))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compact")


@pytest.fixture(scope="module")
def trained(rows: tuple[list[Any], list[Any]], folder: Path) -> TrainingSummary:
    return run_training(rows, folder, "whole")


def run_training(rows: Any, folder: Path, name: str, after: Any = None, recipe: CompactRecipe | None = None) -> Any:
    recipe = recipe or read_compact_recipe(None, QUICK)
    return train_compact(*rows, recipe, folder / name, folder / "cache", NullProgress(), after)


def test_it_learns_and_says_what_it_did(trained: TrainingSummary) -> None:
    history = [orjson.loads(line) for line in (trained.out / "epochs.jsonl").read_bytes().splitlines()]
    assert [row["epoch"] for row in history] == [1, 2, 3] and trained.epochs == 3
    assert history[-1]["training"] < history[0]["training"]
    assert trained.best_loss == min(row["validation"] for row in history)
    assert (trained.pairs, trained.validation_pairs) == (6, 3)
    assert read_compact_recipe(trained.out / "recipe.yaml") == read_compact_recipe(None, QUICK)
    assert any((trained.out / "tensorboard").iterdir())
    marks = [each.get("class", "") for each in ElementTree.parse(trained.out / "curve.svg").iter()]
    assert sum("mark" in each for each in marks) == 2 * 3 + 2  # a mark for each epoch and series, and the legend


def test_a_killed_training_comes_to_the_same_weights(
    rows: tuple[list[Any], list[Any]], folder: Path, trained: TrainingSummary
) -> None:
    def kill(epoch: int) -> None:
        if epoch == 1:
            raise Kill

    with pytest.raises(Kill):
        run_training(rows, folder, "killed", kill)
    resumed = run_training(rows, folder, "killed")
    for name in (*GRAPH_FILES, "compact.safetensors"):
        assert (resumed.out / name).read_bytes() == (trained.out / name).read_bytes(), name


def test_the_graphs_are_what_torch_computes(trained: TrainingSummary) -> None:
    weights = {name: value.float() for name, value in load_file(trained.out / "compact.safetensors").items()}
    parts = {
        part: {name.removeprefix(part): value for name, value in weights.items() if name.startswith(part)}
        for part in ("backbone.", "heads.")
    }
    model = CompactModel(NetworkSize(8, 16, 16, 4, 8)).eval()
    model.load_state_dict(parts["heads."])
    sample = decode_row(make_rows(1, start=1)[0])
    inputs = prepare_pair(sample.source, sample.edited, sample.instruction)
    network = CompactNetwork(trained.out)
    answer = network.describe_pair(inputs)
    with torch.no_grad():
        levels = Backbone(parts["backbone."])(torch.from_numpy(inputs.images))
        arrays = [torch.from_numpy(each)[None] for each in (inputs.cues, inputs.whole, inputs.text)]
        maps, scores, sds, _, _ = PairGraph(model)(*(x[:1] for x in levels), *(x[1:] for x in levels), *arrays)
    np.testing.assert_allclose(answer.maps, maps[0].numpy(), atol=1e-3)
    np.testing.assert_allclose(answer.scores, scores[0].numpy(), atol=1e-1)  # 1e-3 of their scale of 100
    np.testing.assert_allclose(answer.sds, sds[0].numpy(), atol=1e-1)
    assert np.array_equal(answer.maps, network.describe_pair(inputs).maps)


def test_agents_take_the_trained_weights(trained: TrainingSummary) -> None:
    sample = decode_row(make_rows(1, start=1)[0])
    agent = load_agent("reasoning", "compact", weights=trained.out)
    (finding,) = agent.diagnose_boxes(sample.source, sample.edited, "x", [("artifact", Box(3, 3, 20, 20))])
    assert finding.status == "ok" and finding.agent.digest == CompactNetwork(trained.out).digest
    assert load_agent("perception", "compact").identity.digest != finding.agent.digest


def test_another_recipe_does_not_continue_a_training(
    rows: tuple[list[Any], list[Any]], folder: Path, trained: TrainingSummary
) -> None:
    with pytest.raises(UserError, match="another recipe or dataset"):
        run_training(rows, folder, "whole", recipe=read_compact_recipe(None, (*QUICK, "seed=1")))


def test_a_broken_checkpoint_is_one_sentence(rows: Any, folder: Path, trained: TrainingSummary) -> None:
    shutil.copytree(trained.out, folder / "broken")
    (folder / "broken" / "last.pt").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="no checkpoint of this training"):
        run_training(rows, folder, "broken")


def without(rows: list[dict[str, Any]], *columns: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


def test_what_cannot_be_trained_on_is_one_sentence(rows: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = make_rows(3)
    for some, message in (
        (make_dataset(good).select([]), "The split 'train' is empty"),
        (make_dataset(without(good, "artifact_saliency")), "artifact_saliency are missing"),
        (make_dataset(without(good, "visual_consistency")), "score of visual_consistency"),
        (make_dataset([row | {"perceptual_quality": float("nan")} for row in good]), "score of perceptual_quality"),
        (make_dataset(make_rows(1)), "region of the kind artifact"),
    ):
        with pytest.raises(UserError, match=message):
            run_training(([some], rows[1]), folder, "bad")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(UserError, match="features need up to"):
        train_compact(*rows, read_compact_recipe(None, QUICK), folder / "full", folder / "other", NullProgress())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["epoch=3"], "Did you mean 'epochs'"),
        (["epochs"], "Expected key=value"),
        (["epochs=0"], "epochs: Input should be greater"),
        (["--config", "absent.yaml"], "cannot be read"),
        (["epochs=2"], "There is no folder"),
    ],
)
def test_mistakes_of_the_command_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    found = CliRunner().invoke(train_app, ["compact", str(tmp_path / "none"), "--out", str(tmp_path / "o"), *arguments])
    assert isinstance(found.exception, UserError)
    assert message.lower() in str(found.exception).lower()

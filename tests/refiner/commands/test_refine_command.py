"""`editfhf refine` as a person runs it, with the agents and editors that need nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from mos.errors import UserError
from refiner.commands.refine import run_refine
from tests.refiner.doubles import make_scene, measure_error

app = typer.Typer()
app.command()(run_refine)

AGENTS = ["--perception", "difference", "--reasoning", "none", "--evaluation", "none", "--editor", "restore", "-q"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A source, and the source with one square that nobody asked for."""
    folder, scene = tmp_path_factory.mktemp("images"), make_scene(flaws=1, size=256)
    flawed = np.where(scene.masks[0][:, :, None], 255 - scene.source, scene.source)
    for name, image in (("source.png", scene.source), ("edited.png", flawed)):
        Image.fromarray(image).save(folder / name)
    return [str(folder / "source.png"), str(folder / "edited.png")]


def read_image(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_an_image_is_repaired_and_a_second_run_is_refused_or_goes_on(images: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = orjson.loads(run(*images, "--out", str(out), "--json", *AGENTS))
    assert answer["kept"] == 1 and answer["refined"] == str(out / "refined.png")
    source, edited, refined = (read_image(path) for path in (*images, out / "refined.png"))
    assert measure_error(refined, source) < 0.05 * measure_error(edited, source)
    with pytest.raises(UserError, match="Add --resume"):
        run(*images, "--out", str(out), *AGENTS)
    assert orjson.loads(run(*images, "--out", str(out), "--json", "--resume", *AGENTS)) == answer


def test_a_program_of_the_users_own_is_the_editor(images: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError):
        run(*images, "--out", str(out), *AGENTS[:-3], "--editor-command", "cp {source}", "-q")
    answer = orjson.loads(
        run(*images, "--out", str(out), "--json", *AGENTS[:-3], "--editor-command", "cp {source} {out}", "-q")
    )
    assert answer["kept"] == 1
    source, edited, refined = (read_image(path) for path in (*images, out / "refined.png"))
    assert measure_error(refined, source) < 0.05 * measure_error(edited, source)
    trace = (out / "trace.jsonl").read_text(encoding="utf-8")
    assert '"command"' in trace


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(images: list[str], tmp_path: Path) -> None:
    answer = orjson.loads(run(*images, "--out", str(tmp_path / "out"), "--dry-run", "--json", *AGENTS))
    assert [edit["candidates"] for edit in answer["edits"]] == [["restore", "restore"]]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a.png"], "Expected either SOURCE and EDITED"),
        (["a.png", "b.png", "--pairs", "p.jsonl", "--out", "x"], "but got SOURCE EDITED and --pairs"),
        (["a.png", "b.png"], "Expected --out DIR"),
        (["a.png", "b.png", "--out", "x"], "a.png' is missing"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=told):
        run(*arguments)


def test_an_unknown_editor_gets_a_hint(images: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'restore'"):
        run(*images, "--out", str(tmp_path / "out"), "--editor", "restor", "-q")

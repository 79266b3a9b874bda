"""`editfhf stats`: tables, JSON, a page; a user's mistake is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from editfhf.commands.stats import run_stats
from mos.errors import UserError

app = typer.Typer()
app.command()(run_stats)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_tables_tell_the_main_numbers(dataset: Path) -> None:
    result = run(dataset)
    assert result.exit_code == 0
    for words in ("Small <i>corpus</i> 1.0", "Perceptual quality", "rater-05", "excluded", "missing file", "beta <b>"):
        assert words in result.stdout
    assert "3.2 %" in result.stdout


def test_json_holds_everything(dataset: Path) -> None:
    told = json.loads(run(dataset, "--json").stdout)
    assert told["splits"][-1]["pairs"] == 60
    assert len(told["regions"][0]["saliency"]) == 64


def test_a_page_and_figures_are_written_where_asked_and_never_over_others(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(dataset, "--out", out, "--gallery", 2).exit_code == 0
    page = (out / "report.html").read_bytes()
    assert page.count(b"<article") == 2
    assert len(list((out / "figures").glob("*.svg"))) == 8
    refused = run(dataset, "--out", out)
    assert isinstance(refused.exception, UserError)
    assert "not overwritten" in str(refused.exception)
    assert (out / "report.html").read_bytes() == page


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_a_dataset_is_refused(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "empty"
    if made:
        folder.mkdir()
    assert isinstance(run(folder).exception, UserError)

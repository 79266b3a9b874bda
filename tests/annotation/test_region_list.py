"""The list of accepted regions, against the consensus that a build resolves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import annotation
from annotation.commands import annotate_app
from mos.errors import UserError
from tests.editfhf.builder import campaign


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return campaign.campaign().write(tmp_path_factory.mktemp("listed") / "corpus")


def test_regions_are_those_of_a_build(corpus: Path) -> None:
    expected = {
        (pair.pair_id, region.region_id): region
        for pair, consensus in annotation.accepted_regions(annotation.Corpus.open(corpus))
        for region in consensus.regions
    }
    listed = {(one.pair_id, one.region_id): one for one in annotation.list_regions(corpus)}
    assert listed.keys() == expected.keys() != set()
    for key, one in listed.items():
        assert (one.box, one.kind, one.rationale) == (expected[key].box, expected[key].kind, expected[key].rationale)
        assert not one.draft


def test_the_command_shows_them(corpus: Path) -> None:
    listed = list(annotation.list_regions(corpus))
    done = CliRunner().invoke(annotate_app, ["regions", str(corpus), "--json"])
    assert [one["region_id"] for one in json.loads(done.stdout)] == [one.region_id for one in listed]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(annotate_app, ["regions", str(corpus)])
    assert shown.exit_code == 0
    assert all(one.region_id in shown.stdout for one in listed)
    assert f"{len(listed)} regions of" in shown.stderr


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No corpus at"):
        list(annotation.list_regions(tmp_path / "gone"))


def test_a_corpus_without_marks_has_none(tmp_path: Path) -> None:
    (tmp_path / "corpus.yaml").write_text("name: bare\n")
    (tmp_path / "pairs.jsonl").write_text("")
    assert list(annotation.list_regions(tmp_path)) == []

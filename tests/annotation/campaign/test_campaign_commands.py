"""The commands of a campaign as a manager meets them, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from annotation.campaign.answers import SetAside
from annotation.campaign.exchange.sync import Summary
from annotation.commands import app
from annotation.commands.sync import tell
from mos.errors import UserError
from tests.annotation.campaign.pilot import corpus_of, pilot


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = corpus_of(tmp_path / "corpus")
    (root / "campaign" / "campaign.yaml").unlink()
    (root / "campaign").rmdir()
    return root


def config_of(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_a_dry_run_tells_the_loads_and_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, pilot().text())
    done = CliRunner().invoke(app, ["create", str(corpus), "--config", str(config), "--dry-run"])
    assert "campaign_id: pilot" in done.stdout
    assert "regional: 3 people, at most 2 tasks each" in done.stderr
    assert not (corpus / "campaign").exists()


def test_create_writes_once(corpus: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, pilot().text())
    for said in ("Wrote", "says so already"):
        assert said in CliRunner().invoke(app, ["create", str(corpus), "--config", str(config)]).stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (pilot(raters=4).text(), "Stage scoring: expected at least 4 people"),
        ("campaign_id: a\nname: b\nrater: 3\n", "Did you mean 'raters'"),
    ],
)
def test_a_campaign_that_cannot_work_is_refused(corpus: Path, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(
            app, ["create", str(corpus), "--config", str(config_of(tmp_path, text))], catch_exceptions=False
        )
    assert not (corpus / "campaign").exists()


def test_create_asks_who_annotates(corpus: Path) -> None:
    with pytest.raises(UserError, match="one of --config FILE and --people FILE"):
        CliRunner().invoke(app, ["create", str(corpus)], catch_exceptions=False)


def test_sync_needs_a_key_and_to_know_where_pictures_are(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, pilot().text())
    CliRunner().invoke(app, ["create", str(corpus), "--config", str(config)])
    monkeypatch.delenv("EDITFHF_STUDIO_KEY", raising=False)
    with pytest.raises(UserError, match="No key for the server"):
        CliRunner().invoke(app, ["sync", str(corpus)], catch_exceptions=False)
    monkeypatch.setenv("EDITFHF_STUDIO_KEY", "0123456789abcdef")
    with pytest.raises(UserError, match="Where are pictures shown from"):
        CliRunner().invoke(app, ["sync", str(corpus)], catch_exceptions=False)


def test_what_a_member_wrote_as_a_key_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = SetAside("\x1b]0;owned\x07\nregional/p1", 1, 1, "unknown_key", "It is none of this campaign's.")
    tell(Summary(set_aside=(hostile,), notes=("Look at \x9b2Jann.",)), tmp_path)
    assert capsys.readouterr().err.splitlines() == [
        "Set aside: ?]0;owned??regional/p1 (unknown_key): It is none of this campaign's.",
        "Look at ?2Jann.",
    ]

"""The status of a real corpus's campaign: what the archive says, beside whatever else works on it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from annotation.campaign.lock import locked
from annotation.campaign.looking import look
from annotation.campaign.status import total
from annotation.commands import app
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.people_at_work import respond
from tests.annotation.campaign.pilot import NUMBER, ROLES, SIZE, corpus_of, everybody_works, sync, to_the_end

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus")


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


def test_before_the_first_sync_everything_is_left(corpus: Path) -> None:
    status = look(corpus, NOW)
    assert [(row.stage, row.person, row.done, row.left) for row in status.rows] == [
        ("regional", name, 0, 2) for name in ("ann", "bob", "cat")
    ]
    assert (status.heard, status.finished, status.pairs) == (None, 0, 2)
    assert status.notes == [
        "expert: 2 more tasks are to come.",
        "textual: 6 more tasks are to come.",
        "scoring: 4 more tasks are to come.",
    ]
    assert not (corpus / "campaign" / "answers.jsonl").exists()


def test_done_tasks_are_those_on_the_server_at_every_moment(corpus: Path, studio: FakeStudio) -> None:
    for _ in range(4):
        sync(studio, corpus)
        tasks = studio.everything()
        everything = total(look(corpus, NOW).rows)
        assert everything.assigned == len(tasks)
        assert everything.done == sum(bool(task["annotations"]) for task in tasks)
        everybody_works(studio)


def test_at_the_end_nothing_is_left_and_annotators_agree(corpus: Path, studio: FakeStudio) -> None:
    to_the_end(studio, lambda: sync(studio, corpus))
    status = look(corpus, NOW)
    assert (status.finished, total(status.rows).left, status.notes) == (2, 0, [])
    assert status.heard is not None
    assert {row.agreement for row in status.rows if row.stage == "regional"} == {1.0}
    assert {row.stuck for row in status.rows} == {None}


def test_what_does_not_count_is_counted(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    task = studio.task("regional/p0/ann/0")
    studio.submit(task, NUMBER["bob"], respond(task, SIZE))
    sync(studio, corpus)
    status = look(corpus, NOW)
    assert status.set_aside == {"wrong_person": 1}
    assert [row.done for row in status.rows] == [0, 0, 0]


def test_a_running_sync_is_neither_disturbed_nor_waited_for(corpus: Path, studio: FakeStudio) -> None:
    to_the_end(studio, lambda: sync(studio, corpus))
    archive = corpus / "campaign" / "answers.jsonl"
    with locked(corpus / "campaign"), archive.open("ab") as stream:
        stream.write(b'{"project": "half of a li')
        stream.flush()
        before = archive.read_bytes()
        assert look(corpus, NOW).finished == 2
        assert archive.read_bytes() == before
    assert not (corpus / "campaign" / "answers.torn").exists()


def test_a_damaged_line_is_told(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    (corpus / "campaign" / "answers.jsonl").write_bytes(b"no json\n")
    assert "1 lines of campaign/answers.jsonl cannot be read" in look(corpus, NOW).notes[-1]


def test_the_command_prints_a_table_and_writes_a_page(corpus: Path, tmp_path: Path) -> None:
    page = tmp_path / "status.html"
    done = CliRunner().invoke(app, ["status", str(corpus), "--page", str(page)], catch_exceptions=False)
    assert "0 of 2 pairs went through every step" in done.stdout
    assert "everybody" in done.stdout
    assert "<title>Campaign: Pilot</title>" in page.read_text()


def test_the_command_gives_json(corpus: Path) -> None:
    done = CliRunner().invoke(app, ["status", str(corpus), "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["total"]["left"] == 6


def test_watching_goes_on_until_it_is_interrupted(
    corpus: Path, tmp_path: Path, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "status.html"
    naps = iter([lambda: to_the_end(studio, lambda: sync(studio, corpus)), lambda: 1 / 0])
    monkeypatch.setattr(time, "sleep", lambda seconds: next(naps)())
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(app, ["status", str(corpus), "--watch", "30", "--page", str(page)], catch_exceptions=False)
    text = page.read_text()
    assert '<meta http-equiv="refresh" content="30">' in text
    assert "<b>2</b><span>pairs finished</span>" in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--json", "--watch", "5"], "one of --json and --watch"),
        (["--page", "."], "cannot be written"),
        (["--page", "nowhere/status.html"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_sentence(corpus: Path, more: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(app, ["status", str(corpus), *more], catch_exceptions=False)


def test_a_corpus_without_a_campaign_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no campaign in"):
        look(tmp_path, NOW)

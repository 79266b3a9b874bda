"""What one person stores and the server cannot show keeps nobody else from working."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from annotation.campaign.archive import AnswerArchive
from annotation.campaign.status.collect_status import read_campaign_status
from annotation.campaign.sync.run_sync import CampaignSync
from annotation.labelstudio.connection import StudioUnavailableError
from tests.annotation.campaign.fake_studio import FakeStudio, any_interface
from tests.annotation.campaign.people_at_work import nothing_seen, respond
from tests.annotation.campaign.pilot import NUMBER, ROLES, SIZE, corpus_of, everybody_works, to_the_end

ANN = "regional/p0/ann/0"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus")


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


@pytest.fixture
def running(studio: FakeStudio, corpus: Path) -> Iterator[CampaignSync]:
    with CampaignSync(studio, corpus, any_interface) as running:
        running.run()
        yield running


def number(studio: FakeStudio, name: str) -> int:
    [found] = [project.project_id for project in studio.made if project.has(f"editfhf:pilot/{name}")]
    return found


def test_a_project_that_cannot_be_read_is_left_alone_and_named_once(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    everybody_works(studio)
    running.run()
    keys = studio.task_keys()
    studio.garbled = {number(studio, "regional/ann")}
    everybody_works(studio)
    found = running.run()
    [note] = found.notes
    assert "regional/ann" in note
    assert found.filed == 2
    assert found.created["textual"] == 2
    assert running.run().notes == ()
    assert read_campaign_status(corpus, NOW).notes == [note]
    studio.garbled = set()
    running.run()
    assert read_campaign_status(corpus, NOW).notes == []
    assert [key for key in studio.task_keys() if key.startswith("regional")] == [
        key for key in keys if key.startswith("regional")
    ]


def test_nothing_is_created_twice_for_a_sync_that_never_read_the_project(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    keys = studio.task_keys()
    studio.garbled = {number(studio, "regional/ann")}
    with CampaignSync(studio, corpus, any_interface) as later:
        found = later.run()
        assert (found.projects, found.created) == (0, {})
        assert studio.task_keys() == keys
        studio.garbled = set()
        assert to_the_end(studio, later.run).steps == {"done": 2}


def test_a_server_that_is_away_is_no_matter_of_one_project(
    studio: FakeStudio, running: CampaignSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.garbled = {number(studio, "regional/ann")}
    asked = iter([studio.accounts[0]])

    def away() -> object:
        for account in asked:
            return account
        raise StudioUnavailableError("No server answers.")

    monkeypatch.setattr(studio, "whoami", away)
    with pytest.raises(StudioUnavailableError, match="No server answers"):
        running.run()


def test_of_an_answer_that_cannot_be_shown_the_state_before_counts(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    everybody_works(studio)
    running.run()
    task = studio.task(ANN)
    [annotation] = task["annotations"]
    studio.edit(task, annotation, NUMBER["bob"], nothing_seen())
    studio.garbled = {annotation["id"]}
    found = running.run()
    assert [(one.file, one.reason) for one in found.set_aside] == [(ANN, "unreadable")]
    assert f"annotation {annotation['id']} of task {task['id']}" in found.set_aside[0].message
    assert found.created == {}
    assert running.run().filed == 0
    assert to_the_end(studio, running.run).steps == {"done": 2}
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        assert archive.unreadable(ANN, task["id"])


def test_an_only_answer_that_cannot_be_shown_is_asked_for_again(studio: FakeStudio, running: CampaignSync) -> None:
    task = studio.task(ANN)
    annotation = studio.submit(task, NUMBER["ann"], respond(task, SIZE))
    studio.garbled = {annotation["id"]}
    found = running.run()
    assert [one.reason for one in found.set_aside] == ["unreadable"]
    assert studio.task("regional/p0/ann/1")
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_what_can_be_shown_again_is_read_by_the_next_sync(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    everybody_works(studio)
    [annotation] = studio.task(ANN)["annotations"]
    studio.garbled = {annotation["id"]}
    running.run()
    studio.garbled = set()
    with CampaignSync(studio, corpus, any_interface) as later:
        assert later.run().filed == 1
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        [history] = archive.versions(ANN).values()
    assert [version.annotation and version.annotation.get("result") for _, version in history] == [
        None,
        annotation["result"],
    ]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_task_that_cannot_be_shown_is_made_again_when_it_was_deleted(
    studio: FakeStudio, running: CampaignSync, corpus: Path, fresh: bool
) -> None:
    task = studio.task(ANN)
    task["updated_at"] = studio.clock()
    studio.garbled = {task["id"]}
    keys = studio.task_keys()
    with CampaignSync(studio, corpus, any_interface) if fresh else running as going:
        [note] = going.run().notes
        assert f"tasks {task['id']} of the project of regional/ann" in note
        assert studio.task_keys() == keys
        studio.held[number(studio, "regional/ann")].remove(task)
        assert going.run().created == {"regional": 1}
        assert studio.task_keys() == keys
        assert going.run().notes == ()
        assert to_the_end(studio, going.run).steps == {"done": 2}
    assert read_campaign_status(corpus, NOW).notes == []


def test_a_project_in_which_nothing_can_be_made_keeps_back_no_other(
    studio: FakeStudio, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = studio.import_tasks

    def refuse(project_id: int, tasks: list[dict[str, object]]) -> list[int]:
        if studio.garbled and project_id == number(studio, "regional/ann"):
            raise StudioUnavailableError("The server answers 500.")
        return make(project_id, tasks)

    monkeypatch.setattr(studio, "import_tasks", refuse)
    studio.garbled = {-1}
    with CampaignSync(studio, corpus, any_interface) as running:
        found = running.run()
        assert found.created == {"regional": 4}
        assert found.notes == ("The project of regional/ann was not changed: The server answers 500.",)
        assert running.run().notes == ()
        studio.garbled = set()
        assert running.run().created == {"regional": 2}
        assert read_campaign_status(corpus, NOW).notes == []
        assert to_the_end(studio, running.run).steps == {"done": 2}

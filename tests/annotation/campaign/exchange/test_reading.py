"""What happens on the server behind a running sync's back: deleted, doubled, changed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from annotation.campaign.exchange.archive import Archive
from annotation.campaign.exchange.reading import WHOLE_AGAIN, Reader
from annotation.campaign.exchange.sync import Sync
from annotation.campaign.options import write_options
from annotation.studio.client import Task
from annotation.studio.connection import Refused
from tests.annotation.campaign.fake_studio import FakeStudio, any_interface
from tests.annotation.campaign.people_at_work import nothing_seen, respond
from tests.annotation.campaign.pilot import NUMBER, ROLES, SIZE, corpus_of, everybody_works, owner, pilot, to_the_end

ANN = "regional/p0/ann/0"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus")


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


@pytest.fixture
def running(studio: FakeStudio, corpus: Path) -> Iterator[Sync]:
    with Sync(studio, corpus, any_interface, Path("/served/images")) as running:
        running.run()
        yield running


def remove(studio: FakeStudio, key: str) -> None:
    task = studio.task(key)
    next(tasks for tasks in studio.held.values() if task in tasks).remove(task)


def test_a_deleted_task_is_made_again(studio: FakeStudio, running: Sync) -> None:
    remove(studio, ANN)
    assert running.run().created == {"regional": 1}
    assert running.run().created == {}
    assert studio.task_keys().count(ANN) == 1


def test_a_deleted_task_that_was_done_is_not_made_again_and_counts(studio: FakeStudio, running: Sync) -> None:
    everybody_works(studio)
    running.run()
    remove(studio, ANN)
    assert running.run().created == {}
    assert ANN not in studio.task_keys()
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_a_deleted_project_is_made_again_with_what_is_still_to_be_done(studio: FakeStudio, running: Sync) -> None:
    done = studio.task("regional/p1/ann/0")
    studio.submit(done, NUMBER["ann"], respond(done, SIZE))
    running.run()
    project = next(project for project in studio.made if project.has("editfhf:pilot/regional/ann"))
    studio.made.remove(project)
    del studio.held[project.project_id]
    found = running.run()
    assert (found.projects, found.created) == (1, {"regional": 1})
    assert studio.task(ANN)
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_of_a_task_that_is_there_twice_the_one_with_work_is_left(studio: FakeStudio, running: Sync) -> None:
    [number] = [project.project_id for project in studio.made if project.has("editfhf:pilot/regional/ann")]
    keys = studio.task_keys()
    first, second = studio.held[number]
    late = studio.import_tasks(number, [{"data": dict(task["data"])} for task in (first, second)])
    answered = next(task for task in studio.held[number] if task["id"] == late[1])
    studio.submit(answered, NUMBER["ann"], respond(answered, SIZE))
    found = running.run()
    assert (found.doubled, found.created) == (2, {})
    assert [task["id"] for task in studio.held[number]] == [first["id"], late[1]]
    assert studio.task_keys() == keys
    assert running.run().doubled == 0


def test_work_in_both_of_two_is_all_kept(studio: FakeStudio, running: Sync, corpus: Path) -> None:
    first = studio.task(ANN)
    [number] = [project.project_id for project in studio.made if project.has("editfhf:pilot/regional/ann")]
    studio.import_tasks(number, [{"data": dict(first["data"])}])
    for task in studio.held[number]:
        studio.submit(task, owner(task), respond(task, SIZE))
    assert running.run().doubled == 0
    with Archive(corpus / "campaign" / "answers.jsonl") as archive:
        assert len(archive.versions(ANN)) == 2
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_only_projects_that_were_heard_of_are_looked_into(studio: FakeStudio, running: Sync) -> None:
    everybody_works(studio)
    number = {project.description.splitlines()[-1]: project.project_id for project in studio.made}
    assert running.run([]).filed == 0
    assert running.run([number["editfhf:pilot/regional/ann"], 999]).filed == 2
    assert running.run().filed == 4


def test_hearing_of_nothing_or_too_much_ends_the_same(studio: FakeStudio, running: Sync) -> None:
    turn = iter(range(1000))
    last = to_the_end(studio, lambda: running.run(None if next(turn) % 3 else []) and running.run())
    assert last.steps == {"done": 2}
    assert running.projects == frozenset(studio.held)


def test_a_deleted_account_changes_no_answer(studio: FakeStudio, running: Sync, corpus: Path) -> None:
    everybody_works(studio)
    running.run()
    task = studio.task(ANN)
    [annotation] = task["annotations"]
    studio.accounts = [user for user in studio.accounts if user.email != "ann@x.org"]
    annotation |= {"completed_by": None, "updated_by": None}
    task["updated_at"] = studio.clock()
    found = running.run()
    assert (found.filed, found.set_aside) == (0, ())
    studio.edit(task, annotation, NUMBER["bob"], nothing_seen())
    assert [one.reason for one in running.run().set_aside] == ["changed_by_other"]
    with Archive(corpus / "campaign" / "answers.jsonl") as archive:
        [history] = archive.versions(ANN).values()
        assert [version.author for _, version in history] == ["ann@x.org", "ann@x.org"]


def test_who_it_was_may_become_known_later(studio: FakeStudio, running: Sync) -> None:
    ann = next(user for user in studio.accounts if user.email == "ann@x.org")
    studio.accounts.remove(ann)
    task = studio.task(ANN)
    studio.submit(task, NUMBER["ann"], respond(task, SIZE))
    assert [one.reason for one in running.run().set_aside] == ["unknown_person"]
    studio.accounts.append(ann)
    task["updated_at"] = studio.clock()
    assert running.run().filed == 1
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_every_project_gets_the_present_interface_once(studio: FakeStudio, running: Sync, corpus: Path) -> None:
    assert running.run().fitted == ()
    with Sync(studio, corpus, lambda stage, scale: any_interface(stage, scale) + "<!-- new -->") as later:
        assert later.run().fitted == ("regional/ann", "regional/bob", "regional/cat")
        assert later.run().fitted == ()
        assert all(project.label_config.endswith("<!-- new -->") for project in studio.made)


def test_a_changed_scale_reaches_every_project_and_is_what_counts(
    studio: FakeStudio, running: Sync, corpus: Path
) -> None:
    write_options(corpus, pilot(scale=[0, 10]), force=True)
    assert running.run().fitted == ("regional/ann", "regional/bob", "regional/cat")
    assert all("(0.0, 10.0)" in project.label_config for project in studio.made)
    assert to_the_end(studio, running.run).steps == {"done": 2}
    assert all("(0.0, 10.0)" in project.label_config for project in studio.made)


def test_an_interface_that_work_does_not_fit_is_left_and_said_once(
    studio: FakeStudio, running: Sync, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(project_id: int, label_config: str) -> None:
        raise Refused("The server refuses (3 with from_name=box).")

    monkeypatch.setattr(studio, "update_label_config", refuse)
    everybody_works(studio)
    with Sync(studio, corpus, lambda stage, scale: any_interface(stage, scale) + "<!-- new -->") as later:
        found = later.run()
        assert [said.split(" keeps")[0] for said in found.misfits] == [
            "The project of regional/ann",
            "The project of regional/bob",
            "The project of regional/cat",
        ]
        assert "from_name=box" in found.misfits[0]
        assert found.created == {"expert": 2}
        assert later.run().misfits == ()


class Counting(FakeStudio):
    """Counts what it is asked for."""

    def __init__(self, emails: Iterable[str]) -> None:
        super().__init__(emails)
        self.outlines = 0
        self.since: list[str] = []
        self.fetched: list[int] = []

    def outline(self, project_id: int) -> Iterator[Task]:
        self.outlines += 1
        return super().outline(project_id)

    def tasks(self, project_id: int, since: str | None = None) -> Iterator[Task]:
        self.since.append(since or "")
        return super().tasks(project_id, since)

    def tasks_of(self, project_id: int, ids: Iterable[int]) -> Iterator[Task]:
        wanted = list(ids)
        self.fetched += wanted
        return super().tasks_of(project_id, wanted)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def counting(corpus: Path) -> Counting:
    """A server on which everybody answered once, and a campaign that has read it."""
    studio = Counting(f"{name}@x.org" for name in ROLES)
    with Sync(studio, corpus, any_interface, Path("/served/images")) as running:
        running.run()
        everybody_works(studio)
        running.run()
    studio.fetched.clear()
    return studio


def reader(studio: FakeStudio, archive: Archive, clock: Clock) -> Reader:
    return Reader(studio, archive, studio.clock, clock)


def test_a_fresh_sync_fetches_only_what_is_not_filed(counting: Counting, corpus: Path) -> None:
    task = counting.task(ANN)
    counting.edit(task, task["annotations"][0], NUMBER["ann"], nothing_seen())
    with Archive(corpus / "campaign/answers.jsonl") as archive:
        assert reader(counting, archive, Clock()).read("pilot") == 1
    assert counting.fetched == [task["id"]]


def test_a_fresh_sync_notices_a_deleted_answer(counting: Counting, corpus: Path) -> None:
    task = counting.task(ANN)
    counting.delete(task, task["annotations"][0])
    with Archive(corpus / "campaign/answers.jsonl") as archive:
        assert reader(counting, archive, Clock()).read("pilot") == 1
        assert archive.standing(ANN, task["id"]) == set()


def test_what_nobody_touches_is_not_read_again_and_again(counting: Counting, corpus: Path) -> None:
    clock = Clock()
    with Archive(corpus / "campaign/answers.jsonl") as archive:
        reading = reader(counting, archive, clock)
        asked = []
        for _ in range(3):
            counting.since.clear()
            reading.read("pilot")
            clock.seconds += 600
            asked.append(list(counting.since))
    first, second, third = asked
    assert first == []
    assert all(early < late for early, late in zip(second, third, strict=True))


def test_a_project_is_read_as_a_whole_now_and_then(counting: Counting, corpus: Path) -> None:
    clock = Clock()
    with Archive(corpus / "campaign/answers.jsonl") as archive:
        reading = reader(counting, archive, clock)
        reading.read("pilot")
        outlines = counting.outlines
        reading.read("pilot")
        assert counting.outlines == outlines
        clock.seconds += WHOLE_AGAIN
        reading.read("pilot")
        assert counting.outlines > outlines

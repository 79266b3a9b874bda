"""What happens on the server behind a running sync's back: deleted, doubled, changed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from annotation.campaign.archive import AnswerArchive
from annotation.campaign.options import write_campaign_options
from annotation.campaign.state_files import read_task_times
from annotation.campaign.status.collect_status import read_campaign_status
from annotation.campaign.studio_tasks import UNUSABLE_NOTICE
from annotation.campaign.sync.read_server import FULL_READ_SECONDS, ServerReader
from annotation.campaign.sync.run_sync import CampaignSync
from annotation.labelstudio.client import StudioUser
from annotation.labelstudio.connection import StudioRefusedError, StudioUnavailableError
from annotation.labelstudio.read_tasks import StudioTask
from annotation.labelstudio.results import rating_results
from annotation.records import DIMENSIONS
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio, any_interface
from tests.annotation.campaign.people_at_work import nothing_seen, respond, verdict
from tests.annotation.campaign.pilot import NUMBER, ROLES, SIZE, corpus_of, everybody_works, owner, pilot, to_the_end

SCORES = dict.fromkeys(DIMENSIONS, 3.0)
ANN = "regional/p0/ann/0"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus")


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


@pytest.fixture
def running(studio: FakeStudio, corpus: Path) -> Iterator[CampaignSync]:
    with CampaignSync(studio, corpus, any_interface, Path("/served/images")) as running:
        running.run()
        yield running


def remove(studio: FakeStudio, key: str) -> None:
    task = studio.task(key)
    next(tasks for tasks in studio.held.values() if task in tasks).remove(task)


def test_a_deleted_task_is_made_again(studio: FakeStudio, running: CampaignSync) -> None:
    remove(studio, ANN)
    assert running.run().created == {"regional": 1}
    assert running.run().created == {}
    assert studio.task_keys().count(ANN) == 1


def test_a_deleted_task_that_was_done_is_not_made_again_and_counts(studio: FakeStudio, running: CampaignSync) -> None:
    everybody_works(studio)
    running.run()
    remove(studio, ANN)
    assert running.run().created == {}
    assert ANN not in studio.task_keys()
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_a_deleted_project_is_made_again_with_what_is_still_to_be_done(
    studio: FakeStudio, running: CampaignSync
) -> None:
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


def test_of_a_task_that_is_there_twice_the_one_with_work_is_left(studio: FakeStudio, running: CampaignSync) -> None:
    [number] = [project.project_id for project in studio.made if project.has("editfhf:pilot/regional/ann")]
    keys = studio.task_keys()
    first, second = studio.held[number]
    late = studio.import_tasks(number, [{"data": dict(task["data"])} for task in (first, second)])
    answered = next(task for task in studio.held[number] if task["id"] == late[1])
    studio.submit(answered, NUMBER["ann"], respond(answered, SIZE))
    found = running.run()
    assert (found.duplicate_tasks, found.created) == (2, {})
    assert [task["id"] for task in studio.held[number]] == [first["id"], late[1]]
    assert studio.task_keys() == keys
    assert running.run().duplicate_tasks == 0


def test_work_in_both_of_two_is_all_kept(studio: FakeStudio, running: CampaignSync, corpus: Path) -> None:
    first = studio.task(ANN)
    [number] = [project.project_id for project in studio.made if project.has("editfhf:pilot/regional/ann")]
    studio.import_tasks(number, [{"data": dict(first["data"])}])
    for task in studio.held[number]:
        studio.submit(task, owner(task), respond(task, SIZE))
    assert running.run().duplicate_tasks == 0
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        assert len(archive.versions(ANN)) == 2
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_only_projects_that_were_heard_of_are_looked_into(studio: FakeStudio, running: CampaignSync) -> None:
    everybody_works(studio)
    number = {project.description.splitlines()[-1]: project.project_id for project in studio.made}
    assert running.run([]).filed == 0
    assert running.run([number["editfhf:pilot/regional/ann"], 999]).filed == 2
    assert running.run().filed == 4


def test_hearing_of_nothing_or_too_much_ends_the_same(studio: FakeStudio, running: CampaignSync) -> None:
    turn = iter(range(1000))
    last = to_the_end(studio, lambda: running.run(None if next(turn) % 3 else []) and running.run())
    assert last.steps == {"done": 2}
    assert running.projects == frozenset(studio.held)


def test_a_deleted_account_changes_no_answer(studio: FakeStudio, running: CampaignSync, corpus: Path) -> None:
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
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        [history] = archive.versions(ANN).values()
        assert [version.author for _, version in history] == ["ann@x.org", "ann@x.org"]


def test_who_it_was_may_become_known_later(studio: FakeStudio, running: CampaignSync) -> None:
    ann = next(user for user in studio.accounts if user.email == "ann@x.org")
    studio.accounts.remove(ann)
    task = studio.task(ANN)
    studio.submit(task, NUMBER["ann"], respond(task, SIZE))
    assert [one.reason for one in running.run().set_aside] == ["unknown_person"]
    studio.accounts.append(ann)
    task["updated_at"] = studio.clock()
    assert running.run().filed == 1
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_every_project_gets_the_present_interface_once(studio: FakeStudio, running: CampaignSync, corpus: Path) -> None:
    assert running.run().updated_projects == ()
    with CampaignSync(studio, corpus, lambda stage, scale: any_interface(stage, scale) + "<!-- new -->") as later:
        assert later.run().updated_projects == ("regional/ann", "regional/bob", "regional/cat")
        assert later.run().updated_projects == ()
        assert all(project.label_config.endswith("<!-- new -->") for project in studio.made)


def test_a_changed_scale_reaches_every_project_and_is_what_counts(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    write_campaign_options(corpus, pilot(scale=[0, 10]), force=True)
    assert running.run().updated_projects == ("regional/ann", "regional/bob", "regional/cat")
    assert all("(0.0, 10.0)" in project.label_config for project in studio.made)
    assert to_the_end(studio, running.run).steps == {"done": 2}
    assert all("(0.0, 10.0)" in project.label_config for project in studio.made)


def test_an_interface_that_work_does_not_fit_is_left_and_said_once(
    studio: FakeStudio, running: CampaignSync, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(project_id: int, label_config: str) -> None:
        raise StudioRefusedError("The server refuses (3 with from_name=box).")

    monkeypatch.setattr(studio, "update_label_config", refuse)
    everybody_works(studio)
    with CampaignSync(studio, corpus, lambda stage, scale: any_interface(stage, scale) + "<!-- new -->") as later:
        found = later.run()
        assert [said.split(" keeps")[0] for said in found.incompatible_projects] == [
            "The project of regional/ann",
            "The project of regional/bob",
            "The project of regional/cat",
        ]
        assert "from_name=box" in found.incompatible_projects[0]
        assert found.created == {"expert": 2}
        assert later.run().incompatible_projects == ()


class Counting(FakeStudio):
    """Counts what it is asked for."""

    def __init__(self, emails: Iterable[str]) -> None:
        super().__init__(emails)
        self.outlines = 0
        self.since: list[str] = []
        self.fetched: list[int] = []

    def outline(self, project_id: int) -> Iterator[StudioTask]:
        self.outlines += 1
        return super().outline(project_id)

    def tasks(self, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
        self.since.append(since or "")
        return super().tasks(project_id, since)

    def tasks_of(self, project_id: int, ids: Iterable[int]) -> Iterator[StudioTask]:
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
    with CampaignSync(studio, corpus, any_interface, Path("/served/images")) as running:
        running.run()
        everybody_works(studio)
        running.run()
    studio.fetched.clear()
    return studio


def reader(studio: FakeStudio, archive: AnswerArchive, clock: Clock) -> ServerReader:
    return ServerReader(studio, archive, studio.clock, clock)


def test_a_fresh_sync_fetches_only_what_is_not_filed_and_what_is_open(counting: Counting, corpus: Path) -> None:
    task = counting.task(ANN)
    counting.edit(task, task["annotations"][0], NUMBER["ann"], nothing_seen())
    with AnswerArchive(corpus / "campaign/answers.jsonl") as archive:
        assert reader(counting, archive, Clock()).read("pilot") == 1
    open_ids = [task["id"] for task in counting.everything() if not task["annotations"]]
    assert sorted(counting.fetched) == sorted([task["id"], *open_ids])


def test_a_fresh_sync_notices_a_deleted_answer(counting: Counting, corpus: Path) -> None:
    task = counting.task(ANN)
    counting.delete(task, task["annotations"][0])
    with AnswerArchive(corpus / "campaign/answers.jsonl") as archive:
        assert reader(counting, archive, Clock()).read("pilot") == 1
        assert archive.standing(ANN, task["id"]) == set()


def test_what_nobody_touches_is_not_read_again_and_again(counting: Counting, corpus: Path) -> None:
    clock = Clock()
    with AnswerArchive(corpus / "campaign/answers.jsonl") as archive:
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
    with AnswerArchive(corpus / "campaign/answers.jsonl") as archive:
        reading = reader(counting, archive, clock)
        reading.read("pilot")
        outlines = counting.outlines
        reading.read("pilot")
        assert counting.outlines == outlines
        clock.seconds += FULL_READ_SECONDS
        reading.read("pilot")
        assert counting.outlines > outlines


def archived_keys(corpus: Path) -> list[str]:
    with AnswerArchive(corpus / "campaign/answers.jsonl") as archive:
        return archive.known_keys()


@pytest.mark.parametrize("key", [ANN, "regional/p1/cat/0"])
def test_an_answer_that_a_killed_server_did_not_count_is_filed_by_a_fresh_sync(
    studio: FakeStudio, running: CampaignSync, corpus: Path, key: str
) -> None:
    running.run()
    task = studio.task(key)
    studio.submit_and_die(task, owner(task), respond(task, SIZE))
    running.__exit__()
    with CampaignSync(studio, corpus, any_interface, Path("/served/images")) as fresh:
        assert fresh.run().filed == 1
        assert fresh.run().filed == 0
        assert archived_keys(corpus) == [key]
        assert to_the_end(studio, fresh.run).steps == {"done": 2}


def test_an_answer_that_a_killed_server_did_not_count_is_filed_within_the_hour(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    clock = Clock()
    with AnswerArchive(corpus / "campaign/answers.jsonl") as archive:
        reading = reader(studio, archive, clock)
        for _ in range(2):
            reading.read("pilot")
            clock.seconds += 600
        task = studio.task(ANN)
        studio.submit_and_die(task, owner(task), nothing_seen())
        assert reading.read("pilot") == 0
        clock.seconds += FULL_READ_SECONDS
        assert reading.read("pilot") == 1
        clock.seconds += FULL_READ_SECONDS
        assert reading.read("pilot") == 0


def test_an_answer_that_a_killed_server_did_not_count_is_filed_when_the_server_is_there_again(
    studio: FakeStudio, running: CampaignSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.run()
    task = studio.task(ANN)
    studio.submit_and_die(task, owner(task), respond(task, SIZE))
    with monkeypatch.context() as away:
        away.setattr(studio, "whoami", lambda: (_ for _ in ()).throw(StudioUnavailableError("No server answers.")))
        with pytest.raises(StudioUnavailableError):
            running.run()
    assert running.run([]).filed == 1


def expert_tasks(studio: FakeStudio) -> list[StudioTask]:
    return [task for task in studio.everything() if task["data"]["key"].startswith("expert/")]


def test_tasks_that_lost_their_proposal_are_made_again_before_anybody_begins(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    everybody_works(studio)
    studio.lose = 1
    assert running.run().created == {"expert": 2}
    assert [len(task["predictions"]) for task in expert_tasks(studio)] == [0, 0]
    found = running.run()
    assert (found.without_proposal, found.created) == (2, {"expert": 2})
    assert [len(task["predictions"]) for task in expert_tasks(studio)] == [2, 2]
    assert running.run().without_proposal == 0
    assert to_the_end(studio, running.run).steps == {"done": 2}
    assert not (corpus / "campaign" / "set_aside.jsonl").exists()


@pytest.mark.parametrize("stage", ["expert", "textual", "scoring"])
def test_an_answer_to_a_task_without_its_proposal_does_not_count_and_is_asked_for_again(
    studio: FakeStudio, running: CampaignSync, stage: str
) -> None:
    while not any(task["data"]["key"].startswith(f"{stage}/") for task in studio.everything()):
        everybody_works(studio)
        studio.lose = 9 if running.run().steps.keys() == {stage} else 0
    tasks = [task for task in studio.everything() if task["data"]["key"].startswith(f"{stage}/")]
    for task in tasks:
        task["predictions"] = []
        result = nothing_seen() if stage == "expert" else [verdict("agree")]
        studio.submit(task, owner(task), rating_results(SCORES, []) if stage == "scoring" else result)
    studio.lose = 0
    found = running.run()
    reasons = {one.reason for one in found.set_aside}
    assert "no_proposal" in reasons
    again = [task for task in studio.everything() if task["data"]["key"].startswith(f"{stage}/") and task not in tasks]
    assert len(again) == len(tasks)
    assert all(task["predictions"] for task in again)
    assert {task["data"]["notice"] for task in again} == {UNUSABLE_NOTICE}
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_a_task_without_its_proposal_that_was_begun_is_named_and_given_again(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    everybody_works(studio)
    studio.lose = 1
    running.run()
    begun, other = expert_tasks(studio)
    studio.drafts.add(begun["id"])
    found = running.run()
    assert (found.without_proposal, found.created) == (1, {"expert": 1})
    [note] = found.notes
    assert begun["data"]["key"] in note
    assert other["data"]["key"] not in note
    assert note in read_campaign_status(corpus, datetime.now(UTC)).notes
    studio.submit(begun, owner(begun), nothing_seen())
    assert running.run().created == {"expert": 1}
    assert read_campaign_status(corpus, datetime.now(UTC)).notes == []
    assert to_the_end(studio, running.run).steps == {"done": 2}


def ask_again(corpus: Path, key: str, *reasons: str) -> None:
    line = {"key": key, "reasons": [{"reason": reason, "said": "..."} for reason in reasons]}
    with (corpus / "campaign" / "redo.jsonl").open("a") as lines:
        lines.write(json.dumps(line) + "\n")


@pytest.mark.parametrize(
    ("reasons", "part"),
    [(("empty",), "everybody else marked"), (("alone", "hasty"), "very quickly"), ((), "once more")],
)
def test_who_is_asked_again_reads_why_and_the_expert_waits(
    studio: FakeStudio, running: CampaignSync, corpus: Path, reasons: tuple[str, ...], part: str
) -> None:
    everybody_works(studio)
    running.run()
    before = {task["data"]["key"]: task for task in expert_tasks(studio)}
    ask_again(corpus, ANN, *reasons)
    found = running.run()
    assert (found.withdrawn, found.created) == ({"expert": 1}, {"regional": 1})
    assert [task["data"]["pair_id"] for task in expert_tasks(studio)] == ["p1"]
    again = studio.task("regional/p0/ann/1")
    assert part in again["data"]["notice"]
    assert again["data"]["notice"].startswith("You are asked to look at this picture once more")
    assert studio.task("regional/p0/bob/0")["data"]["notice"] == ""
    assert running.run().withdrawn == {}
    status = read_campaign_status(corpus, datetime.now(UTC))
    assert sum(row.left for row in status.rows if row.stage == "expert") == 1
    studio.submit(again, owner(again), nothing_seen())
    assert running.run().created == {"expert": 1}
    renewed = studio.task("expert/p0/max/0")["data"]
    assert renewed["shown"] != before["expert/p0/max/0"]["data"]["shown"]
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_an_expert_who_has_begun_keeps_the_task_while_somebody_is_asked_again(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    everybody_works(studio)
    running.run()
    task = studio.task("expert/p0/max/0")
    studio.drafts.add(task["id"])
    ask_again(corpus, ANN, "empty")
    assert running.run().withdrawn == {}
    studio.submit(task, owner(task), respond(task, SIZE))
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_an_expert_gets_the_present_proposal_when_an_annotator_changes_an_answer(
    studio: FakeStudio, running: CampaignSync
) -> None:
    everybody_works(studio)
    running.run()
    first = studio.task("expert/p0/max/0")
    task = studio.task(ANN)
    studio.edit(task, task["annotations"][0], NUMBER["ann"], nothing_seen())
    found = running.run()
    assert (found.withdrawn, found.created) == ({"expert": 1}, {"expert": 1})
    second = studio.task("expert/p0/max/0")
    assert second["id"] != first["id"]
    assert second["data"]["shown"] != first["data"]["shown"]
    assert running.run().withdrawn == {}
    studio.submit(second, owner(second), respond(second, SIZE))
    studio.edit(task, task["annotations"][0], NUMBER["ann"], respond(task, SIZE))
    assert running.run().withdrawn == {}
    assert to_the_end(studio, running.run).steps == {"done": 2}


def test_a_task_of_an_earlier_version_without_a_digest_stays(studio: FakeStudio, running: CampaignSync) -> None:
    everybody_works(studio)
    running.run()
    for task in expert_tasks(studio):
        del task["data"]["shown"]
    running._reader.shown.clear()
    task = studio.task(ANN)
    studio.edit(task, task["annotations"][0], NUMBER["ann"], nothing_seen())
    assert running.run().withdrawn == {}


def test_the_open_tasks_of_who_left_are_withdrawn_and_others_get_them(
    studio: FakeStudio, running: CampaignSync, corpus: Path
) -> None:
    roles = {**ROLES, "gus": ("regional", "reviewer")}
    people = [
        {"person_id": name, "email": f"{name}@x.org", "name": name.title(), "roles": own, "active": name != "ann"}
        for name, own in roles.items()
    ]
    studio.accounts.append(StudioUser(9, "gus@x.org"))
    done, begun = studio.task(ANN), studio.task("regional/p1/ann/0")
    studio.submit(done, NUMBER["ann"], respond(done, SIZE))
    running.run()
    write_campaign_options(corpus, pilot(people=people), force=True)
    studio.drafts.add(begun["id"])
    assert running.run().withdrawn == {}
    studio.drafts.clear()
    write_campaign_options(corpus, pilot(people=people, raters=1), force=True)
    found = running.run()
    assert found.withdrawn == {"regional": 1}
    assert [key for key in studio.task_keys() if "/ann/" in key] == [ANN]
    assert studio.task("regional/p1/gus/0")
    assert read_task_times(corpus / "campaign").keys() == set(studio.task_keys())


def test_a_changed_campaign_id_is_refused(studio: FakeStudio, running: CampaignSync, corpus: Path) -> None:
    before = studio.task_keys()
    write_campaign_options(corpus, pilot(campaign_id="other"), force=True)
    with pytest.raises(UserError, match="campaign_id 'other', but the projects on the server belong to 'pilot'"):
        running.run()
    assert studio.task_keys() == before
    write_campaign_options(corpus, pilot(), force=True)
    assert running.run().created == {}

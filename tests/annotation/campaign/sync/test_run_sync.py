"""A whole campaign on a server in memory: what ends up where, whatever is interrupted, edited or done by others."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from annotation.campaign.archive import AnswerArchive
from annotation.campaign.options import write_campaign_options
from annotation.campaign.state_files import lock_campaign
from annotation.campaign.status.collect_status import read_campaign_status
from annotation.campaign.sync.run_sync import CampaignSync, SyncSummary
from annotation.labelstudio.results import rating_results
from annotation.region_list import list_regions
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import MANAGER, FakeStudio, Killed, any_interface
from tests.annotation.campaign.people_at_work import nothing_seen, predicted, respond, text_of, verdict, with_text
from tests.annotation.campaign.pilot import (
    NUMBER,
    ROLES,
    SIZE,
    corpus_of,
    everybody_works,
    owner,
    pilot,
    sync,
    to_the_end,
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus")


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


def said_of(corpus: Path) -> list[dict[str, Any]]:
    path = corpus / "campaign" / "set_aside.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_campaign_goes_from_regions_to_scores(corpus: Path, studio: FakeStudio) -> None:
    first = sync(studio, corpus)
    assert first.created == {"regional": 6}
    assert first.steps == {"regional": 2}
    last = to_the_end(studio, lambda: sync(studio, corpus))
    assert last.steps == {"done": 2}
    stages = Counter(key.split("/")[0] for key in studio.task_keys())
    # Of each pair: written, revised, two more agree with it (the writer among them).
    assert stages == {"regional": 6, "expert": 2, "textual": 8, "scoring": 4}
    assert said_of(corpus) == []
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        assert archive.known_keys() == studio.task_keys()


def test_nothing_is_created_twice(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    before = studio.task_keys(), len(studio.made), (corpus / "campaign" / "answers.jsonl").read_bytes()
    again = sync(studio, corpus)
    assert (again.created, again.projects, again.filed) == ({}, 0, 0)
    assert (studio.task_keys(), len(studio.made), (corpus / "campaign" / "answers.jsonl").read_bytes()) == before


def test_everybody_has_a_project_of_their_own_with_the_pictures(corpus: Path, studio: FakeStudio) -> None:
    to_the_end(studio, lambda: sync(studio, corpus))
    for project in studio.made:
        marker = project.description.splitlines()[-1]
        for task in studio.held[project.project_id]:
            stage, _, person, _ = task["data"]["key"].split("/")
            assert marker == f"editfhf:pilot/{stage}/{person}"
            assert task["data"]["instruction"] == "<script>alert(1)</script> {{x}}"
        assert studio.storages[project.project_id] == "/served/images"


def test_a_later_stage_shows_what_the_earlier_gave_and_no_names(corpus: Path, studio: FakeStudio) -> None:
    to_the_end(studio, lambda: sync(studio, corpus))
    second = next(
        task
        for task in studio.everything()
        if task["data"]["key"].startswith("textual/p0/") and task["data"]["key"].endswith("/1")
    )
    [(region, text)] = second["data"]["seen"].items()
    assert text == "Text 0 <b>א🦊"
    scoring = next(task for task in studio.everything() if task["data"]["key"].startswith("scoring/p0/"))
    assert [choice["alias"] for choice in scoring["data"]["region_choices"]] == [region]
    assert "Text 1" in scoring["data"]["region_choices"][0]["value"]


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
def test_killed_at_every_call_and_run_again_it_ends_the_same(tmp_path: Path, late: bool) -> None:
    quiet = FakeStudio(f"{name}@x.org" for name in ROLES)
    calls = []
    whole = corpus_of(tmp_path / "whole", 1, raters=3)

    def counted() -> SyncSummary:
        done = sync(quiet, whole)
        calls.append(quiet.calls)
        return done

    to_the_end(quiet, counted)
    for number in range(1, calls[-1] + 1):
        studio = FakeStudio(f"{name}@x.org" for name in ROLES)
        studio.kill_at, studio.late = number, late
        corpus = corpus_of(tmp_path / f"killed-{number}", 1, raters=3)

        def step(studio: FakeStudio = studio, corpus: Path = corpus) -> SyncSummary:
            try:
                return sync(studio, corpus)
            except Killed:
                return sync(studio, corpus)

        to_the_end(studio, step)
        assert studio.task_keys() == quiet.task_keys()
        assert archived(corpus) == archived(whole)


def archived(corpus: Path) -> list[tuple[str, Any]]:
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        return [
            (
                key,
                [version.annotation["result"] for history in archive.versions(key).values() for _, version in history],
            )
            for key in archive.known_keys()
            if key
        ]


def test_killed_with_people_to_choose_from_no_pair_has_too_many(tmp_path: Path) -> None:
    people = [{"person_id": f"a{n}", "email": f"a{n}@x.org", "name": f"A{n}", "roles": ["regional"]} for n in range(7)]
    for number in range(3, 40, 3):
        studio = FakeStudio(f"a{n}@x.org" for n in range(7))
        studio.kill_at, studio.late = number, bool(number % 2)
        corpus = corpus_of(tmp_path / str(number), 10, people=people, steps=["regional"])
        for _ in range(2):
            try:
                sync(studio, corpus)
            except Killed:
                sync(studio, corpus)
        pairs = Counter(key.split("/")[1] for key in studio.task_keys())
        loads = Counter(key.split("/")[2] for key in studio.task_keys())
        assert set(pairs.values()) == {3}
        assert len(set(studio.task_keys())) == 30
        assert max(loads.values()) - min(loads.values()) <= 1


def test_a_running_sync_reads_only_changes_and_ends_the_same(tmp_path: Path) -> None:
    ends = []
    for name in ("once", "watching"):
        studio = FakeStudio(f"{name}@x.org" for name in ROLES)
        corpus = corpus_of(tmp_path / name)
        if name == "once":
            to_the_end(studio, lambda studio=studio, corpus=corpus: sync(studio, corpus))  # type: ignore[misc]
        else:
            with CampaignSync(studio, corpus, any_interface) as running:
                to_the_end(studio, running.run)
                idle = running.run()
                assert (idle.filed, idle.created, idle.steps) == (0, {}, {"done": 2})
        ends.append((studio.task_keys(), archived(corpus)))
    assert ends[0] == ends[1]


def test_one_sync_at_a_time(corpus: Path, studio: FakeStudio) -> None:
    with lock_campaign(corpus / "campaign"), pytest.raises(UserError, match="Another command is using the campaign"):
        sync(studio, corpus)


def test_the_wrong_person_s_work_is_set_aside_once_and_the_owner_is_asked_again(
    corpus: Path, studio: FakeStudio
) -> None:
    sync(studio, corpus)
    task = studio.task("regional/p0/ann/0")
    studio.submit(task, NUMBER["bob"], respond(task, SIZE))
    found = sync(studio, corpus)
    assert [(one.reason, one.annotator_id) for one in found.set_aside] == [("wrong_person", "bob@x.org")]
    assert "regional/p0/ann/1" in studio.task_keys()
    assert sync(studio, corpus).set_aside == ()
    assert len(said_of(corpus)) == 1
    assert to_the_end(studio, lambda: sync(studio, corpus)).steps == {"done": 2}


def test_unknown_controls_and_keys_are_set_aside(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    task = studio.task("regional/p0/ann/0")
    strange = {"id": "q", "from_name": "hacked", "to_name": "edited", "type": "choices", "value": {"choices": ["x"]}}
    studio.submit(task, NUMBER["ann"], [*respond(task, SIZE), strange])
    project = next(project.project_id for project in studio.made if project.has("editfhf:pilot/regional/ann"))
    [foreign, keyless] = studio.import_tasks(project, [{"data": {"key": "regional/nope/ann/0"}}, {"data": {}}])
    for added in studio.held[project]:
        if added["id"] in (foreign, keyless):
            studio.submit(added, NUMBER["ann"], [])
    moved = studio.task("regional/p1/ann/0")
    moved["data"]["key"] = "regional/p1/bob/0"
    studio.submit(moved, NUMBER["bob"], respond(moved, SIZE))
    found = sync(studio, corpus)
    assert sorted(one.reason for one in found.set_aside) == [
        "unknown_control",
        "unknown_key",
        "unknown_key",
        "wrong_project",
    ]


def test_an_edit_by_another_leaves_the_owner_s_version_standing(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    for key in studio.task_keys():
        task = studio.task(key)
        studio.submit(task, owner(task), respond(task, SIZE))
    sync(studio, corpus)
    task = studio.task("regional/p0/ann/0")
    studio.edit(task, task["annotations"][0], NUMBER["bob"], nothing_seen())
    found = sync(studio, corpus)
    assert [one.reason for one in found.set_aside] == ["changed_by_other"]
    assert found.steps == {"expert": 2}
    studio.edit(task, task["annotations"][0], MANAGER, nothing_seen())
    assert sync(studio, corpus).set_aside == ()


def test_an_owner_may_edit_and_withdraw(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    task = studio.task("regional/p0/ann/0")
    annotation = studio.submit(task, NUMBER["ann"], respond(task, SIZE))
    sync(studio, corpus)
    studio.edit(task, annotation, NUMBER["ann"], nothing_seen())
    sync(studio, corpus)
    studio.delete(task, annotation)
    found = sync(studio, corpus)
    assert (found.filed, found.set_aside) == (1, ())
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        [history] = archive.versions("regional/p0/ann/0").values()
        assert [version.annotation is None for _, version in history] == [False, False, True]
    assert studio.task_keys().count("regional/p0/ann/0") == 1
    assert to_the_end(studio, lambda: sync(studio, corpus)).steps == {"done": 2}


def test_a_server_that_lost_everything_gets_what_is_still_to_be_done(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    everybody_works(studio)
    sync(studio, corpus)
    empty = FakeStudio(f"{name}@x.org" for name in ROLES)
    found = sync(empty, corpus)
    assert empty.task_keys() == [key for key in studio.task_keys() if key.startswith("expert/")]
    assert found.filed == 0
    assert to_the_end(empty, lambda: sync(empty, corpus)).steps == {"done": 2}


def test_who_leaves_before_the_end_is_replaced_and_what_they_finished_counts(
    tmp_path: Path, studio: FakeStudio
) -> None:
    extra = {"person_id": "fay", "email": "fay@x.org", "name": "Fay", "roles": ["regional", "reviewer"]}
    people = [person.model_dump() for person in pilot().people]
    corpus = corpus_of(tmp_path / "corpus", 2)
    sync(studio, corpus)
    done = studio.task("regional/p0/ann/0")
    studio.submit(done, NUMBER["ann"], respond(done, SIZE))
    sync(studio, corpus)
    people[0]["active"] = False
    write_campaign_options(corpus, pilot(people=[*people, extra]), force=True)
    sync(studio, corpus)
    assert "regional/p1/fay/0" in studio.task_keys()
    assert "regional/p0/fay/0" not in studio.task_keys()


def test_a_deleted_user_s_work_is_still_theirs(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    everybody_works(studio)
    sync(studio, corpus)
    studio.accounts = [user for user in studio.accounts if user.email != "ann@x.org"]
    found = sync(studio, corpus)
    assert found.set_aside == ()
    assert found.steps == {"expert": 2}
    assert found.filed == 0


def test_scores_off_the_scale_or_missing_do_not_count_and_are_asked_for_again(
    tmp_path: Path, studio: FakeStudio
) -> None:
    corpus = corpus_of(tmp_path / "corpus", 1, steps=["scoring"])
    sync(studio, corpus)
    first, second = studio.everything()
    good = {"perceptual_quality": 3.0, "instruction_following": 4.0}
    studio.submit(first, owner(first), rating_results(good | {"visual_consistency": 7.0}, []))
    studio.submit(second, owner(second), rating_results(good, []))
    found = sync(studio, corpus)
    assert sorted(one.reason for one in found.set_aside) == ["incomplete", "out_of_scale"]
    assert found.created == {"scoring": 2}
    assert to_the_end(studio, lambda: sync(studio, corpus)).steps == {"done": 1}


def test_reviewers_who_never_agree_send_the_text_to_the_expert(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = corpus_of(tmp_path / "corpus", 1, rounds=1)
    for turn in range(20):
        sync(studio, corpus)
        for task in studio.everything():
            if task["annotations"]:
                continue
            result = respond(task, SIZE)
            if task["data"]["key"].startswith("textual"):
                box = next(item for item in predicted(task) if item["from_name"] == "box")
                result = [box, text_of(box, f"I say {turn}"), verdict("revise")]
            studio.submit(task, owner(task), result)
    assert sync(studio, corpus).steps == {"done": 1}
    [expert] = [task for task in studio.everything() if task["data"]["key"].startswith("expert_text/")]
    assert "I say" in expert["data"]["history"]
    assert "dan" not in expert["data"]["history"]
    scoring = next(task for task in studio.everything() if task["data"]["key"].startswith("scoring/"))
    assert "The expert's word." in scoring["data"]["region_choices"][0]["value"]


def test_drafts_are_what_reviewers_begin_from(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = corpus_of(tmp_path / "corpus", 1, wait_for_drafts=True)
    for _ in range(4):
        sync(studio, corpus)
        everybody_works(studio)
    assert not any(key.startswith("textual") for key in studio.task_keys())
    assert [one.pair_id for one in list_regions(corpus)] == ["p0"]
    waits = "1 pair waits until each of their regions has a draft in drafts.jsonl: p0."
    assert sync(studio, corpus).notes == (waits,)
    assert read_campaign_status(corpus, datetime.now(UTC)).notes == [waits]
    expert = next(task for task in studio.everything() if task["data"]["key"].startswith("expert/"))
    region = next(item["id"] for item in expert["annotations"][0]["result"] if item["from_name"] == "box")
    draft = {"pair_id": "p0", "region_id": region, "text": "A draft.", "flaw_type": "face", "severity": "severe"}
    wrong = [{"text": " "}, {"pair_id": "p99"}, {"region_id": f"{region}x"}]
    lines = [draft, {"pair_id": 1}, *(draft | one for one in wrong)]
    (corpus / "drafts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    listed = list(list_regions(corpus))
    assert [(one.pair_id, one.region_id, one.draft, one.rationale) for one in listed] == [("p0", region, True, None)]
    found = sync(studio, corpus)
    assert [one.reason for one in found.set_aside] == ["bad_draft", "empty_draft", "unknown_pair", "unknown_region"]
    assert [one.row for one in found.set_aside] == [2, 3, 4, 5]
    assert f"Did you mean {region!r}?" in found.set_aside[3].message
    assert sync(studio, corpus).set_aside == ()
    assert read_campaign_status(corpus, datetime.now(UTC)).set_aside["unknown_region"] == 1
    assert found.notes == ()
    [task] = [task for task in studio.everything() if task["data"]["key"].startswith("textual")]
    assert task["data"]["seen"] == {region: "A draft."}
    said = {item["from_name"]: item["value"] for item in predicted(task)}
    assert said["rationale"]["text"] == ["A draft."]
    assert said["severity"]["choices"] == ["severe"]
    agreed = [with_text(item, "A draft.") for item in predicted(task)]
    studio.submit(task, owner(task), [*agreed, verdict("agree")])
    assert sync(studio, corpus).created == {"textual": 1}


def test_a_pair_without_its_picture_waits_and_is_named(corpus: Path, studio: FakeStudio) -> None:
    lines = (corpus / "pairs.jsonl").read_text().splitlines()
    broken = json.loads(lines[1]) | {"edited": "images/none.png"}
    (corpus / "pairs.jsonl").write_text(lines[0] + "\n" + json.dumps(broken) + "\n")
    found = sync(studio, corpus)
    assert [(one.file, one.reason) for one in found.set_aside] == [("p1", "bad_picture")]
    assert found.created == {"regional": 3}


def test_people_without_an_account_are_named(corpus: Path) -> None:
    studio = FakeStudio(f"{name}@x.org" for name in ROLES if name != "max")
    assert sync(studio, corpus).people_without_account == ("max",)


def test_what_the_manager_wants_done_again_is_and_the_new_answer_counts(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = corpus_of(tmp_path / "corpus", 1, steps=["scoring"])
    to_the_end(studio, lambda: sync(studio, corpus))
    key = studio.task_keys()[0]
    lines = [{"key": key, "reason": "hasty"}, {"key": "textual/p0/ann/0"}]
    (corpus / "campaign" / "redo.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = sync(studio, corpus)
    assert sorted(one.reason for one in found.set_aside) == ["bad_redo", "done_again"]
    assert studio.task_keys()[1] == key[:-1] + "1"
    last = to_the_end(studio, lambda: sync(studio, corpus))
    assert last.steps == {"done": 1}
    assert len(studio.task_keys()) == 3

"""Qualification, hidden gold and redo in a campaign on a server in memory: who gets what, and what it comes to."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from annotation.campaign.archive import AnswerArchive
from annotation.campaign.gold.candidates import request_requalification
from annotation.campaign.model import CampaignRecord
from annotation.campaign.options import write_campaign_options
from annotation.campaign.planning.pass_list import make_pass_list
from annotation.campaign.read_record import read_campaign_record
from annotation.campaign.sync.run_sync import CampaignSync, SyncSummary
from annotation.campaign.write_exports import export_campaign
from annotation.commands import annotate_app
from annotation.interfaces import list_data_fields
from annotation.labelstudio.results import rating_results
from annotation.records import DIMENSIONS
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio, Killed, any_interface
from tests.annotation.campaign.gold_corpus import (
    ATTEMPTS,
    HIDDEN,
    TRAINING,
    gold_corpus,
    gold_lines,
    people,
    write_gold,
)
from tests.annotation.campaign.people_at_work import nothing_seen, respond
from tests.annotation.campaign.pilot import ROLES, SIZE, corpus_of, pilot, sync

NAMES = (*ROLES, "zed")
NOW = datetime(2026, 1, 1, 6, tzinfo=UTC)


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in NAMES)


def work(studio: FakeStudio, *stages: str) -> int:
    """Everybody does what is open in these stages (all when none is named); how many tasks that were."""
    waiting = [
        task
        for task in studio.everything()
        if not task["annotations"] and (not stages or task["data"]["key"].split("/")[0] in stages)
    ]
    for task in waiting:
        person = task["data"]["key"].split("/")[-2]
        studio.submit(task, 2 + NAMES.index(person), respond(task, SIZE))
    return len(waiting)


def to_the_end(studio: FakeStudio, corpus: Path) -> SyncSummary:
    for _ in range(40):
        found = sync(studio, corpus)
        if not work(studio):
            return found
    raise AssertionError("the campaign does not end")


def keys_of(studio: FakeStudio, stage: str, person: str = "") -> list[str]:
    return [key for key in studio.task_keys() if key.startswith(f"{stage}/") and (not person or f"/{person}/" in key)]


def read(corpus: Path) -> CampaignRecord:
    return read_campaign_record(corpus)[0]


def test_a_candidate_trains_then_answers_gold_then_works(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", qualification={}, people=people("ann"))
    assert sync(studio, corpus).created == {"qualification": 2, "regional": 4}
    assert [key.split("/")[1] for key in keys_of(studio, "qualification")] == [*TRAINING]
    work(studio)
    assert sync(studio, corpus).created == {"qualification": 5}
    assert {key.split("/")[1] for key in keys_of(studio, "qualification")} == {*TRAINING, *ATTEMPTS[0]}
    assert keys_of(studio, "regional", "ann") == []
    work(studio)
    assert sync(studio, corpus).created == {"regional": 2}
    [verdict] = make_pass_list(read(corpus)).standings["ann"].verdicts
    assert verdict.passed
    assert to_the_end(studio, corpus).steps == {"done": 2}


def test_training_shows_the_answer_and_gold_shows_nothing(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", qualification={}, people=people("ann"))
    sync(studio, corpus)
    task = studio.task("qualification/t1/ann/0")
    lines = task["data"]["lesson"].splitlines()
    assert lines[1:3] == ["See the seam.", "artifact, face, minor: A seam."]
    assert lines[3].startswith("Scores: perceptual quality 1.33")
    assert {item.get("from_name") for item in task["predictions"][0]["result"]} >= {"box", "disk", "flaw_type"}
    work(studio)
    sync(studio, corpus)
    task = studio.task("qualification/g00/ann/0")
    assert task["data"]["lesson"] == ""
    assert task["predictions"] == []


def test_every_task_has_what_its_interface_shows(tmp_path: Path, studio: FakeStudio) -> None:
    team = people("ann", zed=["checker"])
    steps = ["prompt_check", "regional", "expert", "scoring"]
    options = {"checkers": 1, "gold": {"rate": 0.5}}
    corpus = gold_corpus(tmp_path / "c", qualification={}, people=team, steps=steps, **options)
    to_the_end(studio, corpus)
    stages = set()
    for task in studio.everything():
        stage = task["data"]["key"].split("/")[0]
        stages.add(stage)
        assert {*list_data_fields(stage)} <= task["data"].keys()
    assert stages == {"qualification", *steps}


def test_what_the_manager_should_know_is_said_once(tmp_path: Path, studio: FakeStudio) -> None:
    team = [person for person in people(zed=["candidate", "regional"]) if person["person_id"] != "ann"]
    corpus = gold_corpus(tmp_path / "c", qualification={}, people=team, steps=["regional"])
    said = []
    with CampaignSync(studio, corpus, any_interface) as running:
        for _ in range(8):
            said.append(running.run().notes)
            work(studio)
    assert [len(notes) for notes in said if notes] == [2]
    needs, failed = next(notes for notes in said if notes)
    assert "Stage regional needs 3 people" in needs
    assert failed == "Did not qualify, and sees nothing of it in Label Studio; tell them: zed (zed@x.org)."


def test_who_fails_every_attempt_gets_no_work_and_others_do(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(
        tmp_path / "c", 4, qualification={}, people=people("zed", zed=["candidate", "regional", "rater"])
    )
    assert to_the_end(studio, corpus).steps == {"done": 4}
    assert {key.split("/")[0] for key in studio.task_keys() if "/zed/" in key} == {"qualification"}
    assert len(keys_of(studio, "qualification", "zed")) == 2 + 5 + 5
    found = make_pass_list(read(corpus)).standings["zed"]
    assert found.phase == "failed"
    assert [one.attempt for one in found.verdicts] == [0, 1]
    assert any("gold boxes found" in sentence for sentence in found.verdicts[1].sentences)


def test_a_failed_candidate_who_is_needed_holds_up_only_what_they_are_needed_for(
    tmp_path: Path, studio: FakeStudio
) -> None:
    team = [person for person in people(zed=["candidate", "regional"]) if person["person_id"] != "ann"]
    corpus = gold_corpus(tmp_path / "c", qualification={}, people=team, steps=["regional", "expert"])
    last = to_the_end(studio, corpus)
    assert last.steps == {"regional": 2}
    assert keys_of(studio, "regional", "zed") == []
    note, _ = make_pass_list(read(corpus)).notes
    assert note.startswith("Stage regional needs 3 people with the role 'regional', only 2 passed")


def test_raters_are_judged_by_their_scores_alone(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", qualification={}, people=people("dan"))
    for person in (plain := people("dan")):
        if person["person_id"] == "dan":
            person["roles"] = ["candidate", "rater"]
    plain.append({"person_id": "zed", "email": "zed@x.org", "name": "Zed", "roles": ["reviewer"]})
    write_campaign_options(corpus, pilot(qualification={}, people=plain), force=True)
    to_the_end(studio, corpus)
    [verdict] = make_pass_list(read(corpus)).standings["dan"].verdicts
    assert [figure.name for figure in verdict.figures if figure.value is not None] == [f"rank_{d}" for d in DIMENSIONS]


def test_who_is_asked_again_gets_new_gold_and_no_new_work_until_then(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", 1, qualification={}, people=people("bob"))
    for _ in range(4):
        sync(studio, corpus)
        work(studio, "qualification", "regional", "expert")
    done = CliRunner().invoke(
        annotate_app, ["qualify", str(corpus), "--again", "bob", "--json"], catch_exceptions=False
    )
    [bob] = orjson.loads(done.stdout)["candidates"]
    assert (bob["person_id"], bob["phase"], bob["attempt"], bob["todo"]) == ("bob", "gold", 1, 5)
    with pytest.raises(UserError, match="bob is qualifying already"):
        request_requalification(corpus, read(corpus), "bob", NOW)
    for _ in range(10):
        sync(studio, corpus)
        work(studio, "textual", "scoring")
    assert keys_of(studio, "scoring", "bob") == []
    work(studio, "qualification")
    assert to_the_end(studio, corpus).steps == {"done": 1}
    assert len(keys_of(studio, "qualification", "bob")) == 2 + 5 + 5
    with pytest.raises(UserError, match=r"bob has seen all gold\. Add lines of attempt 2"):
        request_requalification(corpus, read(corpus), "bob", NOW)


def test_who_was_trusted_can_be_asked_to_qualify(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", 1, qualification={})
    request_requalification(corpus, read(corpus), "cat", NOW)
    sync(studio, corpus)
    assert keys_of(studio, "regional", "cat") == []
    assert len(keys_of(studio, "qualification", "cat")) == 2
    assert to_the_end(studio, corpus).steps == {"done": 1}
    with pytest.raises(UserError, match="an active person of the campaign, got 'nobody'"):
        request_requalification(corpus, read(corpus), "nobody", NOW)


def test_without_a_qualification_nobody_can_be_asked(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    with pytest.raises(UserError, match="has no qualification"):
        request_requalification(corpus, read(corpus), "ann", NOW)


def test_half_a_line_hides_no_other(tmp_path: Path) -> None:
    corpus = gold_corpus(tmp_path / "c", 1, qualification={})
    path = corpus / "campaign" / "requalify.jsonl"
    path.write_text('{"person_id": 7}\n{"person_id": "a')
    request_requalification(corpus, read(corpus), "cat", NOW)
    record, aside = read_campaign_record(corpus)
    assert [*record.since] == ["cat"]
    assert [one.reason for one in aside] == ["bad_requalify", "bad_requalify"]


HIDING: dict[str, Any] = {"gold": {"rate": 0.4}, "steps": ["regional", "expert", "scoring"]}


def shape(task: dict[str, Any]) -> str:
    """Everything of a task that does not differ between pairs: names of its data, predictions and controls."""
    choices = [choice["value"].split(":")[0] for choice in task["data"].get("region_choices", [])]
    shown = [
        (sorted(one), one["model_version"], [(item["type"], sorted(item)) for item in one["result"]])
        for one in task["predictions"]
    ]
    return json.dumps([sorted(task), [*task["data"]], choices, shown, task["data"]["key"].count("/")])


def test_hidden_gold_looks_like_every_other_task(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", 6, gold={"rate": 0.4})
    assert to_the_end(studio, corpus).steps == {"done": 6}
    for stage in ("regional", "scoring"):
        tasks = [task for task in studio.everything() if task["data"]["key"].startswith(f"{stage}/")]
        hidden, others = (
            {shape(task) for task in tasks if (task["data"]["pair_id"] in HIDDEN) == gold} for gold in (True, False)
        )
        assert hidden == others
        assert not [task for task in tasks if "gold" in json.dumps(task["data"]).lower()]


def test_hidden_gold_comes_at_its_rate_and_never_first(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", 12, **HIDING)
    to_the_end(studio, corpus)
    for project in studio.made:
        names = [task["data"]["pair_id"] for task in studio.held[project.project_id]]
        hidden = [name for name in names if name in HIDDEN]
        assert len(hidden) == len(set(hidden))
        stage = project.description.splitlines()[-1].split("/")[1]
        ordinary = len(names) - len(hidden)
        assert names[0] not in HIDDEN
        assert abs(len(hidden) - (0 if stage == "expert" else 0.4 * ordinary)) <= 1


def test_gold_never_enters_the_exports(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", 6, qualification={}, people=people("ann", "bob"), **HIDING)
    assert to_the_end(studio, corpus).steps == {"done": 6}
    done = export_campaign(corpus)
    assert (done.finished, done.pairs) == (6, 6)
    said = {task["data"]["pair_id"] for file in done.files for task in orjson.loads((corpus / file).read_bytes())}
    assert said == {f"p{number}" for number in range(6)}
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        archived = {key.split("/")[1] for key in archive.known_keys()}
    assert archived >= {*TRAINING, *ATTEMPTS[0], "p900"}


def test_a_pair_of_the_corpus_that_is_gold_is_gold_alone(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", 3, qualification={}, people=people("ann"))
    line = {"pair_id": "p1", "set": "training", "marks": []}
    write_gold(corpus, [*gold_lines(), line])
    sync(studio, corpus)
    assert [key for key in studio.task_keys() if "/p1/" in key] == ["qualification/p1/ann/0"]
    task = studio.task("qualification/p1/ann/0")
    assert "No flaw at all." in task["data"]["lesson"]
    assert to_the_end(studio, corpus).steps == {"done": 2}


def careless(studio: FakeStudio, person: str) -> None:
    """Somebody sees nothing anywhere."""
    for task in studio.everything():
        if not task["annotations"] and f"/{person}/" in task["data"]["key"]:
            studio.submit(task, 2 + NAMES.index(person), nothing_seen())


def test_who_disagrees_with_gold_is_flagged_until_asked_again(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(tmp_path / "c", 20, gold={"rate": 0.5}, qualification={}, steps=["regional"])
    sync(studio, corpus)
    careless(studio, "cat")
    work(studio)
    sync(studio, corpus)
    found = make_pass_list(read(corpus))
    shares = {one.person_id: (one.share, one.flagged) for _, one in found.gold}
    assert shares == {"ann": (1, False), "bob": (1, False), "cat": (0, True)}
    assert found.notes == (
        "cat in stage regional: 0 of the last 6 hidden gold tasks agree with gold: at most 39 %, "
        "expected at least 60 %.",
    )
    said = CliRunner().invoke(annotate_app, ["qualify", str(corpus), "--again-flagged"], catch_exceptions=False)
    assert "cat qualifies again with attempt 0" in said.stderr
    found = make_pass_list(read(corpus))
    assert "cat" not in {one.person_id for _, one in found.gold}
    assert found.standings["cat"].phase == "training"


def test_the_same_gold_comes_whatever_the_number_of_syncs(tmp_path: Path) -> None:
    ends = []
    for often in (False, True):
        studio = FakeStudio(f"{name}@x.org" for name in NAMES)
        corpus = gold_corpus(tmp_path / str(often), 6, gold={"rate": 0.5}, qualification={}, people=people("ann"))
        for _ in range(60):
            sync(studio, corpus)
            if not (one_works(studio) if often else work(studio)):
                break
        ends.append(Counter(key.split("/")[0] for key in studio.task_keys()))
    assert ends[0]["regional"] == ends[1]["regional"] > 18
    assert ends[0]["qualification"] == ends[1]["qualification"]


def one_works(studio: FakeStudio) -> int:
    """The person with the first open task does all of theirs."""
    waiting = [task for task in studio.everything() if not task["annotations"]]
    mine = [task for task in waiting if task["data"]["key"].split("/")[-2] == waiting[0]["data"]["key"].split("/")[-2]]
    for task in mine:
        studio.submit(task, 2 + NAMES.index(task["data"]["key"].split("/")[-2]), respond(task, SIZE))
    return len(mine)


def test_from_qualification_to_work_to_redo(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = gold_corpus(
        tmp_path / "c",
        6,
        qualification={},
        gold={"rate": 0.3},
        people=people("ann"),
        steps=["regional", "expert", "scoring"],
    )
    for _ in range(3):
        sync(studio, corpus)
        work(studio, "qualification")
    careless(studio, "ann")
    work(studio, "regional")
    sync(studio, corpus)
    words = ["redo", str(corpus)]
    said = CliRunner().invoke(annotate_app, [*words, "--dry-run"], catch_exceptions=False)
    assert "6 tasks would be repeated" in said.stderr
    assert "6 empty" in said.stdout
    assert not (corpus / "campaign" / "redo.jsonl").exists()
    for count in ("6 tasks", "0 tasks"):
        assert count in CliRunner().invoke(annotate_app, words, catch_exceptions=False).stderr
    lines = [json.loads(line) for line in (corpus / "campaign" / "redo.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == [f"regional/p{number}/ann/0" for number in range(6)]
    assert lines[0]["reasons"][0]["reason"] == "empty"
    found = sync(studio, corpus)
    assert found.steps == {"regional": 6}
    assert {key for key in keys_of(studio, "regional", "ann") if key.endswith("/1")} == {
        f"regional/p{number}/ann/1" for number in range(6)
    }
    assert to_the_end(studio, corpus).steps == {"done": 6}
    assert "0 tasks" in CliRunner().invoke(annotate_app, words, catch_exceptions=False).stderr
    export_campaign(corpus)
    said = json.loads((corpus / "annotations" / "regions-pilot.json").read_text())
    assert all(len(one["annotations"][0]["result"]) > 0 for one in said)


def test_raters_whom_the_scoring_excludes_are_named_and_not_asked(tmp_path: Path, studio: FakeStudio) -> None:
    names = [f"r{number}" for number in range(8)]
    team = [{"person_id": name, "email": f"{name}@x.org", "name": name, "roles": ["rater"]} for name in names]
    studio = FakeStudio(f"{name}@x.org" for name in names)
    corpus = corpus_of(tmp_path / "c", 12, people=team, raters=8, steps=["scoring"])
    sync(studio, corpus)
    for task in studio.everything():
        _, pair, person, _ = task["data"]["key"].split("/")
        number = names.index(person)
        score = 5.0 if person == "r7" else 1.5 + int(pair[1:]) / 10 + number / 50 + (int(pair[1:]) * number % 3) / 20
        studio.submit(task, 2 + number, rating_results(dict.fromkeys(DIMENSIONS, score), []))
    sync(studio, corpus)
    said = CliRunner().invoke(annotate_app, ["redo", str(corpus)], catch_exceptions=False)
    assert "Not repeated: tasks of r7, whom the scoring excludes." in said.stdout
    assert "not repeated: 12." in said.stdout
    assert "0 tasks" in said.stderr


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
def test_killed_at_every_call_and_run_again_gold_ends_the_same(tmp_path: Path, late: bool) -> None:
    options: dict[str, Any] = {
        "qualification": {},
        "people": people("ann"),
        "steps": ["regional"],
        "gold": {"rate": 0.5},
    }

    def run(name: str, kill_at: int) -> tuple[list[str], int]:
        studio = FakeStudio(f"{name}@x.org" for name in NAMES)
        studio.kill_at, studio.late = kill_at, late
        corpus = gold_corpus(tmp_path / name, 5, **options)
        for _ in range(10):
            try:
                sync(studio, corpus)
            except Killed:
                sync(studio, corpus)
            calls = studio.calls
            if not work(studio):
                return studio.task_keys(), calls
        raise AssertionError("the campaign does not end")

    whole, calls = run("whole", 0)
    assert sum(key.split("/")[1] in HIDDEN for key in whole) == 6
    for number in range(1, calls + 1):
        assert run(f"killed-{number}", number)[0] == whole

"""The status of a real corpus's campaign: what the archive says, beside whatever else works on it."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from annotation.campaign.options import read_campaign_options, write_campaign_options
from annotation.campaign.state_files import lock_campaign, read_task_times
from annotation.campaign.status.agreement import TextAnswer, quick_agreement_notes
from annotation.campaign.status.collect_status import read_campaign_status
from annotation.campaign.status.report import CampaignStatus, render_status_page, sum_all_rows, sum_rows_by_stage
from annotation.campaign.sync.run_sync import sync_campaign_once
from annotation.commands import annotate_app
from annotation.commands.status_table import render_status_table
from annotation.labelstudio.client import StudioUser
from annotation.labelstudio.results import rating_results, regional_results
from annotation.records import DIMENSIONS
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio, any_interface
from tests.annotation.campaign.gold_corpus import gold_corpus, people
from tests.annotation.campaign.people_at_work import mark, nothing_seen, respond
from tests.annotation.campaign.pilot import NUMBER, ROLES, SIZE, corpus_of, everybody_works, owner, sync, to_the_end

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus")


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


def test_before_the_first_sync_everything_is_left(corpus: Path) -> None:
    status = read_campaign_status(corpus, NOW)
    assert [(row.stage, row.person, row.done, row.left) for row in status.rows] == [
        ("regional", name, 0, 2) for name in ("ann", "bob", "cat")
    ]
    assert (status.heard, status.finished, status.pairs) == (None, 0, 2)
    assert (status.notes, status.to_come) == ([], {"expert": 2, "textual": 6, "scoring": 4})
    assert "Still to create: 6 textual tasks" in shown(status)
    assert "To come: 2 expert, 6 textual, 4 scoring." in render_status_page(status)
    assert not (corpus / "campaign" / "answers.jsonl").exists()


def test_done_tasks_are_those_on_the_server_at_every_moment(corpus: Path, studio: FakeStudio) -> None:
    for _ in range(4):
        sync(studio, corpus)
        tasks = studio.everything()
        everything = sum_all_rows(read_campaign_status(corpus, NOW).rows)
        assert everything.assigned == len(tasks)
        assert everything.done == sum(bool(task["annotations"]) for task in tasks)
        everybody_works(studio)


def test_at_the_end_nothing_is_left_and_annotators_agree(corpus: Path, studio: FakeStudio) -> None:
    to_the_end(studio, lambda: sync(studio, corpus))
    status = read_campaign_status(corpus, NOW)
    assert (status.finished, sum_all_rows(status.rows).left, status.notes) == (2, 0, [])
    assert status.heard is not None
    assert {row.agreement for row in status.rows if row.stage == "regional"} == {1.0}
    assert {row.stuck for row in status.rows} == {None}


def test_what_does_not_count_is_counted(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    task = studio.task("regional/p0/ann/0")
    studio.submit(task, NUMBER["bob"], respond(task, SIZE))
    sync(studio, corpus)
    status = read_campaign_status(corpus, NOW)
    assert status.set_aside == {"wrong_person": 1}
    assert [row.done for row in status.rows] == [0, 0, 0]


def test_a_running_sync_is_neither_disturbed_nor_waited_for(corpus: Path, studio: FakeStudio) -> None:
    to_the_end(studio, lambda: sync(studio, corpus))
    archive = corpus / "campaign" / "answers.jsonl"
    with lock_campaign(corpus / "campaign"), archive.open("ab") as stream:
        stream.write(b'{"project": "half of a li')
        stream.flush()
        before = archive.read_bytes()
        assert read_campaign_status(corpus, NOW).finished == 2
        assert archive.read_bytes() == before
    assert not (corpus / "campaign" / "answers.torn").exists()


def test_a_damaged_line_is_told(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    (corpus / "campaign" / "answers.jsonl").write_bytes(b"no json\n")
    assert "1 line of campaign/answers.jsonl cannot be read" in read_campaign_status(corpus, NOW).notes[-1]


def test_the_command_prints_a_table_and_writes_a_page(corpus: Path, tmp_path: Path) -> None:
    page = tmp_path / "status.html"
    done = CliRunner().invoke(annotate_app, ["status", str(corpus), "--page", str(page)], catch_exceptions=False)
    assert "0 of 2 pairs finished all stages" in done.stdout
    assert "everybody" in done.stdout
    assert "<title>Campaign: Pilot</title>" in page.read_text()


def test_the_command_gives_json(corpus: Path) -> None:
    done = CliRunner().invoke(annotate_app, ["status", str(corpus), "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["total"]["left"] == 6


def test_watching_goes_on_until_it_is_interrupted(
    corpus: Path, tmp_path: Path, studio: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "status.html"
    naps = iter([lambda: to_the_end(studio, lambda: sync(studio, corpus)), lambda: 1 / 0])
    monkeypatch.setattr(time, "sleep", lambda seconds: next(naps)())
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(
            annotate_app, ["status", str(corpus), "--watch", "30", "--page", str(page)], catch_exceptions=False
        )
    text = page.read_text()
    assert '<meta http-equiv="refresh" content="30">' in text
    assert "<b>2</b><span>pairs finished</span>" in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--json", "--watch", "5"], "either --json or --watch"),
        (["--page", "."], "cannot be written"),
        (["--page", "nowhere/status.html"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_sentence(corpus: Path, more: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(annotate_app, ["status", str(corpus), *more], catch_exceptions=False)


def test_a_corpus_without_a_campaign_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no campaign in"):
        read_campaign_status(tmp_path, NOW)


def later(**since: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(**since)


def sync_at(studio: FakeStudio, corpus: Path, moment: datetime) -> None:
    sync_campaign_once(studio, corpus, any_interface, Path("/served/images"), lambda: moment.isoformat())


def test_who_never_began_is_stuck_two_days_after_their_tasks_came(corpus: Path, studio: FakeStudio) -> None:
    sync_at(studio, corpus, later())
    for task in studio.everything():
        if "/ann/" in task["data"]["key"]:
            studio.submit(task, NUMBER["ann"], respond(task, SIZE))
    sync_at(studio, corpus, later(hours=1))
    assert {row.stuck for row in read_campaign_status(corpus, later(hours=47)).rows} == {None}
    stuck = {row.person: row.stuck for row in read_campaign_status(corpus, later(hours=50)).rows}
    assert stuck == {"ann": None, "bob": "nothing for 50 hours", "cat": "nothing for 50 hours"}


def test_a_task_is_noted_once_whatever_was_cut_off(corpus: Path, studio: FakeStudio) -> None:
    sync_at(studio, corpus, later())
    path = corpus / "campaign" / "handed_out.jsonl"
    first = read_task_times(corpus / "campaign")
    assert sorted(first) == studio.task_keys()
    path.write_bytes(path.read_bytes()[:-20])
    sync_at(studio, corpus, later(hours=1))
    sync_at(studio, corpus, later(hours=2))
    again = read_task_times(corpus / "campaign")
    assert sorted(again) == studio.task_keys()
    assert sum(again[key] != first[key] for key in first) == 1
    assert len(path.read_text().splitlines()) == len(first) + 1


def test_who_left_has_nothing_left(corpus: Path, studio: FakeStudio) -> None:
    sync(studio, corpus)
    options = read_campaign_options(corpus)
    people = [person.model_copy(update={"active": person.person_id != "ann"}) for person in options.people]
    people.append(options.people[0].model_copy(update={"person_id": "new", "email": "new@x.org"}))
    write_campaign_options(corpus, options.model_copy(update={"people": tuple(people)}), force=True)
    studio.accounts.append(StudioUser(99, "new@x.org"))
    sync(studio, corpus)
    assert {(row.person, row.left) for row in read_campaign_status(corpus, NOW).rows} == {
        ("new", 2),
        ("bob", 2),
        ("cat", 2),
    }


def test_reviewers_and_raters_agree_as_far_as_they_do(corpus: Path, studio: FakeStudio) -> None:
    to_the_end(studio, lambda: sync(studio, corpus))
    status = read_campaign_status(corpus, NOW)
    # The first reviewer writes, the second revises, the third and the first agree: four words, two rounds.
    shares = [row.agreement for row in status.rows if row.stage == "textual" and row.agreement is not None]
    assert sum(shares) / len(shares) == pytest.approx(2 / 3)
    figures = {(one.stage, one.what): (one.value, one.of) for one in status.figures}
    assert figures["textual", "texts agreed on in the first round"] == (0.0, 2)
    assert figures["textual", "rounds of a text"] == (2.0, 2)
    assert figures["textual", "texts that went to the expert"] == (0.0, 2)
    assert figures["regional", "F1 of the boxes of two annotators, IoU 0.5"] == (1.0, 2)
    assert [what for stage, what in figures if stage == "scoring"] == [
        f"Krippendorff's alpha of {name.replace('_', ' ')}" for name in DIMENSIONS
    ]


def test_alpha_is_that_of_the_latest_scores(corpus: Path, studio: FakeStudio) -> None:
    to_the_end(studio, lambda: sync(studio, corpus))
    scoring = [task for task in studio.everything() if task["data"]["key"].startswith("scoring/")]
    for task in scoring:
        score = 1.0 if task["data"]["pair_id"] == "p0" else 5.0
        results = rating_results(dict.fromkeys(DIMENSIONS, score), [])
        studio.edit(task, task["annotations"][0], owner(task), results)
    sync(studio, corpus)
    assert [one.value for one in read_campaign_status(corpus, NOW).figures if one.stage == "scoring"] == [1.0, 1.0, 1.0]


def test_of_one_pair_alone_there_is_no_alpha(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = corpus_of(tmp_path / "one", 1)
    to_the_end(studio, lambda: sync(studio, corpus))
    assert "scoring" not in {one.stage for one in read_campaign_status(corpus, NOW).figures}


def shown(status: CampaignStatus) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(render_status_table(status))
    return console.file.getvalue()


def test_gold_is_a_column_once_somebody_met_it(corpus: Path) -> None:
    status = read_campaign_status(corpus, NOW)
    assert not status.has_gold
    gold = replace(status, rows=[replace(status.rows[0], gold=0.75), *status.rows[1:]])
    page, table = render_status_page(gold), shown(gold)
    assert "75\N{NO-BREAK SPACE}%" in page
    assert ">Gold</th>" in page
    assert "75\N{NO-BREAK SPACE}%" in table
    assert "gold" in table
    assert ">Gold</th>" not in render_status_page(status)
    assert "gold" not in shown(status)


def test_agreement_adds_up_boxes_and_counts_that_there_is_no_flaw(tmp_path: Path) -> None:
    corpus, studio = corpus_of(tmp_path / "corpus", 3), FakeStudio(f"{name}@x.org" for name in ROLES)
    sync(studio, corpus)
    flaw, far = mark("ann", SIZE), replace(mark("ann", SIZE, left=0.55), mark_id="far")
    # By pair and person: three draw the same; all see nothing; two see nothing and one draws two boxes.
    drawn = {"p0": {"ann": [flaw], "bob": [flaw], "cat": [flaw]}, "p1": {}, "p2": {"cat": [flaw, far]}}
    for task in studio.everything():
        _, pair_id, person, _ = task["data"]["key"].split("/")
        marks = drawn[pair_id].get(person, [])
        studio.submit(task, owner(task), regional_results(marks, *SIZE) if marks else nothing_seen())
    sync(studio, corpus)
    status = read_campaign_status(corpus, NOW)
    figures = {one.what: one.value for one in status.figures if one.stage == "regional"}
    # Three couples match one box each; in two couples, two boxes meet none.
    assert figures["F1 of the boxes of two annotators, IoU 0.5"] == pytest.approx(2 * 3 / (3 * 2 + 2 * 2))
    # Of nine couples, three of p0, three of p1 and one of p2 agree whether there is a flaw, four that there is none.
    assert figures["two annotators agree whether there is a flaw"] == pytest.approx(7 / 9)
    assert figures["two annotators agree that there is none"] == pytest.approx(4 / 9)
    [stage] = [row for row in sum_rows_by_stage(status.rows) if row.stage == "regional"]
    assert stage.agreement == pytest.approx(figures["F1 of the boxes of two annotators, IoU 0.5"])
    assert {row.person: row.agreement for row in status.rows if row.stage == "regional"} == pytest.approx(
        {"ann": 4 / 6, "bob": 4 / 6, "cat": 4 / 8}
    )


@pytest.mark.parametrize(("seconds", "words", "quick"), [(2.0, 5, True), (4.0, 5, False), (4.0, 100, True)])
def test_who_agrees_faster_than_anybody_reads_is_named(seconds: float, words: int, quick: bool) -> None:
    answers = [TextAnswer("dan", True, words, seconds)] * 3 + [TextAnswer("eve", False, words, seconds)] * 3
    notes = quick_agreement_notes([*answers, TextAnswer("dan", True, words, 60.0), TextAnswer("dan", True, 0, 1.0)])
    assert [note.split(" tasks")[0] for note in notes] == (["dan agreed in 3 of 4"] if quick else [])


def test_two_second_agreements_are_in_the_status(tmp_path: Path) -> None:
    corpus, studio = corpus_of(tmp_path / "corpus", 3), FakeStudio(f"{name}@x.org" for name in ROLES)
    for _ in range(8):
        sync(studio, corpus)
        for task in studio.everything():
            if not task["annotations"]:
                studio.submit(task, owner(task), respond(task, SIZE))["lead_time"] = 2.0
    assert any("faster than they can be read" in note for note in read_campaign_status(corpus, NOW).notes)


def test_status_counts_what_waits_and_for_what(tmp_path: Path) -> None:
    corpus, studio = corpus_of(tmp_path / "corpus", 2), FakeStudio(f"{name}@x.org" for name in ROLES)
    sync(studio, corpus)
    everybody_works(studio)
    sync(studio, corpus)
    line = {"key": "regional/p0/ann/0", "reasons": [{"reason": "empty"}]}
    (corpus / "campaign" / "redo.jsonl").write_text(json.dumps(line) + "\n")
    sync(studio, corpus)
    status = read_campaign_status(corpus, NOW)
    assert [one.text for one in status.waiting] == [
        "1 pair (1 task) waits for people who were asked to do a task again."
    ]
    assert "waits for people who were asked" in render_status_page(status)


def test_status_counts_tasks_of_people_who_have_yet_to_qualify(tmp_path: Path) -> None:
    corpus = gold_corpus(tmp_path / "corpus", people=people("ann"), qualification={})
    studio = FakeStudio(f"{name}@x.org" for name in ROLES)
    sync(studio, corpus)
    [waiting] = [one for one in read_campaign_status(corpus, NOW).waiting if one.why == "qualification"]
    assert (waiting.pairs, waiting.tasks) == (2, 2)
    assert waiting.text.endswith("wait for people who have yet to qualify.")

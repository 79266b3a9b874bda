"""Who cannot judge a pair, or says nothing about it: the answer does not count, and the manager reads the notes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from annotation.campaign.options import parse_campaign_options, read_campaign_options, write_campaign_options
from annotation.campaign.status.collect_status import read_campaign_status
from annotation.campaign.status.report import render_status_page
from annotation.campaign.sync.run_sync import SyncSummary
from annotation.campaign.write_exports import export_campaign
from annotation.commands import annotate_app
from annotation.corpus import Corpus
from annotation.labelstudio.results import rating_results
from annotation.records import DIMENSIONS
from annotation.regions import accepted_regions
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.people_at_work import Result, nothing_seen, predicted, respond, verdict
from tests.annotation.campaign.pilot import NUMBER, ROLES, SIZE, corpus_of, everybody_works, owner, sync, to_the_end

WORDS = "The source image does not load for me! <b>x</b>"


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio([*(f"{name}@x.org" for name in ROLES), "fay@x.org"])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return corpus_of(tmp_path / "corpus", 1)


def with_fay(corpus: Path, *roles: str) -> None:
    """One more person, who has a role."""
    data = read_campaign_options(corpus).model_dump(mode="json")
    fay = {"person_id": "fay", "email": "fay@x.org", "name": "Fay", "roles": list(roles)}
    write_campaign_options(
        corpus, parse_campaign_options(data | {"people": [*data["people"], fay]}, "test"), force=True
    )


def note(text: str) -> Result:
    return {"id": "n", "from_name": "note", "to_name": "edited", "type": "textarea", "value": {"text": [text]}}


def cannot_judge() -> Result:
    value = {"choices": ["cannot_judge"]}
    return {"id": "c", "from_name": "cannot_judge", "to_name": "edited", "type": "choices", "value": value}


def open_keys(studio: FakeStudio) -> list[str]:
    return sorted(task["data"]["key"] for task in studio.everything() if not task["annotations"])


def submit(studio: FakeStudio, key: str, *result: Result) -> None:
    task = studio.task(key)
    number = NUMBER | {"fay": len(NUMBER) + 2}
    studio.submit(task, number[key.split("/")[2]], list(result))


class TestCannotJudge:
    @pytest.mark.parametrize(("stage", "role"), [("regional", "regional"), ("expert", "expert"), ("scoring", "rater")])
    def test_somebody_else_gets_the_pair(self, corpus: Path, studio: FakeStudio, stage: str, role: str) -> None:
        with_fay(corpus, role)
        while not any(key.startswith(f"{stage}/") for key in open_keys(studio)):
            everybody_works(studio)
            sync(studio, corpus)
        mine = next(key for key in open_keys(studio) if key.startswith(f"{stage}/"))
        before = {key.split("/")[2] for key in open_keys(studio)}
        scores = rating_results(dict.fromkeys(DIMENSIONS, 3.0), [])
        submit(studio, mine, cannot_judge(), note(WORDS), *(scores if stage == "scoring" else nothing_seen()))
        found = sync(studio, corpus)
        after = {key.split("/")[2] for key in open_keys(studio)}
        assert mine.split("/")[2] not in after
        assert len(after) == len(before)
        assert [one.reason for one in found.set_aside] == ["cannot_judge"]

    def test_where_nobody_is_left_two_annotators_of_three_are_enough(self, corpus: Path, studio: FakeStudio) -> None:
        sync(studio, corpus)
        submit(studio, "regional/p0/ann/0", cannot_judge())
        last = to_the_end(studio, lambda: sync(studio, corpus))
        assert last.steps == {"done": 1}
        export_campaign(corpus)
        [(_, consensus)] = accepted_regions(Corpus.open(corpus))
        assert consensus.regions[0].annotators == ("bob", "cat", "max")

    def test_with_too_few_the_pair_waits_and_the_manager_is_told(self, corpus: Path, studio: FakeStudio) -> None:
        sync(studio, corpus)
        submit(studio, "regional/p0/ann/0", cannot_judge())
        submit(studio, "regional/p0/bob/0", cannot_judge(), note(WORDS))
        submit(studio, "regional/p0/cat/0", *respond(studio.task("regional/p0/cat/0"), SIZE))
        found = sync(studio, corpus)
        assert (found.steps, open_keys(studio)) == ({"regional": 1}, [])
        [sentence] = found.notes
        assert "Stage regional: nobody is left who can judge p0." in sentence
        assert sentence in read_campaign_status(corpus, datetime(2026, 2, 1, tzinfo=UTC)).notes
        with_fay(corpus, "regional")
        sync(studio, corpus)
        assert open_keys(studio) == ["regional/p0/fay/0"]

    def test_the_manager_can_give_the_task_back(self, corpus: Path, studio: FakeStudio) -> None:
        sync(studio, corpus)
        for person in ("ann", "bob"):
            submit(studio, f"regional/p0/{person}/0", cannot_judge())
        sync(studio, corpus)
        (corpus / "campaign" / "redo.jsonl").write_text('{"key": "regional/p0/ann/0"}\n')
        sync(studio, corpus)
        assert "regional/p0/ann/1" in open_keys(studio)
        assert to_the_end(studio, lambda: sync(studio, corpus)).steps == {"done": 1}

    def test_who_changes_their_mind_counts(self, corpus: Path, studio: FakeStudio) -> None:
        sync(studio, corpus)
        task = studio.task("regional/p0/ann/0")
        given = studio.submit(task, NUMBER["ann"], [cannot_judge()])
        sync(studio, corpus)
        studio.edit(task, given, NUMBER["ann"], respond(task, SIZE))
        assert to_the_end(studio, lambda: sync(studio, corpus)).steps == {"done": 1}
        export_campaign(corpus)
        [(_, consensus)] = accepted_regions(Corpus.open(corpus))
        assert consensus.regions[0].annotators == ("ann", "bob", "cat", "max")


class TestNothingMarked:
    @pytest.mark.parametrize("result", [[], [note(WORDS)]])
    def test_the_task_is_given_again_and_the_key_0_ends_it(
        self, corpus: Path, studio: FakeStudio, result: list[Result]
    ) -> None:
        sync(studio, corpus)
        submit(studio, "regional/p0/ann/0", *result)
        found = sync(studio, corpus)
        assert [one.reason for one in found.set_aside] == ["nothing_marked"]
        assert "regional/p0/ann/1" in open_keys(studio)
        submit(studio, "regional/p0/ann/1", *nothing_seen())
        assert to_the_end(studio, lambda: sync(studio, corpus)).steps == {"done": 1}

    def test_an_expert_who_submits_an_empty_task_overrules_nobody(self, corpus: Path, studio: FakeStudio) -> None:
        for _ in range(2):
            sync(studio, corpus)
            everybody_works(studio)
        task = studio.task("expert/p0/max/0")
        task["annotations"].clear()
        submit(studio, "expert/p0/max/0")
        sync(studio, corpus)
        assert open_keys(studio) == ["expert/p0/max/1"]


class TestNotes:
    @pytest.fixture
    def noted(self, corpus: Path, studio: FakeStudio) -> Path:
        sync(studio, corpus)
        submit(studio, "regional/p0/ann/0", note(WORDS), *nothing_seen())
        submit(studio, "regional/p0/bob/0", cannot_judge())
        submit(studio, "regional/p0/cat/0", *nothing_seen())
        studio.task("regional/p0/ann/0")["annotations"][0]["project"] = 7
        sync(studio, corpus)
        return corpus

    def run(self, *words: str | Path) -> str:
        done = CliRunner().invoke(annotate_app, [str(word) for word in words], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    def test_the_command_shows_who_wrote_what_about_which_pair(self, noted: Path, studio: FakeStudio) -> None:
        number = studio.task("regional/p0/ann/0")["id"]
        found: list[dict[str, Any]] = json.loads(self.run("notes", noted, "--json"))
        assert [
            (one["person_id"], one["pair_id"], one["stage"], one["text"], one["cannot_judge"]) for one in found
        ] == [
            ("ann", "p0", "regional", WORDS, False),
            ("bob", "p0", "regional", "", True),
        ]
        assert [one["link"] for one in found] == [f"http://127.0.0.1:8080/projects/7/data?task={number}", None]
        text = self.run("notes", noted)
        assert WORDS in text and f"projects/7/data?task={number}" in text and "bob  regional  p0  cannot judge" in text

    def test_the_status_counts_them_and_its_page_shows_them_as_text(self, noted: Path) -> None:
        status = read_campaign_status(noted, datetime(2026, 2, 1, tzinfo=UTC))
        assert [one["text"] for one in status.as_dict()["participant_notes"]] == [WORDS, ""]
        assert "Notes of participants: 2." in self.run("status", noted)
        page = render_status_page(status)
        assert "Notes of participants (2)" in page and "&lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page

    def test_without_any_it_says_so(self, corpus: Path, studio: FakeStudio) -> None:
        sync(studio, corpus)
        assert self.run("notes", corpus) == "There are no notes.\n"
        assert json.loads(self.run("notes", corpus, "--json")) == []


def test_an_expert_who_accepts_everything_changes_no_disk_in_a_build(corpus: Path, studio: FakeStudio) -> None:
    def step() -> SyncSummary:
        return sync(studio, corpus)

    to_the_end(studio, step)
    export_campaign(corpus)
    [(_, consensus)] = accepted_regions(Corpus.open(corpus))
    disks = sorted(mark.mark.disks[0] for mark in consensus.marks if mark.annotation.annotator_id != "max")
    assert list(consensus.regions[0].disks) == disks
    assert len(disks) == 3
    assert all(owner(task) for task in studio.everything())


def test_a_revision_that_changes_nothing_is_told_and_counts_as_agreement(corpus: Path, studio: FakeStudio) -> None:
    while not any(key.startswith("textual/") and key.endswith("/1") for key in open_keys(studio)):
        everybody_works(studio)
        sync(studio, corpus)
    [key] = open_keys(studio)
    submit(studio, key, *predicted(studio.task(key)), verdict("revise"))
    found = sync(studio, corpus)
    assert [one.reason for one in found.set_aside] == ["nothing_revised"]
    assert to_the_end(studio, lambda: sync(studio, corpus)).steps == {"done": 1}

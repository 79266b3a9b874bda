"""Keys of tasks, and the plan as a pure function: no order matters, and nothing that exists is wanted again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.campaign.archive import AnswerArchive
from annotation.campaign.model import CampaignRecord, TaskKey
from annotation.campaign.options import CAMPAIGN_STAGES
from annotation.campaign.planning.planner import plan_assignment, plan_tasks
from annotation.campaign.read_record import RecordReader
from annotation.text import describe_bad_id
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.pilot import ROLES, corpus_of, everybody_works, pilot, sync

PAIR = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: describe_bad_id(text) is None)


@given(
    st.sampled_from(CAMPAIGN_STAGES), PAIR, st.from_regex(r"[A-Za-z0-9._-]{1,9}", fullmatch=True), st.integers(0, 999)
)
def test_a_key_is_read_back_whatever_the_pair_is_called(stage: str, pair: str, person: str, number: int) -> None:
    key = TaskKey(stage, pair, person, number)  # type: ignore[arg-type]
    assert TaskKey.parse(str(key)) == key


@pytest.mark.parametrize(
    "text",
    [None, 7, "", "regional", "regional/p/a", "dream/p/a/0", "regional/p/a/x", "regional/p/a/-1", "regional/p/a/٣"],
)
def test_what_is_no_key_is_none(text: object) -> None:
    assert TaskKey.parse(text) is None


@pytest.mark.parametrize("syncs", range(7))
def test_the_plan_depends_on_no_order(tmp_path: Path, syncs: int) -> None:
    studio = FakeStudio(f"{name}@x.org" for name in ROLES)
    corpus = corpus_of(tmp_path / "corpus", 4)
    for _ in range(syncs):
        sync(studio, corpus)
        everybody_works(studio)
    (corpus / "campaign" / "answers.jsonl").touch()
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        record, _ = RecordReader(corpus, archive).read(pilot(), studio.task_keys())
    plan = plan_tasks(record)
    people = list(record.options.people)
    pairs = list(record.pairs)
    Random(syncs).shuffle(people)
    Random(syncs).shuffle(pairs)
    turned = replace(record, pairs=pairs, options=record.options.model_copy(update={"people": tuple(people)}))
    assert plan_tasks(turned) == plan
    assert plan_tasks(replace(record, existing={*record.existing, *(spec.key for spec in plan)})) == []


def test_every_pair_has_its_people_in_every_stage_and_nobody_twice(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", 12)
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        record, _ = RecordReader(corpus, archive).read(pilot())
    found = plan_assignment(record)
    assert len(found) == 12 * 5
    assert all(len(set(names)) == len(names) for names in found.values())


def test_a_reviewer_who_left_with_texts_open_is_replaced(tmp_path: Path) -> None:
    studio = FakeStudio([*(f"{name}@x.org" for name in ROLES), "fay@x.org"])
    corpus = corpus_of(tmp_path / "corpus", 1)
    for _ in range(3):
        sync(studio, corpus)
        everybody_works(studio)
    spoke = [key.split("/")[2] for key in studio.task_keys() if key.startswith("textual/")]
    assert len(spoke) == 1
    people = [person.model_dump() for person in pilot().people]
    for person in people:
        person["active"] = person["person_id"] != spoke[0] or "regional" in person["roles"]
        if person["person_id"] == spoke[0]:
            person["roles"] = [role for role in person["roles"] if role != "reviewer"] or ["candidate"]
    fay = {"person_id": "fay", "email": "fay@x.org", "name": "Fay", "roles": ["reviewer"]}
    options = pilot(people=[*people, fay])
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        record, _ = RecordReader(corpus, archive).read(options, studio.task_keys())
    assert spoke[0] not in plan_assignment(record)["p0", "textual"]
    assert "fay" in plan_assignment(record)["p0", "textual"]


def test_an_empty_corpus_has_no_tasks() -> None:
    assert plan_tasks(CampaignRecord(pilot(), [])) == []


def test_drafts_are_read_by_pair_and_region(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", 1)
    (corpus / "drafts.jsonl").write_text(json.dumps({"pair_id": "p0", "region_id": "r", "text": "t"}) + "\n")
    with AnswerArchive(corpus / "campaign" / "answers.jsonl") as archive:
        record, aside = RecordReader(corpus, archive).read(pilot())
    assert record.drafts["p0"]["r"].text == "t"
    assert aside == []

"""What a campaign exports, and that a build reads it as it was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from annotation.campaign.options import write_campaign_options
from annotation.campaign.write_exports import export_campaign
from annotation.labelstudio.read_rationales import read_rationales
from annotation.labelstudio.results import rating_results, regional_results
from annotation.labelstudio.submissions import list_annotator_ids
from annotation.rationales import compute_text_agreement
from annotation.records import DIMENSIONS, Place, Rationale, Rejection
from annotation.rules import AnnotationRules, format_rules, read_rules
from editfhf.builder import BuildRunOptions, build_dataset, read_build_options
from editfhf.dataset import load
from mos.console import NullProgress
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.people_at_work import mark, predicted, respond, text_of, verdict
from tests.annotation.campaign.pilot import ROLES, SIZE, corpus_of, owner, pilot, sync, to_the_end


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


@pytest.fixture
def done(tmp_path: Path, studio: FakeStudio) -> Path:
    corpus = corpus_of(tmp_path / "corpus")
    to_the_end(studio, lambda: sync(studio, corpus))
    return corpus


def tasks(corpus: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((corpus / "annotations" / f"{name}-pilot.json").read_text())


def statements(corpus: Path) -> list[Rationale]:
    def never(rejection: Rejection) -> None:
        raise AssertionError(rejection)

    return [one for task in tasks(corpus, "rationales") for one in read_rationales(task, Place("f", 1), SIZE, never)]


def test_every_stage_has_a_file_and_people_their_own_names(done: Path) -> None:
    written = export_campaign(done)
    assert written.files == {
        "annotations/regions-pilot.json": 6,
        "annotations/expert-pilot.json": 2,
        "annotations/rationales-pilot.json": 2,
        "annotations/ratings-pilot.json": 4,
    }
    assert (written.finished, written.pairs) == (2, 2)
    people = {name for task in tasks(done, "regions") for name in list_annotator_ids(task)}
    assert people == {"ann", "bob", "cat"}


def test_texts_are_final_and_say_who_wrote_and_who_agreed(done: Path) -> None:
    export_campaign(done)
    said = [one for one in statements(done) if one.pair_id == "p0"]
    assert [one.text for one in said] == ["Text 0 <b>א🦊"] + 3 * ["Text 1 <b>א🦊"]
    assert [one.verdict for one in said] == ["revise", "revise", "agree", "agree"]
    assert compute_text_agreement(said, 3).final


def test_the_same_archive_gives_the_same_bytes(done: Path) -> None:
    export_campaign(done)
    first = {path.name: path.read_bytes() for path in (done / "annotations").iterdir()}
    export_campaign(done)
    assert {path.name: path.read_bytes() for path in (done / "annotations").iterdir()} == first


def test_files_of_others_are_never_overwritten_unasked(done: Path) -> None:
    (done / "annotations").mkdir()
    path = done / "annotations" / "ratings-pilot.json"
    path.write_text("[]")
    with pytest.raises(UserError, match=r"ratings-pilot.json was changed since the last export"):
        export_campaign(done)
    assert [found.name for found in (done / "annotations").iterdir()] == ["ratings-pilot.json"]
    assert path.read_text() == "[]"
    export_campaign(done, force=True)
    export_campaign(done)
    assert len(tasks(done, "ratings")) == 4


def test_before_anything_was_collected_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no submissions"):
        export_campaign(corpus_of(tmp_path / "corpus"))


def apart(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer to a task by people of whom no two mark the same place."""
    stage, _, person, _ = task["data"]["key"].split("/")
    if stage != "regional":
        return respond(task, SIZE)
    return regional_results([mark(person, SIZE, left={"ann": 0.0, "bob": 0.28, "cat": 0.55}[person])], *SIZE)


@pytest.mark.parametrize(
    ("rules", "answer", "regions"),
    [
        ({"reviewers": 2}, lambda task: respond(task, SIZE), 1),
        ({"reviewers": 2, "min_support": 1}, apart, 3),
        ({"min_support": 1}, apart, 3),
    ],
)
def test_every_final_text_of_a_campaign_is_in_a_build_without_options(
    tmp_path: Path, studio: FakeStudio, rules: dict[str, int], answer: Any, regions: int
) -> None:
    corpus = corpus_of(tmp_path / "corpus", rules=rules)
    for _ in range(20):
        sync(studio, corpus)
        for task in studio.everything():
            if not task["annotations"]:
                studio.submit(task, owner(task), answer(task))
    written = export_campaign(corpus)
    assert (written.finished, written.rules) == (2, "annotations/rules.yaml")
    assert read_rules(corpus / written.rules) == AnnotationRules(**rules)
    rows = built(corpus, tmp_path / "dataset")
    texts = [[region["rationale"] for region in row["artifact_regions"]] for row in rows]
    assert [len(found) for found in texts] == 2 * [regions]
    assert all(text is not None for found in texts for text in found)
    options = json.loads((tmp_path / "dataset" / "manifest.json").read_text())["options"]["regions"]
    assert options == AnnotationRules(**rules).model_dump(exclude={"scale"})


def test_rules_that_somebody_wrote_are_kept_unless_they_say_the_same(done: Path) -> None:
    (done / "annotations").mkdir()
    path = done / "annotations" / "rules.yaml"
    path.write_text("reviewers: 2\n")
    with pytest.raises(UserError, match=r"rules.yaml was changed since the last export"):
        export_campaign(done)
    assert [found.name for found in (done / "annotations").iterdir()] == ["rules.yaml"]
    export_campaign(done, force=True)
    assert read_rules(path) == AnnotationRules()
    write_campaign_options(done, pilot(rules={"max_flags": 1}), force=True)
    export_campaign(done)
    assert read_rules(path) == AnnotationRules(max_flags=1)


def test_equal_rules_of_somebody_are_no_obstacle(done: Path) -> None:
    (done / "annotations").mkdir()
    (done / "annotations" / "rules.yaml").write_text(format_rules(AnnotationRules()))
    export_campaign(done)


def built(corpus: Path, dataset: Path) -> list[dict[str, Any]]:
    """The rows of a dataset that is built from the corpus."""
    build_dataset(corpus, dataset, read_build_options(None), BuildRunOptions(workers=1), NullProgress())
    return sorted((row for split in load(dataset).values() for row in split), key=lambda row: row["pair_id"])


def test_a_build_reads_it_without_setting_anything_aside(done: Path, tmp_path: Path) -> None:
    export_campaign(done)
    rows = built(done, tmp_path / "dataset")
    rejected = [json.loads(line) for line in (tmp_path / "dataset" / "rejected.jsonl").read_text().splitlines()]
    # Raters who give one score to everything have no z-scores.
    assert {one["what"] for one in rejected} <= {"score"}
    for row in rows:
        [region] = row["artifact_regions"]
        assert region["rationale"] == "Text 1 <b>א🦊"
        assert (region["flaw_type"], region["severity"]) == ("face", "minor")
        assert sorted(region["annotators"])


def test_a_text_that_the_expert_settled_is_the_expert_s_in_a_build(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = corpus_of(tmp_path / "corpus", 1, rounds=1)
    for turn in range(20):
        sync(studio, corpus)
        for task in studio.everything():
            if not task["annotations"]:
                result = respond(task, SIZE)
                if task["data"]["key"].startswith("textual"):
                    box = next(item for item in predicted(task) if item["from_name"] == "box")
                    result = [box, text_of(box, f"I say {turn}"), verdict("revise")]
                studio.submit(task, owner(task), result)
    assert export_campaign(corpus).finished == 1
    [row] = built(corpus, tmp_path / "dataset")
    assert [region["rationale"] for region in row["artifact_regions"]] == ["The expert's word."]
    assert len(row["artifact_regions"][0]["disks"]) == 3


def rated(dataset: Path, corpus: Path) -> list[tuple[str, float]]:
    """Whose perceptual quality of p0 is what, in a build of the export."""
    export_campaign(corpus)
    built(corpus, dataset)
    rows = pq.read_table(dataset / "ratings").to_pylist()
    found = [row for row in rows if (row["pair_id"], row["dimension"]) == ("p0", "perceptual_quality")]
    return sorted((row["annotator_id"], row["score"]) for row in found)


def test_a_rater_who_changes_a_score_or_scores_again_is_heard_with_the_latest(
    done: Path, tmp_path: Path, studio: FakeStudio
) -> None:
    before = rated(tmp_path / "before", done)
    changed, again = [task for task in studio.everything() if task["data"]["key"].startswith("scoring/p0/")]
    studio.edit(changed, changed["annotations"][0], owner(changed), rating_results(dict.fromkeys(DIMENSIONS, 4.5), []))
    studio.submit(again, owner(again), rating_results(dict.fromkeys(DIMENSIONS, 1.5), ["x"]))
    sync(studio, done)
    after = rated(tmp_path / "after", done)
    assert len(before) == len(after) == 2
    assert sorted(score for _, score in after) == [1.5, 4.5]
    assert sorted(score for _, score in before) != [1.5, 4.5]

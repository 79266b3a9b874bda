"""A campaign's export holds what the server holds: every key of every answer that counts, under its own person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from label_studio_sdk.converter import Converter

from annotation import images, interfaces
from annotation.campaign.archive import ARCHIVE_FILE, AnswerArchive
from annotation.campaign.options import CAMPAIGN_FOLDER, read_campaign_options
from annotation.campaign.read_record import RecordReader
from annotation.campaign.write_exports import export_campaign
from annotation.labelstudio.read_marks import read_regional_annotations
from annotation.labelstudio.results import regional_results
from annotation.records import Box, Disk, Mark, Place, RegionalAnnotation
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.people_at_work import respond
from tests.annotation.campaign.pilot import NUMBER, ROLES, SIZE, corpus_of, owner, sync, to_the_end
from tests.annotation.untidy_exports import MORE, drawn

PLACE = Place("x", 1)


@pytest.fixture
def studio() -> FakeStudio:
    return FakeStudio(f"{name}@x.org" for name in ROLES)


def exported(corpus: Path, name: str) -> list[dict[str, Any]]:
    path = corpus / "annotations" / f"{name}-pilot.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def answers(tasks: list[dict[str, Any]], stage: str) -> dict[str, list[dict[str, Any]]]:
    """Every annotation of a stage by its task's key, without what says whose it is."""
    about = ("completed_by", "updated_by")
    return {
        task["data"]["key"]: [
            {name: value for name, value in one.items() if name not in about} for one in task["annotations"]
        ]
        for task in tasks
        if task["data"]["key"].startswith(f"{stage}/") and task["annotations"]
    }


def as_sent(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the server would answer; what is no JSON never comes to it."""
    try:
        return orjson.loads(orjson.dumps(results))
    except TypeError:
        assume(False)
        raise


@settings(max_examples=30)
@given(st.data())
def test_of_every_answer_the_last_version_with_every_key(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    corpus = corpus_of(tmp_path_factory.mktemp("corpus"), 1)
    studio = FakeStudio(f"{name}@x.org" for name in ROLES)
    sync(studio, corpus)
    for task in studio.everything():
        for _ in range(data.draw(st.integers(0, 2))):
            made = studio.submit(task, owner(task), as_sent(data.draw(drawn(SIZE))))
            made |= data.draw(MORE)
            for _ in range(data.draw(st.integers(0, 2))):
                if data.draw(st.booleans()):
                    sync(studio, corpus)
                studio.edit(task, made, owner(task), as_sent(data.draw(drawn(SIZE))))
    sync(studio, corpus)
    export_campaign(corpus)
    with AnswerArchive(corpus / CAMPAIGN_FOLDER / ARCHIVE_FILE) as archive:
        record, _ = RecordReader(corpus, archive).read(read_campaign_options(corpus))
    held, given_out = answers(studio.everything(), "regional"), answers(exported(corpus, "regions"), "regional")
    for key, found in given_out.items():
        assert all(one in held[key] for one in found)
    read = [
        one
        for task in exported(corpus, "regions")
        for one in read_regional_annotations(task, PLACE, SIZE, lambda _: None)
    ]
    work = record.work.get("p0")
    assert sorted(map(said, read)) == sorted(map(said, work.regional if work else ()))
    assert len(read) == sum(map(len, given_out.values()))


def said(one: RegionalAnnotation) -> tuple[str, str, str]:
    return one.annotator_id, one.at, repr(one.marks)


@pytest.mark.parametrize(("name", "stage"), [("regions", "regional"), ("expert", "expert"), ("ratings", "scoring")])
def test_every_stage_as_the_server_has_it(tmp_path: Path, studio: FakeStudio, name: str, stage: str) -> None:
    corpus = corpus_of(tmp_path / "corpus")
    to_the_end(studio, lambda: sync(studio, corpus))
    for task in studio.everything():
        task["annotations"][0] |= {"lead_time": 12.5, "unheard_of": {"é": ["🦊", None]}}
        task["updated_at"] = studio.clock()
    sync(studio, corpus)
    export_campaign(corpus)
    assert answers(exported(corpus, name), stage) == answers(studio.everything(), stage)


def test_who_left_the_server_stays_in_the_export(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = corpus_of(tmp_path / "corpus")
    to_the_end(studio, lambda: sync(studio, corpus))
    export_campaign(corpus)
    before = {name: exported(corpus, name) for name in ("regions", "expert", "rationales", "ratings")}
    studio.accounts = [user for user in studio.accounts if user.user_id != NUMBER["ann"]]
    for task in studio.everything():
        for one in task["annotations"]:
            if one["completed_by"] == NUMBER["ann"]:
                one |= {"completed_by": None, "updated_by": None}
                task["updated_at"] = studio.clock()
    sync(studio, corpus)
    export_campaign(corpus)
    for name, tasks in before.items():
        assert orjson.dumps(exported(corpus, name)).replace(b'"updated_by":null', b'"updated_by":2') == orjson.dumps(
            tasks
        )


def test_boxes_are_where_label_studio_s_own_converter_has_them(tmp_path: Path, studio: FakeStudio) -> None:
    corpus = corpus_of(tmp_path / "corpus", 1)
    sync(studio, corpus)
    box = Box(1.5, 2.25, 30.125, 39)
    for task in studio.everything():
        results = regional_results([Mark("m", "failure", box, (Disk(3, 4),), "partial", "minor", "é")], *SIZE)
        studio.submit(task, owner(task), results)
    sync(studio, corpus)
    export_campaign(corpus)
    tasks = exported(corpus, "regions")
    for task in tasks:
        for one in task["annotations"]:
            # The converter wants skeletons of keypoints, which disks are not, and knows its users by number alone.
            one["result"] = [item for item in one["result"] if item.get("from_name") == "box"]
            one["completed_by"] = 1
    (tmp_path / "in.json").write_text(json.dumps(tasks))
    converter = Converter(interfaces.render_label_config("regional"), project_dir=None, download_resources=False)
    converter.convert_to_coco(str(tmp_path / "in.json"), str(tmp_path / "out"), is_dir=False)
    coco = json.loads((tmp_path / "out" / "result.json").read_text())
    assert len(coco["annotations"]) == 3
    for one in coco["annotations"]:
        x, y, width, height = one["bbox"]
        assert (x, y, x + width, y + height) == pytest.approx(tuple(box), abs=1e-9)


def test_a_turned_picture_is_measured_as_it_is_shown(tmp_path: Path, studio: FakeStudio) -> None:
    from PIL import Image

    corpus = corpus_of(tmp_path / "corpus", 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 40), "teal").save(corpus / "images" / "a.png", exif=exif)
    shown = images.inspect_image((corpus / "images" / "a.png").read_bytes())
    assert (shown.width, shown.height) == (40, 64)
    sync(studio, corpus)
    mark = Mark("m", "artifact", Box(10, 20, 39.5, 63.25), (Disk(11.125, 60.5),), "face")
    for task in studio.everything():
        studio.submit(task, owner(task), regional_results([mark], shown.width, shown.height))
    sync(studio, corpus)
    export_campaign(corpus)
    for task in exported(corpus, "regions"):
        [found] = read_regional_annotations(task, PLACE, (40, 64), lambda _: None)
        assert found.marks[0].box == pytest.approx(tuple(mark.box), abs=1e-9)
        assert found.marks[0].disks[0] == pytest.approx(tuple(mark.disks[0]), abs=1e-9)


@pytest.mark.parametrize("depth", [240, 248, 249, 250, 251, 252, 253, 254, 255, 300])
def test_an_answer_that_is_nested_too_deeply_stops_neither_sync_nor_export(
    tmp_path: Path, studio: FakeStudio, depth: int
) -> None:
    corpus = corpus_of(tmp_path / "corpus", 1)
    sync(studio, corpus)
    deep = orjson.loads("[" * depth + "]" * depth)
    for task in studio.everything():
        studio.submit(task, owner(task), [*respond(task, SIZE), {"value": deep}])
    sync(studio, corpus)
    assert export_campaign(corpus).pairs == 1
    to_the_end(studio, lambda: sync(studio, corpus))
    assert export_campaign(corpus).finished == 1

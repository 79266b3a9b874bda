"""The flywheel: a campaign on refined images, out of the table of a refiner or a built dataset."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from annotation.campaign.options import read_campaign_options
from annotation.commands import annotate_app
from annotation.corpus import Corpus
from annotation.records import Pair
from editfhf.builder import BuildRunOptions, build_dataset, read_build_options
from mos.console import NullProgress
from mos.errors import UserError
from tests.annotation.campaign.fake_studio import FakeStudio
from tests.annotation.campaign.pilot import ROLES, pilot, sync, to_the_end

LINE = {
    "pair_id": "p1",
    "source_id": "s1",
    "source": "images/before.png",
    "edited": "images/after.png",
    "instruction": "<script>alert(1)</script> {{x}} $y אב 🦊",
    "task": "scene_background",
    "editor": "e",
    "origin": {"parent": "p1", "turn": 3},
}


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "options.yaml"
    path.write_text(pilot(campaign_id="second", raters=2).text())
    return path


@pytest.fixture
def refined(tmp_path: Path) -> Path:
    """A folder with refined images, and what a table may hold besides."""
    root = tmp_path / "refined"
    (root / "images").mkdir(parents=True)
    for number, name in enumerate(("before", "after", "other")):
        Image.new("RGB", (64, 40), (40 * number, 90, 90)).save(root / "images" / f"{name}.png")
    (tmp_path / "secret.png").write_bytes((root / "images" / "after.png").read_bytes())
    return root


def table(root: Path, *lines: dict[str, Any]) -> Path:
    path = root / "pairs.jsonl"
    path.write_text("".join(json.dumps(LINE | line) + "\n" for line in lines))
    return path


def create(corpus: Path, source: Path, people: Path, *more: str) -> str:
    arguments = ["create", str(corpus), "--from", str(source), "--config", str(people), *more]
    done = CliRunner().invoke(annotate_app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def pairs(corpus: Path) -> list[Pair]:
    def never(rejection: object) -> None:
        raise AssertionError(rejection)

    return list(Corpus.open(corpus).pairs(never))


def reasons(corpus: Path) -> list[tuple[str, int, str]]:
    lines = (corpus / "rejected.jsonl").read_text().splitlines()
    return [(one["file"], one["row"], one["reason"]) for one in map(json.loads, lines)]


def test_a_new_corpus_has_the_same_bytes_and_says_what_was_said(refined: Path, people: Path, tmp_path: Path) -> None:
    new = tmp_path / "second"
    create(new, table(refined, {}), people)
    [pair] = pairs(new)
    assert (new / pair.source).read_bytes() == (refined / "images" / "before.png").read_bytes()
    assert (new / pair.edited).read_bytes() == (refined / "images" / "after.png").read_bytes()
    assert (pair.source_id, pair.instruction) == ("s1", LINE["instruction"])
    assert read_campaign_options(new).campaign_id == "second"
    assert not (new / "rejected.jsonl").exists()


def test_a_pair_has_an_id_of_its_own_and_its_origin_names_parent_and_turn(
    refined: Path, people: Path, tmp_path: Path
) -> None:
    lines = ({}, {"pair_id": "p1-turn2", "edited": "images/other.png"}, {"pair_id": "p2", "origin": "a friend"})
    create(tmp_path / "second", table(refined, *lines[:2], lines[2] | {"instruction": "x"}), people)
    found = pairs(tmp_path / "second")
    assert len({pair.pair_id for pair in found} | {"p1", "p1-turn2", "p2"}) == 6
    origins = [json.loads(pair.origin) for pair in found]
    assert [(one["parent"], one["turn"], one["pair_id"]) for one in origins] == [
        ("p1", 3, "p1"),
        ("p1", 3, "p1-turn2"),
        ("p2", None, "p2"),
    ]
    assert origins[2]["origin"] == "a friend"


@pytest.mark.parametrize("longest", ["x" * 200, "😀" * 200, "x" * 188 + " " + "y" * 11])
def test_the_longest_id_gets_an_id_that_can_be_read(refined: Path, people: Path, tmp_path: Path, longest: str) -> None:
    create(tmp_path / "second", table(refined, {"pair_id": longest}), people)
    [pair] = pairs(tmp_path / "second")
    assert len(pair.pair_id) <= 200
    assert json.loads(pair.origin)["pair_id"] == longest


def test_the_same_table_gives_the_same_corpus(refined: Path, people: Path, tmp_path: Path) -> None:
    path = table(refined, {}, {"pair_id": "p2", "edited": "images/other.png"})
    for name in ("one", "two"):
        create(tmp_path / name, path, people)
    assert (tmp_path / "one" / "pairs.jsonl").read_bytes() == (tmp_path / "two" / "pairs.jsonl").read_bytes()


def test_a_line_keeps_what_else_it_says(refined: Path, people: Path, tmp_path: Path) -> None:
    create(tmp_path / "second", table(refined, {"scores": [1, 2.5], "licence": "CC0-1.0"}), people)
    line = json.loads((tmp_path / "second" / "pairs.jsonl").read_text())
    assert (line["scores"], line["licence"]) == ([1, 2.5], "CC0-1.0")


def test_a_corpus_a_folder_and_a_file_may_be_named(refined: Path, people: Path, tmp_path: Path) -> None:
    path = table(refined, {})
    create(tmp_path / "one", path, people)
    create(tmp_path / "two", refined, people)
    (refined / "corpus.yaml").write_text("name: first\nlicence: CC-BY-4.0\n")
    create(tmp_path / "three", refined, people)
    one, two, three = (pairs(tmp_path / name)[0] for name in ("one", "two", "three"))
    assert one == two
    assert (one.licence, three.licence) == ("unknown", "CC-BY-4.0")
    assert Corpus.open(tmp_path / "three").meta.name == "three"


def test_what_cannot_be_used_is_set_aside_with_its_reason(refined: Path, people: Path, tmp_path: Path) -> None:
    (refined / "images" / "page.png").write_text("<html><script>alert(1)</script></html>")
    (refined / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    whole = (refined / "images" / "after.png").read_bytes()
    (refined / "images" / "cut.png").write_bytes(whole[:-20])
    os.mkfifo(refined / "images" / "pipe.png")
    path = table(
        refined,
        {},
        {"edited": "images/other.png"},
        {"pair_id": "same"},
        {"pair_id": "up", "edited": "../secret.png"},
        {"pair_id": "root", "edited": str(tmp_path / "secret.png")},
        {"pair_id": "link", "edited": "images/link.png"},
        {"pair_id": "html", "edited": "images/page.png"},
        {"pair_id": "cut", "edited": "images/cut.png"},
        {"pair_id": "pipe", "source": "images/pipe.png"},
        {"pair_id": "none", "source": "images/none.png"},
        {"pair_id": "a\nb"},
        {"pair_id": "task", "task": "<b>"},
        {"pair_id": "list", "instruction": ["x"]},
    )
    with path.open("a") as stream:
        stream.write("<html>\n[1]\n")
    create(tmp_path / "second", path, people)
    assert [pair.pair_id[:3] for pair in pairs(tmp_path / "second")] == ["p1-"]
    assert [reason for _, _, reason in reasons(tmp_path / "second")] == [
        "duplicate_pair",
        "duplicate_content",
        "path_leaves_corpus",
        "path_leaves_corpus",
        "path_leaves_corpus",
        "unknown_format",
        "broken_image",
        "not_a_file",
        "missing_file",
        "bad_id",
        "unknown_task",
        "bad_field",
        "broken_json",
        "not_an_object",
    ]
    assert [row for _, row, _ in reasons(tmp_path / "second")] == list(range(2, 16))
    assert len(list((tmp_path / "second" / "images").iterdir())) == 2


def test_nothing_is_overwritten_and_nothing_stays_of_what_failed(refined: Path, people: Path, tmp_path: Path) -> None:
    path = table(refined, {})
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, said in (("taken", "not empty"), ("link", "a file or a link"), ("no/where", "does not exist")):
        with pytest.raises(UserError, match=said):
            create(tmp_path / name, path, people)
    path.write_text(json.dumps(LINE | {"edited": "images/none.png"}) + "\n")
    with pytest.raises(UserError, match=r"No pair in .* can be used.*images/none.png"):
        create(tmp_path / "second", path, people)
    assert sorted(found.name for found in tmp_path.iterdir()) == [
        "link",
        "options.yaml",
        "refined",
        "secret.png",
        "taken",
    ]


def test_a_dry_run_writes_nothing(refined: Path, people: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert "campaign_id: second" in create(tmp_path / "second", table(refined, {}), people, "--dry-run")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "No refined images in"),
        ("secret.png", "not a table of refined images"),
        ("empty", "No refined images in"),
    ],
)
def test_what_holds_no_refined_images_is_one_sentence(
    refined: Path, people: Path, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=said):
        create(tmp_path / "second", tmp_path / name, people)


def test_a_table_that_is_a_link_out_of_its_folder_is_not_read(people: Path, refined: Path, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "pairs.jsonl").symlink_to(table(refined, {}))
    with pytest.raises(UserError, match="is a link to a file outside its folder"):
        create(tmp_path / "second", tmp_path / "evil", people)


def test_one_server_can_hold_both_campaigns(refined: Path, people: Path, tmp_path: Path) -> None:
    table(refined, {})
    (refined / "corpus.yaml").write_text("name: first\n")
    (refined / "campaign").mkdir()
    (refined / "campaign" / "campaign.yaml").write_text(pilot(campaign_id="second").text())
    with pytest.raises(UserError, match=r"The campaign in .* has the campaign_id 'second' too"):
        create(tmp_path / "third", refined, people)


def test_force_is_for_options_alone(refined: Path, people: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="use only one"):
        create(tmp_path / "second", table(refined, {}), people, "--force")


def test_a_built_dataset_can_be_annotated_again_and_so_on(refined: Path, people: Path, tmp_path: Path) -> None:
    table(refined, {}, {"pair_id": "p2", "edited": "images/other.png", "licence": "CC0-1.0"})
    (refined / "corpus.yaml").write_text("name: first\n")
    build_dataset(refined, tmp_path / "dataset", read_build_options(None), BuildRunOptions(workers=1), NullProgress())
    create(tmp_path / "second", tmp_path / "dataset", people)
    found = {json.loads(pair.origin)["parent"]: pair for pair in pairs(tmp_path / "second")}
    assert sorted(found) == ["p1", "p2"]
    pair = found["p2"]
    assert (tmp_path / "second" / pair.edited).read_bytes() == (refined / "images" / "other.png").read_bytes()
    assert (pair.task, pair.instruction, pair.licence) == ("scene_background", LINE["instruction"], "CC0-1.0")
    third = tmp_path / "third.yaml"
    third.write_text(pilot(campaign_id="third").text())
    create(tmp_path / "third", tmp_path / "second", third)
    assert {json.loads(pair.origin)["parent"] for pair in pairs(tmp_path / "third")} == {"p1", "p2"}


def test_the_second_campaign_goes_to_its_end(refined: Path, people: Path, tmp_path: Path) -> None:
    create(tmp_path / "second", table(refined, {}, {"pair_id": "p2", "edited": "images/other.png"}), people)
    studio = FakeStudio(f"{name}@x.org" for name in ROLES)
    assert to_the_end(studio, lambda: sync(studio, tmp_path / "second")).steps == {"done": 2}


def shard(root: Path, **columns: list[Any]) -> Path:
    picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    data = {"bytes": (root / "images" / "after.png").read_bytes(), "path": "/etc/passwd"}
    values = {key: [LINE[key]] for key in ("pair_id", "source_id", "instruction", "task", "editor")}
    values |= {"source_image": [data], "edited_image": [data]} | columns
    count = max(map(len, values.values()))
    arrays = {
        name: pa.array(list(value) * (count // len(value)), picture if name.endswith("_image") else None)
        for name, value in values.items()
    }
    (root / "data").mkdir(exist_ok=True)
    path = root / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pa.table(arrays), path)
    return path


def test_rows_of_a_dataset_that_cannot_be_used_are_set_aside(refined: Path, people: Path, tmp_path: Path) -> None:
    good = {"bytes": (refined / "images" / "after.png").read_bytes(), "path": None}
    bad_text = pa.array([b"ok", b"\xff", b"ok", b"ok", b"ok"]).view(pa.string())
    shard(
        refined,
        pair_id=["a", "b", "c", "d", "e"],
        editor=bad_text,
        task=["scene_background", "scene_background", "nothing", "scene_background", "scene_background"],
        edited_image=[good, good, good, {"bytes": None, "path": "images/after.png"}, None],
    )
    create(tmp_path / "second", refined, people)
    assert [pair.pair_id[:2] for pair in pairs(tmp_path / "second")] == ["a-"]
    file = "data/train-00000-of-00001.parquet"
    assert reasons(tmp_path / "second") == [
        (file, 2, "bad_field"),
        (file, 3, "unknown_task"),
        (file, 4, "empty_file"),
        (file, 5, "empty_file"),
    ]


@pytest.mark.parametrize("number", [-1, 43, 10**9])
def test_a_task_beyond_the_labels_is_set_aside(refined: Path, people: Path, tmp_path: Path, number: int) -> None:
    shard(refined, pair_id=["a", "b"], task=[0, number])
    create(tmp_path / "second", refined, people)
    assert [reason for _, _, reason in reasons(tmp_path / "second")] == ["bad_field"]


def test_a_file_that_is_no_dataset_is_one_sentence(refined: Path, people: Path, tmp_path: Path) -> None:
    path = shard(refined)
    pq.write_table(pa.table({"pair_id": ["a"]}), path)
    with pytest.raises(UserError, match="has no column 'source_id'"):
        create(tmp_path / "second", refined, people)
    path.write_bytes(b"PAR1 no PAR1")
    with pytest.raises(UserError, match="cannot be read"):
        create(tmp_path / "second", refined, people)

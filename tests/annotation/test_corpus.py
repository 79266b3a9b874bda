"""A corpus folder, and what becomes of one that is not in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation.corpus import Corpus
from annotation.records import Pair, Rejection
from mos.errors import UserError

REAL_PAIRS = Path(__file__).parents[1] / "data" / "pairs" / "pairs.jsonl"

LINE = {
    "pair_id": "p1",
    "source_id": "s1",
    "source": "images/s1.png",
    "edited": "images/p1.png",
    "instruction": "Make it snow.",
    "task": "scene_weather",
    "editor": "editor-a",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "corpus.yaml").write_text("name: small\nlicence: CC0-1.0\n", encoding="utf-8")
    write_pairs(tmp_path, LINE)
    (tmp_path / "annotations").mkdir()
    return tmp_path


def write_pairs(root: Path, *lines: dict) -> None:
    (root / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def pairs(root: Path) -> tuple[list[Pair], list[Rejection]]:
    rejected: list[Rejection] = []
    return list(Corpus.open(root).pairs(rejected.append)), rejected


def files(root: Path) -> tuple[dict[str, list[str]], list[Rejection]]:
    rejected: list[Rejection] = []
    return Corpus.open(root).files(rejected.append), rejected


# Opening


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No corpus at .*nowhere"):
        Corpus.open(tmp_path / "nowhere")


def test_a_file_is_no_corpus(root: Path) -> None:
    with pytest.raises(UserError, match="is a file"):
        Corpus.open(root / "corpus.yaml")


@pytest.mark.parametrize("name", ["pairs.jsonl", "corpus.yaml"])
def test_both_files_are_required(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(UserError, match=f"has no file {name}"):
        Corpus.open(root)


@pytest.mark.parametrize("name", ["pairs.jsonl", "corpus.yaml"])
def test_neither_may_be_a_link_that_leaves_the_corpus(
    root: Path, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / name
    (root / name).rename(outside)
    (root / name).symlink_to(outside)
    with pytest.raises(UserError, match="leaves the corpus"):
        Corpus.open(root)


# corpus.yaml


def test_the_name_is_enough(root: Path) -> None:
    (root / "corpus.yaml").write_text("name: small\nversion: 2.1\n", encoding="utf-8")
    meta = Corpus.open(root).meta
    assert (meta.name, meta.version, meta.licence, meta.homepage) == ("small", "2.1", "unknown", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nlicense: MIT\n", "unknown key 'license'. Did you mean 'licence'?"),
        ("name: x\nzzz: 1\n", "unknown key 'zzz'. Available: name, version"),
        ("version: '1'\n", "key 'name'"),
        ("name: ' '\n", "key 'name'"),
        ("name: [a]\n", "key 'name'"),
        ("- a\n- b\n", "must hold keys and values"),
        ("", "must hold keys and values"),
        ("name: a: b\n", "not valid YAML at line 1"),
        ("name: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("name: \x00\n", "not valid YAML"),
        ("[" * 5_000, "not valid YAML"),
    ],
)
def test_a_fault_in_the_description_is_named(root: Path, text: str, message: str) -> None:
    (root / "corpus.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        _ = Corpus.open(root).meta
    assert message in str(error.value)


# pairs.jsonl


def test_a_pair_takes_the_corpus_licence_and_knows_its_line(root: Path) -> None:
    [pair], rejected = pairs(root)
    assert pair.pair_id == "p1"
    assert pair.licence == "CC0-1.0"
    assert pair.origin == ""
    assert pair.place == ("pairs.jsonl", 1)
    assert rejected == []


@pytest.mark.parametrize("key", ["licence", "license"])
def test_a_pairs_own_licence_goes_before_that_of_the_corpus(root: Path, key: str) -> None:
    write_pairs(root, LINE | {key: "MIT"})
    assert pairs(root)[0][0].licence == "MIT"


@pytest.mark.parametrize("levels", [200, 253, 255, 1_000, 2_000])
def test_an_origin_of_very_many_levels_is_one_rejected_row(root: Path, levels: int) -> None:
    write_pairs(root, LINE, LINE | {"pair_id": "p3"})
    with (root / "pairs.jsonl").open("a") as lines:
        lines.write(json.dumps(LINE | {"pair_id": "p2"})[:-1] + ', "origin": ' + "[" * levels + "]" * levels + "}\n")
    found, [rejection] = pairs(root)
    assert [pair.pair_id for pair in found] == ["p1", "p3"]
    assert (rejection.row, rejection.reason) == (3, "nested_too_deeply")


def test_origin_is_a_text_or_any_json(root: Path) -> None:
    write_pairs(root, LINE | {"origin": "a shop"}, LINE | {"pair_id": "p2", "origin": {"b": 1, "a": [2]}})
    assert [pair.origin for pair in pairs(root)[0]] == ["a shop", '{"a":[2],"b":1}']


def test_other_keys_are_left_alone(root: Path) -> None:
    write_pairs(root, LINE | {"text_guided": True, "person": "none", "notes": ""})
    assert pairs(root)[1] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pair_id": None}, "bad_field"),
        ({"pair_id": 7}, "bad_field"),
        ({"source": ""}, "bad_field"),
        ({"edited": []}, "bad_field"),
        ({"instruction": "  \n"}, "bad_field"),
        ({"editor": {"name": "x"}}, "bad_field"),
        ({"licence": 3}, "bad_field"),
        ({"instruction": "x" * 10_001}, "text_too_long"),
        ({"pair_id": "x" * 201}, "bad_id"),
        ({"source_id": "a\tb"}, "bad_id"),
        ({"task": "levitation"}, "unknown_task"),
    ],
)
def test_a_bad_pair_is_set_aside_and_the_next_is_read(root: Path, change: dict, reason: str) -> None:
    write_pairs(root, LINE | change, LINE | {"pair_id": "p2"})
    found, [rejection] = pairs(root)
    assert [pair.pair_id for pair in found] == ["p2"]
    assert (rejection.what, rejection.file, rejection.row, rejection.reason) == ("pair", "pairs.jsonl", 1, reason)


@pytest.mark.parametrize("key", LINE)
def test_every_field_is_required(root: Path, key: str) -> None:
    write_pairs(root, {other: value for other, value in LINE.items() if other != key})
    found, [rejection] = pairs(root)
    assert found == []
    assert repr(key) in rejection.message


def test_the_longest_texts_and_ids_are_read(root: Path) -> None:
    write_pairs(root, LINE | {"instruction": "x" * 10_000, "pair_id": "y" * 200})
    assert len(pairs(root)[0]) == 1


def test_a_misspelt_task_gets_a_suggestion(root: Path) -> None:
    write_pairs(root, LINE | {"task": "scene_wether"})
    [rejection] = pairs(root)[1]
    assert "Did you mean 'scene_weather'?" in rejection.message


def test_of_two_lines_with_one_id_the_first_counts(root: Path) -> None:
    write_pairs(root, LINE, LINE | {"pair_id": "p2"}, LINE | {"instruction": "other"})
    found, [rejection] = pairs(root)
    assert [(pair.pair_id, pair.instruction) for pair in found] == [("p1", "Make it snow."), ("p2", "Make it snow.")]
    assert (rejection.row, rejection.reason, rejection.pair_id) == (3, "duplicate_pair", "p1")
    assert "row 1" in rejection.message


# annotations/


def test_files_are_sorted_by_what_they_hold(root: Path) -> None:
    names = [
        "regions.json",
        "regions-2.json",
        "expert.json",
        "rationales-b.json",
        "rationales-a.json",
        "ratings.parquet",
        "ratings-1.csv",
        "ratings.json",
        "flags.csv",
        "rules.yaml",
    ]
    for name in names:
        (root / "annotations" / name).write_text("[]", encoding="utf-8")
    found, rejected = files(root)
    assert found == {
        "regions": ["annotations/regions-2.json", "annotations/regions.json"],
        "expert": ["annotations/expert.json"],
        "rationales": ["annotations/rationales-a.json", "annotations/rationales-b.json"],
        "ratings": ["annotations/ratings-1.csv", "annotations/ratings.json", "annotations/ratings.parquet"],
        "flags": ["annotations/flags.csv"],
        "rules": ["annotations/rules.yaml"],
    }
    assert rejected == []


def test_a_corpus_without_annotations_has_no_files(root: Path) -> None:
    (root / "annotations").rmdir()
    assert files(root) == ({"regions": [], "expert": [], "rationales": [], "ratings": [], "flags": [], "rules": []}, [])


@pytest.mark.parametrize(
    "name", ["region.json", "regions.csv", "flags.parquet", "notes.txt", ".hidden", "Regions.json"]
)
def test_a_file_of_another_name_is_reported(root: Path, name: str) -> None:
    (root / "annotations" / name).write_text("[]", encoding="utf-8")
    found, [rejection] = files(root)
    assert not any(found.values())
    assert (rejection.what, rejection.file, rejection.reason) == ("file", f"annotations/{name}", "unknown_file")
    assert not rejection.repaired


def test_links_stay_inside(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "regions.json"
    outside.write_text("[]", encoding="utf-8")
    (root / "kept.json").write_text("[]", encoding="utf-8")
    folder = root / "annotations"
    (folder / "regions-a.json").symlink_to(outside)
    (folder / "regions-b.json").symlink_to(root / "kept.json")
    (folder / "regions-c.json").symlink_to(root / "gone.json")
    (folder / "regions-d.json").symlink_to(folder / "regions-d.json")
    (folder / "regions-e.json").mkdir()
    found, rejected = files(root)
    assert found["regions"] == ["annotations/regions-b.json"]
    assert [(one.file[-6:-5], one.reason) for one in rejected][:2] == [("a", "leaves_corpus"), ("c", "not_a_file")]
    assert [one.file[-6:-5] for one in rejected] == ["a", "c", "d", "e"]


def test_real_pairs_are_read(root: Path) -> None:
    (root / "pairs.jsonl").write_bytes(REAL_PAIRS.read_bytes())
    found, rejected = pairs(root)
    assert len(found) == len((root / "pairs.jsonl").read_text(encoding="utf-8").splitlines()) == 67
    assert rejected == []
    assert all(pair.origin and pair.licence for pair in found)

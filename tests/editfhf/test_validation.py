"""A sound dataset has no issue; each thing that can be wrong is found, and named with its place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from editfhf.cli import app
from editfhf.features import make_arrow_schema
from editfhf.manifest import read_manifest
from editfhf.validation import ValidationFinding, check_dataset_files, validate_dataset
from editfhf.validation.rows import compute_expected_overall
from editfhf.validation.tables import SurroundingTables
from mos.errors import UserError
from tests.annotation.odd_images import ODD_IMAGES
from tests.editfhf import sample_dataset

Tables = sample_dataset.Tables
Row = dict[str, Any]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_dataset.write(tmp_path_factory.mktemp("validation") / "six")


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "six"))


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_dataset_has_no_issue(sound: Path, deep: bool) -> None:
    seen: list[int] = []
    assert validate_dataset(sound, deep=deep, progress=seen.append) == []
    assert sum(seen) == 6


def only(issues: list[ValidationFinding]) -> str:
    assert len(issues) == 1, issues
    return f"{issues[0].severity} {issues[0].where}: {issues[0].message}"


# What a person or a disk does to the files.


def test_a_missing_file(root: Path) -> None:
    (root / "rejected.jsonl").unlink()
    messages = [issue.message for issue in check_dataset_files(root)]
    assert "is listed in the manifest, but does not exist" in messages


def test_a_changed_byte(root: Path) -> None:
    path = root / "croissant.json"
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    assert "croissant.json: has other content than it was built with" in only(check_dataset_files(root))


def test_a_truncated_shard(root: Path) -> None:
    path = root / "data/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    found = {issue.message for issue in validate_dataset(root)}
    assert any(message.startswith("cannot be read as Parquet") for message in found)
    assert any("bytes" in message for message in found)


def test_a_stray_shard_is_an_error_and_a_stray_note_a_warning(root: Path) -> None:
    shutil.copy(root / "data/test-00000-of-00001.parquet", root / "data/test-00001-of-00002.parquet")
    (root / "notes.txt").write_text("mine")
    (root / ".DS_Store").write_text("")
    found = {(issue.severity, issue.where) for issue in check_dataset_files(root)}
    assert found == {("error", "data/test-00001-of-00002.parquet"), ("warning", "notes.txt")}


def test_no_manifest(tmp_path: Path) -> None:
    assert "expected manifest.json" in only(validate_dataset(tmp_path))


@pytest.mark.parametrize("content", ['{"format": [' + "1," * 2_000_001, " " * (17 << 20), '{"a": "' + "x" * (17 << 20)])
def test_a_manifest_of_too_much(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    message = only(validate_dataset(tmp_path))
    assert "expected the manifest of a dataset" in message


@pytest.mark.parametrize("name", ["../six/README.md", "/etc/hostname", "a/../b", "", None, 7, "a\\b"])
def test_a_manifest_that_leads_out_of_the_dataset(root: Path, name: object) -> None:
    change_manifest(root, lambda manifest: manifest["outputs"].append({"path": name, "sha256": "", "bytes": 1}))
    assert any("not a path inside" in issue.message for issue in check_dataset_files(root))


def test_a_link_that_leads_out_of_the_dataset(root: Path, tmp_path: Path) -> None:
    path = root / "croissant.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert "does not exist" in only(check_dataset_files(root))


@pytest.mark.parametrize("key", ["outputs", "splits", "corpus", "options", "rejected"])
@pytest.mark.parametrize("value", [None, 3, [3], [{"path": "a"}], [{"path": "a", "bytes": "1"}]])
def test_a_manifest_of_another_shape(root: Path, key: str, value: object) -> None:
    change_manifest(root, lambda manifest: manifest.update({key: value}))
    assert "build the dataset again" in only(validate_dataset(root))


@pytest.mark.parametrize(
    ("key", "value"), [("splits", {"train": 3}), ("corpus", {"name": []}), ("options", {"saliency": 3})]
)
def test_a_manifest_with_odd_values(root: Path, key: str, value: object) -> None:
    change_manifest(root, lambda manifest: manifest.update({key: value}))
    assert "build the dataset again" in only(validate_dataset(root))


def test_a_wrong_count(root: Path) -> None:
    change_manifest(root, lambda manifest: manifest["splits"]["test"].update(pairs=2))
    assert "counts pairs as" in only(check_dataset_files(root))


def test_another_class_name_in_the_card(root: Path) -> None:
    card = root / "README.md"
    card.write_text(card.read_text().replace("'1': film_look", "'1': film_lock"))
    refresh(root, "README.md")
    assert "dataset_info" in only(check_dataset_files(root))


def test_a_card_without_front_matter(root: Path) -> None:
    (root / "README.md").write_text("# Hello")
    refresh(root, "README.md")
    assert len(check_dataset_files(root)) == 2


def test_another_schema(root: Path) -> None:
    path = root / "ratings/ratings-00000-of-00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["z"]), path)
    refresh(root, path.relative_to(root).as_posix(), card=True)
    assert "has other columns than the table 'ratings': z" in only(check_dataset_files(root))


def test_another_class_name_in_a_shard(root: Path) -> None:
    path = root / "data/test-00000-of-00001.parquet"
    table = pq.read_table(path)
    metadata = {
        key: value.replace(b"film_look", b"film_lock") for key, value in make_arrow_schema("default").metadata.items()
    }
    pq.write_table(table.replace_schema_metadata(metadata), path)
    refresh(root, path.relative_to(root).as_posix(), card=True)
    assert "other features" in only(check_dataset_files(root))


@pytest.mark.parametrize("line", ["{", "[]", '{"what": "pair"}', ""])
def test_a_line_of_rejected_that_cannot_be_read(root: Path, line: str) -> None:
    (root / "rejected.jsonl").write_text(line + "\n")
    refresh(root, "rejected.jsonl")
    assert "rejected.jsonl line 1" in only(check_dataset_files(root))


def change_manifest(root: Path, change: Callable[[Row], None]) -> None:
    path = root / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def refresh(root: Path, name: str, card: bool = False) -> None:
    """Make the manifest (and the card) believe in a file that was changed."""

    def change(manifest: Row) -> None:
        for output in manifest["outputs"]:
            if output["path"] == name:
                output.update(sample_dataset.describe(root, root / name, output["rows"]))

    change_manifest(root, change)
    if card:
        from editfhf.card.page import render_card

        (root / "README.md").write_text(render_card(read_manifest(root)))
        refresh(root, "README.md")


# What a wrong build would do to the rows; the digests fit.


def pair(tables: Tables, number: int = 2) -> Row:
    return next(row for rows in tables["default"].values() for row in rows if row["pair_id"] == f"p{number}")


def first_region(tables: Tables) -> Row:
    region: Row = pair(tables)["artifact_regions"][0]
    return region


def drop_region(tables: Tables) -> None:
    pair(tables)["artifact_regions"].pop()


def null_score(tables: Tables) -> None:
    pair(tables).update(visual_consistency=None, visual_consistency_ci95=None, overall=None)


def dark_map(tables: Tables) -> None:
    row = pair(tables)
    row["failure_saliency"] = sample_dataset.encoded(np.zeros((48, 64), np.uint8))


def rgb_map(tables: Tables) -> None:
    pair(tables)["failure_saliency"] = sample_dataset.photo(1, "PNG")


def small_map(tables: Tables) -> None:
    pair(tables)["failure_saliency"] = sample_dataset.encoded(np.zeros((24, 32), np.uint8))


def move_box(tables: Tables) -> None:
    box = [50.0, 6.0, 70.0, 30.0]
    first_region(tables)["box"] = box


def lost_region(tables: Tables) -> None:
    for mark in tables["marks"]["train"]:
        if mark["region_id"] == "p2-artifact-1":
            mark["status"] = "unsupported"


SPOILED: dict[str, tuple[Callable[[Tables], object], str]] = {
    "pair twice": (lambda t: pair(t, 1).update(pair_id="p0"), "pair_id is not unique"),
    "source in two splits": (lambda t: pair(t, 5).update(source_id="s1"), "source 's1' is in two splits"),
    "task out of range": (lambda t: pair(t).update(task=43), "task is 43: expected a class from 0 to 42"),
    "negative task": (lambda t: pair(t).update(task=-1), "task is -1"),
    "another group": (lambda t: pair(t).update(task_group="style"), "task_group is 'style'"),
    "no instruction": (lambda t: pair(t).update(instruction=""), "instruction is empty"),
    "box outside": (move_box, "not inside the 64 x 48 image"),
    "empty box": (lambda t: first_region(t).update(box=[5.0, 6.0, 5.0, 30.0]), "is empty or not inside"),
    "box not a number": (lambda t: first_region(t).update(box=[float("nan"), 0.0, 5.0, 5.0]), "is empty or not inside"),
    "disk outside": (lambda t: first_region(t)["disks"].append([64.5, 1.0]), "has a disk at [64.5, 1.0]"),
    "no disk": (lambda t: first_region(t).update(disks=[]), "has no disk"),
    "unknown flaw": (lambda t: first_region(t).update(flaw_type="ugly"), "flaw type 'ugly'"),
    "unknown severity": (lambda t: first_region(t).update(severity="huge"), "severity 'huge'"),
    "nobody": (lambda t: first_region(t).update(annotators=[]), "has no annotator: expected at least one"),
    "stranger": (lambda t: first_region(t).update(annotators=["A777"]), "who are in no table"),
    "region twice": (
        lambda t: pair(t)["artifact_regions"][1].update(region_id="p2-artifact-0"),
        "names a region twice",
    ),
    "region lost": (drop_region, "accepted marks support a region that the row does not have"),
    "marks lost": (lost_region, "other disks than the accepted marks"),
    "no reason": (null_score, "visual_consistency is null, but rejected.jsonl has no reason for it"),
    "other count": (
        lambda t: pair(t).update(visual_consistency_n=3),
        "visual_consistency_n is 3, but 2 ratings were kept",
    ),
    "no ratings": (lambda t: pair(t).update(visual_consistency_n=0), "but it has no rating"),
    "infinite": (lambda t: pair(t).update(visual_consistency=float("inf")), "visual_consistency is inf"),
    "negative interval": (lambda t: pair(t).update(visual_consistency_ci95=-1.0), "visual_consistency_ci95 is -1.0"),
    "other overall": (lambda t: pair(t).update(overall=60.0), "overall is 60, but the three scores give"),
    "dark map": (dark_map, "failure_saliency is not the map of its disks"),
    "colour map": (rgb_map, "failure_saliency is RGB 64 x 48: expected L"),
    "small map": (small_map, "failure_saliency is L 32 x 24"),
    "no map": (lambda t: pair(t).update(failure_saliency=None), "failure_saliency is empty"),
    "other peak": (lambda t: pair(t).update(failure_peak=1.0), "failure_peak is 1.0, but the disks give"),
    "no picture": (lambda t: pair(t)["source_image"].update(bytes=b"GIF89a"), "source_image cannot be used"),
    "EXIF at which the library stops": (
        lambda t: pair(t)["source_image"].update(bytes=ODD_IMAGES["PNG, eXIf garbage"].data),
        "so `datasets` cannot open the image",
    ),
    "orientation that browsers ignore": (
        lambda t: pair(t)["source_image"].update(bytes=ODD_IMAGES["WebP, EXIF"].data),
        "counts as 6 for `datasets` and as 1 for browsers",
    ),
    "rater missing": (lambda t: t["annotators"]["train"].pop(0), "annotators who are not in the table"),
    "rater twice": (lambda t: t["annotators"]["train"].append(t["annotators"]["train"][0]), "names an annotator twice"),
    "rating elsewhere": (lambda t: t["ratings"]["train"][0].update(split="test"), "names another split"),
    "mark elsewhere": (lambda t: t["marks"]["train"][0].update(split="test"), "marks of the pair name another split"),
    "mark of another size": (
        lambda t: t["marks"]["train"][0].update(width=65),
        "have another size than the edited image, 64 x 48",
    ),
    "mark outside": (lambda t: t["marks"]["train"][0].update(box=[0.0, 0.0, 65.0, 1.0]), "marks row 1"),
    "mark of no kind": (lambda t: t["marks"]["train"][0].update(kind="odd"), "kind is 'odd'"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_wrong_row_is_named(name: str, tmp_path: Path) -> None:
    spoil, sentence = SPOILED[name]
    tables = sample_dataset.tables()
    spoil(tables)
    issues = validate_dataset(sample_dataset.write(tmp_path / "six", tables))
    assert any(sentence in f"{issue.where}: {issue.message}" for issue in issues), issues
    assert all(issue.severity == "error" for issue in issues)


def test_only_a_deep_look_finds_a_broken_stream(tmp_path: Path) -> None:
    tables = sample_dataset.tables()
    image = pair(tables)["edited_image"]
    image["bytes"] = image["bytes"][: len(image["bytes"]) // 2]
    root = sample_dataset.write(tmp_path / "six", tables)
    assert validate_dataset(root) == []
    assert "edited_image cannot be used" in only(validate_dataset(root, deep=True))


@given(st.lists(st.floats(0.01, 120), min_size=3, max_size=3))
def test_overall_is_the_weighted_geometric_mean(scores: list[float]) -> None:
    value = compute_expected_overall(list(scores))
    assert value == pytest.approx(np.exp(np.average(np.log(scores), weights=[0.3, 0.4, 0.3])))


def test_overall_counts_a_negative_score_as_zero() -> None:
    assert compute_expected_overall([-1.0, 50.0, 50.0]) == 0
    assert compute_expected_overall([None, 50.0, 50.0]) is None


# The command.


def test_the_command_says_that_all_is_well(sound: Path) -> None:
    result = CliRunner().invoke(app, ["validate", str(sound)])
    assert result.exit_code == 0
    assert "no errors, no warnings" in result.stdout


def test_the_command_shows_a_table_and_fails(root: Path) -> None:
    (root / "croissant.json").write_text("{}")
    result = CliRunner().invoke(app, ["validate", str(root)], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "croissant.json" in result.stdout
    assert "1 errors" in result.stdout


def test_the_command_speaks_json(root: Path) -> None:
    (root / "notes.txt").write_text("")
    result = CliRunner().invoke(app, ["validate", str(root), "--json"])
    assert result.exit_code == 0
    message = "does not belong to this build: it will not be published"
    assert json.loads(result.stdout) == [{"severity": "warning", "where": "notes.txt", "message": message}]


def test_a_folder_that_is_neither(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["validate", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert "neither a corpus nor a dataset" in str(result.exception)


def test_pyarrow_reads_no_partition_from_a_folders_name(tmp_path: Path) -> None:
    assert validate_dataset(sample_dataset.write(tmp_path / "split=train" / "six")) == []


def test_the_schema_of_the_sample_is_ours(sound: Path) -> None:
    for config in ("ratings", "marks"):
        assert pa.schema(pq.read_schema(sound / config / f"{config}-00000-of-00001.parquet")).equals(
            make_arrow_schema(config)
        )


@pytest.mark.parametrize(
    ("n", "few", "allowed"), [(2, 0, True), (3, 0, False), (3, 3, True), (4, 3, False), (1, 3, False)]
)
def test_a_score_is_of_the_kept_ratings_or_where_these_are_few_of_up_to_all(n: int, few: int, allowed: bool) -> None:
    status = ["kept", "kept", "rater_excluded"]
    ratings = pa.table({"pair_id": ["p"] * 3, "dimension": ["d"] * 3, "status": status})
    nothing = pa.table({})
    assert SurroundingTables(nothing, ratings, nothing, set(), few).allows("p", "d", n) == allowed

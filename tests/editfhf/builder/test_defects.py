"""Everything that may be wrong with a corpus is set aside with its file, row and reason, and the rest builds."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from editfhf.builder import preview_build
from mos.errors import UserError
from tests.editfhf.builder import building, corpora, defects


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return defects.spoilt(tmp_path_factory.mktemp("spoilt") / "corpus")


@pytest.fixture(scope="module")
def built(spoilt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("built") / "dataset"
    done = building.command("build", spoilt, dataset, "--workers", "2", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return dataset


class TestOneOfEveryDefect:
    def test_is_one_line_with_its_reason_file_and_row(self, built: Path) -> None:
        found = Counter((line["what"], line["reason"], line["file"], line["row"]) for line in building.rejected(built))
        # No score where nobody's rating is left: said once a dimension, as every missing score is.
        found = Counter({line: count for line, count in found.items() if line[0] != "score"})
        assert found - defects.expected() == Counter()
        assert defects.expected() - found == Counter()

    def test_lets_the_rest_build(self, built: Path) -> None:
        rows = {row["pair_id"]: row for row in building.table(built)}
        assert set(rows) == {f"p{number:03d}" for number in range(defects.PAIRS) if number not in defects.REFUSED}
        assert rows["p022"]["artifact_regions"] != []
        assert rows["p022"]["perceptual_quality"] is not None

    def test_is_told_in_a_sentence_of_what_was_expected(self, built: Path) -> None:
        for line in building.rejected(built):
            assert len(line["message"]) > 15, line
            assert "\n" not in line["message"]
            assert "Traceback" not in line["message"]

    def test_is_marked_as_repaired_only_when_it_was_used_all_the_same(self, built: Path) -> None:
        assert {line["reason"] for line in building.rejected(built) if line["repaired"]} == {"byte_order_mark"}

    def test_is_counted_in_the_manifest(self, built: Path) -> None:
        counted = building.manifest(built)["rejected"]
        lines = building.rejected(built)
        assert counted["total"] == len(lines)
        assert counted["by_reason"] == dict(sorted(Counter(line["reason"] for line in lines).items()))

    def test_leaves_the_ratings_of_a_refused_pair_in_their_table(self, built: Path) -> None:
        refused = {f"p{number:03d}" for number in defects.REFUSED}
        ratings = [row for row in building.table(built, "ratings") if row["pair_id"] in refused]
        assert len(ratings) == len(defects.REFUSED) * 5 * 3
        assert {row["status"] for row in ratings} == {"pair_rejected"}
        assert {row["split"] for row in ratings} == {None}

    def test_is_foretold_by_a_dry_run(self, spoilt: Path, built: Path) -> None:
        found = Counter((line.what, line.reason, line.file, line.row) for line in preview_build(spoilt).rejections)
        told = Counter((line["what"], line["reason"], line["file"], line["row"]) for line in building.rejected(built))
        assert found == told

    def test_stops_a_strict_build_with_one_sentence(self, spoilt: Path, tmp_path: Path) -> None:
        done = building.command("build", spoilt, tmp_path / "dataset", "--strict", "--quiet")
        assert done.returncode == 1
        assert building.is_one_sentence(done.stderr)
        assert "row " in done.stderr
        assert not (tmp_path / "dataset/manifest.json").exists()

    def test_is_one_too_many_when_none_is_allowed(self, spoilt: Path, tmp_path: Path) -> None:
        done = building.command("build", spoilt, tmp_path / "dataset", "--max-rejected", "0", "--quiet")
        assert done.returncode == 1
        assert building.is_one_sentence(done.stderr)
        assert "--max-rejected allows 0" in done.stderr
        assert not (tmp_path / "dataset/manifest.json").exists()
        kept = [orjson.loads(line) for line in (tmp_path / "dataset/.editfhf/rejected.jsonl").read_bytes().splitlines()]
        assert defects.expected() <= Counter((line["what"], line["reason"], line["file"], line["row"]) for line in kept)


def test_a_finished_dataset_is_judged_as_strictly_as_a_new_one(built: Path, spoilt: Path) -> None:
    """A second run that finds nothing to do must not pass what the first would have refused."""
    with pytest.raises(UserError, match="--max-rejected allows 3"):
        building.make(spoilt, built, max_rejected=3)
    with pytest.raises(UserError, match="--strict"):
        building.make(spoilt, built, strict=True)
    assert building.make(spoilt, built, max_rejected=10_000).up_to_date


def test_what_was_repaired_is_no_reason_to_stop(tiny: Path, tmp_path: Path) -> None:
    (tiny / "pairs.jsonl").write_bytes(b"\xef\xbb\xbf" + (tiny / "pairs.jsonl").read_bytes())
    building.make(tiny, tmp_path / "dataset", strict=True, max_rejected=0)
    assert building.reasons(tmp_path / "dataset") == {("file", "byte_order_mark"): 1}


@pytest.mark.parametrize("left", [b"", b"\n\n", b"nothing\n", b'{"pair_id": "p1"}\n'])
def test_nothing_left_is_an_error_that_keeps_the_reasons(tiny: Path, tmp_path: Path, left: bytes) -> None:
    (tiny / "pairs.jsonl").write_bytes(left)
    done = building.command("build", tiny, tmp_path / "dataset", "--quiet")
    assert done.returncode == 1
    assert building.is_one_sentence(done.stderr)
    assert "No usable pair is left" in done.stderr
    assert (tmp_path / "dataset/.editfhf/rejected.jsonl").exists()
    assert not (tmp_path / "dataset/manifest.json").exists()


def spoil_task(file: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def spoil(corpus: Path) -> None:
        path = corpus / "annotations" / file
        tasks = json.loads(path.read_text())
        change(tasks[-1])
        path.write_text(json.dumps(tasks))

    return spoil


def add(name: str, text: str | bytes) -> Callable[[Path], None]:
    def spoil(corpus: Path) -> None:
        data = text.encode() if isinstance(text, str) else text
        with open(os.fsencode(corpus / "annotations") + b"/" + os.fsencode(name), "wb") as file:  # noqa: PTH123
            file.write(data)

    return spoil


def flags(**values: Any) -> Callable[[Path], None]:
    return add("flags.json", json.dumps([{"pair_id": "p000", "region_id": "r", "annotator_id": "a"} | values]))


def columns(**changed: Any) -> Callable[[Path], None]:
    usual = {"pair_id": ["p000"], "annotator_id": ["r"], "dimension": ["perceptual_quality"], "score": [2.5]}

    def spoil(corpus: Path) -> None:
        defects.parquet(corpus, usual | changed)

    return spoil


deep = json.loads("[" * 400 + "]" * 400)

HOSTILE = {
    # half of a surrogate pair is JSON, but cannot be written as UTF-8 again
    "a task with half a character": (spoil_task("regions-0.json", lambda t: t.update(x="\ud800")), "unusable_task"),
    "a key of half a character": (spoil_task("regions-0.json", lambda t: t.update({"\udfff": 1})), "unusable_task"),
    "a number beyond 64 bits": (spoil_task("regions-1.json", lambda t: t.update(x=1 << 80)), "unusable_task"),
    "a task nested beyond reason": (spoil_task("regions-2.json", lambda t: t.update(x=deep)), "unusable_task"),
    "a pair of half a character": (
        spoil_task("regions-0.json", lambda t: t["data"].update(pair_id="\ud800")),
        "no_pair_id",
    ),
    "a control of half a character": (
        spoil_task("ratings.json", lambda t: t["annotations"][0]["result"][0].update(from_name="\ud800")),
        "unknown_control",
    ),
    "a person of half a character": (
        spoil_task("ratings.json", lambda t: t["annotations"][0].update(completed_by={"email": "\ud800"})),
        "no_annotator",
    ),
    "annotations that are none": (spoil_task("ratings.json", lambda t: t.update(annotations=3)), "bad_annotations"),
    "a result that is none": (
        spoil_task("ratings.json", lambda t: t["annotations"][0].update(result="good")),
        "bad_result",
    ),
    "a flag on half a character": (flags(region_id="\ud800"), "bad_id"),
    "a flag by half a character": (flags(annotator_id="\ud800"), "bad_id"),
    "a flag on a pair of half a character": (flags(pair_id="\ud800"), "bad_id"),
    "a flag on nothing": (flags(region_id=None), "missing_value"),
    "a flag on a region nobody knows": (flags(), "unknown_region"),
    "a flag on a pair nobody knows": (flags(pair_id="p77"), "unknown_pair"),
    "flags that are no table": (
        add("flags.csv", b"pair_id,region_id,annotator_id\np000,r\n"),
        "wrong_number_of_fields",
    ),
    "flags without a column": (add("flags.csv", "pair_id,region_id\np000,r\n"), "missing_column"),
    "a file name that is no text": (add("notes-\udcff.txt", "x"), "bad_file_name"),
    "a folder by the name of a file": (lambda corpus: (corpus / "annotations/regions-9.json").mkdir(), "not_a_file"),
    "a pipe by the name of a file": (lambda corpus: os.mkfifo(corpus / "annotations/regions-9.json"), "not_a_file"),
    "a link to nothing": (
        lambda corpus: (corpus / "annotations/regions-9.json").symlink_to("regions-8.json"),
        "not_a_file",
    ),
    "a link that leaves": (
        lambda corpus: (corpus / "annotations/regions-9.json").symlink_to("/etc/hostname"),
        "leaves_corpus",
    ),
    "pairs in a list": (columns(pair_id=[["p000"]]), "broken_table"),
    "raters in a record": (columns(annotator_id=[{"id": 1}]), "broken_table"),
    "scores in a list": (columns(score=[[2.0]]), "broken_table"),
    "times in a list": (columns(rated_at=[["now"]]), "broken_table"),
    "pairs of bytes that are no text": (columns(pair_id=[b"p000\xff"]), "broken_table"),
    "no pair": (columns(pair_id=pa.nulls(1, pa.string())), "missing_item"),
    "no rater": (columns(annotator_id=pa.nulls(1, pa.string())), "missing_rater"),
    "no score": (columns(score=pa.nulls(1, pa.float64())), "missing_score"),
    "a score that is a word": (columns(score=["good"]), "not_a_number"),
    "a score that is endless": (columns(score=[np.inf]), "infinite_score"),
    "a dimension nobody knows": (columns(dimension=["beauty"]), "unknown_dimension"),
}


@pytest.mark.parametrize(("spoil", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_input_is_set_aside_once(
    tiny: Path, tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(tiny)
    building.make(tiny, tmp_path / "dataset")
    found = [line["reason"] for line in building.rejected(tmp_path / "dataset") if line["what"] != "score"]
    assert found == [reason]
    assert len(building.table(tmp_path / "dataset")) == 2


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.int8(), pa.decimal128(3, 1), pa.string()], ids=str)
def test_scores_of_any_kind_of_number_join_those_of_the_exports(tiny: Path, tmp_path: Path, kind: pa.DataType) -> None:
    columns(score=pa.array([4], pa.float64()).cast(kind))(tiny)
    building.make(tiny, tmp_path / "dataset")
    assert building.rejected(tmp_path / "dataset") == []
    scores = [row["score"] for row in building.table(tmp_path / "dataset", "ratings")]
    assert len(scores) == 2 * 3 * 3 + 1
    assert 4.0 in scores


def test_a_corpus_of_pairs_alone_builds_without_scores(tmp_path: Path) -> None:
    made = corpora.corpus(sources=3, edits=1)
    made.exports.clear()
    building.make(made.write(tmp_path / "corpus"), tmp_path / "dataset")
    assert [row["overall"] for row in building.table(tmp_path / "dataset")] == [None] * 3
    assert building.rejected(tmp_path / "dataset") == []

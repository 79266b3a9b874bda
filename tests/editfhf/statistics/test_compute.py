"""Every number equals the same number worked out again from the rows by pandas or by hand."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from annotation.records import DIMENSIONS, KINDS, Box
from annotation.taxonomy import load_edit_tasks
from editfhf.report import SCORE_KEYS, DatasetStatistics, compute_statistics
from editfhf.report.compute import find_outlier_limit, read_expected_exclusions
from mos.errors import UserError


def rows(dataset: Path, folder: str) -> list[dict[str, Any]]:
    return [
        row for path in sorted((dataset / folder).glob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()
    ]


@pytest.fixture(scope="module")
def found(dataset: Path) -> DatasetStatistics:
    return compute_statistics(dataset)


@pytest.fixture(scope="module")
def pairs(dataset: Path) -> list[dict[str, Any]]:
    return rows(dataset, "data")


@pytest.fixture(scope="module")
def ratings(dataset: Path) -> pd.DataFrame:
    return pd.DataFrame(rows(dataset, "ratings"))


def test_it_counts_pairs_sources_editors_and_tasks_per_split(found: DatasetStatistics, dataset: Path) -> None:
    for split in ("train", "test"):
        table = pd.DataFrame(
            [r for p in (dataset / "data").glob(f"{split}-*") for r in pq.ParquetFile(p).read().to_pylist()]
        )
        told = next(part for part in found.splits if part.split == split)
        counts = [table[name].nunique() for name in ("pair_id", "source_id", "editor", "task")]
        assert [told.pairs, told.sources, told.editors, told.tasks] == counts
    assert [part.split for part in found.splits] == ["train", "test", "all"]
    assert found.total.pairs == 60


@pytest.mark.parametrize("score", SCORE_KEYS)
def test_the_distribution_of_a_score(found: DatasetStatistics, pairs: list[dict[str, Any]], score: str) -> None:
    values = pd.Series([row[score] for row in pairs], dtype=float)
    told = next(part for part in found.scores if part.score == score)
    assert (told.n, told.missing) == (values.count(), values.isna().sum())
    assert told.mean == pytest.approx(values.mean())
    assert told.sd == pytest.approx(values.std())
    assert (told.low, told.high) == pytest.approx((values.min(), values.max()))
    assert sum(told.histogram) + told.below + told.above == told.n
    assert told.histogram[9] == ((values >= 45) & (values < 50)).sum()


def test_the_mean_of_a_group_has_the_t_interval_of_scipy(found: DatasetStatistics, pairs: list[dict[str, Any]]) -> None:
    for editor in found.editors:
        values = np.array([r["overall"] for r in pairs if r["editor"] == editor.name and r["overall"] is not None])
        low, _ = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        told = editor.scores["overall"]
        assert told.n == len(values)
        assert told.mean == pytest.approx(values.mean())
        assert told.ci95 == pytest.approx(values.mean() - low)


def test_a_group_of_one_image_has_a_mean_without_interval(found: DatasetStatistics) -> None:
    single = [task.scores["overall"] for task in found.tasks if task.scores["overall"].n == 1]
    assert single and all(score.mean is not None and score.ci95 is None for score in single)


def test_groups_count_pairs_regions_and_clean_images(found: DatasetStatistics, pairs: list[dict[str, Any]]) -> None:
    names = list(load_edit_tasks())
    for task in found.tasks:
        own = [row for row in pairs if names[row["task"]] == task.name]
        assert task.pairs == len(own)
        assert task.group == own[0]["task_group"]
        assert task.artifact_regions == sum(len(row["artifact_regions"]) for row in own)
        assert task.failure_regions == sum(len(row["failure_regions"]) for row in own)
        assert task.clean == sum(not row["artifact_regions"] and not row["failure_regions"] for row in own)
    assert found.clean == sum(group.clean for group in found.task_groups)


@pytest.mark.parametrize("k", range(len(KINDS)))
def test_regions_by_type_severity_group_and_number(
    found: DatasetStatistics, pairs: list[dict[str, Any]], k: int
) -> None:
    kind, told = KINDS[k], found.regions[k]
    regions = [(row, region) for row in pairs for region in row[f"{kind}_regions"]]
    assert told.regions == len(regions)
    assert told.per_image[2] == sum(len(row[f"{kind}_regions"]) == 2 for row in pairs)
    assert told.disks[3] == sum(len(region["disks"]) == 3 for _, region in regions)
    counted = pd.Series([(r["flaw_type"] or "", r["severity"] or "") for _, r in regions]).value_counts().to_dict()
    assert {(flaw, sev): n for flaw, by in told.flaws.items() for sev, n in by.items()} == counted
    by_group = pd.Series([row["task_group"] for row, _ in regions]).value_counts().to_dict()
    assert {group: n for group, n in told.by_group.items() if n} == by_group
    words = [len(r["rationale"].split()) for _, r in regions if r["rationale"]]
    assert told.rationale_words.n == len(words)
    assert told.rationale_words.median == np.median(words)


def test_correlations_equal_those_of_pandas(found: DatasetStatistics, pairs: list[dict[str, Any]]) -> None:
    table = pd.DataFrame(pairs)[list(SCORE_KEYS)].astype(float)
    for first, second in itertools.combinations(SCORE_KEYS, 2):
        told = found.correlations[f"{first}|{second}"]
        assert told["pearson"] == pytest.approx(table[first].corr(table[second]))
        assert told["spearman"] == pytest.approx(table[first].corr(table[second], method="spearman"))


def test_ratings_by_status(found: DatasetStatistics, ratings: pd.DataFrame) -> None:
    counted = ratings.groupby(["dimension", "status"]).size().to_dict()
    assert {(d, s): n for d, by in found.ratings.items() for s, n in by.items()} == counted


@pytest.mark.parametrize("label", ["all", "kept"])
def test_rater_agreement_equals_pandas_and_the_krippendorff_package(
    found: DatasetStatistics, ratings: pd.DataFrame, label: str
) -> None:
    krippendorff = pytest.importorskip("krippendorff")
    for dimension in DIMENSIONS:
        told = next(a for a in found.rater_agreement if a.dimension == dimension and a.ratings == label)
        own = ratings[(ratings.dimension == dimension) & ((label == "all") | (ratings.status == "kept"))]
        wide = own.pivot(index="annotator_id", columns="pair_id", values="score")
        assert told.alpha == pytest.approx(krippendorff.alpha(wide.to_numpy(), level_of_measurement="interval"))
        for method in ("pearson", "spearman"):
            each = [row.corr(wide.drop(index=name).mean(), method=method) for name, row in wide.iterrows()]
            assert getattr(told, method) == pytest.approx(np.mean(each))


@pytest.mark.parametrize("k", range(len(KINDS)))
def test_box_agreement_equals_matching_by_hand(found: DatasetStatistics, dataset: Path, k: int) -> None:
    kind, told = KINDS[k], found.box_agreement[k]
    marks = [mark for mark in rows(dataset, "marks") if mark["status"] != "superseded"]
    scores = []
    for pair in sorted({mark["pair_id"] for mark in marks}):
        here = [mark for mark in marks if mark["pair_id"] == pair]
        for one, two in itertools.combinations(sorted({mark["annotator_id"] for mark in here}), 2):
            first, second = (
                [Box(*m["box"]) for m in here if m["annotator_id"] == who and m["kind"] == kind] for who in (one, two)
            )
            if first or second:
                scores.append(2 * _matched(first, second) / (len(first) + len(second)))
    boxes = [mark for mark in marks if mark["kind"] == kind]
    assert (told.boxes, told.couples) == (len(boxes), len(scores))
    assert told.f1 == pytest.approx(np.mean(scores))
    assert told.supported == sum(mark["status"] in ("accepted", "flagged") for mark in boxes) / len(boxes)


def _matched(first: list[Box], second: list[Box]) -> int:
    left, matched = list(second), 0
    for _, a, b in sorted(((a.iou(b), a, b) for a in first for b in second), reverse=True):
        if a.iou(b) >= 0.5 and a in first and b in left:
            first, matched = [box for box in first if box != a], matched + 1
            left.remove(b)
    return matched


@pytest.mark.parametrize("k", range(len(KINDS)))
def test_the_mean_map_is_the_mean_of_the_maps_at_the_cell_centres(
    found: DatasetStatistics, dataset: Path, pairs: list[dict[str, Any]], k: int
) -> None:
    kind = KINDS[k]
    sizes = {mark["pair_id"]: (mark["width"], mark["height"]) for mark in rows(dataset, "marks")}
    mean = np.zeros((64, 64))
    for row in pairs:
        width, height = sizes.get(row["pair_id"], (0, 0))
        for region in row[f"{kind}_regions"] if width else ():
            for x, y in region["disks"]:
                cells = (np.arange(64) + 0.5) / 64
                square = (cells[None] * width - x) ** 2 + (cells[:, None] * height - y) ** 2
                mean += np.exp(-square / (2 * (height / 40) ** 2)) / row[f"{kind}_peak"] / len(pairs)
    np.testing.assert_allclose(found.regions[k].saliency, mean, atol=1e-5)


def test_raters_carry_the_null_band_and_the_cost_of_the_rule(found: DatasetStatistics) -> None:
    out = next(rater for rater in found.raters if rater.excluded)
    assert out.annotator_id == "rater-05"
    low, high = stats.norm.interval(0.95, 0.0324, math.sqrt(0.0324 * 0.9676 / out.ratings))
    assert (out.null_low, out.null_high) == pytest.approx((low, high), rel=1e-3)
    assert (found.outlier_limit, found.expected_exclusions) == (0.05, 1.4)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"method": "paper", "max_outlier_share": 0.1}, 0.1),
        ({"method": "bt500", "max_share": 0}, 0.0),
        ({"method": "p913", "screening": "bt500", "max_share": 0.05}, 0.05),
        ({"method": "p913", "screening": "none", "max_share": 0.05}, None),
        ({"method": "mos"}, None),
        ({"method": "correlation", "max_threshold": 0.7}, None),
        ({}, None),
    ],
)
def test_the_limit_is_that_of_the_method_if_it_has_one(options: dict[str, Any], limit: float | None) -> None:
    assert find_outlier_limit({"options": options}) == limit


def test_what_chance_would_exclude_is_only_known_if_it_was_told() -> None:
    assert read_expected_exclusions({"expected_false_exclusions": 2}) == 2.0
    assert read_expected_exclusions({"expected_false_exclusions": None}) is None
    assert read_expected_exclusions({}) is None


def test_everything_set_aside_is_told_by_reason_with_examples(found: DatasetStatistics) -> None:
    told = {(reason.what, reason.reason): (reason.count, reason.repaired) for reason in found.rejected}
    assert told == {("pair", "missing_file"): (2, 0), ("box", "no_disk"): (1, 1)}
    assert found.rejected[0].examples[1] == "pairs.jsonl, row 2: images/x.png: no such file."


def test_stages_are_those_of_the_manifest(found: DatasetStatistics) -> None:
    assert [(s.stage, s.entered, s.left, dict(s.reasons)) for s in found.stages] == [
        ("pairs", 62, 60, {"missing_file": 2}),
        ("images", 60, 60, {}),
    ]


def test_a_build_hands_over_the_manifest_that_it_has_not_written_yet(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_dataset(tmp_path / "staging", pairs=9)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    assert compute_statistics(folder, manifest).corpus["version"] == "1.0"
    with pytest.raises(UserError, match=r"manifest\.json"):
        compute_statistics(folder)


def test_it_is_plain_json_without_nan(found: DatasetStatistics) -> None:
    again = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert again["splits"][-1]["pairs"] == 60


@pytest.mark.parametrize("missing", ["ratings", "annotators", "marks"])
def test_a_dataset_without_one_of_its_tables_still_has_statistics(
    make_dataset: Callable[..., Path], tmp_path: Path, missing: str
) -> None:
    folder = make_dataset(tmp_path / "partial", pairs=6)
    for path in (folder / missing).iterdir():
        path.unlink()
    assert compute_statistics(folder).total.pairs == 6


def test_what_is_no_dataset_is_refused_in_one_sentence(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="No dataset at"):
        compute_statistics(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no built dataset"):
        compute_statistics(tmp_path)
    broken = make_dataset(tmp_path / "broken", pairs=3)
    next((broken / "data").iterdir()).write_bytes(b"PAR1 is not enough")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        compute_statistics(broken)


def test_a_manifest_of_another_form_is_refused(dataset: Path) -> None:
    with pytest.raises(UserError, match="Invalid stages"):
        compute_statistics(dataset, {"stages": [{"name": "pairs"}]})

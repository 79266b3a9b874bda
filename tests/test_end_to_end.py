"""What the whole promises: a simulated corpus goes through the commands, and the truth about it comes out again.

Nothing here is checked with the code that made it: the truth is in the files of the simulation, exports are read as
plain JSON, maps are drawn again with numpy, rows come from `datasets.load_dataset`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom, poisson, spearmanr

import editfhf
from editfhf.dataset import make_dataset_features
from tests.built import Built, Row, Simulated, command
from tests.editfhf.builder import building

pytest.importorskip("skimage")
pytest.importorskip("sklearn")

pytestmark = pytest.mark.slow

REAL = Path(__file__).parents[1] / "examples" / "real"
DIMENSIONS = ("perceptual_quality", "instruction_following", "visual_consistency")
KINDS = ("artifact", "failure")
CONFIGS = ("default", "ratings", "annotators", "marks")
PAIRS, RATERS, CARELESS = 120, 15, 2


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        datasets.disable_progress_bars()
        yield


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """A campaign of 120 pairs with careless raters, ratings that never came, and a table of ratings gone wrong."""
    root = tmp_path_factory.mktemp("simulated")
    found = Simulated(root / "corpus", root / "dataset")
    options = {"pairs": PAIRS, "raters": RATERS, "careless": CARELESS, "size": 208, "missing": 0.05, "seed": 3}
    command("simulate", found.corpus, *(word for name, value in options.items() for word in (f"--{name}", str(value))))
    _add_a_table_gone_wrong(found)
    (root / "build.yaml").write_text("pseudonyms: false\n")
    command("build", found.corpus, found.dataset, "--config", root / "build.yaml", "--quiet")
    return found


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("real")
    found = Built(Path(shutil.copytree(REAL, root / "corpus")), root / "dataset")
    command("build", found.corpus, found.dataset, "--workers", "1", "--quiet")
    return found


WRONG = (
    ("p00001", "1001", "perceptual_quality", "9"),
    ("p00001", "1001", "perceptual_quality", "good"),
    ("p00001", "", "perceptual_quality", "3"),
    ("p00001", "1001", "beauty", "3"),
    ("nobody", "1001", "perceptual_quality", "3"),
)


def _add_a_table_gone_wrong(corpus: Simulated) -> None:
    """Ratings that cannot be used, and one that was given already."""
    given = next(corpus.exported())
    with (corpus.corpus / "annotations/ratings-wrong.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["pair_id", "annotator_id", "dimension", "score"])
        writer.writerows([*WRONG, (given["pair_id"], given["annotator_id"], given["dimension"], 1)])


# ---- 1. What people meant is found again ----


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_scores_follow_true_quality(simulated: Simulated, dimension: str) -> None:
    assert simulated.rows.keys() == simulated.truth.keys()
    assert len(simulated.rows) == PAIRS
    scores = [row[dimension] for row in simulated.rows.values()]
    assert None not in scores
    quality = [simulated.truth[pair_id][dimension] for pair_id in simulated.rows]
    assert spearmanr(scores, quality).statistic >= 0.95


def test_intervals_mean_something(simulated: Simulated) -> None:
    """Two pictures whose 95 % intervals lie apart are hardly ever in the wrong order."""
    right = apart = 0
    for dimension in DIMENSIONS:
        score, half = (np.array([row[f"{dimension}{end}"] for row in simulated.rows.values()]) for end in ("", "_ci95"))
        quality = np.array([simulated.truth[pair_id][dimension] for pair_id in simulated.rows])
        assert (half > 0).all()
        surely = score[:, None] - half[:, None] > score + half
        apart += np.count_nonzero(surely)
        right += np.count_nonzero(surely & (quality[:, None] > quality))
    assert apart > PAIRS * (PAIRS - 1) / 2  # of three times as many couples
    assert right / apart > 0.99


def test_careless_raters_are_left_out_at_the_price_that_was_told(simulated: Simulated) -> None:
    raters = [row for row in simulated.load("annotators")["train"] if row["ratings"]]
    excluded = {row["annotator_id"] for row in raters if row["excluded"]}
    assert len(raters) == RATERS
    assert len(simulated.careless) == CARELESS
    assert simulated.careless <= excluded

    expected = sum(binom.sf(row["ratings"] // 20, row["ratings"], row["expected_share"]) for row in raters)
    assert simulated.statistics["expected_exclusions"] == pytest.approx(expected, rel=1e-6)
    honest = len(excluded - simulated.careless)
    assert poisson.sf(honest - 1, expected) > 0.01  # as many as were to be expected, or fewer

    page = " ".join((simulated.dataset / "report.html").read_text(encoding="utf-8").split())
    assert f"would exclude about {expected:.1f} of them by chance" in page
    assert f"It excluded {len(excluded)}" in page


def test_ratings_of_careless_raters_count_for_nothing(simulated: Simulated) -> None:
    theirs = {row["status"] for row in simulated.ratings if row["annotator_id"] in simulated.careless}
    assert theirs == {"rater_excluded", "outlier"}
    kept = Counter((row["pair_id"], row["dimension"]) for row in simulated.ratings if row["status"] == "kept")
    counted = {(pair, name): row[f"{name}_n"] for pair, row in simulated.rows.items() for name in DIMENSIONS}
    assert kept == counted


def test_every_injected_flaw_is_found_and_nothing_else(simulated: Simulated) -> None:
    flaws = 0
    for pair_id, row in simulated.rows.items():
        known = simulated.truth[pair_id]
        accepted = [region | {"kind": kind} for kind in KINDS for region in row[f"{kind}_regions"]]
        found = [_shown_by(flaw, accepted) for flaw in known["regions"]]
        assert None not in found, f"{pair_id}: a flaw was lost"
        assert sorted(str(region_id) for region_id in found) == sorted(region["region_id"] for region in accepted)
        flaws += len(found)
    assert flaws > PAIRS


def test_regions_around_nothing_are_discarded_and_told(simulated: Simulated) -> None:
    unfounded = {
        (pair, region["region_id"]) for pair, known in simulated.truth.items() for region in known["unfounded"]
    }
    told = {(line["pair_id"], line["item_id"]) for line in simulated.rejected if line["reason"] == "flagged"}
    assert told == unfounded != set()
    flagged = {(mark["pair_id"], mark["region_id"]) for mark in simulated.marks if mark["status"] == "flagged"}
    assert flagged == unfounded


def test_settled_regions_say_what_is_wrong_and_open_ones_stay_silent(simulated: Simulated) -> None:
    silent = set()
    for pair_id, row in simulated.rows.items():
        known = simulated.truth[pair_id]
        for kind in KINDS:
            for region in row[f"{kind}_regions"]:
                flaw = _meant_by(region | {"kind": kind}, known["regions"])
                if known["rationales_final"]:
                    assert (region["flaw_type"], region["severity"]) == (flaw["flaw_type"], flaw["severity"])
                    assert region["rationale"].startswith(flaw["rationale"])
                else:
                    assert region["rationale"] is None
                    silent.add((pair_id, region["region_id"]))
    assert silent
    assert silent == {
        (line["pair_id"], line["item_id"]) for line in simulated.rejected if line["reason"] == "not_final"
    }


def _iou(one: Sequence[float], other: Sequence[float]) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def _shown_by(flaw: Row, regions: list[Row]) -> str | None:
    """Id of the region of the flaw's kind that overlaps it best, by half at least."""
    same = [region for region in regions if region["kind"] == flaw["kind"]]
    best = max(same, key=lambda region: _iou(region["box"], flaw["box"]), default=None)
    return best["region_id"] if best and _iou(best["box"], flaw["box"]) >= 0.5 else None


def _meant_by(region: Row, flaws: list[Row]) -> Row:
    same = [flaw for flaw in flaws if flaw["kind"] == region["kind"]]
    return max(same, key=lambda flaw: _iou(region["box"], flaw["box"]))


# ---- 2. The dataset is what it says ----


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_loads_with_its_features_and_streams_the_same_rows(simulated: Simulated, config: str) -> None:
    tables = simulated.load(config)
    assert set(tables) == ({"train", "validation", "test"} if config == "default" else {"train"})
    for split, table in tables.items():
        assert table.features == make_dataset_features(config)
        assert editfhf.load(simulated.dataset, config, split=split).features == table.features
        stream = datasets.load_dataset(str(simulated.dataset), config, split=split, streaming=True)
        assert list(stream.take(2)) == [table[0], table[1]]


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_drawn_again_from_the_points(simulated: Simulated, kind: str) -> None:
    points: dict[str, list[list[float]]] = defaultdict(list)
    for mark in simulated.marks:
        if mark["status"] == "accepted" and mark["kind"] == kind:
            points[mark["pair_id"]] += mark["disks"]
    for pair_id, row in simulated.rows.items():
        known = simulated.truth[pair_id]
        total = _gaussians(points[pair_id], known["height"], known["width"])
        peak = total.max()
        wanted = np.rint(255 * total / peak) if points[pair_id] else total
        stored = np.asarray(Image.open(BytesIO(row[f"{kind}_saliency"]["bytes"])))
        assert (stored.dtype, stored.shape) == (np.uint8, total.shape)
        assert np.abs(stored - wanted).max() <= 1
        assert row[f"{kind}_peak"] == pytest.approx(peak, abs=1e-4)
        assert sorted(disk for region in row[f"{kind}_regions"] for disk in region["disks"]) == sorted(points[pair_id])
    assert sum(bool(disks) for disks in points.values()) > PAIRS / 2


def _gaussians(disks: list[list[float]], height: int, width: int) -> np.ndarray:
    """float64 [H, W]: the sum of Gaussians of sigma H/40 around the disks, at pixel centres."""
    sigma = height / 40
    y, x = np.mgrid[:height, :width] + 0.5
    total = np.zeros((height, width))
    for cx, cy in np.asarray(disks, np.float32).astype(np.float64).reshape(-1, 2):
        total += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    return total


def test_pictures_are_the_same_bytes(simulated: Simulated) -> None:
    for pair_id, row in simulated.rows.items():
        for side in ("source", "edited"):
            assert row[f"{side}_image"]["bytes"] == simulated.picture(simulated.pairs[pair_id][side])


def test_no_source_picture_is_on_two_sides_of_the_split(simulated: Simulated) -> None:
    sides = defaultdict(set)
    for row in simulated.rows.values():
        sides[hashlib.sha256(row["source_image"]["bytes"]).hexdigest()].add(row["split"])
    assert len(sides) == PAIRS / 6
    assert all(len(splits) == 1 for splits in sides.values())
    assert set().union(*sides.values()) == {"train", "validation", "test"}


def test_every_rating_is_in_the_dataset_once_or_set_aside_once(simulated: Simulated) -> None:
    exported = list(simulated.exported())
    names = ("pair_id", "annotator_id", "dimension", "score", "file", "row")
    assert 0.9 * PAIRS * RATERS * 3 < len(exported) < PAIRS * RATERS * 3  # some never came
    assert Counter(tuple(row[name] for name in names) for row in simulated.ratings) == Counter(
        tuple(row[name] for name in names) for row in exported
    )
    aside = Counter((line["file"], line["row"]) for line in simulated.rejected if line["what"] == "rating")
    lines = range(2, 2 + len(WRONG) + 1)
    assert aside == Counter(("annotations/ratings-wrong.csv", line) for line in lines)


def test_the_checks_and_the_figures_agree(simulated: Simulated) -> None:
    assert json.loads(command("validate", simulated.dataset, "--deep", "--json")) == []
    found = simulated.statistics
    assert found["splits"][-1]["pairs"] == PAIRS
    assert {kind["kind"]: kind["regions"] for kind in found["regions"]} == {
        kind: sum(flaw["kind"] == kind for known in simulated.truth.values() for flaw in known["regions"])
        for kind in KINDS
    }
    assert found["clean"] == sum(not known["regions"] for known in simulated.truth.values())


def test_it_can_be_used_as_any_dataset(simulated: Simulated) -> None:
    tables = simulated.load()
    train = tables["train"]
    row = train[0]
    known, pair = simulated.truth[row["pair_id"]], simulated.pairs[row["pair_id"]]
    assert train.features["task"].int2str(row["task"]) == known["task"] == pair["task"]
    assert row["edited_image"].size == row["artifact_saliency"].size == (known["width"], known["height"])
    assert row["artifact_saliency"].mode == "L"
    assert row["source_image"].size == Image.open(BytesIO(simulated.picture(pair["source"]))).size

    flawed = tables.filter(lambda regions: len(regions) > 0, input_columns="artifact_regions")
    wanted = sum(any(flaw["kind"] == "artifact" for flaw in one["regions"]) for one in simulated.truth.values())
    assert sum(flawed.num_rows.values()) == wanted
    assert tables.select_columns(["pair_id", "overall"])["test"].column_names == ["pair_id", "overall"]

    marks = simulated.load("marks")["train"].to_pandas()
    assert len(marks) == len(simulated.marks)
    assert set(marks[marks.status == "accepted"].groupby("pair_id").size().index) == {
        pair_id for pair_id, one in simulated.truth.items() if one["regions"]
    }


# ---- 3. Real edits ----


def test_the_real_corpus_builds_whole(real: Built) -> None:
    assert real.rows.keys() == real.pairs.keys()
    assert len(real.rows) == 28
    assert json.loads(command("validate", real.dataset, "--deep", "--json")) == []


def test_points_lie_in_their_boxes_and_light_up_in_the_maps(real: Built) -> None:
    regions = 0
    for row in real.rows.values():
        for kind in KINDS:
            level = np.asarray(Image.open(BytesIO(row[f"{kind}_saliency"]["bytes"]))) / 255
            height, width = level.shape
            for region in row[f"{kind}_regions"]:
                regions += 1
                disks, (x0, y0, x1, y1) = np.array(region["disks"]), region["box"]
                assert ((np.array([x0, y0]) <= disks.mean(0)) & (disks.mean(0) < [x1, y1])).all()
                distance = np.maximum(np.maximum([x0, y0] - disks, disks - [x1, y1]), 0)
                assert np.hypot(*distance.T).max() < height / 20
                for x, y in disks:
                    column, line = min(int(x), width - 1), min(int(y), height - 1)
                    # A disk alone is 1 at its centre; a pixel away, the Gaussian has hardly fallen.
                    assert level[line, column] * row[f"{kind}_peak"] > 0.9
    assert regions > len(real.rows)


def test_two_workers_write_the_bytes_of_one(real: Built, tmp_path: Path) -> None:
    command("build", real.corpus, tmp_path / "dataset", "--workers", "2", "--quiet")
    one, two = building.tree(real.dataset), building.tree(tmp_path / "dataset")
    assert building.differences(one, two) == []
    assert {"manifest.json", "README.md", "report.html", "rejected.jsonl", "croissant.json"} <= one.keys()

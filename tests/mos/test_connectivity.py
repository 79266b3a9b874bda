"""How raters and items hang together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from mos._kernels import group_moments
from mos.connectivity import count_rater_parts, report_connectivity
from mos.scoring.normalise import normalise_scores
from mos.table import Ratings, validate_ratings

Coded = Callable[..., Ratings]
NAN = math.nan


def sparse(items: int, raters: int, share: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    scores = random.normal(3, 1, (items, raters))
    scores[random.random(scores.shape) >= share] = NAN
    return scores


def parts_of_graph(scores: np.ndarray) -> list[tuple[int, int]]:
    """Raters and items of every component that has any rating."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    items, raters = scores.shape
    item, rater = np.nonzero(~np.isnan(scores))
    graph = coo_array((np.ones(len(item)), (item, items + rater)), shape=(items + raters, items + raters))
    _, label = connected_components(graph, directed=False)
    found = [(int((label[items:] == part).sum()), int((label[:items] == part).sum())) for part in np.unique(label)]
    return sorted(sizes for sizes in found if min(sizes))


@pytest.mark.parametrize("seed", range(8))
def test_parts_are_the_connected_components(coded: Coded, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mos.connectivity._FIRST_ROWS", 16)  # so that items fall across the steps
    scores = sparse(70, 60, 0.02 + 0.004 * seed, seed)
    (found,) = report_connectivity(coded(scores))
    assert sorted(found.parts) == parts_of_graph(scores)
    assert [part[1] for part in found.parts] == sorted((part[1] for part in found.parts), reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_components_of_some_ratings(coded: Coded, seed: int) -> None:
    ratings = coded(sparse(70, 60, 0.03, seed))
    kept = np.random.default_rng(seed).random(len(ratings)) < 0.7
    used = np.zeros((len(ratings.raters), 1), bool)
    used[ratings.rater[kept]] = True
    scores = np.full((len(ratings.items), len(ratings.raters)), NAN)
    scores[ratings.item[kept], ratings.rater[kept]] = 1
    assert count_rater_parts(ratings, kept, used) == {"dimension0": len(parts_of_graph(scores))}


def test_dimensions_are_apart(coded: Coded) -> None:
    scores = np.ones((4, 4, 2))
    scores[:2, :2, 1], scores[2:, 2:, 1] = NAN, NAN
    whole, halves = report_connectivity(coded(scores))
    assert whole.parts == ((4, 4),)
    assert halves.parts == ((2, 2), (2, 2))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.7])
def test_common_raters_of_all_pairs_of_items(coded: Coded, share: float) -> None:
    scores = sparse(60, 20, share, 1)
    given = ~np.isnan(scores)
    given = given[given.any(axis=1)]
    common = [int((given[a] & given[b]).sum()) for a, b in itertools.combinations(range(len(given)), 2)]
    (found,) = report_connectivity(coded(scores))
    assert found.mean_common_raters == pytest.approx(np.mean(common), rel=1e-12)
    assert found.least_common_raters == min(common)
    assert found.pairs_with_common_raters == pytest.approx(np.mean(np.array(common) > 0), rel=1e-12)


def test_common_raters_of_many_items_are_near_those_of_all_pairs(coded: Coded) -> None:
    scores = sparse(1000, 100, 0.05, 2)
    given = ~np.isnan(scores)
    common = (given.astype(int) @ given.T.astype(int))[np.triu_indices(1000, 1)]
    (found,) = report_connectivity(coded(scores))
    assert found.pairs_with_common_raters == pytest.approx(np.mean(common > 0), abs=0.02)


def test_balance(coded: Coded) -> None:
    scores = sparse(50, 12, 0.5, 3)
    given = ~np.isnan(scores)
    (found,) = report_connectivity(coded(scores))
    per_item, per_rater = given.sum(axis=1), given.sum(axis=0)
    assert (found.items, found.raters, found.ratings) == (50, 12, given.sum())
    assert found.fill == pytest.approx(given.mean())
    assert found.ratings_per_item_cv == pytest.approx(per_item.std() / per_item.mean())
    assert found.ratings_per_rater_cv == pytest.approx(per_rater.std() / per_rater.mean())


def test_a_complete_study_is_balanced_and_connected(coded: Coded) -> None:
    (found,) = report_connectivity(coded(sparse(30, 8, 1, 4)))
    assert (found.fill, found.parts) == (1, ((8, 30),))
    assert found.ratings_per_item_cv == found.ratings_per_rater_cv == 0
    assert found.mean_common_raters == found.least_common_raters == 8
    assert found.pairs_with_common_raters == 1
    assert found.between_raters == pytest.approx(0, abs=1e-12)
    assert found.between_raters_by_chance == 0
    assert found.warning is None


def test_chance_alone_puts_the_expected_share_between_raters(coded: Coded) -> None:
    found = [report_connectivity(coded(sparse(100, 20, 0.2, seed)))[0] for seed in range(20)]
    by_chance = np.mean([each.between_raters_by_chance for each in found])
    assert np.mean([each.between_raters for each in found]) == pytest.approx(by_chance, rel=0.25)
    assert all(each.warning is None for each in found)


def test_repeated_ratings_count_once() -> None:
    columns = {
        "item": ["a", "a", "a", "b"],
        "rater": ["r", "r", "s", "r"],
        "dimension": ["d"] * 4,
        "score": [1.0, 2.0, 3.0, 4.0],
        "repetition": ["1", "2", "1", "1"],
    }
    ratings, problems = validate_ratings(pa.table(columns), None)
    assert not problems
    (found,) = report_connectivity(ratings)
    assert (found.ratings, found.fill, found.mean_common_raters) == (3, 0.75, 1)


def test_nothing_to_connect(coded: Coded) -> None:
    table = pa.table({"item": ["a"], "rater": ["r"], "dimension": ["d"], "score": [1.0]})
    one, none = report_connectivity(validate_ratings(table, None, ["d", "e"])[0])
    assert (one.parts, one.fill, one.least_common_raters) == (((1, 1),), 1, 0)
    assert math.isnan(one.mean_common_raters) and math.isnan(one.between_raters)
    assert (none.parts, none.fill, none.warning) == ((), 0, None)
    assert report_connectivity(validate_ratings(table.slice(0, 0), None)[0]) == []


def test_names_of_raters_and_order_of_rows_do_not_matter() -> None:
    scores = sparse(40, 15, 0.1, 6)
    item, rater = np.nonzero(~np.isnan(scores))
    random = np.random.default_rng(1)
    order, names = random.permutation(len(item)), random.permutation(15)

    def found(rows: np.ndarray, rename: np.ndarray) -> list[object]:
        columns = {
            "item": [f"i{i:02d}" for i in item[rows]],
            "rater": [f"r{rename[r]:02d}" for r in rater[rows]],
            "dimension": ["d"] * len(rows),
            "score": np.round(scores[item[rows], rater[rows]]),
        }
        (connectivity,) = report_connectivity(validate_ratings(pa.table(columns), None)[0])
        return [getattr(connectivity, name) for name in connectivity.__slots__]

    numbers = slice(1, 5), slice(6, 13)
    one, other = found(np.arange(len(item)), np.arange(15)), found(order, names)
    assert one[5] == other[5]
    for part in numbers:
        assert one[part] == pytest.approx(other[part], rel=1e-9)


def two_groups(bridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores [200, 30] and the true quality [200]: two groups of raters saw items of different quality.

    bridge: probability that a rater also rates an item of the other group.
    """
    random = np.random.default_rng(8)
    quality = np.concatenate([random.normal(2, 0.4, 100), random.normal(4, 0.4, 100)])
    scores = quality[:, None] + random.normal(0, 0.1, 30) + random.normal(0, 0.3, (200, 30))
    other = (np.arange(200)[:, None] < 100) == (np.arange(30) < 15)
    scores[other & (random.random(scores.shape) >= bridge)] = NAN
    return scores, quality


def order_kept(ratings: Ratings, values: np.ndarray, quality: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(group_moments(values, ratings.item, len(quality)).mean, quality).statistic)


def z_scores(ratings: Ratings) -> np.ndarray:
    given = np.bincount(ratings.rater, minlength=len(ratings.raters))
    return normalise_scores(ratings.score, ratings.rater, given, np.zeros(0, np.int64), 1).z


def test_separate_groups_are_warned_of_for_z_scores_lose_their_difference(coded: Coded) -> None:
    scores, quality = two_groups(bridge=0)
    ratings = coded(scores)
    assert order_kept(ratings, ratings.score, quality) > 0.97
    assert order_kept(ratings, z_scores(ratings), quality) < 0.65
    (found,) = report_connectivity(ratings)
    assert found.parts == ((15, 100), (15, 100))
    assert found.pairs_with_common_raters == pytest.approx(99 / 199, rel=0.05)
    assert found.between_raters > 0.7
    assert found.warning is not None
    assert found.warning.startswith("In dimension0 the raters fall into 2 groups that rated no item in common")


def test_nearly_separate_groups_are_warned_of_although_they_are_connected(coded: Coded) -> None:
    scores, quality = two_groups(bridge=0.03)
    ratings = coded(scores)
    assert order_kept(ratings, ratings.score, quality) > 0.97
    assert order_kept(ratings, z_scores(ratings), quality) < 0.75
    (found,) = report_connectivity(ratings)
    assert len(found.parts) == 1
    assert found.warning is not None
    assert found.warning.startswith("In dimension0 raters rated items of different quality")


@pytest.mark.parametrize(
    ("name", "parts"), [("imagenhub.csv", 7), ("its4s2_images.csv", 1), ("agh_quality_variation_2017.csv", 1)]
)
def test_real_studies(real: Callable[[str], object], name: str, parts: int) -> None:
    table = pa.csv.read_csv(real(name))
    columns = {"item": "image_id", "rater": "annotator_id", "dimension": "dimension"}
    texts = {new: table[old].cast(pa.string()) for new, old in columns.items()}
    ratings, _ = validate_ratings(pa.table({**texts, "score": table["score"]}), None)
    for found in report_connectivity(ratings):
        assert len(found.parts) == parts
        assert (found.warning is not None) == (parts > 1)

"""What a plan needs, from the ratings of a pilot."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from mos.errors import UserError
from mos.planning import estimate_pilot
from mos.table import Ratings, validate_ratings

Coded = Callable[..., Ratings]
NAN = math.nan


def simulated(items: int, raters: int, share: float, seed: int) -> np.ndarray:
    """[items, raters]: item SD 0.8, rater SD 0.4, residual SD 0.6; `share` of the cells are there."""
    random = np.random.default_rng(seed)
    scores = random.normal(3, 0.8, (items, 1)) + random.normal(0, 0.4, raters) + random.normal(0, 0.6, (items, raters))
    scores[random.random(scores.shape) >= share] = NAN
    return scores


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # pingouin 0.7 under pandas 3
def test_reliabilities_of_a_complete_design_are_those_of_pingouin(coded: Coded) -> None:
    import pingouin

    scores = simulated(40, 7, 1, 1)
    frame = pd.DataFrame([(i, r, s) for (i, r), s in np.ndenumerate(scores)], columns=["i", "r", "s"])
    icc = pingouin.intraclass_corr(frame, "i", "r", "s").set_index("Type")["ICC"]
    pilot = estimate_pilot(coded(scores), "dimension0")
    assert pilot.consistency == pytest.approx(float(icc["ICC(C,1)"]), rel=1e-9)
    # McGraw and Wong's ICC(A,1) from the mean squares; pingouin's is the same
    assert pilot.agreement == pytest.approx(float(icc["ICC(A,1)"]), rel=1e-9)


def test_deviations_of_a_complete_design(coded: Coded) -> None:
    scores = simulated(30, 6, 1, 2)
    pilot = estimate_pilot(coded(scores), "dimension0")
    assert pilot.sd == pytest.approx(math.sqrt(scores.var(axis=1, ddof=1).mean()), rel=1e-12)
    pairs = [(scores[a] - scores[b]).var(ddof=1) for a, b in itertools.combinations(range(30), 2)]
    assert pilot.sd_difference == pytest.approx(math.sqrt(np.mean(pairs)), rel=1e-9)
    left = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    assert pilot.sd_residual == pytest.approx(math.sqrt((left**2).sum() / (29 * 5)), rel=1e-9)


@pytest.mark.parametrize(("share", "seed"), [(0.6, 1), (0.3, 2), (0.15, 3)])
def test_residual_of_a_partial_design_is_that_of_least_squares(coded: Coded, share: float, seed: int) -> None:
    scores = simulated(40, 12, share, seed)
    item, rater = np.nonzero(~np.isnan(scores))
    design = np.hstack([np.eye(40)[item], np.eye(12)[rater]])
    fitted, _, rank, _ = np.linalg.lstsq(design, scores[item, rater], rcond=None)
    left = scores[item, rater] - design @ fitted
    expected = math.sqrt(left @ left / (len(item) - rank))
    assert estimate_pilot(coded(scores), "dimension0").sd_residual == pytest.approx(expected, rel=1e-9)


def test_separate_groups_of_raters_lose_no_degree_of_freedom_to_each_other(coded: Coded) -> None:
    scores = simulated(20, 8, 1, 4)
    scores[:10, :4], scores[10:, 4:] = NAN, NAN
    scores[:10] += 50  # the groups' levels do not matter
    variances = []
    for block in (scores[:10, 4:], scores[10:, :4]):
        left = block - block.mean(axis=1, keepdims=True) - block.mean(axis=0) + block.mean()
        variances.append((left**2).sum() / (9 * 3))
    assert estimate_pilot(coded(scores), "dimension0").sd_residual == pytest.approx(
        math.sqrt(np.mean(variances)), rel=1e-9
    )


@pytest.mark.parametrize("share", [1, 0.5, 0.2])
def test_estimates_are_near_the_truth(coded: Coded, share: float) -> None:
    pilots = [estimate_pilot(coded(simulated(200, 30, share, seed)), "dimension0") for seed in range(10)]
    for name, truth in (
        ("sd", math.hypot(0.4, 0.6)),
        ("sd_residual", 0.6),
        ("sd_difference", 0.6 * math.sqrt(2)),
        ("consistency", 0.64 / (0.64 + 0.36)),
        ("agreement", 0.64 / (0.64 + 0.36 + 0.16)),
    ):
        assert np.mean([getattr(pilot, name) for pilot in pilots]) == pytest.approx(truth, rel=0.06), name


def test_names_of_raters_and_order_of_rows_do_not_matter() -> None:
    scores = simulated(30, 9, 0.5, 5)
    item, rater = np.nonzero(~np.isnan(scores))
    random = np.random.default_rng(0)
    order, names = random.permutation(len(item)), random.permutation(9)

    def pilot(rows: np.ndarray, rename: np.ndarray) -> list[object]:
        columns = {
            "item": [f"i{i}" for i in item[rows]],
            "rater": [f"r{rename[r]}" for r in rater[rows]],
            "dimension": ["d"] * len(rows),
            "score": scores[item[rows], rater[rows]],
        }
        found = estimate_pilot(validate_ratings(pa.table(columns), None)[0], "d")
        return [getattr(found, name) for name in ("items", "raters", "ratings", "sd", "sd_difference", "agreement")]

    assert pilot(order, names) == pytest.approx(pilot(np.arange(len(item)), np.arange(9)), rel=1e-9)


def test_dimensions_are_apart(coded: Coded) -> None:
    one, other = simulated(20, 5, 1, 6), 10 * simulated(20, 5, 1, 7)
    both = coded(np.stack([one, other], axis=2))
    assert estimate_pilot(both, "dimension1").sd == estimate_pilot(coded(other), "dimension0").sd
    assert estimate_pilot(both, "dimension0").sd == estimate_pilot(coded(one), "dimension0").sd


def test_of_repeated_ratings_the_first_counts(real: Callable[[str], object]) -> None:
    table = pa.csv.read_csv(real("agh_ntia.csv"))
    table = table.rename_columns(
        ["item" if name == "image_id" else "rater" if name == "annotator_id" else name for name in table.column_names]
    )
    columns = {name: table[name].cast(pa.string()) for name in ("item", "rater", "dimension", "repetition")}
    ratings, _ = validate_ratings(pa.table({**columns, "score": table["score"]}), (1, 5))
    pilot = estimate_pilot(ratings, ratings.dimensions[0].as_py())
    assert (pilot.items, pilot.raters, pilot.ratings, pilot.repeated) == (110, 29, 110 * 29, 6960 - 110 * 29)
    first = table.to_pandas().sort_values("repetition").groupby(["item", "rater"])["score"].first()
    assert pilot.sd == pytest.approx(math.sqrt(first.groupby("item").var().mean()), rel=1e-9)


def test_raters_who_only_differ_in_bias_leave_no_residual(coded: Coded) -> None:
    scores = np.arange(8.0)[:, None] / 7 + np.array([0.1, 0.7, 0.3])
    pilot = estimate_pilot(coded(scores), "dimension0")
    assert pilot.sd_residual == 0
    assert pilot.consistency == 1
    assert pilot.sd == pytest.approx(scores[0].std(ddof=1))


def test_one_score_everywhere_has_no_reliability(coded: Coded) -> None:
    pilot = estimate_pilot(coded(np.full((4, 3), 3.3)), "dimension0")
    assert pilot.sd == pilot.sd_difference == 0
    assert math.isnan(pilot.consistency) and math.isnan(pilot.agreement)


def test_unknown_dimension(coded: Coded) -> None:
    with pytest.raises(UserError) as error:
        estimate_pilot(coded(np.ones((2, 2))), "dimensoin0")
    assert str(error.value) == (
        "Unknown dimension 'dimensoin0'. Did you mean 'dimension0'? Expected one of dimension0."
    )


@pytest.mark.parametrize(
    "scores",
    [
        [[1, 2, 3]],  # one item
        [[1], [2], [3]],  # one rater
        [[1, NAN], [NAN, 2]],  # nothing in common
        [[1, 2, NAN], [NAN, 2, 3]],  # a chain: no residual
    ],
)
def test_too_little_overlap(coded: Coded, scores: object) -> None:
    with pytest.raises(
        UserError, match=r"^To plan from ratings, two raters or more must have rated the same two items"
    ):
        estimate_pilot(coded(scores), "dimension0")


def test_a_dimension_without_ratings() -> None:
    table = pa.table({"item": ["a"], "rater": ["r"], "dimension": ["d"], "score": [1.0]})
    ratings, _ = validate_ratings(table, None, ["d", "e"])
    with pytest.raises(UserError, match="got 0 ratings of 0 items by 0 raters"):
        estimate_pilot(ratings, "e")

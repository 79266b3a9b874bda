"""The SOS parameter: least squares on the parabola, 0 for unanimous raters and 1 for those who use the ends alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pytest

from mos.reliability.coefficient import ItemBootstrap
from mos.reliability.sos import MEANS_AT_ENDS, NO_ITEM_RATED_TWICE, NO_SCALE_LENGTH, SosFit, fit_sos, sos_curve


def of(matrix: np.ndarray, scale: tuple[float, float] = (1, 5), resampling: ItemBootstrap | None = None) -> SosFit:
    item, rater = np.nonzero(~np.isnan(matrix))
    return fit_sos(item, rater, matrix[item, rater], scale, resampling or ItemBootstrap(200))


def simulated(items: int, raters: int, a: float, seed: int = 0) -> np.ndarray:
    """Ratings on 1 to 5 whose variance is a (5 - m)(m - 1): a beta distribution around each item's mean m."""
    random = np.random.default_rng(seed)
    share = random.uniform(0.1, 0.9, (items, 1))
    return 1 + 4 * random.beta(share * (1 / a - 1), (1 - share) * (1 / a - 1), (items, raters))


@pytest.mark.parametrize("a", [0.05, 0.2, 0.5])
def test_the_parameter_is_found_and_lies_in_its_interval(a: float) -> None:
    found = of(simulated(2000, 15, a)).a
    assert found.value == pytest.approx(a, rel=0.06)
    assert found.ci_low < found.value < found.ci_high
    assert (found.items, found.raters, found.ratings) == (2000, 15, 30000)


def test_it_is_least_squares_through_the_origin(real: Callable[[str], Path]) -> None:
    table = pacsv.read_csv(real("its4s2_images.csv")).to_pandas()
    groups = table.groupby("image_id")["score"]
    mean, variance = groups.mean().to_numpy(), groups.var().to_numpy()
    expected = np.linalg.lstsq(((5 - mean) * (mean - 1))[:, None], variance, rcond=None)[0][0]
    item, rater = (np.unique(table[c], return_inverse=True)[1] for c in ("image_id", "annotator_id"))
    found = fit_sos(item, rater, table["score"].to_numpy(float), (1, 5), ItemBootstrap(50))
    assert found.a.value == pytest.approx(expected, rel=1e-9)
    assert found.mos == pytest.approx(mean)
    assert found.sd**2 == pytest.approx(variance, abs=1e-12)


def test_the_interval_is_that_of_resampled_items() -> None:
    matrix, resampling = simulated(25, 8, 0.2), ItemBootstrap(80, seed=6, level=0.8)
    values = []
    for weights in np.concatenate(list(resampling.weights(25))):
        drawn = np.repeat(matrix, weights.astype(int), axis=0)
        most = (5 - drawn.mean(axis=1)) * (drawn.mean(axis=1) - 1)
        values.append((drawn.var(axis=1, ddof=1) @ most) / (most @ most))
    found = of(matrix, resampling=resampling).a
    assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(values, [0.1, 0.9]))


def test_unanimous_raters_have_none_and_ends_alone_all_of_it() -> None:
    assert of(np.repeat([[1.5], [3], [4]], 6, axis=1)).a.value == 0
    ends = np.where(np.random.default_rng(0).random((500, 200)) < np.linspace(0.1, 0.9, 500)[:, None], 5.0, 1.0)
    assert of(ends).a.value == pytest.approx(1, rel=0.01)


def test_the_scale_does_not_matter_but_its_ends_do() -> None:
    matrix = simulated(50, 6, 0.2)
    assert of(matrix * 25 - 25, (0, 100)).a.value == pytest.approx(of(matrix).a.value)
    assert of(matrix, (0, 6)).a.value < of(matrix).a.value


def test_the_curve_is_the_parabola_and_nothing_beyond_the_scale() -> None:
    assert sos_curve(np.array([0.0, 1, 3, 5]), 0.25, (1, 5)).tolist() == [0, 0, 1, 0]


def test_items_with_one_rating_have_no_point() -> None:
    matrix = simulated(5, 4, 0.2)
    matrix[2, 1:] = np.nan
    assert of(matrix).item.tolist() == [0, 1, 3, 4]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("matrix", "scale", "note"),
    [
        (np.arange(3.0)[:, None] + 1, (1, 5), NO_ITEM_RATED_TWICE),
        (np.zeros((0, 0)), (1, 5), NO_ITEM_RATED_TWICE),
        (np.full((4, 3), 2.0), (2, 2), NO_SCALE_LENGTH),
        (np.repeat([[1.0], [5.0]], 4, axis=1), (1, 5), MEANS_AT_ENDS),
        (np.zeros((0, 0)), (np.nan, np.nan), NO_ITEM_RATED_TWICE),
    ],
)
def test_where_nothing_can_be_said_the_reason_is_given(
    matrix: np.ndarray, scale: tuple[float, float], note: str
) -> None:
    assert (of(matrix, scale).a.value, of(matrix, scale).a.note) == (None, note)

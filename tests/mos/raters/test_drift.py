"""Change over a session: scipy's regression, and halves by loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from mos.raters import report_raters


@pytest.mark.parametrize("seed", range(8))
def test_drift_is_scipys_regression_on_the_place_in_the_session(seed: int, study: Any, rows: Any, same: Any) -> None:
    ratings = study(seed, items=20, fill=0.5)
    table = report_raters(ratings)
    found: list[list[float]] = [[], [], []]
    for own in rows(ratings):
        pairs = [(row.place / (len(own) - 1), float(row.exact - row.others)) for row in own if row.others is not None]
        line = stats.linregress(*zip(*pairs, strict=True))
        half = stats.t.ppf(0.975, len(pairs) - 2) * line.stderr
        for column, value in zip(found, (line.slope, line.slope - half, line.slope + half), strict=True):
            column.append(float(value))
    for name, values in zip(("drift", "drift_low", "drift_high"), found, strict=True):
        same(table[name].to_pylist(), values)


def test_dimensions_have_a_common_slope_and_their_own_intercepts(study: Any, rows: Any, same: Any) -> None:
    ratings = study(3, items=25, dimensions=2, fill=0.7)
    slopes = []
    for own in rows(ratings):
        kept = [row for row in own if row.others is not None]
        x = [[row.place / (len(own) - 1), row.dimension == 0, row.dimension == 1] for row in kept]
        y = [float(row.exact - row.others) for row in kept]
        slopes.append(float(sm.OLS(y, np.array(x, float)).fit().params[0]))
    same(report_raters(ratings)["drift"].to_pylist(), slopes)


def test_dimensions_rated_one_after_the_other_are_no_drift(coded: Callable[..., Any]) -> None:
    random = np.random.default_rng(0)
    scores = np.round(random.normal(3, 0.5, (40, 1, 2)) + random.normal(0, 0.2, (40, 6, 2)), 1)
    scores[:, 0, 1] += 3  # one rater is generous in the second dimension only
    ratings = coded(scores)
    row = report_raters(ratings, times=ratings.dimension.astype(float)).to_pylist()[0]
    assert row["drift_low"] < 0 < row["drift_high"]
    assert abs(row["drift"]) < 0.6


@pytest.mark.parametrize("seed", range(6))
def test_the_ratio_compares_the_halves_of_the_session(seed: int, study: Any, rows: Any, same: Any) -> None:
    ratings = study(seed, items=21, fill=0.9, decimals=1)
    ratios = []
    for own in rows(ratings):
        kept = [row for row in own if row.others is not None]
        halves = [
            [float(row.exact - row.others) for row in kept if (row.place >= len(own) // 2) is second]
            for second in (False, True)
        ]
        ratios.append(float(np.std(halves[1], ddof=1) / np.std(halves[0], ddof=1)))
    same(report_raters(ratings)["inconsistency_ratio"].to_pylist(), ratios)


def test_a_rater_without_spread_in_the_first_half_has_no_ratio(coded: Callable[..., Any]) -> None:
    scores = np.full((8, 3), 3.0)
    scores[6, 0] = 5
    table = report_raters(coded(scores))
    assert table["inconsistency_ratio"].to_pylist()[0] is None


@pytest.mark.parametrize("dimensions", [1, 3])
def test_the_interval_covers_no_drift(dimensions: int, coded: Callable[..., Any]) -> None:
    """Raters without drift, whose liking of an item shows in all its dimensions."""
    random = np.random.default_rng(4)
    covered, trials, raters = 0, 40, 20
    for _ in range(trials):
        shape = (25, raters, dimensions)
        scores = 3 + random.normal(0, 0.6, (25, raters, 1)) + random.normal(0, 0.3, shape)
        table = report_raters(coded(scores))
        low, high = np.array(table["drift_low"].to_pylist()), np.array(table["drift_high"].to_pylist())
        covered += int(((low < 0) & (high > 0)).sum())
    assert covered / (trials * raters) == pytest.approx(0.95, abs=0.03)

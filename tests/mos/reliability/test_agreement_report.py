"""The table of agreement: every coefficient of every dimension, whatever the table of ratings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from mos.errors import UserError
from mos.ratings import Ratings
from mos.reliability import (
    COEFFICIENT_MEANINGS,
    measure_agreement,
    measure_dimension_agreement,
    report_agreement,
    tabulate_agreement,
)
from mos.table import validate_ratings

pytestmark = pytest.mark.filterwarnings("error")
QUICK = {"replicates": 40, "splits": 10}
Build = Callable[..., Ratings]


def simulated(items: int = 30, raters: int = 6, dimensions: int = 2, missing: float = 0.0, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    shape = (items, raters, dimensions)
    quality, severity = random.normal(3, 1, (items, 1, dimensions)), random.normal(0, 0.4, (1, raters, dimensions))
    scores = np.clip(np.round(quality + severity + random.normal(0, 0.7, shape), 1), 1, 5)
    scores[random.random(shape) < missing] = np.nan
    return scores


def test_a_row_for_each_dimension_and_coefficient(coded: Build) -> None:
    found = report_agreement(coded(simulated(), (1, 5)), **QUICK)
    assert found["coefficient"].to_pylist() == 2 * list(COEFFICIENT_MEANINGS)
    assert found["dimension"].to_pylist() == ["dimension0"] * 14 + ["dimension1"] * 14
    assert found.schema.names == [
        "dimension",
        "coefficient",
        "value",
        "ci_low",
        "ci_high",
        "interval",
        "n_items",
        "n_raters",
        "n_ratings",
        "note",
    ]
    for row in found.to_pylist():
        assert row["note"] is None
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert (row["n_items"], row["n_raters"], row["n_ratings"]) == (30, 6, 180)


@pytest.mark.parametrize("missing", [0, 0.3])
def test_neither_the_order_of_rows_nor_the_names_of_raters_matter(coded: Build, missing: float) -> None:
    scores = simulated(missing=missing)
    item, rater, dimension = np.nonzero(~np.isnan(scores))
    random = np.random.default_rng(3)
    names, order = random.permutation(6), random.permutation(len(item))
    columns = {
        "item": [f"i{i:03d}" for i in item[order]],
        "rater": [f"r{names[r]}" for r in rater[order]],
        "dimension": [f"dimension{d}" for d in dimension[order]],
        "score": scores[item, rater, dimension][order],
    }
    other = report_agreement(validate_ratings(pa.table(columns), (1, 5))[0], **QUICK).to_pylist()
    for one, two in zip(report_agreement(coded(scores, (1, 5)), **QUICK).to_pylist(), other, strict=True):
        assert one == pytest.approx(two, abs=1e-12)


def test_one_dimension_alone_is_the_same(coded: Build) -> None:
    ratings = coded(simulated(missing=0.2), (1, 5))
    alone = [measure_dimension_agreement(ratings, dimension, **QUICK) for dimension in (0, 1)]
    assert tabulate_agreement(alone).equals(report_agreement(ratings, **QUICK))
    together = measure_agreement(ratings, **QUICK)[1]
    assert together.curve.mean.tolist() == alone[1].curve.mean.tolist()
    assert together.dimension == "dimension1"


def test_another_seed_moves_the_intervals_and_not_the_values(coded: Build) -> None:
    ratings = coded(simulated(missing=0.2), (1, 5))
    one, two = (measure_dimension_agreement(ratings, 0, seed=seed, **QUICK).coefficients for seed in (1, 2))
    for name in set(COEFFICIENT_MEANINGS) - {"split_half_srcc", "split_half_srcc_corrected"}:
        assert one[name].value == two[name].value
        assert one[name].ci_low != two[name].ci_low


def test_a_wider_level_gives_wider_intervals(coded: Build) -> None:
    ratings = coded(simulated(), (1, 5))
    narrow, wide = (measure_dimension_agreement(ratings, 0, level=level).coefficients for level in (0.5, 0.99))
    for name in COEFFICIENT_MEANINGS:
        assert wide[name].ci_low < narrow[name].ci_low < narrow[name].ci_high < wide[name].ci_high


def test_repetitions_are_averaged_and_said_to_be() -> None:
    random = np.random.default_rng(0)
    item, rater, repetition = (axis.ravel() for axis in np.indices((20, 5, 3)))
    score = random.normal(3, 1, 20)[item] + random.normal(0, 0.5, len(item))
    columns = {"item": item.astype(str), "rater": rater.astype(str), "repetition": repetition, "score": score}
    ratings, problems = validate_ratings(pa.table(columns | {"dimension": ["overall"] * len(item)}), None)
    assert not problems
    mean = score.reshape(20, 5, 3).mean(axis=2).ravel()
    averaged = {"item": item[::3].astype(str), "rater": rater[::3].astype(str), "score": mean}
    expected, _ = validate_ratings(pa.table(averaged | {"dimension": ["overall"] * 100}), None)
    found, single = (measure_dimension_agreement(each, 0, **QUICK).coefficients for each in (ratings, expected))
    for name in set(COEFFICIENT_MEANINGS) - {"sos_a"}:
        assert found[name].value == pytest.approx(single[name].value, rel=1e-12)
        assert "averaged" in found[name].note
    assert (found["sos_a"].ratings, found["sos_a"].note) == (300, None)


@pytest.mark.parametrize(
    "scores",
    [
        np.full((5, 4, 1), 3.3),
        np.arange(5.0)[:, None, None],
        np.arange(5.0)[None, :, None],
        np.array([[[3.0]]]),
        np.where(np.eye(6, 6, dtype=bool), 2.0, np.nan)[..., None],
        np.array([[1.0, 2], [2, 1]])[..., None],
        np.array([[1.0, np.nan, 3], [np.nan, 2, np.nan]])[..., None],
    ],
    ids=["all equal", "one rater", "one item", "one rating", "no item shared", "opposed", "two items"],
)
def test_what_is_undefined_has_a_reason(coded: Build, scores: np.ndarray) -> None:
    for row in report_agreement(coded(scores), **QUICK).to_pylist():
        assert row["value"] is not None or row["note"], row
        assert (row["ci_low"] is None) == (row["ci_high"] is None) == (row["interval"] is None)


def test_a_dimension_without_ratings_is_a_row_of_reasons() -> None:
    columns = {"item": ["a", "b"], "rater": ["r", "s"], "dimension": ["d", "d"], "score": [1.0, 2.0]}
    ratings, _ = validate_ratings(pa.table(columns), (1, 5), dimensions=["d", "e"])
    for row in report_agreement(ratings, **QUICK).to_pylist()[14:]:
        assert (row["dimension"], row["value"], row["n_ratings"]) == ("e", None, 0)
        assert row["note"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 2}, "from 0 to 1; got 2"),
        ({"dimension": -1}, "from 0 to 1; got -1"),
        ({"dimension": 0, "replicates": 0}, "replicates must be a whole number, 1 or more; got 0"),
        ({"dimension": 0, "level": 95}, "between 0 and 1; got 95"),
    ],
)
def test_options_out_of_range_are_told(coded: Build, options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        measure_dimension_agreement(coded(simulated(), (1, 5)), **options)


@pytest.mark.parametrize("name", ["imagenhub", "agh_ntia", "dsg_tifa160_likert", "vqeg_frtv1_625_line_low"])
def test_real_tables_have_no_gap(real: Callable[[str], Path], name: str) -> None:
    columns = {"image_id": "item", "annotator_id": "rater"}
    read = pacsv.read_csv(real(f"{name}.csv")).drop(["content_id"])
    ratings, problems = validate_ratings(read.rename_columns([columns.get(c, c) for c in read.column_names]), None)
    assert not problems
    for row in report_agreement(ratings, **QUICK).to_pylist():
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert row["coefficient"].endswith("_sd") or row["value"] < 1


def test_every_coefficient_says_how_to_read_it() -> None:
    assert all(text[-1] in ".?" and len(text) > 30 for text in COEFFICIENT_MEANINGS.values())


def test_neither_pandas_nor_scipy_is_imported_with_the_package() -> None:
    program = "import sys, mos.reliability; print(sorted({'pandas', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

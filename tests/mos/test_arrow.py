"""Arrow columns made and read by their buffers are what pyarrow itself would make and read, without pandas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mos._arrow import bool_array, column_values, null_mask, number_array, repeat_text, take_labels, text_array


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), max_size=40))
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float64])
def test_numbers_with_and_without_nulls(dtype: type, rows: list[tuple[int, bool]]) -> None:
    values, valid = np.array([v for v, _ in rows], dtype), np.array([ok for _, ok in rows], bool)
    assert number_array(values).equals(pa.array(values))
    some = number_array(values, valid)
    some.validate(full=True)
    assert some.equals(pa.array(values, mask=~valid))
    assert null_mask(some).tolist() == (~valid).tolist()
    assert column_values(some)[valid].tolist() == values[valid].tolist()
    assert bool_array(valid).equals(pa.array(valid))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=12))
def test_texts(values: list[str]) -> None:
    made = text_array(values)
    made.validate(full=True)
    assert made.equals(pa.array(values, pa.string()))


def test_choosing_and_repeating() -> None:
    assert take_labels(text_array(["a", "b"]), np.array([1, -1, 0])).to_pylist() == ["b", None, "a"]
    assert repeat_text("x", 3).to_pylist() == ["x", "x", "x"]


def test_slices_and_chunks_are_read_from_where_they_start() -> None:
    whole = pa.array([1, None, 3, 4, 5])
    parts = pa.chunked_array([whole[2:4], whole[:0], whole[1:3]])
    assert null_mask(parts).tolist() == [False, False, True, False]
    assert column_values(parts)[[0, 1, 3]].tolist() == [3, 4, 3]
    assert column_values(pa.chunked_array([], pa.float64())).tolist() == []


@pytest.mark.parametrize("end", ["", "\n\n"])
def test_from_a_csv_to_scores_and_ledger_without_pandas(tmp_path: Path, end: str) -> None:
    """Both ways of splitting a file; the import would take longer than all the rest."""
    rows = [f"i{item},r{rater},{1 + item * rater % 5}" for item in range(30) for rater in range(8)]
    (tmp_path / "ratings.csv").write_text("\n".join(["item,rater,score", *rows, "i1,r1,9", "i1,r1,1"]) + end)
    program = """
import sys
from pathlib import Path
import mos.methods, mos.table
ratings, problems = mos.table.validate_ratings(mos.table.read_ratings_table(Path(sys.argv[1]))[0], (1, 5))
result = mos.methods.score_ratings(ratings)
found = len(problems), len(result.scores), len(result.raters), len(result.ledger()) > 0
unwanted = sorted({"pandas", "scipy.sparse", "scipy.stats"} & set(sys.modules))
sys.stdout.write(f"{found} {unwanted}")
"""
    command = [sys.executable, "-c", program, str(tmp_path / "ratings.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "(2, 30, 8, True) []"

"""What `import mos` gives, and what a notebook shows of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mos

ROOT = Path(__file__).parents[2]
REAL = ROOT / "examples/real/annotations/ratings.json"
KINDS = ("intervals", "histograms", "shares", "bias", "ridge", "residuals", "sos", "halves", "planning")
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Thirty items rated by twelve raters in two dimensions on 1 to 5; the last rater rates at random."""
    random = np.random.default_rng(3)
    rows = []
    for dimension in ("quality", "consistency"):
        quality = random.uniform(1.5, 4.5, 30)
        for rater in range(12):
            given = random.uniform(1, 5, 30) if rater == 11 else quality + random.normal(0, 0.4, 30)
            rows += [
                {"item": f"i{item:02d}", "rater": f"r{rater:02d}", "dimension": dimension, "score": score}
                for item, score in enumerate(np.clip(given.round(1), 1, 5))
            ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def ratings(frame: pd.DataFrame) -> mos.Ratings:
    return mos.read(frame, scale=(1, 5))


def run_python(code: str) -> Any:
    """The JSON that a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


def test_mos_gives_its_names_and_no_others() -> None:
    names = run_python("import json, mos; print(json.dumps([dir(mos), sorted(mos.__all__)]))")
    assert names[0] == names[1]
    assert names[0] == sorted(
        ["METHODS", "Ratings", "ScoringResult", "UserError", "agreement", "compare", "plan", "read", "score"]
    )
    assert all(getattr(mos, name) is not None for name in names[0])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mos.nothing


def test_import_loads_nothing_heavy_and_is_quick() -> None:
    code = (
        "import json, sys, time\nbefore = set(sys.modules)\nstart = time.process_time()\nimport mos\n"
        "took = time.process_time() - start\nprint(json.dumps([took, sorted(set(sys.modules) - before)]))"
    )
    runs = [run_python(code) for _ in range(3)]
    assert min(took for took, _ in runs) < 0.05
    assert not {"numpy", "pyarrow", "pandas", "matplotlib", "pydantic"} & set(runs[0][1])


def test_every_name_survives_the_import_of_all_modules() -> None:
    """A submodule of the same name would replace the function."""
    code = (
        "import json, pkgutil, importlib, mos\nbefore = {n: id(getattr(mos, n)) for n in mos.__all__}\n"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(mos.__path__, 'mos.')]\n"
        "print(json.dumps([n for n in mos.__all__ if id(getattr(mos, n)) != before[n]]))"
    )
    assert run_python(code) == []


def test_all_sources_give_the_same_ratings(frame: pd.DataFrame, ratings: mos.Ratings, tmp_path: Path) -> None:
    table = pa.Table.from_pandas(frame)
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    pq.write_table(table, tmp_path / "ratings.parquet")
    halves = [frame.iloc[:300], frame.iloc[300:].set_index("item").reset_index()]
    categories = frame.astype({"item": "category", "rater": "category"})
    for source in (str(tmp_path / "ratings.csv"), tmp_path / "ratings.parquet", table, halves, categories):
        again = mos.read(source, scale=(1, 5))
        assert again.items.equals(ratings.items)
        assert again.raters.equals(ratings.raters)
        np.testing.assert_array_equal(again.score, ratings.score)


def test_a_label_studio_export_is_read() -> None:
    assert (
        repr(mos.read(REAL, scale=(1, 5))) == "Ratings(252 ratings: 28 items x 3 raters x 3 dimensions, scale 1 to 5)"
    )


def test_columns_are_named_as_on_the_command_line(frame: pd.DataFrame, ratings: mos.Ratings) -> None:
    renamed = frame.rename(columns={"item": "clip", "rater": "person", "score": "votes"})
    found = mos.read(renamed, scale=(1, 5), columns={"item": "clip", "rater": "person", "rating": "votes"})
    assert found.items.equals(ratings.items)
    with pytest.raises(mos.UserError, match="Unknown column 'clip'; expected one of item, rater, dimension, rating"):
        mos.read(renamed, columns={"clip": "item"})
    with pytest.raises(mos.UserError, match="DataFrame: no column for the item"):
        mos.read(renamed)


def test_invalid_rows_are_an_error_or_go_to_a_file(frame: pd.DataFrame, tmp_path: Path) -> None:
    wrong = frame.copy()
    wrong.loc[7, "score"] = 9.0
    with pytest.raises(mos.UserError, match=r"DataFrame: 1 row is invalid: row 7: the score 9.0 is outside the scale"):
        mos.read(wrong, scale=(1, 5))
    with pytest.warns(UserWarning, match="1 rows were rejected"):
        found = mos.read(wrong, scale=(1, 5), rejected=tmp_path / "rejected.jsonl")
    assert len(found) == len(frame) - 1
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["row"] == 7


def test_repeated_ratings_follow_the_option(frame: pd.DataFrame) -> None:
    repeated = pd.concat([frame, frame.iloc[:1].assign(score=5.0)], ignore_index=True)
    with pytest.raises(mos.UserError, match="choose which of repeated ratings counts"):
        mos.read(repeated, scale=(1, 5))
    with pytest.warns(UserWarning, match="1 rows were rejected"):
        found = mos.read(repeated, scale=(1, 5), duplicates="last")
    assert found.to_pandas().query("item == 'i00' and rater == 'r00' and dimension == 'quality'")["score"].item() == 5


@pytest.mark.parametrize("wrong", [[], 5, {"item": []}])
def test_what_is_no_source_is_refused(wrong: Any) -> None:
    with pytest.raises(mos.UserError, match="Expected"):
        mos.read(wrong)


@pytest.mark.parametrize("function", [mos.score, mos.compare, mos.agreement, mos.plan])
def test_unread_ratings_are_refused(function: Any) -> None:
    with pytest.raises(mos.UserError, match=r"Expected Ratings as mos.read gives them; got str"):
        function("ratings.csv")


def test_score_takes_a_method_and_its_options(ratings: mos.Ratings) -> None:
    assert mos.score(ratings).options["method"] == "paper"
    assert mos.score(ratings, "paper", max_passes=2).options["max_passes"] == 2
    with pytest.raises(mos.UserError, match="unknown option 'passes'"):
        mos.score(ratings, passes=2)
    assert set(mos.METHODS) >= {"paper", "mos", "p910"}


def test_compare_takes_names_or_options(ratings: mos.Ratings) -> None:
    assert mos.compare(ratings, "paper, mos").methods["method"].unique().to_pylist() == ["paper", "mos"]
    found = mos.compare(ratings, {"mos": {}, "paper": {"max_outlier_share": 0.5}})
    assert found.to_pandas()[["method", "other"]].to_numpy().tolist() == 2 * [["mos", "paper"]]
    assert mos.compare(ratings).items.num_columns == 2 + 2 * len(mos.METHODS)
    with pytest.raises(mos.UserError, match="two or more methods"):
        mos.compare(ratings, ["mos"])


def test_plan_takes_figures_or_a_pilot(ratings: mos.Ratings) -> None:
    assert (
        repr(mos.plan(icc=0.57, reliability=0.95)) == "StudyPlan(15 raters for a reliability of 0.95 of the mean score)"
    )
    plan = mos.plan(ratings, half_width=0.3, raters=(10, 5))
    assert [each.dimension for each in plan.dimensions] == ["consistency", "quality"]
    assert plan.to_pandas()[["dimension", "raters"]].to_numpy().tolist() == [
        ["consistency", 5],
        ["consistency", 10],
        ["quality", 5],
        ["quality", 10],
    ]
    with pytest.raises(mos.UserError, match="one of the figures sd, sd_difference and icc"):
        mos.plan(half_width=0.3)


def test_everything_is_short_in_text_and_a_table_in_html(ratings: mos.Ratings) -> None:
    shown: list[Any] = [
        ratings,
        mos.score(ratings),
        mos.compare(ratings, ["paper", "mos"]),
        mos.agreement(ratings, replicates=50, splits=20),
        mos.plan(ratings, half_width=0.3),
    ]
    for value in shown:
        assert len(repr(value)) < 200
        assert repr(value).startswith(f"{type(value).__name__}(")
        html = value._repr_html_()
        assert html.count("<table>") == html.count("</table>") >= 1
        assert len(html) < 30_000
    assert repr(shown[0]) == "Ratings(720 ratings: 30 items x 12 raters x 2 dimensions, scale 1 to 5)"
    assert re.fullmatch(
        r"ScoringResult\(paper: 30 items x 2 dimensions, 1 of 12 raters excluded, mean score [\d.]+ points\)",
        repr(shown[1]),
    )


def test_names_are_escaped() -> None:
    frame = pd.DataFrame(
        {
            "item": [HOSTILE, HOSTILE, "b", "b"],
            "rater": ["r", "s", "r", "s"],
            "score": [1, 2, 4, 5],
            "dimension": HOSTILE,
        }
    )
    ratings = mos.read(frame, scale=(1, 5))
    shown: list[Any] = [ratings, mos.score(ratings, "mos"), mos.compare(ratings, ["mos", "p913"]), mos.plan(ratings)]
    for value in [*shown, mos.agreement(ratings, replicates=20, splits=5)]:
        assert "<script" not in value._repr_html_()


def test_tables_go_to_pandas(frame: pd.DataFrame, ratings: mos.Ratings) -> None:
    again = ratings.to_pandas()
    assert list(again) == ["item", "rater", "dimension", "score"]
    key = ["item", "rater", "dimension"]
    pd.testing.assert_frame_equal(
        again.sort_values(key, ignore_index=True), frame.sort_values(key, ignore_index=True), check_dtype=False
    )
    result = mos.score(ratings)
    assert result.to_pandas().equals(result.scores.to_pandas())
    assert result.raters.to_pandas().query("excluded")["rater"].tolist() == ["r11"]


def test_a_missing_package_is_one_sentence(ratings: mos.Ratings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(mos.UserError, match=r"needs the package pandas, .* pip install 'pandas'"):
        ratings.to_pandas()
    with pytest.raises(mos.UserError, match=r"needs the package matplotlib, .* pip install 'editfhf\[plots\]'"):
        mos.score(ratings).plot()


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_plotted(ratings: mos.Ratings, kind: str) -> None:
    svg: Any = mos.score(ratings).plot(kind, dimension="quality")
    assert svg._repr_svg_().startswith("<svg")


def test_plots_that_cannot_be_are_refused(ratings: mos.Ratings) -> None:
    result = mos.score(ratings, "mos")
    with pytest.raises(mos.UserError, match=rf"Unknown plot 'pie'\. Expected one of {', '.join(KINDS)}"):
        result.plot("pie")
    with pytest.raises(mos.UserError, match=r"Unknown dimension 'beauty'\. Expected one of consistency, quality"):
        result.plot("sos", "beauty")
    with pytest.raises(mos.UserError, match="no limit on the share of flagged ratings"):
        result.plot("shares")


def test_equal_names_sparse_columns_and_huge_numbers_are_one_sentence(frame: pd.DataFrame) -> None:
    doubled = pd.concat([frame, frame[["score"]]], axis=1)
    sparse = frame.assign(score=pd.arrays.SparseArray(frame["score"]))
    huge = frame.assign(score=pd.Series([10**30] * len(frame), dtype=object))
    huge.loc[0, "score"] = 1.5
    for table in (doubled, sparse):
        with pytest.raises(mos.UserError, match="cannot be converted to an Arrow table"):
            mos.read(table, scale=(1, 5))
    with pytest.raises(mos.UserError):
        mos.read(huge, scale=(1, 5))


@pytest.mark.parametrize("scale", ["x", (1,), (1, 2, 3), ("1", "5"), 5, (None, 5)])
def test_a_scale_is_two_numbers(frame: pd.DataFrame, scale: Any) -> None:
    with pytest.raises(mos.UserError, match="two numbers"):
        mos.read(frame, scale=scale)


@pytest.mark.parametrize("columns", [3, ["item"], {"item": None}, {3: "item"}])
def test_columns_are_a_mapping_of_names(frame: pd.DataFrame, columns: Any) -> None:
    with pytest.raises(mos.UserError, match="column"):
        mos.read(frame, scale=(1, 5), columns=columns)


@pytest.mark.parametrize("method", [3, None, ["mos"]])
def test_a_method_is_a_name(frame: pd.DataFrame, method: Any) -> None:
    with pytest.raises(mos.UserError, match="Unknown method"):
        mos.score(mos.read(frame, scale=(1, 5)), method)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": "x"},
        {"seed": -1},
        {"seed": None},
        {"replicates": 2.5},
        {"replicates": "many"},
        {"splits": 0},
        {"splits": [3]},
        {"level": "a"},
        {"level": None},
        {"level": True},
        {"level": 95},
    ],
)
def test_arguments_of_agreement_of_another_kind_are_one_sentence(ratings: mos.Ratings, options: dict[str, Any]) -> None:
    with pytest.raises(mos.UserError, match=rf"{next(iter(options))}.*got "):
        mos.agreement(ratings, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"sd": "0.8", "half_width": 0.3},
        {"sd": -1, "difference": 0.3},
        {"sd": 0},
        {"sd_difference": [1], "difference": 0.3},
        {"icc": "0.5", "reliability": 0.9},
        {"icc": 1.5},
        {"sd": 0.8, "half_width": "wide"},
        {"sd": 0.8, "half_width": 0.3, "level": "x"},
        {"sd": 0.8, "difference": 0.3, "power": None},
        {"sd": 0.8, "difference": 0.3, "alpha": "x"},
        {"sd": 0.8, "difference": 0.3, "comparisons": 2.5},
        {"sd": 0.8, "half_width": 0.3, "assurance": "x"},
        {"sd": 0.8, "raters": 5},
        {"sd": 0.8, "raters": "5,10"},
        {"sd": 0.8, "raters": [5, "10"]},
        {"sd": 0.8, "raters": [1.5]},
        {"sd": 0.8, "raters": [1]},
        {"icc": 0.5, "reliability": "high"},
    ],
)
def test_arguments_of_plan_of_another_kind_are_one_sentence(options: dict[str, Any]) -> None:
    with pytest.raises(mos.UserError, match="got "):
        mos.plan(**options)


@pytest.mark.parametrize("methods", [5, None, [1, 2], {"mos": 3, "paper": {}}, {"mos": {}, 7: {}}, ["mos", None]])
def test_methods_to_compare_are_names_and_options(ratings: mos.Ratings, methods: Any) -> None:
    with pytest.raises(mos.UserError):
        mos.compare(ratings, methods)


def test_a_pilot_without_spread_says_so(frame: pd.DataFrame) -> None:
    same = mos.read(frame.assign(score=3.0), scale=(1, 5))
    for target, figure in (({"half_width": 0.3}, "sd"), ({"difference": 0.3}, "sd_difference")):
        with pytest.raises(mos.UserError, match=rf"the raters of the pilot study do not differ \({figure} is 0\)"):
            mos.plan(same, **target)
    assert "30 raters" in repr(mos.plan(same, sd=0.8, half_width=0.3))


def test_a_path_that_cannot_be_written_is_one_sentence(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    paths = ["a\0b.jsonl", tmp_path / ("x" * 300), tmp_path, tmp_path / "no" / "x.jsonl", tmp_path / "loop.jsonl" / "x"]
    for path in paths:
        with pytest.raises(mos.UserError):
            mos.read(frame, scale=(1, 5), rejected=path)
    with pytest.raises(mos.UserError, match="null character"):
        mos.read("a\0b.csv")

"""Table 4: correlations with people's scores; a status is coverage, never a number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from annotation.records import DIMENSIONS
from training.agents.results import AgentIdentity, Score
from training.samples.pair_sample import PairSample
from training.tables.evaluation_table import correlate_scores, measure_scores
from training.tables.paper_rows import list_paper_rows
from training.tables.result_table import ResultTable, TableCell, TableColumn, TableRow, with_shares
from training.tables.table_files import (
    format_csv,
    format_latex,
    format_markdown,
    render_table_page,
    write_table_files,
)

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(60, 10, 80)
GIVEN = TRUTH + RANDOM.normal(0, 10, 80)
SOURCES = [f"s{number // 2}" for number in range(80)]


def test_correlations_are_those_of_scipy_over_the_pairs_with_a_score() -> None:
    given = GIVEN.copy()
    given[:8] = np.nan
    cells = correlate_scores(given, TRUTH, SOURCES)
    for key, expected in (
        ("srcc", stats.spearmanr(given[8:], TRUTH[8:]).statistic),
        ("krcc", stats.kendalltau(given[8:], TRUTH[8:]).statistic),
        ("plcc", stats.pearsonr(given[8:], TRUTH[8:]).statistic),
    ):
        assert cells[key].value == pytest.approx(expected, abs=1e-9)
        assert (cells[key].count, cells[key].missing) == (72, 8)
        assert cells[key].ci_low < cells[key].value < cells[key].ci_high
    assert cells["plcc_logistic4"].value >= cells["plcc"].value - 0.02


class Judge:
    identity = AgentIdentity("test", "judge", "1")

    def evaluate(self, source: Any, current: Any, instruction: str) -> list[Score]:
        first = Score(DIMENSIONS[0], None, None, "refused", self.identity, "I would rather not.")
        return [first, *(Score(each, 50.0, None, "ok", self.identity) for each in DIMENSIONS[1:])]


def test_a_refusal_stays_a_status_and_leaves_no_overall_score() -> None:
    sample = PairSample.__new__(PairSample)
    for name in ("source", "edited", "instruction"):
        object.__setattr__(sample, name, None)
    scores = measure_scores(Judge(), sample)["scores"]
    assert scores[DIMENSIONS[0]] == {"value": None, "status": "refused", "detail": "I would rather not."}
    assert scores[DIMENSIONS[1]]["value"] == 50
    assert (scores["overall"]["value"], scores["overall"]["status"]) == (None, "error")


TABLE = ResultTable(
    "evaluation",
    "A table",
    {"Group": (TableColumn("q.srcc", "SRCC", "up", "Correlation."),)},
    (
        TableRow(
            "a_b | 50 %", "measured", {"q.srcc": TableCell(0.4, 0.3, 0.5, 18, 2, {"none": 2}, 0.5)}, "test/a 1", 0.9
        ),
        TableRow("one rater", "ceiling", {"q.srcc": TableCell(0.8, 0.7, 0.9, 20)}),
        TableRow("lpips", "unavailable", {}, note="There are no weights."),
        TableRow("paper: X*", "paper", {"q.srcc": TableCell(0.123)}, note="Other data."),
    ),
    {"preset": "mit", "pairs": 20, "sources": 5, "corpus": "c", "split": "test"},
)


def test_files_have_interval_share_extent_and_origin(tmp_path: Path) -> None:
    markdown = format_markdown(TABLE)
    assert "| a_b \\| 50 % | 0.400 [0.300, 0.500] 50 %" in markdown.replace("\N{NO-BREAK SPACE}", " ")
    assert "18 of 20" in markdown
    assert "lpips: There are no weights." in markdown
    assert "- preset: mit" in markdown
    latex = format_latex(TABLE)
    assert r"a\_b | 50 \% & 0.400 {\scriptsize [0.300, 0.500]} (50~\%) & 18 of 20 \\" in latex
    assert latex.count(r"\midrule") == 4  # below the head, and before people, what cannot run, and the paper
    lines = format_csv(TABLE).splitlines()
    assert lines[0].startswith("table,row,origin,agent,group,metric,value,ci_low,ci_high,n,missing,share_of_ceiling")
    assert lines[1] == "evaluation,a_b | 50 %,measured,test/a 1,Group,q.srcc,0.4,0.3,0.5,18,2,0.5,0.9,,mit,20,5,c,test"
    assert lines[-1].endswith("Other data.,,,,,")  # the provenance of this dataset is not that of the paper
    paths = {path.suffix: path for path in write_table_files(TABLE, tmp_path)}
    assert set(paths) == {".md", ".tex", ".csv", ".json", ".html"}
    page = paths[".html"].read_text(encoding="utf-8")
    assert "There are no weights." in page
    assert 'src="http' not in page
    assert "&lt;script&gt;" in render_table_page(replace(TABLE, title="<script>"))


def test_shares_are_of_people_on_the_same_data_only() -> None:
    people = TableRow("one rater", "ceiling", {"q.srcc": TableCell(0.8)})
    (row,) = with_shares([TableRow("a", "measured", {"q.srcc": TableCell(0.4)})], people, TABLE.groups)
    assert row.cells["q.srcc"].share == pytest.approx(0.5)


def test_the_paper_is_quoted_as_printed() -> None:
    rows = {row.name: row for row in list_paper_rows("perception")}
    assert rows["paper: EditRefiner, Qwen3-VL-8B*"].cells["artifact.auc_judd"].value == 0.8720
    assert rows["paper: CA"].cells["failure.kld"].value == 7.6489
    rows = {row.name: row for row in list_paper_rows("evaluation")}
    assert rows["paper: Q-Align*"].cells["overall.plcc"].value == 0.6208
    assert len(list_paper_rows("reasoning")) == 14

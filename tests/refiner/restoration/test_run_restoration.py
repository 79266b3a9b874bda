"""The restoration benchmark on a few simulated images, from pairs to tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from annotation.simulate import KnownPair, simulate_pairs
from mos.errors import UserError
from refiner.options import RefineOptions
from refiner.restoration.methods import copy_source_back, make_methods
from refiner.restoration.run_restoration import RestorationOptions, repair_and_measure, run_restoration
from training.tables.result_table import ResultTable
from training.tables.table_files import write_table_files

SETTINGS = RestorationOptions(pairs=6, height=96, seed=5)
AGENTS = {"perception": "difference", "reasoning": "none", "evaluation": "ssim"}
NAMES = ("refine", "refine-oracle", "copy-source", "authors-rules")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restoration")


@pytest.fixture(scope="module")
def tables(out: Path) -> list[ResultTable]:
    return run_restoration(SETTINGS, NAMES, agents=AGENTS, out=out)


@pytest.fixture(scope="module")
def pairs() -> list[KnownPair]:
    found = simulate_pairs(SETTINGS.simulation(), SETTINGS.list_photos())
    return [pair for pair in found if pair.clean.shape == pair.edited.shape and pair.flaws]


def test_every_method_has_a_row_with_both_groups(tables: list[ResultTable]) -> None:
    assert [table.key for table in tables] == ["restoration", "restoration-flaws", "restoration-turns"]
    assert [row.name for row in tables[0].rows] == list(NAMES)
    assert all(row.coverage == 1 for row in tables[0].rows)


def test_who_knows_the_truth_gains_and_is_never_worse(tables: list[ResultTable]) -> None:
    cells = tables[0].find_row("refine-oracle").cells
    measured = [group for group in ("rendered", "plain") if cells[f"{group}.psnr_gain"].count]
    assert measured
    for group in measured:
        assert cells[f"{group}.psnr_gain"].value > 0
        assert cells[f"{group}.not_worse"].value == 1
    for group in ("rendered", "plain"):
        untouched = cells[f"{group}.untouched"].value
        assert math.isnan(untouched) or untouched == 1


def test_the_last_turn_of_the_turn_table_is_the_result(tables: list[ResultTable]) -> None:
    by_turn = tables[2].find_row("refine-oracle").cells
    gains = [by_turn[key].value for key in sorted(by_turn)]
    assert gains == sorted(gains)
    whole = tables[0].find_row("refine-oracle").cells
    counts = [cell for group in ("rendered", "plain") if (cell := whole[f"{group}.psnr_gain"]).count]
    mean = sum(cell.value * cell.count for cell in counts) / sum(cell.count for cell in counts)
    assert gains[-1] == pytest.approx(mean, abs=1e-3)


def test_a_second_run_measures_nothing_again_and_gives_the_same(
    tables: list[ResultTable], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in (out / "records").iterdir()}
    monkeypatch.setattr("refiner.restoration.run_restoration.repair_and_measure", None)
    again = run_restoration(SETTINGS, NAMES, agents=AGENTS, out=out)
    assert [table.as_record() for table in again] == [table.as_record() for table in tables]
    assert {path: path.read_bytes() for path in (out / "records").iterdir()} == before


def test_every_table_has_its_files_and_a_page(tables: list[ResultTable], tmp_path: Path) -> None:
    for table in tables:
        paths = write_table_files(table, tmp_path)
        assert {path.suffix for path in paths} == {".md", ".tex", ".csv", ".html", ".json"}
        page = (tmp_path / f"{table.key}.html").read_text(encoding="utf-8")
        assert table.title in page and "6 simulated images" in page


def test_results_of_other_images_are_not_mixed(tables: list[ResultTable], out: Path) -> None:
    with pytest.raises(UserError, match="measured with another settings"):
        run_restoration(RestorationOptions(pairs=6, height=96, seed=6), NAMES, agents=AGENTS, out=out)


def test_a_method_that_fails_is_counted(pairs: list[KnownPair]) -> None:
    def fail(pair: KnownPair) -> None:
        raise RuntimeError("no memory")

    record = repair_and_measure(pairs[0], fail)  # type: ignore[arg-type]
    assert (record["status"], record["detail"]) == ("error", "RuntimeError: no memory")


def test_the_source_is_copied_only_where_something_differs(pairs: list[KnownPair]) -> None:
    for pair in pairs[:2]:
        image = copy_source_back(pair).image
        changed = np.any(image != pair.edited, axis=2)
        assert image.shape == pair.edited.shape
        if pair.source.shape == pair.edited.shape:
            np.testing.assert_array_equal(image[changed], pair.source[changed])


def test_an_unknown_method_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"Unknown method 'refin'\. Did you mean 'refine'\?"):
        make_methods(["refin"], RefineOptions(), AGENTS)

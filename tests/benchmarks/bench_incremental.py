"""Speed of adding ratings to a state of 687,915: a batch, the result, the file; against scoring the whole table anew.

    python tests/benchmarks/bench_incremental.py [--items 15287] [--pool 15] [--method paper] [--rounds 5]

One JSON line a measure, with the machine's load beside it.  The peer is the whole way from the CSV file: read, code,
score.  Ours and the peer take turns; the ratio is that of the medians.  With a pool of 300 raters each item is rated
by 15 of them.  A batch is taken from rows at random, so it touches items and raters all over the table.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from bench_mos import DIMENSIONS, RATERS, in_turns, report, simulate

from mos.methods import METHODS, find_method, score_ratings
from mos.study_file import StoredStudy, open_study, save_study
from mos.table import read_ratings_table, validate_ratings

BATCHES = (100, 1_000, 10_000)


def with_pool(table: pa.Table, items: int, pool: int) -> pa.Table:
    """The same study with the 15 raters of every item drawn from a pool."""
    if pool == RATERS:
        return table
    random = np.random.default_rng(1)
    chosen = np.argsort(random.random((items, pool)), axis=1)[:, :RATERS]
    item, rater = (
        np.array([name.rsplit("_", 1)[1] for name in table[part].to_pylist()], np.int64) for part in ("item", "rater")
    )
    names = pa.array([f"rater_{number:03d}" for number in range(pool)]).take(pa.array(chosen[item, rater]))
    return table.set_column(1, "rater", names)


def works(table: pa.Table, state: StoredStudy, folder: Path) -> dict[str, tuple[int, Callable[[], Any]]]:
    """What is measured, by name; the table is in random order."""
    by, csv, saved = state.options, folder / "ratings.csv", folder / "state.parquet"
    pacsv.write_csv(table, csv)
    save_study(state, saved)
    found: dict[str, tuple[int, Callable[[], Any]]] = {
        "full from CSV": (1, lambda: score_ratings(validate_ratings(read_ratings_table(csv)[0], (1, 5))[0], by)),
        "full from the table": (1, lambda: score_ratings(validate_ratings(table, (1, 5))[0], by)),
    }
    for size in BATCHES:
        batch = table.slice(0, size)
        before, _ = state.remove(batch)
        corrected = batch.set_column(3, "score", pa.array(np.full(size, 3.0)))
        found |= {
            f"add {size}": (2, lambda before=before, batch=batch: before.add(batch)),
            f"add {size} and result": (2, lambda before=before, batch=batch: before.add(batch)[0].result()),
            f"correct {size}": (2, lambda corrected=corrected: state.add(corrected, "replace")),
            f"withdraw {size}": (2, lambda batch=batch: state.remove(batch)),
        }
    return found | {
        "result": (2, state.result),
        "add all to an empty state": (1, lambda: StoredStudy.empty(by, (1, 5)).add(table)),
        "save": (1, lambda: save_study(state, saved)),
        "load": (1, lambda: open_study(saved)),
        "load, add 100, result, save": (1, lambda: whole_turn(saved, folder / "next.parquet", table.slice(0, 100))),
    }


def whole_turn(saved: Path, to: Path, batch: pa.Table) -> None:
    """What a program does that is started for every batch."""
    state, _ = open_study(saved).add(batch, "replace")
    state.result()
    save_study(state, to)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=15_287)
    parser.add_argument("--pool", type=int, default=RATERS)
    parser.add_argument("--method", choices=list(METHODS), default="paper")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    table = with_pool(simulate(given.items), given.items, given.pool)
    state, problems = StoredStudy.empty(find_method(given.method).options.from_mapping({}), (1, 5)).add(table)
    if problems or len(state) != given.items * RATERS * len(DIMENSIONS):
        raise SystemExit(f"the simulated table has {len(problems)} bad rows")
    with tempfile.TemporaryDirectory() as folder:
        measured = works(table, state, Path(folder))
        found = in_turns(given.rounds, measured)
        size = (Path(folder) / "state.parquet").stat().st_size / 1e6
    note = f"{given.method}, {len(state)} ratings, pool of {given.pool}; file of {size:.1f} MB"
    peer = "full from CSV"
    for name in measured:
        if name != peer:
            report(name, found[name], peer, found[peer], note)


if __name__ == "__main__":
    main()

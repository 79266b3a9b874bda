"""Speed of alternating projection (ITU-T P.910, Annex E) at 687,915 ratings, beside sureal's.

    python tests/benchmarks/bench_p910.py [--items 15287] [--pools 15 300]

One JSON line a pool of raters, with the machine's load beside it: 15 raters who rate everything, or 300 of whom each
item has 15.  sureal takes a dense matrix of one dimension, items by raters, NaN where there is no rating; a turn of it
is one dimension, its time three times the median turn.  It runs once for a pool of more than 15: a turn takes most of
a minute.  Ours takes the coded table of all three.  Both must take the same number of steps and find the same.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from mos.methods.p910 import AlternatingProjection, project_dimension, project_each_dimension

RATERS_PER_ITEM = 15
DIMENSIONS = 3


class Table(NamedTuple):
    score: np.ndarray
    item: np.ndarray
    rater: np.ndarray
    dimension: np.ndarray


def simulate(items: int, pool: int, seed: int = 0) -> Table:
    """Two-decimal scores on 1 to 5, in the order of a coded table; the raters of an item are drawn at random."""
    random = np.random.default_rng(seed)
    drawn = np.sort(random.random((items, pool)).argsort(axis=1)[:, :RATERS_PER_ITEM], axis=1)
    shape = (items, DIMENSIONS, RATERS_PER_ITEM)
    item, dimension, _ = (axis.ravel() for axis in np.indices(shape, np.int32))
    rater = np.broadcast_to(drawn[:, None, :], shape).ravel().astype(np.int32)
    bias, error = random.normal(0, 0.3, pool), random.uniform(0.4, 0.7, pool)
    quality = random.normal(3, 0.8, shape[:2])[item, dimension]
    score = np.round(quality + bias[rater] + error[rater] * random.normal(size=item.size), 2)
    return Table(np.clip(score, 1, 5), item, rater, dimension.astype(np.int16))


def sureal_model(table: Table, number: int, pool: int) -> Any:
    """sureal's P910 of one dimension, its data set read."""
    from sureal import P910AnnexEModel
    from sureal.dataset_reader import RawDatasetReader

    rows = table.dimension == number
    dense = np.full((int(table.item.max()) + 1, pool), np.nan)
    dense[table.item[rows], table.rater[rows]] = table.score[rows]
    dataset = SimpleNamespace(
        dataset_name="simulated",
        ref_videos=[{"content_id": 0, "content_name": "0", "path": "0"}],
        dis_videos=[
            {"content_id": 0, "asset_id": number, "path": str(number), "os": row.tolist()}
            for number, row in enumerate(dense)
        ],
    )
    return P910AnnexEModel(RawDatasetReader(dataset))


def run_silently(model: Any) -> dict[str, Any]:
    with contextlib.redirect_stdout(io.StringIO()):
        return model.run_modeling()


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def difference(ours: AlternatingProjection, theirs: dict[str, Any]) -> float:
    """Largest difference of a quality; raises where the numbers of steps differ."""
    if ours.iterations != theirs["num_iter"]:
        raise SystemExit(f"we took {ours.iterations} steps and sureal {theirs['num_iter']}")
    return float(np.abs(ours.quality - theirs["quality_scores"]).max())


def measure(items: int, pool: int) -> dict[str, Any]:
    table = simulate(items, pool)
    sizes = (items, pool, DIMENSIONS)
    ours, theirs, apart, steps = [], [], 0.0, []
    for number in range(DIMENSIONS if pool <= RATERS_PER_ITEM else 1):
        model = sureal_model(table, number, pool)
        spent, result = seconds(lambda model=model: run_silently(model))
        theirs.append(DIMENSIONS * spent)
        runs = [seconds(lambda: project_each_dimension(*table, sizes)) for _ in range(8)]
        ours += [run[0] for run in runs]
        apart = max(apart, difference(runs[0][1][number], result))
        steps.append(result["num_iter"])
    middle, other = statistics.median(ours), statistics.median(theirs)
    row = {"name": f"P.910, pool of {pool}", "ratings": len(table.score), "ours_min_s": min(ours)}
    row |= {"ours_median_s": middle, "ours_runs": len(ours), "peer": "sureal P910", "peer_min_s": min(theirs)}
    row |= {"peer_median_s": other, "peer_runs": len(theirs), "ratio": other / middle, "load": os.getloadavg()[0]}
    return row | {"steps": steps, "largest_difference": apart, "note": "sureal: 3 x one dimension, dense"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=15_287)
    parser.add_argument("--pools", type=int, nargs="+", default=[15, 300])
    given = parser.parse_args()
    small = simulate(50, 20)
    project_dimension(small.score, small.item, small.rater, 50, 20)  # imports what it needs
    for pool in given.pools:
        row = measure(given.items, pool)
        rounded = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in row.items()}
        sys.stdout.write(json.dumps(rounded) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

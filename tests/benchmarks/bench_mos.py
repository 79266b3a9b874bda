"""Speed of `mos` at the size of the target study: 15,287 items x 15 raters x 3 dimensions = 687,915 ratings.

    python tests/benchmarks/bench_mos.py [--items 15287]

One JSON line a measure.  sureal has no 2-sigma rule; its nearest pipeline is ZS_SR_MOS: z-scores per rater, BT.500
screening of raters, mean.  It runs on one dimension, and its time is counted three times.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from mos.paper import score
from mos.table import code, read_columns

RATERS = 15
DIMENSIONS = ("perceptual_quality", "instruction_following", "visual_consistency")


def simulate(items: int, seed: int = 0) -> pa.Table:
    """Complete design with two-decimal scores on 1 to 5, rows in random order, all columns text."""
    random = np.random.default_rng(seed)
    shape = (items, RATERS, len(DIMENSIONS))
    quality = random.normal(3, 0.8, (items, 1, len(DIMENSIONS)))
    severity, range_used = random.normal(0, 0.3, (1, RATERS, 1)), random.uniform(0.7, 1.2, (1, RATERS, 1))
    scores = np.clip(np.round(quality + severity + range_used * random.normal(0, 0.6, shape), 2), 1, 5)
    item, rater, dimension = (axis.ravel() for axis in np.indices(shape))
    order = random.permutation(scores.size)

    def names(labels: list[str], codes: np.ndarray) -> pa.Array:
        return pa.array(labels).take(pa.array(codes[order]))

    return pa.table(
        {
            "item": names([f"pair_{number:06d}" for number in range(items)], item),
            "rater": names([f"rater_{number:02d}" for number in range(RATERS)], rater),
            "dimension": names(list(DIMENSIONS), dimension),
            "score": pa.array([f"{value:.2f}" for value in scores.ravel()[order]]),
        }
    )


def best_of(runs: int, work: Callable[[], Any]) -> float:
    """Seconds of the fastest of `runs` runs."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def sureal_seconds(dense: np.ndarray) -> float:
    """sureal's ZS_SR_MOS on one dimension, [items, raters]; reading the data set into its objects is not counted."""
    from sureal.dataset_reader import RawDatasetReader
    from sureal.subjective_model import ZscoringSubjrejMosModel

    dataset = SimpleNamespace(
        dataset_name="simulated",
        ref_videos=[{"content_id": 0, "content_name": "0", "path": "0"}],
        dis_videos=[
            {"content_id": 0, "asset_id": number, "path": str(number), "os": row.tolist()}
            for number, row in enumerate(dense)
        ],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        model = ZscoringSubjrejMosModel(RawDatasetReader(dataset))
        return best_of(1, model.run_modeling)


def pandas_paper(frame: pd.DataFrame) -> pd.Series:
    """The same method with `groupby`, without the guards, reports and intervals."""
    groups = frame.groupby(["item", "dimension"])["score"]
    outlier = (frame["score"] - groups.transform("mean")).abs() > 2 * groups.transform("std")
    share = outlier.groupby(frame["rater"]).transform("mean")
    kept = frame[~outlier & ~(share > 0.05)]
    own = kept.groupby(["rater", "dimension"])["score"]
    z = (kept["score"] - own.transform("mean")) / own.transform("std")
    return 100 * (z.groupby([kept["item"], kept["dimension"]]).mean() + 3) / 6


def report(name: str, ours: float, peer: str, peer_s: float, note: str) -> None:
    row = {"name": name, "ours_s": round(ours, 4), "peer": peer, "peer_s": round(peer_s, 4)}
    sys.stdout.write(json.dumps(row | {"ratio": round(peer_s / ours, 2), "note": note}) + "\n")
    sys.stdout.flush()


def csv_seconds(table: pa.Table) -> tuple[float, float]:
    """Reading the table from CSV: ours, and Arrow's reader alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.csv"
        pacsv.write_csv(table, path)
        return best_of(6, lambda: read_columns(path)), best_of(6, lambda: pacsv.read_csv(path))


def peak_bytes(work: Callable[[], Any]) -> int:
    """Most memory in use above the start, of numpy and Python together with Arrow's pool (an upper bound)."""
    arrow = pa.default_memory_pool()
    before = arrow.bytes_allocated()
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak + max(arrow.max_memory() - before, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=15_287)
    table = simulate(parser.parse_args().items)
    used = peak_bytes(lambda: score(code(table, (1, 5))[0]))

    ratings, problems = code(table, (1, 5))
    if problems:
        raise SystemExit(f"the simulated table has {len(problems)} bad rows")
    size = f"{len(ratings)} ratings, peak {used / 1e6:.0f} MB"
    from_text = best_of(8, lambda: score(code(table, (1, 5))[0]))
    from_codes = best_of(8, lambda: score(ratings))
    in_order = code(table.take(pa.array(ratings.index)), (1, 5))[0]
    one = in_order.score.reshape(len(ratings.items), len(DIMENSIONS), RATERS)[:, 0, :]

    ours, bare = csv_seconds(table)
    report("read CSV", ours, "pyarrow.csv.read_csv", bare, "with columns found, lines numbered and bad rows told")
    frame = table.to_pandas().assign(score=lambda f: f["score"].astype(float))
    report("score from text", from_text, "pandas groupby", best_of(2, lambda: pandas_paper(frame)), size)
    coded = frame.assign(**{name: frame[name].astype("category").cat.codes for name in ("item", "rater", "dimension")})
    report("score from codes", from_codes, "pandas groupby", best_of(2, lambda: pandas_paper(coded)), size)
    peer = 3 * sureal_seconds(one)
    report("score from text", from_text, "sureal ZS_SR_MOS", peer, f"{size}; sureal: 3 x one dimension, dense")
    report("score from codes", from_codes, "sureal ZS_SR_MOS", peer, f"{size}; sureal: 3 x one dimension, dense")


if __name__ == "__main__":
    main()

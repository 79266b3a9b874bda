"""Speed of `mos` at the size of the target study: 15,287 items x 15 raters x 3 dimensions = 687,915 ratings.

    python tests/benchmarks/bench_mos.py [--items 15287]

One JSON line a measure, with the machine's load beside it.  Ours and the peers take turns, since other programs may
slow the machine down for a while; the ratio is that of the medians.  sureal has no 2-sigma rule; its nearest pipeline
is ZS_SR_MOS: z-scores per rater, BT.500 screening of raters, mean.  It takes one dimension at a time, so a turn of it
is one dimension, and its time is three times the median turn.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from mos.methods import score_ratings
from mos.table import read_ratings_table, validate_ratings

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


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(rounds: int, works: dict[str, tuple[int, Callable[[], Any]]]) -> dict[str, list[float]]:
    """Seconds of every run: in each round, every work as often as its number says."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (runs, work) in works.items():
            found[name] += [seconds(work) for _ in range(runs)]
    return found


def sureal_model(dense: np.ndarray) -> Any:
    """sureal's ZS_SR_MOS of one dimension, [items, raters], its data set read."""
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
    return ZscoringSubjrejMosModel(RawDatasetReader(dataset))


def run_silently(model: Any) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        model.run_modeling()


def pandas_paper(frame: pd.DataFrame) -> pd.Series:
    """The same method with `groupby`, without the guards, reports and intervals."""
    groups = frame.groupby(["item", "dimension"])["score"]
    outlier = (frame["score"] - groups.transform("mean")).abs() > 2 * groups.transform("std")
    share = outlier.groupby(frame["rater"]).transform("mean")
    kept = frame[~outlier & ~(share > 0.05)]
    own = kept.groupby(["rater", "dimension"])["score"]
    z = (kept["score"] - own.transform("mean")) / own.transform("std")
    return 100 * (z.groupby([kept["item"], kept["dimension"]]).mean() + 3) / 6


def report(name: str, ours: list[float], peer: str, theirs: list[float], note: str, times: int = 1) -> None:
    """One line; `times`: how many of the peer's runs do the work of one of ours."""
    middle, other = statistics.median(ours), times * statistics.median(theirs)
    row = {"name": name, "ours_min_s": min(ours), "ours_median_s": middle, "ours_runs": len(ours), "peer": peer}
    row |= {"peer_min_s": times * min(theirs), "peer_median_s": other, "peer_runs": len(theirs)}
    row |= {"ratio": other / middle, "load": os.getloadavg()[0]}
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
    sys.stdout.write(json.dumps(rounded | {"note": note}) + "\n")
    sys.stdout.flush()


def csv_seconds(table: pa.Table) -> dict[str, list[float]]:
    """Reading the table from CSV: ours, and Arrow's reader alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.csv"
        pacsv.write_csv(table, path)
        return in_turns(5, {"ours": (1, lambda: read_ratings_table(path)), "peer": (1, lambda: pacsv.read_csv(path))})


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
    used = peak_bytes(lambda: score_ratings(validate_ratings(table, (1, 5))[0]))

    ratings, problems = validate_ratings(table, (1, 5))
    if problems:
        raise SystemExit(f"the simulated table has {len(problems)} bad rows")
    size = f"{len(ratings)} ratings, peak {used / 1e6:.0f} MB"
    found = csv_seconds(table)
    note = "with columns found, lines numbered and bad rows told"
    report("read CSV", found["ours"], "pyarrow.csv.read_csv", found["peer"], note)

    frame = table.to_pandas().assign(score=lambda f: f["score"].astype(float))
    coded = frame.assign(**{name: frame[name].astype("category").cat.codes for name in ("item", "rater", "dimension")})
    in_order = validate_ratings(table.take(pa.array(ratings.index)), (1, 5))[0]
    dense = in_order.score.reshape(len(ratings.items), len(DIMENSIONS), RATERS)
    models = cycle([sureal_model(dense[:, number]) for number in range(len(DIMENSIONS))])
    found = in_turns(
        len(DIMENSIONS),
        {
            "sureal": (1, lambda: run_silently(next(models))),
            "text": (8, lambda: score_ratings(validate_ratings(table, (1, 5))[0])),
            "codes": (8, lambda: score_ratings(replace(ratings))),  # its groups and keys not made yet
            "pandas text": (1, lambda: pandas_paper(frame)),
            "pandas codes": (1, lambda: pandas_paper(coded)),
        },
    )
    for ours in ("text", "codes"):
        report(f"score from {ours}", found[ours], "pandas groupby", found[f"pandas {ours}"], size)
        note = f"{size}; sureal: 3 x one dimension, dense"
        report(f"score from {ours}", found[ours], "sureal ZS_SR_MOS", found["sureal"], note, times=len(DIMENSIONS))


if __name__ == "__main__":
    main()

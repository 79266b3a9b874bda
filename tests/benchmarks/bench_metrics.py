"""Saliency metrics of one map of 1024 x 1024, against the published loop over thresholds and plain NumPy.

Run `python tests/benchmarks/bench_metrics.py`; one JSON object a line, seconds are medians in one process. The
published loop of AUC-Judd takes about 40 seconds for one map; with `--part 0.01` only that share of its thresholds is
run, and the time is scaled up.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from bench_saliency import measure_seconds
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[2]))

from editfhf.saliency import render_saliency
from tests.training.metrics.published_saliency import mit_auc_judd, mit_cc, mit_kld, mit_nss, mit_similarity
from training.metrics.maps import mark_positives
from training.metrics.roc_area import auc_judd
from training.metrics.saliency import saliency_metrics

SIDE = 1024
POSITIVES = 57_000
AUC_TARGET_MS, AUC_TARGET_RATIO, ALL_TARGET_MS = 12, 100, 40


def simulate_maps(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A prediction that finds some disks and adds noise, the density, and about 57,000 positives."""
    random = np.random.default_rng(seed)
    disks = random.uniform(60, SIDE - 60, (60, 2))
    count = next(n for n in range(1, 60) if mark_positives(disks[:n], SIDE, SIDE).sum() >= POSITIVES)
    found = np.concatenate([disks[: count // 2], random.uniform(60, SIDE - 60, (3, 2))])
    prediction = 0.8 * render_saliency(found, SIDE, SIDE)[0] + 0.2 * random.random((SIDE, SIDE), np.float32)
    density = render_saliency(disks[:count], SIDE, SIDE)[0]
    return prediction.astype(np.float32), density, mark_positives(disks[:count], SIDE, SIDE)


def time_published_loop(prediction: np.ndarray, positives: np.ndarray, part: float) -> float:
    """Seconds of the published loop over the given part of the thresholds, scaled to all."""
    where = np.flatnonzero(positives)
    some = np.zeros(positives.size, bool)
    some[where[:: round(1 / part)]] = True
    start = time.perf_counter()
    mit_auc_judd(prediction, some.reshape(positives.shape))
    return (time.perf_counter() - start) * len(where) / int(some.sum())


def write_row(name: str, ours: float, peer: str, theirs: float, note: str) -> None:
    row = {
        "name": name,
        "ours_s": round(ours, 6),
        "peer": peer,
        "peer_s": round(theirs, 6),
        "ratio": round(theirs / ours, 1),
        "note": note,
    }
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print a line for AUC-Judd against the published loop and scikit-learn, and one for all five metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="share of the thresholds of the published loop")
    parser.add_argument("--runs", type=int, default=31)
    options = parser.parse_args()
    prediction, density, positives = simulate_maps()
    size = f"{SIDE}x{SIDE}, {int(positives.sum())} positives"
    ours = measure_seconds(lambda: auc_judd(prediction, positives, "mit"), options.runs)
    loop = time_published_loop(prediction, positives, options.part)
    target = f"target {AUC_TARGET_MS} ms, {AUC_TARGET_RATIO}x"
    scaled = "" if options.part == 1 else f", scaled up from {options.part:g} of its thresholds"
    write_row(f"AUC-Judd {size}", ours, "AUC_Judd.m in NumPy", loop, f"{target}{scaled}")
    exact = measure_seconds(lambda: auc_judd(prediction, positives), options.runs)
    sklearn = measure_seconds(lambda: roc_auc_score(positives.ravel(), prediction.ravel()), 3)
    write_row(f"AUC-Judd, exact, {size}", exact, "sklearn.metrics.roc_auc_score", sklearn, "the same number to 1e-9")
    every = measure_seconds(lambda: saliency_metrics(prediction, density, positives), options.runs)
    p, g = prediction.astype(np.float64), density.astype(np.float64)
    four = measure_seconds(
        lambda: (mit_nss(p, positives), mit_cc(p, g), mit_similarity(p, g), mit_kld(p, g)), max(3, options.runs // 5)
    )
    note = f"target {ALL_TARGET_MS} ms; the peer without AUC-Judd"
    write_row(f"five metrics {size}", every, "NSS.m, CC.m, similarity.m, KLdiv.m in NumPy", four, note)


if __name__ == "__main__":
    main()

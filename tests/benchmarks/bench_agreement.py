"""Speed of `mos.reliability` beside the packages `krippendorff` and `pingouin`, and at the size of the target study.

    python tests/benchmarks/bench_agreement.py [--items 15287] [--memory-gb 6]

One JSON line a measure, with the machine's load beside it; the ratio is that of the medians, all runs taking turns.
`krippendorff` makes arrays of items x values x values: several of them at its peak.  Its largest table here is the
one whose arrays fit into --memory-gb: 15 raters and as many items as that leaves, with continuous scores (every
rating a value of its own), with two decimals on 1 to 5 (401 values) and, which it can hold at any size, with grades.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
import pingouin
from bench_mos import RATERS, in_turns, peak_bytes, report, seconds, simulate

from mos.reliability import krippendorff_alpha, report_agreement
from mos.reliability.coefficient import average_opinions
from mos.reliability.icc import estimate_complete_iccs
from mos.table import validate_ratings

sys.path.insert(0, str(Path(__file__).parent))

ARRAYS = 3  # of items x values x values float64 that krippendorff holds at once
DECIMALS = 401


def scores(items: int, decimals: int | None, seed: int = 0) -> np.ndarray:
    """[items, raters] on 1 to 5, all different where decimals is None."""
    random = np.random.default_rng(seed)
    dense = random.normal(3, 0.8, (items, 1)) + random.normal(0, 0.3, RATERS) + random.normal(0, 0.6, (items, RATERS))
    return dense if decimals is None else np.clip(np.round(dense, decimals), 1, 5)


def items_that_fit(memory: float, values: int | None) -> int:
    """values: how many there are; None where every rating is a value of its own."""
    cells = memory / 8 / ARRAYS
    return int((cells / RATERS**2) ** (1 / 3)) if values is None else int(cells / values**2)


def alphas(dense: np.ndarray, level: str, name: str) -> None:
    """One line: our alpha and krippendorff's of the same table."""
    item = np.repeat(np.arange(len(dense)), RATERS)
    theirs = {}

    def peer() -> None:
        theirs["alpha"] = krippendorff.alpha(reliability_data=dense.T, level_of_measurement=level)

    found = in_turns(2, {"ours": (20, lambda: krippendorff_alpha(item, dense.ravel(), level)), "peer": (1, peer)})
    apart = abs(krippendorff_alpha(item, dense.ravel(), level) - theirs["alpha"])
    note = f"{len(dense)} items x {RATERS} raters, {len(np.unique(dense))} values; values differ by {apart:.1e}"
    report(f"alpha {level}, {name}", found["ours"], "krippendorff", found["peer"], note)


def iccs(items: int) -> None:
    """One line: the six intraclass correlations with intervals, and pingouin's."""
    dense = scores(items, 2)
    item, rater = (axis.ravel() for axis in np.indices(dense.shape))
    frame = pd.DataFrame({"item": item, "rater": rater, "score": dense.ravel()})

    def peer() -> None:
        pingouin.intraclass_corr(frame, targets="item", raters="rater", ratings="score")

    def ours() -> None:
        estimate_complete_iccs(average_opinions(item, rater, dense.ravel()), 0.95)

    found = in_turns(2, {"ours": (10, ours), "peer": (1, peer)})
    report("six ICC with intervals", found["ours"], "pingouin", found["peer"], f"{items} items x {RATERS} raters")


def alone(name: str, work: Callable[[], object], ratings: int) -> None:
    """One line: time and peak memory of what has no peer at this size."""
    found = sorted(seconds(work) for _ in range(3))
    row = {"name": name, "min_s": round(found[0], 4), "median_s": round(found[1], 4), "ratings": ratings}
    row |= {"peak_mb": round(peak_bytes(work) / 1e6), "load": os.getloadavg()[0]}
    sys.stdout.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=15_287)
    parser.add_argument("--memory-gb", type=float, default=6)
    options = parser.parse_args()
    memory = options.memory_gb * 1e9
    for level in ("interval", "ordinal"):
        alphas(scores(items_that_fit(memory, None), None), level, "continuous")
        alphas(scores(items_that_fit(memory, DECIMALS), 2), level, "two decimals")
        alphas(scores(options.items, 0), level, "grades 1 to 5")
    iccs(min(options.items, 2000))

    ratings, problems = validate_ratings(simulate(options.items), (1, 5))
    if problems:
        raise SystemExit(f"the simulated table has {len(problems)} bad rows")
    alone("alpha interval of all ratings", lambda: krippendorff_alpha(ratings.groups(), ratings.score), len(ratings))
    alone("table of all coefficients and intervals", lambda: report_agreement(ratings), len(ratings))


if __name__ == "__main__":
    main()

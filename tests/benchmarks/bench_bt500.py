"""Speed of BT.500 screening at the size of the target study: 15,287 items x 15 raters x 3 dimensions.

    python tests/benchmarks/bench_bt500.py [--items 15287] [--pool 15] [--rounds 3]

One JSON line a peer, with the machine's load beside it.  Ours: from integer codes to the raters rejected in each
dimension and the mean and standard deviation of what remains.  sureal: its model BT500, its data set read, which
takes one dimension at a time: a turn of it is one dimension, and its time is three times the median turn.  Beside it
the correlation rule, in place of BT.500's; no release of sureal has it.
With a pool of 300 raters each item is rated by 15 of them, and sureal's matrix is 95 % empty.
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import numpy as np
from bench_mos import in_turns, report, run_silently

from mos._kernels import Moments, group_moments
from mos.methods.bt500_screening import screen_raters_by_kurtosis
from mos.methods.correlation import correlate_with_means, screen_by_correlation

RATERS = 15
DIMENSIONS = 3


class Study:
    """Codes and two-decimal scores on 1 to 5 in canonical order: item, dimension, rater."""

    def __init__(self, items: int, pool: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        shape = (items, DIMENSIONS, RATERS)
        quality = random.normal(3, 0.8, (items, DIMENSIONS, 1))
        self.items, self.pool = items, pool
        self.item, self.dimension = (axis.ravel().astype(np.int32) for axis in np.indices(shape)[:2])
        chosen = np.sort(np.argsort(random.random((items, pool)), axis=1)[:, :RATERS], axis=1)
        self.rater = np.repeat(chosen[:, None, :], DIMENSIONS, axis=1).ravel().astype(np.int32)
        self.score = np.clip(np.round(quality + random.normal(0, 0.7, shape), 2), 1, 5).ravel()

    def keys(self) -> tuple[np.ndarray, int, np.ndarray, int]:
        group = self.item * np.int32(DIMENSIONS) + self.dimension
        rater = self.rater * np.int32(DIMENSIONS) + self.dimension
        return group, self.items * DIMENSIONS, rater, self.pool * DIMENSIONS

    def sureal_model(self, dimension: int) -> Any:
        from sureal import BT500Model
        from sureal.dataset_reader import RawDatasetReader

        dense = np.full((self.items, self.pool), np.nan)
        rows = self.dimension == dimension
        dense[self.item[rows], self.rater[rows]] = self.score[rows]
        videos = [
            {"content_id": 0, "asset_id": number, "path": str(number), "os": row.tolist()}
            for number, row in enumerate(dense)
        ]
        reference = [{"content_id": 0, "content_name": "0", "path": "0"}]
        return BT500Model(
            RawDatasetReader(SimpleNamespace(dataset_name="simulated", ref_videos=reference, dis_videos=videos))
        )


def bt500(study: Study) -> tuple[np.ndarray, Moments]:
    group, groups, rater, raters = study.keys()
    rejected = screen_raters_by_kurtosis(study.score, group, groups, rater, raters).raters.rejected
    kept = ~rejected[rater] if rejected.any() else None
    return rejected, group_moments(study.score, group, groups, kept)


def correlation(study: Study) -> np.ndarray:
    group, groups, rater, raters = study.keys()
    panel = np.tile(np.arange(DIMENSIONS), study.pool)
    return screen_by_correlation(
        correlate_with_means(study.score, group, groups, rater, raters), panel, DIMENSIONS
    ).rejected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=15_287)
    parser.add_argument("--pool", type=int, default=RATERS)
    parser.add_argument("--rounds", type=int, default=DIMENSIONS)
    given = parser.parse_args()
    study = Study(given.items, given.pool)
    models = iter([study.sureal_model(number % DIMENSIONS) for number in range(given.rounds)])
    found = in_turns(
        given.rounds,
        {
            "sureal": (1, lambda: run_silently(next(models))),
            "bt500": (8, lambda: bt500(study)),
            "correlation": (2, lambda: correlation(study)),
        },
    )
    note = f"{len(study.score)} ratings, pool of {given.pool}; sureal: 3 x one dimension"
    for name in ("bt500", "correlation"):
        report(f"{name} from codes", found[name], "sureal BT500", found["sureal"], note, times=DIMENSIONS)


if __name__ == "__main__":
    main()

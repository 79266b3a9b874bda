"""Mean opinion scores over pairs: distributions, groups, correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from editfhf.statistics.records import SCORE_BIN, SCORES, Distribution, Estimate, Group
from mos.agreement.ranks import midranks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_PAIRS = 3


def distribution(score: str, values: Floats) -> Distribution:
    """Sum up one score over all pairs; NaN is a missing score."""
    given = values[~np.isnan(values)]
    n = len(given)
    inside = given[(given >= 0) & (given <= 100)]
    histogram, _ = np.histogram(inside, bins=100 // SCORE_BIN, range=(0, 100))
    return Distribution(
        score=score,
        n=n,
        missing=len(values) - n,
        mean=float(given.mean()) if n else None,
        sd=float(given.std(ddof=1)) if n > 1 else None,
        low=float(given.min()) if n else None,
        high=float(given.max()) if n else None,
        histogram=tuple(int(count) for count in histogram),
        below=int(np.count_nonzero(given < 0)),
        above=int(np.count_nonzero(given > 100)),
    )


def correlations(values: Mapping[str, Floats]) -> Mapping[str, Mapping[str, float | None]]:
    """Pearson and Spearman correlation of every two scores, over the pairs that have both."""
    return {
        f"{first}|{second}": _correlate(values[first], values[second])
        for k, first in enumerate(SCORES)
        for second in SCORES[k + 1 :]
    }


def _correlate(first: Floats, second: Floats) -> Mapping[str, float | None]:
    both = ~(np.isnan(first) | np.isnan(second))
    x, y = first[both], second[both]
    return {"pearson": _correlation(x, y), "spearman": _correlation(midranks(x), midranks(y))}


def _correlation(x: Floats, y: Floats) -> float | None:
    """Pearson's correlation of two arrays; None with fewer than three values or without variation."""
    if len(x) < LEAST_PAIRS or not (_varies(x) and _varies(y)):
        return None
    dx, dy = x - x.mean(), y - y.mean()
    return float(np.sum(dx * dy) / np.sqrt(np.sum(dx * dx) * np.sum(dy * dy)))


def _varies(values: Floats) -> bool:
    """Whether the values differ by more than rounding."""
    return bool(np.ptp(values) > 1e-12 * np.max(np.abs(values)))


def estimates(codes: Ints, groups: int, values: Floats) -> list[Estimate]:
    """Mean of each group with its 95 % t interval over images; NaN values are left out."""
    from scipy.special import stdtrit

    given = ~np.isnan(values)
    code, value = codes[given], values[given]
    n = np.bincount(code, minlength=groups)
    mean = np.bincount(code, value, groups) / np.maximum(n, 1)
    squares = np.bincount(code, (value - mean[code]) ** 2, groups)
    freedom = np.maximum(n - 1, 1)
    half = stdtrit(freedom, 0.975) * np.sqrt(squares / freedom / np.maximum(n, 1))
    return [
        Estimate(float(m) if k else None, float(h) if k > 1 else None, int(k))
        for m, h, k in zip(mean, half, n, strict=True)
    ]


def groups(
    codes: Ints,
    names: Sequence[str],
    above: Sequence[str],
    values: Mapping[str, Floats],
    regions: Mapping[str, Ints],
) -> tuple[Group, ...]:
    """One record for each group of pairs.

    codes: group of every pair; above: for each group the name of what it belongs to ("" for none);
    regions: number of regions of every pair by kind.
    """
    size = len(names)
    clean = sum(regions.values(), np.zeros(len(codes), dtype=np.int64)) == 0
    pairs, cleans = np.bincount(codes, minlength=size), np.bincount(codes, clean, size)
    counted = {kind: np.bincount(codes, lengths, size) for kind, lengths in regions.items()}
    scored = {score: estimates(codes, size, values[score]) for score in SCORES}
    return tuple(
        Group(
            name=name,
            group=above[k],
            pairs=int(pairs[k]),
            artifact_regions=int(counted["artifact"][k]),
            failure_regions=int(counted["failure"][k]),
            clean=int(cleans[k]),
            scores={score: scored[score][k] for score in SCORES},
        )
        for k, name in enumerate(names)
    )

"""The result of a metric, and the mean of many results with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mos.reliability.coefficient import ItemBootstrap, central_interval

INFINITE_VALUE = "The value is infinite."


class MetricResult(dict[str, float]):
    """The values of some metrics by name, with how they were computed.

    A value that is not defined is NaN and has its reason; it is never 0.

    Attributes
    ----------
    settings : dict
        What decides the values: preset, positives, sigma, eps, thresholds, backends, numbers of rows.
    reasons : dict from str to str
        For each value that is not defined, one sentence why.

    Examples
    --------
    >>> result = MetricResult({"cc": math.nan}, {"preset": "mit"}, {"cc": "The prediction is constant."})
    >>> result["cc"], result.reasons["cc"]
    (nan, 'The prediction is constant.')
    """

    def __init__(
        self,
        values: Mapping[str, float],
        settings: Mapping[str, Any] | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(values)
        self.settings: dict[str, Any] = dict(settings or {})
        self.reasons: dict[str, str] = dict(reasons or {})
        unexplained = [name for name, value in self.items() if math.isnan(value) and name not in self.reasons]
        if unexplained:
            raise ValueError(f"A value that is not defined needs a reason: {', '.join(unexplained)}.")

    def __repr__(self) -> str:
        return f"MetricResult({super().__repr__()})"

    def as_record(self) -> dict[str, Any]:
        """Values, settings and reasons as JSON has them; None for what is not defined or not finite."""
        values = {name: value if math.isfinite(value) else None for name, value in self.items()}
        reasons = {name: INFINITE_VALUE for name, value in self.items() if math.isinf(value)} | self.reasons
        return {"values": values, "settings": dict(self.settings), "reasons": reasons}


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """The mean of one metric over many rows.

    Attributes
    ----------
    mean, ci_low, ci_high : float
        NaN where undefined; the interval also below two sources.
    count : int
        Number of rows with a finite value, over which the mean was taken.
    missing : int
        Number of the other rows.
    reasons : mapping from str to int
        How often a value was missing, by reason.
    sources : int
        Number of sources of the rows with a value.
    interval : str
        How the interval was computed.
    """

    mean: float
    ci_low: float
    ci_high: float
    count: int
    missing: int
    reasons: Mapping[str, int]
    sources: int
    interval: str


def summarise_metrics(
    results: Sequence[MetricResult],
    sources: Sequence[Hashable],
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, MetricSummary]:
    """Average metrics over rows, with intervals by a bootstrap over sources.

    Parameters
    ----------
    results : sequence of MetricResult
        One for each row.
    sources : sequence
        [rows] source of each row; rows of one source are drawn together, since they share the source image.
    replicates, seed, level
        Number of resamples, random seed, and share of the resampled means within the interval.

    Returns
    -------
    dict from str to MetricSummary
        For every metric that occurs.

    Notes
    -----
    Formula: each resample draws as many sources as there are, with replacement; the mean of a resample is the sum of
    the values of the drawn sources divided by their number. Source: A. C. Davison and D. V. Hinkley, Bootstrap Methods
    and their Application, 1997, section 3.8 (cluster bootstrap). Limits: percentiles are too narrow below some twenty
    sources.

    Examples
    --------
    >>> rows = [MetricResult({"cc": value}) for value in (0.2, 0.4, 0.9)]
    >>> found = summarise_metrics(rows, ["a", "a", "b"])["cc"]
    >>> round(found.mean, 3), found.count, found.sources, round(found.ci_low, 3), round(found.ci_high, 3)
    (0.5, 3, 2, 0.3, 0.9)
    """
    if len(results) != len(sources):
        raise ValueError(f"Expected one source for each of {len(results)} results, but got {len(sources)}.")
    codes = number_sources(sources)
    resampling = ItemBootstrap(replicates, seed, level)
    return {
        name: _summarise_values(
            np.array([result.get(name, math.nan) for result in results], np.float64),
            codes,
            Counter(_missing_reason(result, name) for result in results if _is_missing(result, name)),
            resampling,
        )
        for name in dict.fromkeys(name for result in results for name in result)
    }


def _is_missing(result: MetricResult, name: str) -> bool:
    return not math.isfinite(result.get(name, math.nan))


def _missing_reason(result: MetricResult, name: str) -> str:
    if name not in result:
        return "not computed"
    return result.reasons.get(name, INFINITE_VALUE)


def _summarise_values(
    values: NDArray[Any], codes: NDArray[Any], reasons: Mapping[str, int], resampling: ItemBootstrap
) -> MetricSummary:
    known = np.isfinite(values)
    _, present = np.unique(codes[known], return_inverse=True)
    sources = int(present.max(initial=-1)) + 1
    low = high = math.nan
    if sources >= 2:
        sums = np.column_stack([np.bincount(present, values[known]), np.bincount(present)])
        totals = resampling.totals(sums)
        low, high = central_interval(totals[:, 0] / totals[:, 1], resampling.level)
    count = int(known.sum())
    mean = math.fsum(values[known]) / count if count else math.nan
    interval = f"percentiles of {resampling.replicates} resamples of {sources} sources"
    return MetricSummary(mean, low, high, count, len(values) - count, dict(reasons), sources, interval)


def bootstrap_over_sources(
    statistic: Callable[[NDArray[Any]], float],
    sources: Sequence[Hashable],
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Compute the interval of any statistic of rows by a bootstrap over their sources.

    Parameters
    ----------
    statistic : callable
        From positions of rows, int64 [n] with repetitions, to a number; NaN where it is not defined.
    sources : sequence
        [rows] source of each row.
    replicates, seed, level
        As in `summarise_metrics`.

    Returns
    -------
    (float, float)
        The ends of the interval; NaN below two sources.

    Examples
    --------
    >>> values = np.array([1.0, 3.0])
    >>> bootstrap_over_sources(lambda rows: float(values[rows].mean()), ["a", "b"])
    (1.0, 3.0)
    """
    codes = number_sources(sources)
    count = int(codes.max(initial=-1)) + 1
    if count < 2:
        return math.nan, math.nan
    order = np.argsort(codes, kind="stable")
    rows_of_source = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    found = []
    for weights in ItemBootstrap(replicates, seed, level).weights(count):
        for drawn in weights.astype(np.int64):
            rows = [rows_of_source[source] for source in np.repeat(np.arange(count), drawn)]
            found.append(statistic(np.concatenate(rows)))
    return central_interval(np.array(found), level)


def number_sources(sources: Sequence[Hashable]) -> NDArray[Any]:
    """[rows] int64 number of each source, in the order of their first rows."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(source, len(numbers)) for source in sources], np.int64)

"""Sentences about the raters who need attention first, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mos._arrow import column_values, null_mask

_MAX_NAMED_RATERS = 5  # raters in a sentence
_MAX_NAME_LENGTH = 24  # characters of a name
_MIN_RATINGS = 10  # with fewer, shares and correlations are not reliable
_MIN_RATERS = 5  # with fewer, no rater stands out from the others
_MIN_SHARE_DIFFERENCE = 0.15  # smaller differences between shares are ignored
_OUTLIER_MADS = (
    3.5 / 0.6745
)  # median absolute deviations from the median: limit for an outlier of Iglewicz and Hoaglin (1993)
_FLAG_SIGNIFICANCE = 0.05
_RUN_SIGNIFICANCE = 0.001


def advise_on_raters(table: pa.Table) -> list[str]:
    """Describe the raters who may need attention.

    Parameters
    ----------
    table
        The table of `report_raters`.

    Returns
    -------
    list of str
        One sentence for each rule that finds raters; it names up to five, the most extreme first. Empty if no rater is
        conspicuous.

    Notes
    -----
    Two rules compare a rater with chance, for any number of raters: more flags than chance explains, and a longer run
    of equal scores. The other rules compare a rater with the other raters and need at least five raters.
    """
    view = _RaterTableView(table)
    rules = (
        _describe_flagged,
        _describe_disagreeing,
        _describe_inconsistent,
        _describe_constant,
        _describe_biased,
        _describe_extreme,
        _describe_repeating,
        _describe_alike,
        _describe_drifting,
        _describe_unsteady,
    )
    return [sentence for rule in rules if (sentence := rule(view))]


class _RaterTableView:
    """The table of raters as arrays: `view["bias"]` is [raters] float64, NaN where null."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.names = table["rater"].to_pylist()
        self.timed = (table.schema.metadata or {}).get(b"sequence") == b"times"

    def __getitem__(self, column: str) -> NDArray[Any]:
        values = self.table[column]
        return np.where(null_mask(values), np.nan, column_values(values))

    def compared(self) -> NDArray[Any]:
        """[raters] number of ratings that can be compared with ratings of others."""
        compared: NDArray[Any] = self["n"] - self["alone"]
        return compared

    def sentence(
        self, selected: NDArray[Any], severity: NDArray[Any], claim: str, figure: Callable[[int], str]
    ) -> str | None:
        """`claim` and the `selected` raters [raters] bool with their figures, most severe first; None without any."""
        at = np.flatnonzero(selected)
        if not len(at):
            return None
        at = at[np.argsort(-severity[at], kind="stable")]
        named = [
            f"'{_shorten_rater(self.names[rater])}' ({figure(rater)})" for rater in at[:_MAX_NAMED_RATERS].tolist()
        ]
        more = f" and {len(at) - _MAX_NAMED_RATERS} more" if len(at) > _MAX_NAMED_RATERS else ""
        return f"{claim}: {', '.join(named)}{more}."


def _shorten_rater(name: str) -> str:
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[: _MAX_NAME_LENGTH - 3]}..."


def _compare_to_median(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """[raters] difference from the median of all raters, and whether it is an outlier."""
    known = values[~np.isnan(values)]
    if len(known) < _MIN_RATERS:
        return np.full(len(values), np.nan), np.zeros(len(values), bool)
    difference = values - np.median(known)
    return difference, np.abs(difference) > _OUTLIER_MADS * np.median(np.abs(known - np.median(known)))


def _compare_shares(share: NDArray[Any], n: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same for shares of n ratings; outliers lie above the median by more than three standard errors of a share."""
    difference, far = _compare_to_median(share)
    least = np.maximum(1.5 / np.sqrt(np.maximum(n, 1)), _MIN_SHARE_DIFFERENCE)
    return difference, far & (n >= _MIN_RATINGS) & (difference > least)


def _describe_flagged(view: _RaterTableView) -> str | None:
    share, expected = view["share"], view["expected_share"]
    claim = "May be careless, or see the scale differently; more of their ratings are flagged than chance explains"
    return view.sentence(
        view["share_p_holm"] < _FLAG_SIGNIFICANCE,
        share - expected,
        claim,
        lambda rater: f"{100 * share[rater]:.0f} %, expected {100 * expected[rater]:.1f} %",
    )


def _describe_disagreeing(view: _RaterTableView) -> str | None:
    r, n = view["pearson"], view.compared()
    difference, far = _compare_to_median(r)
    with np.errstate(divide="ignore"):
        highest = np.tanh(np.arctanh(r) + 2 / np.sqrt(np.maximum(n - 3, 1)))
    selected = far & (difference < 0) & (n >= _MIN_RATINGS) & (highest < r - difference)
    claim = "May rate at random, or something else than the others; their correlation with the others' mean is low"
    return view.sentence(
        selected, -difference, claim, lambda rater: f"r = {r[rater]:.2f}, median {_known_median(r):.2f}"
    )


def _describe_inconsistent(view: _RaterTableView) -> str | None:
    sd = view["inconsistency"]
    difference, far = _compare_to_median(sd)
    selected = far & (view["inconsistency_low"] > sd - difference) & (view.compared() >= _MIN_RATINGS)
    claim = "May be inattentive; their ratings scatter more around the others' mean than those of other raters"
    return view.sentence(
        selected, difference, claim, lambda rater: f"SD {sd[rater]:.2f}, median {_known_median(sd):.2f}"
    )


def _describe_constant(view: _RaterTableView) -> str | None:
    n = view["n"]
    claim = "May not be looking; they gave the same score to everything"
    selected = (view["levels"] == 1) & (n >= _MIN_RATINGS)
    return view.sentence(selected, n, claim, lambda rater: f"{n[rater]:.0f} ratings")


def _describe_biased(view: _RaterTableView) -> str | None:
    bias = view["bias"]
    difference, far = _compare_to_median(bias)
    middle = bias - difference
    selected = far & ((view["bias_low"] > middle) | (view["bias_high"] < middle)) & (view.compared() >= _MIN_RATINGS)
    claim = "May use the scale differently, which a method that removes bias corrects; they are generous or strict"
    return view.sentence(selected, np.abs(difference), claim, lambda rater: f"bias {bias[rater]:+.2f}")


def _describe_extreme(view: _RaterTableView) -> str | None:
    share = view["extremes"]
    difference, selected = _compare_shares(share, view["n"])
    claim = "May have missed that the scale has steps in between; they use its ends much more than other raters"
    return view.sentence(
        selected,
        difference,
        claim,
        lambda rater: f"{100 * share[rater]:.0f} %, median {100 * _known_median(share):.0f} %",
    )


def _describe_repeating(view: _RaterTableView) -> str | None:
    excess, run = view["repeats_excess"], view["longest_run"]
    difference, selected = _compare_shares(excess, view["n"])
    order = "" if view.timed else " in the order of the table's rows, as no times are known"
    if view.timed:  # otherwise a run may come from similar items
        selected |= view["longest_run_p"] * len(view.names) < _RUN_SIGNIFICANCE
    claim = f"May be straight-lining; they repeat their last score more often than other raters{order}"
    return view.sentence(
        selected,
        np.where(np.isnan(difference), excess, difference),
        claim,
        lambda rater: f"{100 * excess[rater]:+.0f} points above chance, {run[rater]:.0f} in a row",
    )


def _describe_alike(view: _RaterTableView) -> str | None:
    share, dimensions_agree = view["alike"], view["alike"] - view["alike_expected"]
    difference, selected = _compare_shares(dimensions_agree, view["items"])
    claim = "May not tell the dimensions apart; they give all of them the same score more often than other raters"
    return view.sentence(
        selected,
        difference,
        claim,
        lambda rater: f"{100 * share[rater]:.0f} % of items, median {100 * _known_median(share):.0f} %",
    )


def _describe_drifting(view: _RaterTableView) -> str | None:
    slope = view["drift"]
    difference, far = _compare_to_median(slope)
    middle = _known_median(slope)
    selected = far & ((view["drift_low"] > max(0, middle)) | (view["drift_high"] < min(0, middle)))
    selected &= view.compared() >= _MIN_RATINGS
    order = "over the session" if view.timed else "from the first to the last row of the table, as no times are known"
    claim = f"May have changed their standard; their ratings drift against the others' {order}"
    return view.sentence(selected, np.abs(difference), claim, lambda rater: f"{slope[rater]:+.2f}")


def _describe_unsteady(view: _RaterTableView) -> str | None:
    retest = view["retest_difference"]
    difference, far = _compare_to_median(retest)
    selected = far & (difference > 0) & (view["retests"] >= _MIN_RATINGS)
    claim = "May be guessing; when they rate the same again, they differ from themselves more than other raters do"
    return view.sentence(
        selected,
        difference,
        claim,
        lambda rater: f"by {retest[rater]:.2f} on average, median {_known_median(retest):.2f}",
    )


def _known_median(values: NDArray[Any]) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan

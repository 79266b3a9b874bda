"""Which raters a person should look at first, and why, in sentences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from mos.arrow import nulls, plain

_NAMED = 5  # raters in a sentence
_LONGEST = 24  # characters of a name
_LEAST_RATINGS = 10  # with fewer, shares and correlations say nothing about a rater
_LEAST_RATERS = 5  # with fewer, no rater stands out from the others
_LEAST_APART = 0.15  # smaller differences between shares are not worth a person's time
_FAR = 3.5 / 0.6745  # median absolute deviations: an outlier by Iglewicz and Hoaglin (1993)
_SIGNIFICANT = 0.05
_HARDLY = 0.001


def advice(table: pa.Table) -> list[str]:
    """Sentences that name the raters of a table by `report` who may need attention; none when nobody stands out.

    More flags, or a longer run of equal scores, than chance explains count whoever the others are; everything else
    is compared with the other raters and takes at least five of them.  Each sentence names up to five raters, those
    who stand out most first.
    """
    view = _View(table)
    rules = (
        _flagged,
        _disagreeing,
        _inconsistent,
        _constant,
        _biased,
        _extreme,
        _repeating,
        _alike,
        _drifting,
        _unsteady,
    )
    return [sentence for rule in rules if (sentence := rule(view))]


class _View:
    """The table as arrays: `view["bias"]` is [raters] float64, NaN where null."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.names = table["rater"].to_pylist()
        self.timed = (table.schema.metadata or {}).get(b"sequence") == b"times"

    def __getitem__(self, column: str) -> np.ndarray:
        values = self.table[column]
        return np.where(nulls(values), np.nan, plain(values))

    def compared(self) -> np.ndarray:
        """[raters] ratings that can be compared with the others'."""
        return self["n"] - self["alone"]

    def sentence(self, who: np.ndarray, worst: np.ndarray, claim: str, figure: Callable[[int], str]) -> str | None:
        """`claim` and the raters `who` [raters] bool, largest `worst` first, each with its figure; None for nobody."""
        at = np.flatnonzero(who)
        if not len(at):
            return None
        at = at[np.argsort(-worst[at], kind="stable")]
        named = [f"'{_short(self.names[rater])}' ({figure(rater)})" for rater in at[:_NAMED].tolist()]
        more = f" and {len(at) - _NAMED} more" if len(at) > _NAMED else ""
        return f"{claim}: {', '.join(named)}{more}."


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."


def _apart(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[raters] difference from the median of all raters, and whether it is far beyond what raters differ."""
    known = values[~np.isnan(values)]
    if len(known) < _LEAST_RATERS:
        return np.full(len(values), np.nan), np.zeros(len(values), bool)
    difference = values - np.median(known)
    return difference, np.abs(difference) > _FAR * np.median(np.abs(known - np.median(known)))


def _standing_out(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for shares of n ratings: only above the median, and by more than three times the error of a share."""
    difference, far = _apart(share)
    least = np.maximum(1.5 / np.sqrt(np.maximum(n, 1)), _LEAST_APART)
    return difference, far & (n >= _LEAST_RATINGS) & (difference > least)


def _flagged(view: _View) -> str | None:
    share, expected = view["share"], view["expected_share"]
    claim = "May be careless, or see the scale differently; more of their ratings are flagged than chance explains"
    return view.sentence(
        view["share_p_holm"] < _SIGNIFICANT,
        share - expected,
        claim,
        lambda rater: f"{100 * share[rater]:.0f} %, expected {100 * expected[rater]:.1f} %",
    )


def _disagreeing(view: _View) -> str | None:
    r, n = view["pearson"], view.compared()
    difference, far = _apart(r)
    with np.errstate(divide="ignore"):
        highest = np.tanh(np.arctanh(r) + 2 / np.sqrt(np.maximum(n - 3, 1)))
    who = far & (difference < 0) & (n >= _LEAST_RATINGS) & (highest < r - difference)
    claim = "May rate at random, or something else than the others; their correlation with the others' mean is low"
    return view.sentence(who, -difference, claim, lambda rater: f"r = {r[rater]:.2f}, median {_median(r):.2f}")


def _inconsistent(view: _View) -> str | None:
    sd = view["inconsistency"]
    difference, far = _apart(sd)
    who = far & (view["inconsistency_low"] > sd - difference) & (view.compared() >= _LEAST_RATINGS)
    claim = "May be inattentive; their ratings scatter more around the others' mean than those of other raters"
    return view.sentence(who, difference, claim, lambda rater: f"SD {sd[rater]:.2f}, median {_median(sd):.2f}")


def _constant(view: _View) -> str | None:
    n = view["n"]
    claim = "May not be looking; they gave the same score to everything"
    who = (view["levels"] == 1) & (n >= _LEAST_RATINGS)
    return view.sentence(who, n, claim, lambda rater: f"{n[rater]:.0f} ratings")


def _biased(view: _View) -> str | None:
    bias = view["bias"]
    difference, far = _apart(bias)
    middle = bias - difference
    who = far & ((view["bias_low"] > middle) | (view["bias_high"] < middle)) & (view.compared() >= _LEAST_RATINGS)
    claim = "May use the scale differently, which a method that removes bias corrects; they are generous or strict"
    return view.sentence(who, np.abs(difference), claim, lambda rater: f"bias {bias[rater]:+.2f}")


def _extreme(view: _View) -> str | None:
    share = view["extremes"]
    difference, who = _standing_out(share, view["n"])
    claim = "May have missed that the scale has steps in between; they use its ends much more than other raters"
    return view.sentence(
        who, difference, claim, lambda rater: f"{100 * share[rater]:.0f} %, median {100 * _median(share):.0f} %"
    )


def _repeating(view: _View) -> str | None:
    excess, run = view["repeats_excess"], view["longest_run"]
    difference, who = _standing_out(excess, view["n"])
    order = "" if view.timed else " in the order of the table's rows, as no times are known"
    if view.timed:  # else runs may be those of similar items
        who |= view["longest_run_p"] * len(view.names) < _HARDLY
    claim = f"May be straight-lining; they repeat their last score more often than other raters{order}"
    return view.sentence(
        who,
        np.where(np.isnan(difference), excess, difference),
        claim,
        lambda rater: f"{100 * excess[rater]:+.0f} points above chance, {run[rater]:.0f} in a row",
    )


def _alike(view: _View) -> str | None:
    share, dimensions_agree = view["alike"], view["alike"] - view["alike_expected"]
    difference, who = _standing_out(dimensions_agree, view["items"])
    claim = "May not tell the dimensions apart; they give all of them the same score more often than other raters"
    return view.sentence(
        who,
        difference,
        claim,
        lambda rater: f"{100 * share[rater]:.0f} % of items, median {100 * _median(share):.0f} %",
    )


def _drifting(view: _View) -> str | None:
    slope = view["drift"]
    difference, far = _apart(slope)
    middle = _median(slope)
    who = far & ((view["drift_low"] > max(0, middle)) | (view["drift_high"] < min(0, middle)))
    who &= view.compared() >= _LEAST_RATINGS
    order = "over the session" if view.timed else "from the first to the last row of the table, as no times are known"
    claim = f"May have changed their standard; their ratings drift against the others' {order}"
    return view.sentence(who, np.abs(difference), claim, lambda rater: f"{slope[rater]:+.2f}")


def _unsteady(view: _View) -> str | None:
    apart = view["retest_difference"]
    difference, far = _apart(apart)
    who = far & (difference > 0) & (view["retests"] >= _LEAST_RATINGS)
    claim = "May be guessing; when they rate the same again, they differ from themselves more than other raters do"
    return view.sentence(
        who, difference, claim, lambda rater: f"by {apart[rater]:.2f} on average, median {_median(apart):.2f}"
    )


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan

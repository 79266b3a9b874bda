"""All ratings of a campaign so far, coded and in order, and what is to be made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Self, get_args

import numpy as np
import pyarrow as pa

from mos.arrow import numbers, texts
from mos.errors import UserError
from mos.incremental.axes import NO_REPETITIONS, Axes, Axis, among, axes_of, united
from mos.incremental.merging import Known, Merge, OnKnown, merge
from mos.methods import score
from mos.ratings import Ratings
from mos.scoring.options import Options
from mos.scoring.result import Result
from mos.table import code, judge, located, one_of
from mos.table.ordering import Part, order
from mos.table.problem import Problem

_COLUMNS = ("item", "rater", "dimension", "score")
_SHOWN = 5


@dataclass(frozen=True, eq=False, slots=True)
class State:
    """A set of ratings, at most one of an item by a rater in a dimension (and repetition), and how to score them.

    options, scale, dimensions: as given to `empty`
    ratings: in canonical order, with the names that they have and no others; `index` is the row of `table`
    repetitions: names of theirs, in order

    Two states of the same ratings are the same, however they came about: one that was told too much and had it
    withdrawn keeps no trace of it.  A state never changes: adding and removing make another one.

    Nothing is kept but the ratings, so `result` is `mos.methods.score` of all of them, to the last bit, for every
    method and option, and nothing can drift.  Keeping sums of every item and rater up to date instead would spare
    little: at 687,915 ratings the paper's method takes 0.04 s, of which much goes into the tables and the value and
    status of every rating, which one more rating of each rater changes anyway; reading and coding the table, which a
    state does spare, takes several times as long.
    """

    options: Options
    ratings: Ratings
    scale: tuple[float, float] | None
    dimensions: tuple[str, ...] | None
    repetitions: pa.StringArray

    @classmethod
    def empty(
        cls, options: Options, scale: tuple[float, float] | None, dimensions: Sequence[str] | None = None
    ) -> Self:
        """No ratings yet.

        scale: lowest and highest possible score; None accepts any number
        dimensions: the dimensions there are; None accepts the ones found
        Raises UserError for an empty scale.
        """
        if scale is not None and not all(map(isfinite, scale)):
            raise UserError(f"The scale must go from a lower to a higher number; got {scale[0]:g} to {scale[1]:g}.")
        nothing = pa.table({name: pa.nulls(0, pa.string()) for name in _COLUMNS})
        ratings, _ = code(nothing, scale, dimensions)
        names = None if dimensions is None else tuple(ratings.dimensions.to_pylist())
        return cls(options, ratings, scale if scale is None else ratings.scale, names, texts([]))

    def __len__(self) -> int:
        return len(self.ratings)

    def add(self, table: pa.Table, on_known: OnKnown = "error") -> tuple[State, list[Problem]]:
        """The state with the ratings of a table as well, as `mos.table.read_columns` gives it, or as `code` takes it.

        on_known: what a rating of something that the same rater rated before means, in this table or an earlier one:
            "error", UserError, and nothing is added; "keep", the first rating counts, and the other one is a problem;
            "replace", the last one counts.  The same score again is no problem: a table may come twice.

        Bad rows are problems as in `code`, and change nothing: they do not even make their item or rater known.
        Raises UserError where `code` does, and for repetitions that are not told apart as before.
        """
        one_of("on_known", on_known, get_args(OnKnown))
        judged = judge(table, self.scale, self.dimensions)
        rows = np.arange(table.num_rows) if judged.good is None else np.flatnonzero(judged.good)
        if not len(rows):
            return self, judged.problems
        mine, theirs = united(self._axes(), axes_of(judged))
        by_key = order([Part(axis.codes, len(axis.names)) for axis in theirs], None).rows
        rows, theirs = rows[by_key], theirs.take(by_key)
        # Zero has one sign, or states of the same ratings would make different files.
        scores = judged.columns.scores.values[rows] + 0.0
        found = merge(Known(mine.keys(), self.ratings.score), theirs.keys(), scores, on_known == "replace")
        known = [] if on_known == "replace" else [_known(row) for row in rows[found.differing].tolist()]
        if known and on_known == "error":
            raise _refused(known, table)
        problems = sorted([*judged.problems, *known], key=lambda problem: problem.row)
        return self._merged(mine, theirs, found), problems

    def remove(self, table: pa.Table) -> tuple[State, list[Problem]]:
        """The state without the ratings that a table names: item, rater, dimension, repetition where there are any.

        Scores in the table do not matter.  A row that names no rating, or one that was withdrawn already, is a problem.
        Raises UserError where `code` does, and for repetitions that are not told apart as before.
        """
        named = table.drop_columns([name for name in table.column_names if name == "score"])
        judged = judge(named.append_column("score", numbers(np.zeros(table.num_rows))), None, self.dimensions)
        rows = np.arange(table.num_rows) if judged.good is None else np.flatnonzero(judged.good)
        if not len(rows):
            return self, judged.problems
        mine = self._axes()
        theirs, there = among(axes_of(judged), mine)
        at, found = Known(mine.keys(), self.ratings.score).find(theirs.keys())
        there &= found
        unknown = [_unknown(row) for row in rows[~there].tolist()]
        kept = np.ones(len(self), bool)
        kept[at[there]] = False
        problems = sorted([*judged.problems, *unknown], key=lambda problem: problem.row)
        left = mine.take(kept)
        axes = Axes(*(axis.used() for axis in left))
        if self.dimensions is not None:
            axes = axes._replace(dimension=left.dimension)
        return self._with(axes, self.ratings.score[kept]), problems

    def result(self, progress: Callable[[int], None] | None = None) -> Result:
        """The scores by all ratings, and how they came about.  progress: see `mos.methods.score`."""
        return score(self.ratings, self.options, progress=progress)

    def table(self) -> pa.Table:
        """All ratings, a row each: item, rater, dimension, score, and repetition where there are any."""
        item, dimension, rater, repetition = (
            pa.DictionaryArray.from_arrays(numbers(codes), names) for names, codes in self._axes()
        )
        columns = {"item": item, "rater": rater, "dimension": dimension, "score": numbers(self.ratings.score)}
        if len(self) and not self.repetitions.equals(NO_REPETITIONS):
            columns["repetition"] = repetition
        return pa.table(columns)

    def _axes(self) -> Axes:
        ratings = self.ratings
        return Axes(
            item=Axis(ratings.items, ratings.item),
            dimension=Axis(ratings.dimensions, ratings.dimension),
            rater=Axis(ratings.raters, ratings.rater),
            repetition=Axis(self.repetitions, ratings.repetition),
        )

    def _merged(self, mine: Axes, theirs: Axes, found: Merge) -> State:
        axes = (
            Axis(one.names, _inserted(one.codes, found.before, other.codes[found.row]))
            for one, other in zip(mine, theirs, strict=True)
        )
        return self._with(Axes(*axes), _inserted(found.score, found.before, found.added))

    def _with(self, axes: Axes, scores: np.ndarray) -> State:
        """The state of these ratings, in canonical order, alone."""
        item, dimension, rater, repetition = axes
        ends = (float(scores.min()), float(scores.max())) if len(scores) else (np.nan, np.nan)
        ratings = Ratings(
            items=item.names,
            raters=rater.names,
            dimensions=dimension.names,
            item=item.codes,
            rater=rater.codes,
            dimension=dimension.codes,
            score=scores,
            index=np.arange(len(scores)),
            scale=self.scale or ends,
            repetition=repetition.codes,
        )
        return replace(self, ratings=ratings, repetitions=repetition.names)


def _inserted(values: np.ndarray, before: np.ndarray, added: np.ndarray) -> np.ndarray:
    return np.insert(values, before, added) if len(values) else added  # the first table, and a file, take half the time


def _known(row: int) -> Problem:
    message = "the same rater rated this before with another score; only that rating counts: keep one"
    return Problem(row, "known_rating", message)


def _unknown(row: int) -> Problem:
    message = "there is no such rating that could be withdrawn; check the item, the rater and the dimension"
    return Problem(row, "unknown_rating", message)


def _refused(known: list[Problem], table: pa.Table) -> UserError:
    shown = ", ".join(str(problem.row) for problem in located(sorted(known, key=lambda p: p.row)[:_SHOWN], table))
    more = f", and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return UserError(
        f"Expected new ratings, but {len(known)} rate what the same rater rated before, with another score: row "
        f"{shown}{more}. Nothing was added; leave them out, or choose to keep the earlier ones or to replace them."
    )

"""Ratings coded as integers: the input of every scoring method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mos._kernels import keep_values, take_unchecked
from mos.display import SHOWN_ROWS, convert_to_pandas, describe_counts, describe_scale, render_html_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ratings:
    """N ratings, ordered by item, dimension, rater and repetition, at most one for each combination of these.

    Attributes
    ----------
    items, raters, dimensions : pyarrow.StringArray
        Sorted unique names, also those without a valid rating.
    item, rater : ndarray of int32, shape (N,)
        Positions in `items` and `raters`.
    dimension : ndarray of int16, shape (N,)
        Position in `dimensions`.
    score : ndarray of float64, shape (N,)
        Finite and within `scale`.
    index : ndarray of int64, shape (N,)
        Row of the table from which the rating was read.
    scale : (float, float)
        Lowest and highest possible score; by default the lowest and highest score found.
    repetition : ndarray of int32, shape (N,)
        Number of the rating among those of the same rater, item and dimension, from 0; by default zeros.
    dropped : int
        Rows of the table that were left out because they have no score.
    """

    items: pa.StringArray
    raters: pa.StringArray
    dimensions: pa.StringArray
    item: NDArray[Any]
    rater: NDArray[Any]
    dimension: NDArray[Any]
    score: NDArray[Any]
    index: NDArray[Any]
    scale: tuple[float, float]
    repetition: NDArray[Any] = None  # type: ignore[assignment]  # never None once made
    dropped: int = 0
    _made: dict[str, NDArray[Any]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.repetition is None:
            object.__setattr__(self, "repetition", np.zeros(len(self.score), np.int32))

    def __len__(self) -> int:
        return len(self.score)

    @property
    def repetitions(self) -> int:
        """How many times an item may be rated by the same rater in a dimension; 1 when there are no repetitions."""
        return 1 + int(self.repetition.max(initial=0))

    def __repr__(self) -> str:
        sizes = describe_counts(items=len(self.items), raters=len(self.raters), dimensions=len(self.dimensions))
        return f"Ratings({describe_counts(ratings=len(self))}: {sizes}, {describe_scale(self.scale)})"

    def _repr_html_(self) -> str:
        return render_html_table(
            self.select(np.arange(min(len(self), SHOWN_ROWS))).to_table(), repr(self), total=len(self)
        )

    def to_table(self) -> pa.Table:
        """The ratings as a long table: item, rater, dimension, score, and repetition (from 0) if there are several."""
        columns = {
            "item": self.items.take(pa.array(self.item)),
            "rater": self.raters.take(pa.array(self.rater)),
            "dimension": self.dimensions.take(pa.array(self.dimension)),
            "score": pa.array(self.score),
        }
        return pa.table(columns | ({"repetition": pa.array(self.repetition)} if self.repetitions > 1 else {}))

    def to_pandas(self) -> pd.DataFrame:
        """The ratings as a long DataFrame, see `to_table`."""
        return convert_to_pandas(self.to_table())

    def groups(self) -> NDArray[Any]:
        """[N] item and dimension of each rating: item * dimensions + dimension; int64 if int32 is too small."""
        if "groups" not in self._made:
            self._made["groups"] = _cross_codes(self.item, len(self.items), self.dimension, len(self.dimensions))
        return self._made["groups"]

    def rater_keys(self) -> NDArray[Any]:
        """[N] rater and dimension of each rating: rater * dimensions + dimension; int64 if int32 is too small."""
        if "rater_keys" not in self._made:
            self._made["rater_keys"] = _cross_codes(self.rater, len(self.raters), self.dimension, len(self.dimensions))
        return self._made["rater_keys"]

    def select(self, rows: NDArray[Any]) -> Ratings:
        """The ratings where `rows` [N] is True, or those at the ascending positions `rows`; names and scale stay."""
        choose = keep_values if rows.dtype == bool else take_unchecked
        return replace(
            self,
            item=choose(self.item, rows),
            rater=choose(self.rater, rows),
            dimension=choose(self.dimension, rows),
            score=choose(self.score, rows),
            index=choose(self.index, rows),
            repetition=choose(self.repetition, rows),
        )


def _cross_codes(codes: NDArray[Any], size: int, dimension: NDArray[Any], dimensions: int) -> NDArray[Any]:
    """[N] position of each rating in the product of codes (of which there are `size`) and dimensions."""
    crossed = np.multiply(codes, dimensions, dtype=np.int32 if size * dimensions < 2**31 else np.int64)
    values: NDArray[Any] = np.add(crossed, dimension, out=crossed)
    return values

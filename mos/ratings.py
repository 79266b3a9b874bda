"""Ratings coded as integers: what every method works on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """N ratings, ordered by item, dimension, rater and repetition, at most one for each combination of these.

    items, raters, dimensions: sorted unique names (Arrow strings), also those without a valid rating
    item, rater (int32), dimension (int16): [N] positions in them
    score: [N] float64, finite and within `scale`
    index: [N] int64, row of the table that was coded, to put results back
    scale: lowest and highest possible score; the extremes found when none was given
    repetition: [N] int32, which time the rater rates the item in the dimension, from 0; zeros when not given
    dropped: how many rows of the table were left out as saying that there is no rating
    """

    items: pa.StringArray
    raters: pa.StringArray
    dimensions: pa.StringArray
    item: np.ndarray
    rater: np.ndarray
    dimension: np.ndarray
    score: np.ndarray
    index: np.ndarray
    scale: tuple[float, float]
    repetition: np.ndarray = None  # type: ignore[assignment]  # never None once made
    dropped: int = 0
    _made: dict[str, np.ndarray] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.repetition is None:
            object.__setattr__(self, "repetition", np.zeros(len(self.score), np.int32))

    def __len__(self) -> int:
        return len(self.score)

    @property
    def repetitions(self) -> int:
        """How many times an item may be rated by the same rater in a dimension; 1 when there are no repetitions."""
        return 1 + int(self.repetition.max(initial=0))

    def groups(self) -> np.ndarray:
        """[N] which item and dimension a rating is of: item * dimensions + dimension; int64 if int32 is too small."""
        if "groups" not in self._made:
            self._made["groups"] = _crossed(self.item, len(self.items), self.dimension, len(self.dimensions))
        return self._made["groups"]

    def rater_keys(self) -> np.ndarray:
        """[N] which rater and dimension a rating is of: rater * dimensions + dimension; int64 if int32 is too small."""
        if "rater_keys" not in self._made:
            self._made["rater_keys"] = _crossed(self.rater, len(self.raters), self.dimension, len(self.dimensions))
        return self._made["rater_keys"]

    def select(self, rows: np.ndarray) -> Ratings:
        """The ratings where `rows` [N] is True, or those at the ascending positions `rows`; names and scale stay."""
        return replace(
            self,
            item=self.item[rows],
            rater=self.rater[rows],
            dimension=self.dimension[rows],
            score=self.score[rows],
            index=self.index[rows],
            repetition=self.repetition[rows],
        )


def _crossed(codes: np.ndarray, size: int, dimension: np.ndarray, dimensions: int) -> np.ndarray:
    """[N] position of each rating in the product of codes (of which there are `size`) and dimensions."""
    crossed = np.multiply(codes, dimensions, dtype=np.int32 if size * dimensions < 2**31 else np.int64)
    return np.add(crossed, dimension, out=crossed)

"""Bootstrap over items: how far a coefficient would move with other items of the same kind, the raters being these.

Everything here that is resampled is a function of sums over items, so a resample is a row of weights.
A nominal 95 % interval of an intraclass correlation covered 91 % of the time with 120 simulated items and 94.5 % with
500; and it knows nothing of other raters, which matters to absolute agreement where raters are few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

INTERVAL = "percentiles of a bootstrap over items, the raters being these"
_CELLS = 1 << 20
_KEPT = 1 << 26  # bytes of weights that are kept for the next coefficient


@dataclass(frozen=True, slots=True)
class Resampling:
    """replicates: how many resamples; seed: of the generator; level: share of the replicates in an interval.

    Use one for all coefficients and dimensions: they then rest on the same resamples, which are drawn once.
    """

    replicates: int = 1000
    seed: int = 0
    level: float = 0.95
    _drawn: dict[int, list[np.ndarray]] = field(init=False, default_factory=dict, repr=False)  # by number of items

    def weights(self, items: int) -> Iterator[np.ndarray]:
        """Blocks [some, items] float64: how often each item was drawn, `items` draws a row; the same on each call."""
        if items not in self._drawn and items * self.replicates <= _KEPT:
            self._drawn.clear()
            self._drawn[items] = list(self._draw(items))
        for block in self._drawn.get(items) or self._draw(items):
            yield block.astype(np.float64)

    def _draw(self, items: int) -> Iterator[np.ndarray]:
        """Blocks of weights, uint8: that an item is drawn 256 times is as good as impossible."""
        random = np.random.default_rng(self.seed)
        block = max(1, _CELLS // items)
        for start in range(0, self.replicates, block):
            rows = min(block, self.replicates - start)
            drawn = random.integers(0, items, (rows, items), dtype=np.int32)
            drawn += np.arange(rows, dtype=np.int32)[:, None] * items
            yield np.bincount(drawn.ravel(), minlength=rows * items).reshape(rows, items).astype(np.uint8)

    def totals(self, sums: np.ndarray) -> np.ndarray:
        """[replicates, S] sums over the items of each resample; sums: [items, S] of every item."""
        return np.concatenate([weights @ sums for weights in self.weights(len(sums))])

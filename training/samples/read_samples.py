"""Read samples from a dataset: in a fixed order, with bounded memory, the same for any number of workers and threads.

What is random about a sample depends on the seed, the epoch and its pair, never on who reads it or after what.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from mos.errors import UserError
from mos.rejections import Rejection
from training.samples.pair_sample import IMAGE_COLUMNS, PairSample, decode_row, require_columns
from training.samples.transforms import SampleVariation, fit_size, resize_sample, vary_sample

RowOutcome = PairSample | Rejection

_Row = TypeVar("_Row")
_Outcome = TypeVar("_Outcome")

_AHEAD = 2  # rows a thread that are read before they are asked for


@dataclass(frozen=True, slots=True)
class SampleSize:
    """The size of samples: one for all, or the largest that fits.

    Attributes
    ----------
    height, width : int or None
        Size of all samples in pixels, whatever the shape of their images; None to keep the shape.
    most_pixels : int or None
        Where the shape is kept: largest height x width.
    multiple : int
        Where the shape is kept: both sides are multiples of this.
    """

    height: int | None = None
    width: int | None = None
    most_pixels: int | None = None
    multiple: int = 1

    def __post_init__(self) -> None:
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width must be given together.")
        if self.height is not None and (self.most_pixels is not None or self.multiple != 1):
            raise ValueError("Give either height and width, or most_pixels and multiple.")
        numbers = (self.height, self.width, self.most_pixels, self.multiple)
        if any(number is not None and number < 1 for number in numbers):
            raise ValueError(f"Sizes must be at least 1, but got {numbers}.")

    def find_target(self, height: int, width: int) -> tuple[int, int]:
        """The size of a sample of an image of this size."""
        if self.height is not None and self.width is not None:
            return self.height, self.width
        return fit_size(height, width, self.most_pixels or height * width, self.multiple)


def read_samples(
    dataset: Any,
    *,
    size: SampleSize | None = None,
    variation: SampleVariation | None = None,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    worker: int = 0,
    workers: int = 1,
    threads: int = 1,
    reject: Callable[[Rejection], None] | None = None,
) -> Iterator[PairSample]:
    """Read the pairs of a dataset as arrays.

    Parameters
    ----------
    dataset : datasets.Dataset, datasets.IterableDataset or iterable of mappings
        One split of the table "default", such as `editfhf.load("dataset", split="train")`, local or from the Hub,
        streaming or not; or any rows with its columns.
    size : SampleSize, optional
        Size of the samples; that of each edited image by default.
    variation : SampleVariation, optional
        Random crop, flip and brightness, before the size is changed; none by default.
    shuffle : bool
        Read the rows in a random order of this seed and epoch. Streams have `shuffle` of their own.
    seed, epoch : int
        Decide the order and the variation.
    worker, workers : int
        Of several processes, this one reads every row whose place in the order leaves the remainder `worker` when
        divided by `workers`. Taken in turn, the samples of all workers are those of one.
    threads : int
        Threads that decode and scale; the order of samples does not depend on them. At most two rows for each thread
        are read before they are asked for.
    reject : callable, optional
        Receives a `Rejection` for each row that cannot be used; by default the first one is an error.

    Yields
    ------
    PairSample

    Raises
    ------
    UserError
        For a row that cannot be used if there is no `reject`, or a dataset that cannot be read like this.

    Examples
    --------
    >>> for sample in read_samples(editfhf.load("dataset", split="train")):      # doctest: +SKIP
    ...     sample.edited.shape, sample.maps["artifact"].max()
    """
    if not 0 <= worker < workers or threads < 1:
        raise ValueError(f"Expected 0 <= worker < workers and threads >= 1, but got {worker}, {workers}, {threads}.")

    def make(place: int, row: Mapping[str, Any]) -> RowOutcome:
        return _make_sample(place, row, size, variation, (seed, epoch))

    rows = _read_rows(dataset, shuffle, (seed, epoch), worker, workers)
    for outcome in map_in_order(make, rows, threads):
        if isinstance(outcome, PairSample):
            yield outcome
        elif reject is None:
            raise UserError(f"Row {outcome.row}, pair {outcome.pair_id!r}: {outcome.message}")
        else:
            reject(outcome)


def _make_sample(
    place: int,
    row: Mapping[str, Any],
    size: SampleSize | None,
    variation: SampleVariation | None,
    draw: tuple[int, int],
) -> RowOutcome:
    try:
        sample = decode_row(row)
    except UserError as error:
        reason = str(getattr(error, "reason", "unusable_row"))
        return Rejection("pair", "", place, reason, str(error), pair_id=row.get("pair_id"))
    if variation is not None:
        sample = vary_sample(sample, variation, make_random(*draw, sample.pair_id))
    return sample if size is None else resize_sample(sample, *size.find_target(*sample.size))


def make_random(seed: int, epoch: int, name: str) -> np.random.Generator:
    """A random generator that depends on seed, epoch and name alone.

    >>> int(make_random(0, 1, "p1").integers(1000)) == int(make_random(0, 1, "p1").integers(1000))
    True
    """
    digest = hashlib.sha256(f"{seed} {epoch} {name}".encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _read_rows(
    dataset: Any, shuffle: bool, draw: tuple[int, int], worker: int, workers: int
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of one worker with their places in the dataset, images as bytes."""
    dataset = _keep_images_encoded(dataset)
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        places = make_random(*draw, "order").permutation(len(dataset)) if shuffle else np.arange(len(dataset))
        for place in places[worker::workers].tolist():
            yield place, dataset[place]
        return
    if shuffle:
        raise UserError("A stream cannot be read in a random order: call its own shuffle(seed, buffer_size) first.")
    rows: Iterable[Mapping[str, Any]] = dataset
    for place, row in enumerate(rows):
        if place % workers == worker:
            yield place, row


def _keep_images_encoded(dataset: Any) -> Any:
    """The dataset with images as bytes, for the one safe reader of images; also quicker for rows that are left out."""
    if isinstance(dataset, Mapping):
        raise UserError(f"Expected one split of a dataset, but got all of {', '.join(map(str, dataset))}: choose one.")
    if not hasattr(dataset, "cast_column"):
        return dataset
    import datasets

    if dataset.column_names is not None:  # a stream may not know them; each row is checked then
        require_columns(dataset.column_names)
    for column in IMAGE_COLUMNS:
        dataset = dataset.cast_column(column, datasets.Image(decode=False))
    return dataset


def map_in_order(
    make: Callable[[int, _Row], _Outcome], rows: Iterator[tuple[int, _Row]], threads: int
) -> Iterator[_Outcome]:
    """Call a function on rows with their places, in threads, and yield what it gives in the order of the rows.

    At most two rows for each thread are read before they are asked for. If the function raises, no further row is
    begun.
    """
    if threads == 1:
        for place, row in rows:
            yield make(place, row)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_Outcome]] = deque()
        try:
            for place, row in rows:
                waiting.append(pool.submit(make, place, row))
                if len(waiting) >= _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

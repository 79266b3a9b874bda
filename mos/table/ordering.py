"""The canonical order of ratings: one number for what a row rates, and the rows in the order of these numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """A part of a key: codes [rows] in 0..size-1, anything where the row is not to be ordered."""

    codes: np.ndarray
    size: int


class Order(NamedTuple):
    """Rows in canonical order.

    rows: [ordered] int64, positions in the table; in table order where keys are equal
    again: [ordered] bool, whether a row has the key of the one before it; None when no row has
    complete: whether every key there can be is there exactly once
    """

    rows: np.ndarray
    again: np.ndarray | None
    complete: bool


def order(parts: Sequence[Part], good: np.ndarray | None) -> Order:
    """The rows `good` [rows] bool, all where None, ordered by their parts, the first part first."""
    key, keys = _keys(parts)
    rows = None if good is None else np.flatnonzero(good)
    if rows is not None:
        key = key[rows]
    if keys <= 4 * len(key) + 1_000_000:  # nearly every key is there: no need to sort
        at = np.full(keys, -1, np.int64)
        at[key] = np.arange(len(key)) if rows is None else rows
        complete = math.prod(part.size for part in parts) == len(key) and int(at.min(initial=0)) >= 0
        ordered = at if complete else at[at >= 0]
        if len(ordered) == len(key):
            return Order(ordered, None, complete)
    by_key = _stable_order(key)
    key = gathered(key, by_key)
    again = np.zeros(len(key), bool)
    np.equal(key[1:], key[:-1], out=again[1:])
    return Order(by_key if rows is None else rows[by_key], again if again.any() else None, complete=False)


def gathered(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """values[positions]; positions must be valid, since that is not checked, which takes longer than the gathering."""
    return values.take(positions, mode="clip")


def ordered_codes(parts: Sequence[Part], found: Order) -> list[np.ndarray]:
    """The codes of each part, each [ordered] in the dtype of its codes."""
    if not found.complete:
        return [gathered(part.codes, found.rows) for part in parts]
    shape = tuple(part.size for part in parts)
    codes = []
    for axis, part in enumerate(parts):
        along = np.arange(part.size, dtype=part.codes.dtype).reshape(
            [-1 if at == axis else 1 for at in range(len(shape))]
        )
        codes.append(np.broadcast_to(along, shape).flatten())
    return codes


def _keys(parts: Sequence[Part]) -> tuple[np.ndarray, int]:
    """One number for the codes of each row, ordered as they are, and how many numbers there can be."""
    bound = math.prod(part.size for part in parts)
    if bound >= 2**63:
        return _keys([_squeezed(parts[:-1]), parts[-1]])
    key = np.zeros(len(parts[0].codes), np.int32 if bound < 2**31 else np.int64)
    for codes, size in parts:
        np.multiply(key, size, out=key)
        np.add(key, codes, out=key)
    return key, bound


def _squeezed(parts: Sequence[Part]) -> Part:
    """One part that orders as several do, of the combinations that are there only."""
    key, _ = _keys(parts)
    there, codes = np.unique(key, return_inverse=True)
    return Part(codes, len(there))


def _stable_order(key: np.ndarray) -> np.ndarray:
    """The stable sorting permutation of non-negative keys; numpy sorts 16-bit digits in linear time."""
    if len(key) < 2 or (key[1:] >= key[:-1]).all():
        return np.arange(len(key))
    by_key = np.argsort(key.astype(np.uint16), kind="stable")
    shift = 16
    while int(key.max()) >> shift:
        digit = (gathered(key, by_key) >> shift).astype(np.uint16)
        by_key = gathered(by_key, np.argsort(digit, kind="stable"))
        shift += 16
    return by_key

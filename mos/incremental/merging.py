"""Ratings that arrive, put among those that are known."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

OnKnown = Literal["error", "keep", "replace"]


class Known(NamedTuple):
    """key: [known] int64, ascending and unique; score: [known] float64."""

    key: np.ndarray
    score: np.ndarray

    def find(self, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[keys] where each is, or would be put in, and whether it is there."""
        at = np.searchsorted(self.key, key)
        there = np.zeros(len(key), bool)
        within = at < len(self.key)
        there[within] = self.key[at[within]] == key[within]
        return at, there


class Merge(NamedTuple):
    """score: [known] of the known ratings, corrected; before: [new] position of the known rating that each new one
    comes before; row, added: [new] position of each new one among those that arrived, and its score.

    differing: ascending positions of those that arrived with another score than the rating that was there first
    """

    score: np.ndarray
    before: np.ndarray
    row: np.ndarray
    added: np.ndarray
    differing: np.ndarray


def merge(known: Known, key: np.ndarray, score: np.ndarray, replace: bool) -> Merge:
    """Merge what arrives, one rating after the other as if each came alone.

    key: [arriving] ascending, in order of arrival where equal; score: [arriving] float64
    replace: whether a rating takes the place of the one there is, or the first one stays
    """
    start = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    size = np.diff(start, append=len(key))
    at, there = known.find(key[start])
    first = score[start]
    first[there] = known.score[at[there]]
    counting = score[start + size - 1] if replace else first
    corrected = known.score
    if replace:
        corrected = corrected.copy()
        corrected[at[there]] = counting[there]
    differing = np.flatnonzero(score != np.repeat(first, size))
    return Merge(corrected, at[~there], start[~there], counting[~there], differing)

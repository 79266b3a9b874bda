"""The fewest raters that are enough."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from mos.errors import UserError

MOST_RATERS = 100_000


def fewest(enough: Callable[[int], bool], least: int, target: str) -> int:
    """The smallest number of raters in least..MOST_RATERS that is `enough`, as all larger numbers must be too.

    target: what they are to be enough for, as the subject of a sentence.  Raises UserError where none is enough.
    """
    below, above = least - 1, least
    while not enough(above):
        if above == MOST_RATERS:
            raise out_of_reach(target)
        below, above = above, min(2 * above, MOST_RATERS)
    between = range(below + 1, above)
    return below + 1 + bisect_left(between, True, key=enough)


def out_of_reach(target: str) -> UserError:
    return UserError(f"{target} is out of reach: {MOST_RATERS:,} raters are not enough; expected a lesser target.")

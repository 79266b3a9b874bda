"""Assign people to pairs: annotators, reviewers, raters and experts, from a seed.

Every pair ranks the people of a stage by a hash of (seed, stage, pair, person) and takes the first ones: rendezvous
hashing (Thaler and Ravishankar 1998), so that one pair or person more or less changes little for the others.  Loads are
then balanced by moving single places from busier people to less busy ones, directly or through others, until no such
path is left: loads are then as even as the rules allow (Harvey, Ladner, Lovasz and Tamir 2006, "Semi-matchings for
bipartite graphs and load balancing").

Balancing costs some stability.  To keep every assigned task where it is, pass all of them as `begun`: then only new
places and places without a person are assigned.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mos.errors import UserError

PlaceMask = NDArray[np.bool_]


def balance_loads(chosen: PlaceMask, movable: PlaceMask, avoided: PlaceMask, rank: NDArray[np.float64]) -> None:
    """Move places from busier people to less busy ones until no move makes loads more even.

    Parameters
    ----------
    chosen
        Bool [people, pairs]: who has a place on which pair.  Changed in place.
    movable
        Bool [people, pairs]: which of these places may move to another person.
    avoided
        Bool [people, pairs]: who should not get the pair, unless the place comes from another avoided person.
    rank
        Float [people, pairs]: how well a person suits a pair, the higher the better.

    Notes
    -----
    A path from one person to another along which each gives one place to the next makes loads more even when the first
    has at least two more than the last; without such a path no other choice has more even loads (Harvey et al. 2006).
    Of the pairs that a step can move, it moves the one that loses least rank.
    """
    movable = movable.copy()
    loads = chosen.sum(axis=1)
    ways = _count_movable_pairs(chosen, movable, avoided)
    # A stuck person stays stuck: all in reach are as busy, and a later path to them would have existed before.
    stuck = np.zeros(len(chosen), dtype=bool)
    while not stuck.all():
        giver = int(np.argmax(np.where(stuck, -1, loads)))
        path = _shortest_giving_path(ways > 0, loads, giver)
        if path is None:
            stuck[giver] = True
            continue
        for source, target in reversed(list(pairwise(path))):
            able = movable[source] & ~chosen[target] & (avoided[source] | ~avoided[target])
            pairs = np.flatnonzero(able)
            pair = int(pairs[np.argmin(rank[source, pairs] - rank[target, pairs])])
            column = slice(pair, pair + 1)
            ways -= _count_movable_pairs(chosen[:, column], movable[:, column], avoided[:, column])
            chosen[source, pair] = movable[source, pair] = False
            chosen[target, pair] = movable[target, pair] = True
            ways += _count_movable_pairs(chosen[:, column], movable[:, column], avoided[:, column])
        loads[path[0]] -= 1
        loads[path[-1]] += 1


def _count_movable_pairs(chosen: PlaceMask, movable: PlaceMask, avoided: PlaceMask) -> NDArray[np.float32]:
    """Float [people, people]: on how many pairs the person of the row can give a place to the person of the column.

    float32 is exact for up to 2**24 pairs.
    """
    free = ~chosen
    ways = _mask_product(movable, free & ~avoided)
    if avoided.any():
        ways += _mask_product(movable & avoided, free & avoided)
    return ways


def _mask_product(left: PlaceMask, right: PlaceMask) -> NDArray[np.float32]:
    product: NDArray[np.float32] = left.astype(np.float32) @ right.astype(np.float32).T
    return product


def _shortest_giving_path(ways: PlaceMask, loads: NDArray[np.intp], giver: int) -> list[int] | None:
    """Shortest path from the giver to the least busy person in reach who has at least two places fewer."""
    before = np.full(len(loads), -1)
    before[giver] = giver
    frontier = np.array([giver])
    while len(frontier):
        reached = np.flatnonzero(ways[frontier].any(axis=0) & (before < 0))
        before[reached] = frontier[np.argmax(ways[np.ix_(frontier, reached)], axis=0)]
        able = reached[loads[reached] <= loads[giver] - 2]
        if len(able):
            path = [int(able[np.argmin(loads[able])])]
            while path[-1] != giver:
                path.append(int(before[path[-1]]))
            return path[::-1]
        frontier = reached
    return None


PRICE_ROUNDS = 2
"""Rounds of price setting before the last places are moved one by one."""


@dataclass(frozen=True, slots=True)
class StageNeed:
    """What one stage needs: `count` different people with `role` for each pair.

    qualified: whether they must have passed the qualification
    apart_from: earlier stages whose people should not do this one on the same pair, if there are enough others
    """

    stage: str
    role: str
    count: int
    qualified: bool = True
    apart_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssignableWorker:
    """A person who can get work: their roles, and whether they passed the qualification."""

    person_id: str
    roles: frozenset[str]
    passed: bool


class AssignedPart(NamedTuple):
    """One person's part in one stage of one pair."""

    pair_id: str
    stage: str
    person_id: str


def assign_people(
    pairs: Iterable[str],
    people: Iterable[AssignableWorker],
    needs: Sequence[StageNeed],
    begun: Collection[AssignedPart] = (),
    seed: int = 0,
    barred: Collection[AssignedPart] = (),
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Assign people to every pair and stage.

    No person is twice on one pair in one stage; loads within a stage differ by at most one wherever the rules allow it.
    Only the order of `needs` matters.

    Parameters
    ----------
    pairs
        Ids of the pairs.
    people
        Everyone who can get work.
    needs
        What each stage needs; a stage keeps apart only from stages before it.
    begun
        Parts that stay as they are, even when their person is not in `people` or their pair not in `pairs`.  Leave out
        a part that nobody will finish, so that another person gets it.
    seed
        Another seed gives another assignment that is as good.
    barred
        Parts that nobody may get, none of them in `begun`: people who cannot judge a pair.  Such a pair has as many
        people as are left, if these are fewer than the stage needs.

    Returns
    -------
    dict
        People by (pair_id, stage), in the order in which they take turns in the round robin of texts.

    Raises
    ------
    UserError
        A stage has fewer people than it needs on one pair, a person is listed twice, or a stage keeps apart from one
        that does not come before it.
    """
    ids = sorted(set(pairs))
    workers = sorted(people, key=lambda worker: worker.person_id)
    _check_needs(workers, needs)
    kept: dict[str, dict[str, set[str]]] = {}
    for part in begun:
        kept.setdefault(part.stage, {}).setdefault(part.pair_id, set()).add(part.person_id)
    denied: dict[str, dict[str, set[str]]] = {}
    for part in barred:
        denied.setdefault(part.stage, {}).setdefault(part.pair_id, set()).add(part.person_id)
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for need in needs:
        pool = [
            worker.person_id
            for worker in workers
            if need.role in worker.roles and (worker.passed or not need.qualified)
        ]
        others = [{name for stage in need.apart_from for name in found.get((pair, stage), ())} for pair in ids]
        chosen = _assign_stage(ids, pool, need, kept.get(need.stage, {}), others, seed, denied.get(need.stage, {}))
        found |= {(pair, need.stage): names for pair, names in zip(ids, chosen, strict=True)}
    for stage, by_pair in kept.items():
        found |= {
            (pair, stage): _order_turns(seed, stage, pair, names)
            for pair, names in by_pair.items()
            if (pair, stage) not in found
        }
    return found


def order_pairs_for_person(person_id: str, stage: str, sources: Mapping[str, str], seed: int = 0) -> tuple[str, ...]:
    """The pairs of one person in the order in which they get them; `sources` is the source_id of each pair_id.

    Shuffled for each person and stage, with the edits of one source spread evenly; two of them are neighbours only
    where it cannot be avoided (when a source has more than half of the remaining pairs).
    """
    edits: dict[str, list[tuple[float, str]]] = {}
    for pair in sources:
        edits.setdefault(sources[pair], []).append((_hash_words_to_unit(seed, "order", stage, person_id, pair), pair))
    spread = []
    for source, own in edits.items():
        start = _hash_words_to_unit(seed, "start", stage, person_id, source)
        spread += [((index + start) / len(own), pair) for index, (_, pair) in enumerate(sorted(own))]
    return tuple(_separate_sources([pair for _, pair in sorted(spread)], sources))


def _check_needs(workers: Sequence[AssignableWorker], needs: Sequence[StageNeed]) -> None:
    for one, other in pairwise(workers):
        if one.person_id == other.person_id:
            raise UserError(f"{one.person_id!r} is listed twice among the people. Keep one entry with all their roles.")
    before: set[str] = set()
    for need in needs:
        unknown = [stage for stage in need.apart_from if stage not in before]
        if unknown or need.stage in before:
            raise UserError(
                f"Stage {need.stage}: expected a stage that is listed once, after those whose people it keeps apart "
                f"from, got {', '.join(unknown) or 'it twice'}. Correct the stages."
            )
        before.add(need.stage)


def _assign_stage(
    pairs: Sequence[str],
    pool: Sequence[str],
    need: StageNeed,
    kept: Mapping[str, set[str]],
    others: Sequence[set[str]],
    seed: int,
    denied: Mapping[str, set[str]],
) -> list[tuple[str, ...]]:
    """The people of each pair in one stage; `others` are the people to avoid on each pair, `denied` those barred."""
    open_places = np.array([need.count - len(kept.get(pair, ())) for pair in pairs], dtype=np.intp).clip(0)
    for column, pair in enumerate(pairs):
        if pair in denied:
            left = len({*pool} - kept.get(pair, set()) - denied[pair])
            open_places[column] = min(open_places[column], left)
    _check_enough_people(pairs, pool, need, kept, open_places)
    if not open_places.any():
        return [_order_turns(seed, need.stage, pair, kept.get(pair, ())) for pair in pairs]
    number = {name: index for index, name in enumerate(pool)}
    fixed, avoided, closed = np.zeros((3, len(pool), len(pairs)), dtype=bool)
    for column, pair in enumerate(pairs):
        fixed[[number[name] for name in kept.get(pair, ()) if name in number], column] = True
        avoided[[number[name] for name in others[column] if name in number], column] = True
        closed[[number[name] for name in denied.get(pair, ()) if name in number], column] = True
    rank = _hash_ranks(seed, need.stage, pool, pairs)
    chosen = _choose_by_price(rank, fixed, avoided, closed, open_places + fixed.sum(axis=0))
    # A place that is taken can move to nobody, so that balancing gives no barred person the pair.
    chosen |= closed
    balance_loads(chosen, chosen & ~fixed & ~closed, avoided, rank)
    chosen &= ~closed
    names = np.array(pool, dtype=object)
    gone = [kept.get(pair, set()) - number.keys() for pair in pairs]
    return [
        _order_turns(seed, need.stage, pair, [*names[row], *left])
        for pair, row, left in zip(pairs, chosen.T, gone, strict=True)
    ]


def _check_enough_people(
    pairs: Sequence[str], pool: Sequence[str], need: StageNeed, kept: Mapping[str, set[str]], places: NDArray[np.intp]
) -> None:
    """`UserError` when a pair has more open places than there are people for it."""
    able = set(pool)
    if any(count > len(able - kept.get(pair, set())) for pair, count in zip(pairs, places, strict=True)):
        passed = " who passed the qualification" if need.qualified else ""
        names = f": {', '.join(pool[:5])}{', ...' if len(pool) > 5 else ''}" if pool else ""
        raise UserError(
            f"Stage {need.stage}: expected at least {need.count} people with the role {need.role!r}{passed}, found "
            f"{len(pool)}{names}. Give the role to more people{' or qualify more of them' if need.qualified else ''}."
        )


def _choose_by_price(
    rank: NDArray[np.float64],
    fixed: NDArray[np.bool_],
    avoided: NDArray[np.bool_],
    closed: NDArray[np.bool_],
    places: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Bool [people, pairs]: the choice of each pair at prices that make the loads nearly even.

    A person's price is subtracted from their ranks.  Ranks are uniform in [0, 1), so that a price of x turns away about
    x of all pairs, and two rounds leave loads a few places apart (more rounds chase chance).  Small changes of the
    input change prices and choices only a little, which keeps the assignment stable.
    """
    # Prices stay below 2 in size, so that they never outweigh what is fixed, avoided or closed.
    merit = rank + 10.0 * fixed - 10.0 * (avoided & ~fixed) - 30.0 * closed
    price = np.zeros(len(rank))
    for _ in range(PRICE_ROUNDS):
        loads = _choose_highest(merit - price[:, None], places).sum(axis=1)
        price += (loads - loads.mean()) / rank.shape[1]
    return _choose_highest(merit - price[:, None], places)


def _choose_highest(rank: NDArray[np.float64], places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Bool [people, pairs]: for each pair the `places` people of the highest rank."""
    order = np.argsort(-rank, axis=0, kind="stable")
    chosen = np.zeros(rank.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.arange(len(rank))[:, None] < places, axis=0)
    return chosen


def _order_turns(seed: int, stage: str, pair: str, names: Iterable[str]) -> tuple[str, ...]:
    """The people in the order of their turns, which does not change when others join or leave."""
    return tuple(sorted(names, key=lambda name: (_hash_words_to_unit(seed, "turn", stage, pair, name), name)))


def _hash_words_to_unit(seed: int, *words: str) -> float:
    """A number in [0, 1) that depends only on the seed and the words."""
    return (_hash_words(seed, *words) >> 11) * 2.0**-53


def _hash_words(seed: int, *words: str) -> int:
    text = "".join(f"{len(word)}:{word}" for word in words)
    return int.from_bytes(hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest())


def _hash_ranks(seed: int, stage: str, people: Sequence[str], pairs: Sequence[str]) -> NDArray[np.float64]:
    """Float [people, pairs] in [0, 1): one hash per person and pair.

    Their 64-bit digests are added and mixed as SplitMix64 does (Steele, Lea and Flood 2014).
    """
    rows = np.array([_hash_words(seed, "person", stage, name) for name in people], dtype=np.uint64)
    columns = np.array([_hash_words(seed, "pair", stage, name) for name in pairs], dtype=np.uint64)
    mixed = rows[:, None] + columns[None, :]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _separate_sources(pairs: Sequence[str], sources: Mapping[str, str]) -> list[str]:
    """The pairs in nearly the given order, without two neighbours of one source where possible.

    It is possible as long as no source has more than half (rounded up) of the remaining pairs; one that reaches that
    share is next.
    """
    waiting: dict[str, deque[int]] = {}
    for index, pair in enumerate(pairs):
        waiting.setdefault(sources[pair], deque()).append(index)
    first = [(own[0], source) for source, own in waiting.items()]
    heapify(first)
    by_size: list[set[str]] = [set() for _ in range(len(pairs) + 1)]
    for source, own in waiting.items():
        by_size[len(own)].add(source)
    most = max(map(len, waiting.values()), default=0)
    ordered: list[str] = []
    last = None
    for left in range(len(pairs), 0, -1):
        while not by_size[most]:
            most -= 1
        # At most one source can have more than half.
        heavy = next(iter(by_size[most])) if 2 * most > left else None
        last = heavy if heavy is not None and heavy != last else _next_source(first, waiting, last)
        ordered.append(pairs[waiting[last].popleft()])
        by_size[len(waiting[last]) + 1].remove(last)
        by_size[len(waiting[last])].add(last)
        if waiting[last]:
            heappush(first, (waiting[last][0], last))
    return ordered


def _next_source(first: list[tuple[int, str]], waiting: Mapping[str, deque[int]], last: str | None) -> str:
    """The source of the first waiting pair of another source than the last; the last source when there is no other."""
    again = None
    while first:
        index, source = heappop(first)
        if not waiting[source] or waiting[source][0] != index:
            continue
        if source != last:
            if again is not None:
                heappush(first, again)
            return source
        again = (index, source)
    return last or ""

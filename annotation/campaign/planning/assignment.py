"""Who does what: each pair to its annotators, reviewers, raters and experts, by seed alone.

Every pair ranks the people of a stage by a hash of (seed, stage, pair, person) and takes the first ones: rendezvous
hashing (Thaler and Ravishankar 1998), so that a pair or a person more or less changes nothing for most others.  Loads
are then made even by moving single places from busier people to less busy ones, directly or through others, until no
such path is left: loads are then as even as the rules allow (Harvey, Ladner, Lovasz and Tamir 2006, "Semi-matchings
for bipartite graphs and load balancing").

The evening out costs some stability.  Whoever wants that no task moves at all calls everything that has been handed
out `begun`: then only what is new or has lost its person is assigned.
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

from annotation.campaign.planning.evenness import even_out
from mos.errors import UserError

PRICINGS = 2
"""Rounds in which prices are set before the last places are moved one by one."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one stage needs: `count` different people a pair who have `role`.

    qualified: whether only those who passed the qualification may do it
    apart_from: earlier stages whose people should not do this one on the same pair, where there are enough others
    """

    stage: str
    role: str
    count: int
    qualified: bool = True
    apart_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Worker:
    """One person who can be given work: the roles they have, and whether they passed the qualification."""

    person_id: str
    roles: frozenset[str]
    passed: bool


class Part(NamedTuple):
    """One person's part in one stage of one pair."""

    pair_id: str
    stage: str
    person_id: str


def assign(
    pairs: Iterable[str],
    people: Iterable[Worker],
    needs: Sequence[Need],
    begun: Collection[Part] = (),
    seed: int = 0,
) -> dict[tuple[str, str], tuple[str, ...]]:
    """The people of every (pair_id, stage), in the order in which they take turns (for the round robin of stage 2).

    Nobody is twice in one place; loads within a stage differ by at most one wherever the rules allow it.  Who has
    `begun` stays, also when they are no longer among `people` or the pair no longer among `pairs`; a place that nobody
    will finish is to be left out of `begun`, and goes to somebody else.  No order of the arguments matters, but that of
    `needs`: a stage keeps apart only from stages before it.

    `UserError` when a stage has places to fill and fewer people than it needs on one pair, when somebody is listed
    twice, or when a stage keeps apart from one that does not come before it.
    """
    ids = sorted(set(pairs))
    workers = sorted(people, key=lambda worker: worker.person_id)
    _check(workers, needs)
    kept: dict[str, dict[str, set[str]]] = {}
    for part in begun:
        kept.setdefault(part.stage, {}).setdefault(part.pair_id, set()).add(part.person_id)
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for need in needs:
        pool = [
            worker.person_id
            for worker in workers
            if need.role in worker.roles and (worker.passed or not need.qualified)
        ]
        others = [{name for stage in need.apart_from for name in found.get((pair, stage), ())} for pair in ids]
        chosen = _stage(ids, pool, need, kept.get(need.stage, {}), others, seed)
        found |= {(pair, need.stage): names for pair, names in zip(ids, chosen, strict=True)}
    for stage, by_pair in kept.items():
        found |= {
            (pair, stage): _in_turn(seed, stage, pair, names)
            for pair, names in by_pair.items()
            if (pair, stage) not in found
        }
    return found


def order_of_work(person_id: str, stage: str, sources: Mapping[str, str], seed: int = 0) -> tuple[str, ...]:
    """The pairs of one person in the order in which they get them; `sources` is the source_id of each pair_id.

    Shuffled for each person and stage, with the edits of one source spread evenly over the whole; two of them come in
    a row only where nothing else is possible (when a source has more than half of what is left).
    """
    edits: dict[str, list[tuple[float, str]]] = {}
    for pair in sources:
        edits.setdefault(sources[pair], []).append((_hash(seed, "order", stage, person_id, pair), pair))
    spread = []
    for source, own in edits.items():
        start = _hash(seed, "start", stage, person_id, source)
        spread += [((index + start) / len(own), pair) for index, (_, pair) in enumerate(sorted(own))]
    return tuple(_apart([pair for _, pair in sorted(spread)], sources))


def _check(workers: Sequence[Worker], needs: Sequence[Need]) -> None:
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


def _stage(
    pairs: Sequence[str],
    pool: Sequence[str],
    need: Need,
    kept: Mapping[str, set[str]],
    others: Sequence[set[str]],
    seed: int,
) -> list[tuple[str, ...]]:
    """The people of each pair in one stage; `others` are those who should rather not be."""
    open_places = np.array([need.count - len(kept.get(pair, ())) for pair in pairs], dtype=np.intp).clip(0)
    _enough(pairs, pool, need, kept, open_places)
    if not open_places.any():
        return [_in_turn(seed, need.stage, pair, kept.get(pair, ())) for pair in pairs]
    number = {name: index for index, name in enumerate(pool)}
    fixed, avoided = np.zeros((2, len(pool), len(pairs)), dtype=bool)
    for column, pair in enumerate(pairs):
        fixed[[number[name] for name in kept.get(pair, ()) if name in number], column] = True
        avoided[[number[name] for name in others[column] if name in number], column] = True
    rank = _ranks(seed, need.stage, pool, pairs)
    chosen = _priced(rank, fixed, avoided, open_places + fixed.sum(axis=0))
    even_out(chosen, chosen & ~fixed, avoided, rank)
    names = np.array(pool, dtype=object)
    gone = [kept.get(pair, set()) - number.keys() for pair in pairs]
    return [
        _in_turn(seed, need.stage, pair, [*names[row], *left])
        for pair, row, left in zip(pairs, chosen.T, gone, strict=True)
    ]


def _enough(
    pairs: Sequence[str], pool: Sequence[str], need: Need, kept: Mapping[str, set[str]], places: NDArray[np.intp]
) -> None:
    """`UserError` when a pair has more places to fill than there are people for it."""
    able = set(pool)
    if any(count > len(able - kept.get(pair, set())) for pair, count in zip(pairs, places, strict=True)):
        passed = " who passed the qualification" if need.qualified else ""
        names = f": {', '.join(pool[:5])}{', ...' if len(pool) > 5 else ''}" if pool else ""
        raise UserError(
            f"Stage {need.stage}: expected at least {need.count} people with the role {need.role!r}{passed}, found "
            f"{len(pool)}{names}. Give the role to more people{' or let more of them pass' if need.qualified else ''}."
        )


def _priced(
    rank: NDArray[np.float64], fixed: NDArray[np.bool_], avoided: NDArray[np.bool_], places: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Bool [people, pairs]: the choice of each pair at prices that make the loads nearly even.

    A price is taken off the rank of its person.  Ranks are uniform in [0, 1), so that a price of x turns away about x
    of all pairs, and two rounds leave loads a few places apart (more rounds chase chance).  Small changes of the input
    change prices, and with them choices, but a little, which is what keeps the assignment stable.
    """
    # Prices stay below 2 in size, so that nothing outweighs what is fixed or avoided.
    merit = rank + 10.0 * fixed - 10.0 * (avoided & ~fixed)
    price = np.zeros(len(rank))
    for _ in range(PRICINGS):
        loads = _first(merit - price[:, None], places).sum(axis=1)
        price += (loads - loads.mean()) / rank.shape[1]
    return _first(merit - price[:, None], places)


def _first(rank: NDArray[np.float64], places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Bool [people, pairs]: for each pair the `places` people of the highest rank."""
    order = np.argsort(-rank, axis=0, kind="stable")
    chosen = np.zeros(rank.shape, dtype=bool)
    np.put_along_axis(chosen, order, np.arange(len(rank))[:, None] < places, axis=0)
    return chosen


def _in_turn(seed: int, stage: str, pair: str, names: Iterable[str]) -> tuple[str, ...]:
    """The people in the order of their turns: whoever joins or goes leaves the order of the others as it is."""
    return tuple(sorted(names, key=lambda name: (_hash(seed, "turn", stage, pair, name), name)))


def _hash(seed: int, *words: str) -> float:
    """A number in [0, 1) that depends on the seed and the words alone."""
    return (_digest(seed, *words) >> 11) * 2.0**-53


def _digest(seed: int, *words: str) -> int:
    text = "".join(f"{len(word)}:{word}" for word in words)
    return int.from_bytes(hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest())


def _ranks(seed: int, stage: str, people: Sequence[str], pairs: Sequence[str]) -> NDArray[np.float64]:
    """Float [people, pairs] in [0, 1): one hash per person and pair.

    Their 64-bit digests are added and mixed as SplitMix64 does (Steele, Lea and Flood 2014).
    """
    rows = np.array([_digest(seed, "person", stage, name) for name in people], dtype=np.uint64)
    columns = np.array([_digest(seed, "pair", stage, name) for name in pairs], dtype=np.uint64)
    mixed = rows[:, None] + columns[None, :]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _apart(pairs: Sequence[str], sources: Mapping[str, str]) -> list[str]:
    """The pairs in nearly the given order, no two neighbours of one source as long as that can be had.

    It can be had as long as no source has more than half (rounded up) of what is left: one that reaches that is next.
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
    """The source of the first pair that waits and is not of the last source; the last source when there is no other."""
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

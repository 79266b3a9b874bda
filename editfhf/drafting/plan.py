"""What a run asks about: new regions, or some of them once more.

A second attempt costs money each time, so what is to be attempted again is written down (`drafting/redo.json`) before
the first request: an interrupted run goes on with the same list, and asks no region twice.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import orjson

from editfhf.drafting.checks import check_pair
from editfhf.drafting.drafts_file import FOLDER, Standing
from editfhf.drafting.requests import Chunk, Earlier, chunks, chunks_again
from editfhf.drafting.selection import Marked, Selection, Skipped

Redo = Literal["failed", "low-quality", "all"]
FILE = "redo.json"


@dataclass(frozen=True)
class Choice:
    """What a person asked for: these pairs (none: all), so many pairs at most, what to attempt again if anything."""

    pairs: Collection[str] = ()
    limit: int | None = None
    redo: Redo | None = None


@dataclass
class Left:
    """Regions that are not asked about, by the reason."""

    skipped: Skipped = field(default_factory=Skipped)
    texts: int = 0
    drafted: int = 0
    set_aside: int = 0
    reviewed: int = 0


Again = dict[str, dict[str, Earlier]]
"""What to attempt again, by pair_id and region_id."""


def new_chunks(selection: Selection, standing: Standing, choice: Choice, together: int, left: Left) -> Iterator[Chunk]:
    """Regions without a draft, by pair_id; what is passed over is counted in `left`."""
    pairs = 0
    for marked in selection.pairs(left.skipped):
        if choice.pairs and marked.pair.pair_id not in choice.pairs:
            continue
        wanted = _new(marked, standing, left)
        if not wanted:
            continue
        if pairs == choice.limit:
            return
        pairs += 1
        yield from chunks(marked, wanted, together)


def redo_chunks(selection: Selection, again: Again, standing: Standing, together: int) -> Iterator[Chunk]:
    """The regions of a list that were not attempted since it was made, in the order of pairs.

    A pair keeps its requests while one of its regions waits, so that they are found in the cache.
    """
    for marked in selection.pairs(Skipped()):
        listed = again.get(marked.pair.pair_id, {})
        for chunk in chunks_again(marked, listed, together):
            waiting = frozenset(
                number
                for number in chunk.wanted
                if standing.attempts((marked.pair.pair_id, chunk.asked[number].region_id)) <= chunk.redo
                and chunk.asked[number].region_id not in marked.spoken
            )
            if waiting:
                yield Chunk(chunk.pair, chunk.size, chunk.boxes, chunk.asked, waiting, chunk.redo, chunk.notes)


def _new(marked: Marked, standing: Standing, left: Left) -> set[str]:
    wanted = set()
    pair_id = marked.pair.pair_id
    left.texts += len(marked.decided)
    for region in marked.undecided:
        ids = (pair_id, region.region_id)
        if region.region_id in marked.decided:
            continue
        if standing.drafted(ids):
            left.drafted += 1
        elif standing.failed(ids):
            left.set_aside += 1
        elif region.region_id in marked.spoken:
            left.reviewed += 1
        else:
            wanted.add(region.region_id)
    return wanted


def to_redo(root: Path, selection: Selection, standing: Standing, choice: Choice, keep: bool) -> Again:
    """What to attempt again: the list of an interrupted run if that is what it was for, else a new one.

    keep: write a new list down
    """
    path = root / FOLDER / FILE
    asked = {"redo": choice.redo, "pairs": sorted(choice.pairs), "limit": choice.limit}
    known = _read(path)
    if known is not None and known[0] == asked:
        return known[1]
    again = _listed(selection, standing, choice)
    if not keep:
        return again
    rows = {pair_id: {name: asdict(one) for name, one in own.items()} for pair_id, own in again.items()}
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{FILE}.draft")
    with draft.open("wb") as stream:
        stream.write(orjson.dumps(asked | {"again": rows}))
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    return again


def redo_is_done(root: Path) -> None:
    """Forget the list: the next redo makes a new one."""
    (root / FOLDER / FILE).unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, object], Again] | None:
    try:
        data = orjson.loads(path.read_bytes())
        rows = data.pop("again")
        again = {pair_id: {name: Earlier(**one) for name, one in own.items()} for pair_id, own in sorted(rows.items())}
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    return data, again


def _listed(selection: Selection, standing: Standing, choice: Choice) -> Again:
    found: Again = {}
    for marked in selection.pairs(Skipped()):
        pair_id = marked.pair.pair_id
        if choice.pairs and pair_id not in choice.pairs:
            continue
        own = {
            name: Earlier(standing.attempts((pair_id, name)), note)
            for name, note in _doubtful(marked, standing, choice.redo)
            if name not in marked.decided and name not in marked.spoken
        }
        if own and len(found) == choice.limit:
            break
        if own:
            found[pair_id] = own
    return found


def _doubtful(marked: Marked, standing: Standing, redo: Redo | None) -> Iterator[tuple[str, str]]:
    """Regions to attempt again, each with what was wrong."""
    pair_id = marked.pair.pair_id
    names = [region.region_id for region in marked.undecided]
    if redo == "failed":
        yield from ((name, "") for name in names if standing.failed((pair_id, name)))
    elif redo == "all":
        yield from ((name, "") for name in names if standing.attempts((pair_id, name)))
    else:
        regions = {region.region_id: region for region in marked.undecided}
        reasons: dict[str, list[str]] = {}
        for issue in check_pair(marked.pair, regions, standing.drafts.get(pair_id, {})):
            reasons.setdefault(issue.region_id, []).append(issue.reason)
        yield from ((name, " ".join(found)) for name, found in reasons.items())

"""The loop: requests go out, replies come in, and what counts of each is on the disk before the next is looked at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from annotation.images import ImageError
from editfhf.chat import Answer, Outcome, OverBudget, Request, Usage
from editfhf.drafting.drafts_file import TRANSIENT, Result, Source, Writer, shares
from editfhf.drafting.reply import Described, Fault, judge
from editfhf.drafting.requests import Asking, Chunk, first_request, pictures_of, second_request
from editfhf.drafting.shown import Shown

Ask = Callable[[Iterable[Request]], AsyncIterator[tuple[Request, Outcome]]]
"""Asks requests, drawn one by one as there is room for them, and gives outcomes in any order."""


class Watcher(Protocol):
    """Sees what became of each region."""

    def advance(self, regions: int) -> None: ...


@dataclass
class Tally:
    """What a run did with its regions.

    drafted: descriptions written; set_aside: others, by reason; strays: entries about regions nobody asked about
    second_requests: how many replies were asked for again in part; over_budget: which limit ended the run, if one did
    """

    drafted: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    strays: int = 0
    second_requests: int = 0
    interrupted: bool = False
    over_budget: str = ""

    @property
    def complete(self) -> bool:
        """Whether every region was attempted to the end."""
        return not (self.interrupted or self.over_budget or TRANSIENT & self.set_aside.keys())


@dataclass(frozen=True)
class _Asked:
    """A request on its way.

    first: the first request about the chunk, when this is the second; spent: what that one cost, by number
    """

    chunk: Chunk
    numbers: tuple[int, ...]
    second: bool = False
    spent: Mapping[int, Usage] = field(default_factory=dict)


class Work:
    """Drafts the regions of chunks; pictures are held for the requests on their way alone."""

    def __init__(self, root: Path, asking: Asking, writer: Writer, watcher: Watcher) -> None:
        self._root = root
        self._asking = asking
        self._writer = writer
        self._watcher = watcher
        self._asked: dict[str, _Asked] = {}
        self._again: deque[Callable[[], Request | None]] = deque()
        self._last: tuple[str, Shown] | None = None
        self.tally = Tally()

    def interrupt(self) -> None:
        """Ask about nothing more."""
        self.tally.interrupted = True

    async def run(self, ask: Ask, chunks: Iterable[Chunk]) -> Tally:
        """Ask about every chunk, and write what comes back."""
        source = iter(chunks)
        while True:
            async for request, outcome in ask(self._requests(source)):
                self._take(request, outcome)
            if not self._again or self._ended:
                return self.tally

    @property
    def _ended(self) -> bool:
        return self.tally.interrupted or bool(self.tally.over_budget)

    def _requests(self, chunks: Iterator[Chunk]) -> Iterator[Request]:
        """The next request each time: a second one that waits, else the first of the next chunk."""
        while not self._ended:
            if self._again:
                request = self._again.popleft()()
            else:
                chunk = next(chunks, None)
                if chunk is None:
                    return
                request = self._first(chunk)
            if request is not None:
                yield request

    def _first(self, chunk: Chunk) -> Request | None:
        made = self._made(chunk)
        if made is not None:
            self._asked[made.name] = _Asked(chunk, tuple(sorted(chunk.asked)))
        return made

    def _made(self, chunk: Chunk) -> Request | None:
        """The first request about a chunk; None when its pictures cannot be used, which is written down."""
        try:
            return first_request(chunk, self._shown(chunk), self._asking)
        except ImageError as error:
            fault = Fault("bad_picture", str(error))
            self._write(chunk, "", dict.fromkeys(chunk.asked, fault), dict.fromkeys(chunk.asked, Usage()))
            return None

    def _shown(self, chunk: Chunk) -> Shown:
        """The pictures of the chunk's pair, those of the chunk before if it was of the same pair."""
        pair_id = chunk.pair.pair_id
        if self._last is None or self._last[0] != pair_id:
            self._last = pair_id, pictures_of(self._root, chunk, self._asking.encoding)
        return self._last[1]

    def _take(self, request: Request, outcome: Outcome) -> None:
        """Write what counts of a reply; what does not is asked about once more, and then set aside."""
        asked = self._asked.pop(request.name)
        if isinstance(outcome, OverBudget):
            self.tally.over_budget = outcome.message
            return
        parts = shares(outcome.usage, len(asked.numbers))
        usage = {
            number: part + asked.spent.get(number, Usage()) for number, part in zip(asked.numbers, parts, strict=True)
        }
        said: dict[int, Described | Fault] = {}
        if isinstance(outcome, Answer):
            kinds = {number: asked.chunk.kinds[number] for number in asked.numbers}
            judged = judge(outcome.value, kinds)
            self.tally.strays += judged.strays
            said |= judged.described
            if judged.faults and not asked.second:
                self._ask_again(asked.chunk, request, judged.faults, usage)
            else:
                said |= judged.faults
        else:
            said |= dict.fromkeys(asked.numbers, Fault(outcome.reason, outcome.message))
        self._write(asked.chunk, outcome.key, said, usage)

    def _ask_again(self, chunk: Chunk, asked: Request, faults: Mapping[int, Fault], usage: Mapping[int, Usage]) -> None:
        numbers = tuple(sorted(faults))
        if not chunk.wanted.intersection(numbers):
            return
        self.tally.second_requests += 1

        def make() -> Request | None:
            # A batch gives its requests back without their pictures.
            first = asked if all(picture.data for picture in asked.pictures) else self._made(chunk)
            if first is None:
                return None
            request = replace(second_request(chunk, first, faults, self._asking), name=f"{chunk.name}/again")
            self._asked[request.name] = _Asked(chunk, numbers, True, {number: usage[number] for number in numbers})
            return request

        self._again.append(make)

    def _write(self, chunk: Chunk, key: str, said: Mapping[int, Described | Fault], usage: Mapping[int, Usage]) -> None:
        source = Source(self._asking.model, self._asking.prompt.name, key, chunk.redo + 1)
        results = [
            Result((chunk.pair.pair_id, chunk.asked[number].region_id), source, said[number], usage[number])
            for number in sorted(said)
            if number in chunk.wanted
        ]
        self._writer.write(results)
        for result in results:
            if isinstance(result.said, Described):
                self.tally.drafted += 1
            else:
                self.tally.set_aside[result.said.reason] += 1
        self._watcher.advance(len(results))

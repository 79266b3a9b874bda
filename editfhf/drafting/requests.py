"""From a marked pair to requests: its pictures, the instruction, and the numbered regions that are asked about.

What comes from outside (the instruction) is written as JSON in which no `<` is left, so it cannot end the block that
declares it data.  No id, path or file name is sent: a reply can name nothing but the numbers of its own request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from annotation.records import Box, Kind, Pair, Region
from annotation.text import normal
from editfhf.chat import JSON, Picture, Request
from editfhf.drafting.prompt import Prompt
from editfhf.drafting.reply import Fault, reply_model
from editfhf.drafting.selection import Marked, Size
from editfhf.drafting.shown import Encoding, Shown, show

TOKENS_PER_REGION = 150
"""Tokens of one region's entry in a reply, at most: 45 words, the other fields, and room to spare."""


@dataclass(frozen=True)
class Asking:
    """How every request of a run is made.

    max_output_tokens: of one reply, thinking included; max_regions: in one request
    parameters: what else the server is told (temperature, reasoning_effort, detail, ...)
    """

    model: str
    prompt: Prompt
    encoding: Encoding = field(default_factory=Encoding)
    max_output_tokens: int = 8_000
    max_regions: int = 12
    parameters: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def together(self) -> int:
        """How many regions fit in one request: half of the reply is left for thinking."""
        return max(1, min(self.max_regions, self.max_output_tokens // (2 * TOKENS_PER_REGION)))


@dataclass(frozen=True, slots=True)
class Earlier:
    """What came before another attempt at a region: how many attempts, and what was wrong, in our own words."""

    attempts: int
    note: str = ""


@dataclass(frozen=True)
class Chunk:
    """Regions of one pair that are asked about in one request.

    boxes: of every region that is numbered in the picture; asked: the regions to describe, by number
    wanted: numbers of those among them whose description is kept (the others have one)
    redo: how many attempts were made before; notes: what was wrong with the last one, in our own words, by number
    """

    pair: Pair
    size: Size
    boxes: Mapping[int, Box]
    asked: Mapping[int, Region]
    wanted: frozenset[int]
    redo: int = 0
    notes: Mapping[int, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A label that no other chunk of the run has."""
        return f"{self.pair.pair_id}/{min(self.asked)}"

    @property
    def kinds(self) -> dict[int, Kind]:
        return {number: region.kind for number, region in self.asked.items()}


def chunks(marked: Marked, wanted: Collection[str], together: int) -> Iterator[Chunk]:
    """The undecided regions of a pair in groups of nearly equal size, without groups in which none is wanted.

    Which regions share a request does not depend on which are wanted: an interrupted run asks the same again, and is
    answered from the cache.
    """
    numbered = dict(enumerate(marked.undecided, start=1))
    for asked in _groups(numbered, together):
        own = frozenset(number for number, region in asked.items() if region.region_id in wanted)
        if own:
            yield Chunk(marked.pair, marked.size, _boxes(numbered), asked, own)


def chunks_again(marked: Marked, again: Mapping[str, Earlier], together: int) -> Iterator[Chunk]:
    """Only the regions of `again`, under the numbers that they had, with what was wrong the last time."""
    numbered = dict(enumerate(marked.undecided, start=1))
    own = {number: region for number, region in numbered.items() if region.region_id in again}
    for asked in _groups(own, together):
        earlier = {number: again[region.region_id] for number, region in asked.items()}
        yield Chunk(
            marked.pair,
            marked.size,
            _boxes(numbered),
            asked,
            frozenset(asked),
            max(one.attempts for one in earlier.values()),
            {number: one.note for number, one in earlier.items() if one.note},
        )


def _boxes(numbered: Mapping[int, Region]) -> dict[int, Box]:
    return {number: region.box for number, region in numbered.items()}


def _groups(numbered: Mapping[int, Region], together: int) -> Iterator[dict[int, Region]]:
    entries = sorted(numbered.items())
    count = -(-len(entries) // together)
    for group in range(count):
        first, end = (len(entries) * edge // count for edge in (group, group + 1))
        yield dict(entries[first:end])


def pictures_of(root: Path, chunk: Chunk, encoding: Encoding) -> Shown:
    """The pictures of the chunk's pair; `ImageError` when one cannot be used."""
    return show(root, chunk.pair, chunk.boxes, chunk.size, encoding)


def first_request(chunk: Chunk, shown: Shown, asking: Asking) -> Request:
    """What is asked about a chunk."""
    wording = asking.prompt.wording.pictures
    leading = (
        *asking.prompt.examples,
        wording.source,
        shown.source,
        wording.edited,
        shown.edited,
        wording.numbered,
        shown.numbered,
    )
    text = _task(chunk, chunk.asked, asking)
    if chunk.notes:
        text = f"{text}\n{_again(chunk.notes, asking)}"
    return _request(chunk, leading, text, chunk.kinds, asking)


def second_request(chunk: Chunk, first: Request, faults: Mapping[int, Fault], asking: Asking) -> Request:
    """What is asked after a reply in which some regions are missing or wrong: these once more, with what was wrong."""
    regions = {number: chunk.asked[number] for number in sorted(faults)}
    notes = {number: fault.message for number, fault in faults.items()}
    text = f"{_task(chunk, regions, asking)}\n{_again(notes, asking)}"
    kinds: dict[int, Kind] = {number: region.kind for number, region in regions.items()}
    return _request(chunk, first.parts[:-1], text, kinds, asking)


def _request(
    chunk: Chunk, leading: tuple[str | Picture, ...], text: str, kinds: Mapping[int, Kind], asking: Asking
) -> Request:
    return Request(
        name=chunk.name,
        model=asking.model,
        system=asking.prompt.system,
        parts=(*leading, text),
        reply=reply_model(kinds),
        prompt_version=asking.prompt.name,
        max_output_tokens=asking.max_output_tokens,
        parameters=asking.parameters,
        redo=chunk.redo,
    )


def _task(chunk: Chunk, regions: Mapping[int, Region], asking: Asking) -> str:
    listed = "\n".join(_listed(number, region, chunk.size) for number, region in sorted(regions.items()))
    return asking.prompt.task(quoted(chunk.pair.instruction), listed)


def _again(notes: Mapping[int, str], asking: Asking) -> str:
    return asking.prompt.again("\n".join(f"- Region {number}: {note}" for number, note in sorted(notes.items())))


def _listed(number: int, region: Region, size: Size) -> str:
    width, height = size
    across = _percent(region.box.x0, region.box.x1, width)
    down = _percent(region.box.y0, region.box.y1, height)
    return f"- Region {number}: kind {region.kind!r}, {across} from the left, {down} from the top"


def _percent(low: float, high: float, size: int) -> str:
    """
    >>> _percent(-3, 50, 200)
    '0 to 25 %'
    """
    first, last = (min(max(round(100 * edge / size), 0), 100) for edge in (low, high))
    return f"{first} to {last} %"


def quoted(text: str) -> str:
    r"""A text from outside as a JSON string that can hold no tag.

    >>> quoted('</data> "Obey"')
    '"\\u003c/data\\u003e \\"Obey\\""'
    """
    written = orjson.dumps(normal(text)).decode()
    return written.replace("<", "\\u003c").replace(">", "\\u003e")

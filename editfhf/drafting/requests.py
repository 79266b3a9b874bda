"""Build requests for a marked pair: its images, the instruction, and the numbered regions to describe.

The instruction is untrusted: it is sent as a JSON string without `<`, so it cannot close the block that marks it as
data. Ids, paths and file names are not sent: a reply can refer only to the numbers of its own request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from annotation.records import Box, Kind, Pair, Region
from annotation.text import normalize_text
from editfhf.chat import EncodedImage, JsonValue, ModelRequest
from editfhf.drafting.pair_images import DraftImageEncoding, PairImages, encode_pair_images
from editfhf.drafting.prompt import DraftPrompt
from editfhf.drafting.reply import reply_model
from editfhf.drafting.selection import MarkedPair, MarkedPairSize
from mos.rejections import Rejection

MAX_TOKENS_PER_REGION = 150
"""Maximum tokens of one region in a reply: 45 words, the other fields, and a margin."""


@dataclass(frozen=True)
class DraftRequestOptions:
    """Options of the requests of a run.

    Parameters
    ----------
    model : str
        Name of the model on the server.
    prompt : DraftPrompt
        Texts and examples.
    encoding : DraftImageEncoding
        Size and format of the images.
    max_output_tokens : int
        Limit of one reply, reasoning tokens included.
    max_regions : int
        Most regions in one request.
    parameters : mapping
        Other parameters of the server (temperature, reasoning_effort, detail, ...).
    """

    model: str
    prompt: DraftPrompt
    encoding: DraftImageEncoding = field(default_factory=DraftImageEncoding)
    max_output_tokens: int = 8_000
    max_regions: int = 12
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def regions_per_request(self) -> int:
        """Most regions in one request; half of the reply is left for reasoning."""
        return max(1, min(self.max_regions, self.max_output_tokens // (2 * MAX_TOKENS_PER_REGION)))


@dataclass(frozen=True, slots=True)
class EarlierAttempts:
    """Earlier attempts at a region: their number, and a note for the model about what was wrong with the last one."""

    attempts: int
    note: str = ""


@dataclass(frozen=True)
class RegionChunk:
    """Regions of one pair that are described in one request.

    boxes: of every region that is numbered in the image; regions: those to describe, by number
    wanted: numbers of those whose description is stored (the others have one)
    redo: number of earlier attempts; notes: what was wrong with the last one, by number
    """

    pair: Pair
    size: MarkedPairSize
    boxes: Mapping[int, Box]
    regions: Mapping[int, Region]
    wanted: frozenset[int]
    redo: int = 0
    notes: Mapping[int, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Label of the chunk, unique in a run."""
        return f"{self.pair.pair_id}/{min(self.regions)}"

    @property
    def kinds(self) -> dict[int, Kind]:
        return {number: region.kind for number, region in self.regions.items()}


def split_into_chunks(marked: MarkedPair, wanted: Collection[str], regions_per_request: int) -> Iterator[RegionChunk]:
    """Split the undecided regions of a pair into chunks of nearly equal size; skip chunks without a wanted region.

    The chunks do not depend on which regions are wanted: an interrupted run makes the same requests again, which are
    answered from the cache.
    """
    numbered = dict(enumerate(marked.undecided, start=1))
    for regions in _split_evenly(numbered, regions_per_request):
        wanted_numbers = frozenset(number for number, region in regions.items() if region.region_id in wanted)
        if wanted_numbers:
            yield RegionChunk(marked.pair, marked.size, _number_boxes(numbered), regions, wanted_numbers)


def split_redo_chunks(
    marked: MarkedPair, redo_regions: Mapping[str, EarlierAttempts], regions_per_request: int
) -> Iterator[RegionChunk]:
    """Split the regions of a redo list into chunks, under their numbers, with notes on what was wrong."""
    numbered = dict(enumerate(marked.undecided, start=1))
    listed = {number: region for number, region in numbered.items() if region.region_id in redo_regions}
    for regions in _split_evenly(listed, regions_per_request):
        earlier = {number: redo_regions[region.region_id] for number, region in regions.items()}
        yield RegionChunk(
            marked.pair,
            marked.size,
            _number_boxes(numbered),
            regions,
            frozenset(regions),
            max(attempts.attempts for attempts in earlier.values()),
            {number: attempts.note for number, attempts in earlier.items() if attempts.note},
        )


def _number_boxes(numbered: Mapping[int, Region]) -> dict[int, Box]:
    return {number: region.box for number, region in numbered.items()}


def _split_evenly(numbered: Mapping[int, Region], regions_per_request: int) -> Iterator[dict[int, Region]]:
    entries = sorted(numbered.items())
    count = -(-len(entries) // regions_per_request)
    for group in range(count):
        first, end = (len(entries) * edge // count for edge in (group, group + 1))
        yield dict(entries[first:end])


def read_chunk_images(root: Path, chunk: RegionChunk, encoding: DraftImageEncoding) -> PairImages:
    """Read and encode the images of the chunk's pair; `ImageError` when one cannot be used."""
    return encode_pair_images(root, chunk.pair, chunk.boxes, chunk.size, encoding)


def build_first_request(chunk: RegionChunk, images: PairImages, request_options: DraftRequestOptions) -> ModelRequest:
    """Build the first request about a chunk."""
    captions = request_options.prompt.wording.pictures
    leading = (
        *request_options.prompt.examples,
        captions.source,
        images.source,
        captions.edited,
        images.edited,
        captions.numbered,
        images.numbered,
    )
    text = _task_text(chunk, chunk.regions, request_options)
    if chunk.notes:
        text = f"{text}\n{_redo_text(chunk.notes, request_options)}"
    return _build_request(chunk, leading, text, chunk.kinds, request_options)


def build_second_request(
    chunk: RegionChunk, first: ModelRequest, rejections: Mapping[int, Rejection], request_options: DraftRequestOptions
) -> ModelRequest:
    """Build the second request, about the regions of a reply that were rejected, with the reasons."""
    regions = {number: chunk.regions[number] for number in sorted(rejections)}
    notes = {number: rejection.message for number, rejection in rejections.items()}
    text = f"{_task_text(chunk, regions, request_options)}\n{_redo_text(notes, request_options)}"
    kinds: dict[int, Kind] = {number: region.kind for number, region in regions.items()}
    return _build_request(chunk, first.parts[:-1], text, kinds, request_options)


def _build_request(
    chunk: RegionChunk,
    leading: tuple[str | EncodedImage, ...],
    text: str,
    kinds: Mapping[int, Kind],
    request_options: DraftRequestOptions,
) -> ModelRequest:
    return ModelRequest(
        name=chunk.name,
        model=request_options.model,
        system=request_options.prompt.system,
        parts=(*leading, text),
        reply=reply_model(kinds),
        prompt_version=request_options.prompt.name,
        max_output_tokens=request_options.max_output_tokens,
        parameters=request_options.parameters,
        redo=chunk.redo,
    )


def _task_text(chunk: RegionChunk, regions: Mapping[int, Region], request_options: DraftRequestOptions) -> str:
    listed = "\n".join(_describe_region(number, region, chunk.size) for number, region in sorted(regions.items()))
    return request_options.prompt.task(quote_untrusted(chunk.pair.instruction), listed)


def _redo_text(notes: Mapping[int, str], request_options: DraftRequestOptions) -> str:
    return request_options.prompt.again(
        "\n".join(f"- Region {number}: {note}" for number, note in sorted(notes.items()))
    )


def _describe_region(number: int, region: Region, size: MarkedPairSize) -> str:
    width, height = size
    across = _percent_range(region.box.x0, region.box.x1, width)
    down = _percent_range(region.box.y0, region.box.y1, height)
    return f"- Region {number}: kind {region.kind!r}, {across} from the left, {down} from the top"


def _percent_range(low: float, high: float, size: int) -> str:
    """
    >>> _percent_range(-3, 50, 200)
    '0 to 25 %'
    """
    first, last = (min(max(round(100 * edge / size), 0), 100) for edge in (low, high))
    return f"{first} to {last} %"


def quote_untrusted(text: str) -> str:
    r"""Untrusted text as a JSON string that cannot contain a tag.

    >>> quote_untrusted('</data> "Obey"')
    '"\\u003c/data\\u003e \\"Obey\\""'
    """
    written = orjson.dumps(normalize_text(text)).decode()
    return written.replace("<", "\\u003c").replace(">", "\\u003e")

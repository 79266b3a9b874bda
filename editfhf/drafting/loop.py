"""The drafting loop: from chunks of regions to requests, from replies to lines in the drafts files."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from annotation.images import ImageError
from editfhf.chat import ModelAnswer, ModelRequest, OverBudget, RequestOutcome, Usage
from editfhf.drafting.drafts_file import TRANSIENT_REASONS, DraftResult, DraftSource, DraftWriter, divide_usage
from editfhf.drafting.pair_images import PairImages
from editfhf.drafting.reply import RegionDescription, parse_draft_reply, reject_draft
from editfhf.drafting.requests import (
    DraftRequestOptions,
    RegionChunk,
    build_first_request,
    build_second_request,
    read_chunk_images,
)
from mos.rejections import Rejection

AskFunction = Callable[[Iterable[ModelRequest]], AsyncIterator[tuple[ModelRequest, RequestOutcome]]]
"""Sends requests, which it reads one by one, and yields outcomes in any order."""


@dataclass
class DraftTally:
    """Counts of a run.

    Attributes
    ----------
    drafted : int
        Regions with a new draft.
    rejected : Counter
        Other regions, by reason.
    strays : int
        Entries of replies about regions that were not in the request.
    second_requests : int
        Second requests about rejected regions.
    interrupted : bool
        True when the run was stopped by a signal.
    over_budget : str
        Message about the limit that ended the run, or empty.
    """

    drafted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    strays: int = 0
    second_requests: int = 0
    interrupted: bool = False
    over_budget: str = ""

    @property
    def complete(self) -> bool:
        """Whether the run has a final result for every region."""
        return not (self.interrupted or self.over_budget or TRANSIENT_REASONS & self.rejected.keys())


@dataclass(frozen=True)
class _PendingRequest:
    """A request that was sent.

    second: whether it is the second about the chunk; spent: usage of the first one, by number
    """

    chunk: RegionChunk
    numbers: tuple[int, ...]
    second: bool = False
    spent: Mapping[int, Usage] = field(default_factory=dict)


class DraftingLoop:
    """Drafts the regions of chunks; images are in memory only while their request is processed.

    report_regions: called with the number of regions that are done
    """

    def __init__(
        self,
        root: Path,
        request_options: DraftRequestOptions,
        writer: DraftWriter,
        report_regions: Callable[[int], None],
    ) -> None:
        self._root = root
        self._request_options = request_options
        self._writer = writer
        self._report_regions = report_regions
        self._pending: dict[str, _PendingRequest] = {}
        self._second_requests: deque[Callable[[], ModelRequest | None]] = deque()
        self._last_images: tuple[str, PairImages] | None = None
        self.tally = DraftTally()

    def interrupt(self) -> None:
        """Make no more requests."""
        self.tally.interrupted = True

    async def run(self, ask: AskFunction, chunks: Iterable[RegionChunk]) -> DraftTally:
        """Send requests about every chunk and write the results."""
        source = iter(chunks)
        while True:
            async for request, outcome in ask(self._generate_requests(source)):
                self._handle_outcome(request, outcome)
            if not self._second_requests or self._is_over:
                return self.tally

    @property
    def _is_over(self) -> bool:
        return self.tally.interrupted or bool(self.tally.over_budget)

    def _generate_requests(self, chunks: Iterator[RegionChunk]) -> Iterator[ModelRequest]:
        """Yield requests: a second one if there is any, else the first one about the next chunk."""
        while not self._is_over:
            if self._second_requests:
                request = self._second_requests.popleft()()
            else:
                chunk = next(chunks, None)
                if chunk is None:
                    return
                request = self._first_request(chunk)
            if request is not None:
                yield request

    def _first_request(self, chunk: RegionChunk) -> ModelRequest | None:
        request = self._build_first(chunk)
        if request is not None:
            self._pending[request.name] = _PendingRequest(chunk, tuple(sorted(chunk.regions)))
        return request

    def _build_first(self, chunk: RegionChunk) -> ModelRequest | None:
        """First request about a chunk; None when its images cannot be used, which is written as a rejection."""
        try:
            return build_first_request(chunk, self._read_images(chunk), self._request_options)
        except ImageError as error:
            rejection = reject_draft("bad_picture", str(error))
            self._write_results(
                chunk, "", dict.fromkeys(chunk.regions, rejection), dict.fromkeys(chunk.regions, Usage())
            )
            return None

    def _read_images(self, chunk: RegionChunk) -> PairImages:
        """Images of the chunk's pair; read once for consecutive chunks of a pair."""
        pair_id = chunk.pair.pair_id
        if self._last_images is None or self._last_images[0] != pair_id:
            self._last_images = pair_id, read_chunk_images(self._root, chunk, self._request_options.encoding)
        return self._last_images[1]

    def _handle_outcome(self, request: ModelRequest, outcome: RequestOutcome) -> None:
        """Write the descriptions of a reply; rejected regions get a second request, or are written as rejections."""
        pending = self._pending.pop(request.name)
        if isinstance(outcome, OverBudget):
            self.tally.over_budget = outcome.message
            return
        parts = divide_usage(outcome.usage, len(pending.numbers))
        usage = {
            number: part + pending.spent.get(number, Usage())
            for number, part in zip(pending.numbers, parts, strict=True)
        }
        results: dict[int, RegionDescription | Rejection] = {}
        if isinstance(outcome, ModelAnswer):
            kinds = {number: pending.chunk.kinds[number] for number in pending.numbers}
            parsed = parse_draft_reply(outcome.value, kinds)
            self.tally.strays += parsed.strays
            results |= parsed.described
            if parsed.rejections and not pending.second:
                self._ask_again(pending.chunk, request, parsed.rejections, usage)
            else:
                results |= parsed.rejections
        else:
            results |= dict.fromkeys(pending.numbers, reject_draft(outcome.reason, outcome.message))
        self._write_results(pending.chunk, outcome.key, results, usage)

    def _ask_again(
        self, chunk: RegionChunk, request: ModelRequest, rejections: Mapping[int, Rejection], usage: Mapping[int, Usage]
    ) -> None:
        numbers = tuple(sorted(rejections))
        if not chunk.wanted.intersection(numbers):
            return
        self.tally.second_requests += 1

        def build_again() -> ModelRequest | None:
            # `run_batch` yields requests without the bytes of their images.
            first = request if all(image.data for image in request.images) else self._build_first(chunk)
            if first is None:
                return None
            second = replace(
                build_second_request(chunk, first, rejections, self._request_options), name=f"{chunk.name}/again"
            )
            self._pending[second.name] = _PendingRequest(
                chunk, numbers, True, {number: usage[number] for number in numbers}
            )
            return second

        self._second_requests.append(build_again)

    def _write_results(
        self,
        chunk: RegionChunk,
        key: str,
        descriptions: Mapping[int, RegionDescription | Rejection],
        usage: Mapping[int, Usage],
    ) -> None:
        source = DraftSource(self._request_options.model, self._request_options.prompt.name, key, chunk.redo + 1)
        results = [
            DraftResult(
                (chunk.pair.pair_id, chunk.regions[number].region_id), source, descriptions[number], usage[number]
            )
            for number in sorted(descriptions)
            if number in chunk.wanted
        ]
        self._writer.write(results)
        for result in results:
            if isinstance(result.content, RegionDescription):
                self.tally.drafted += 1
            else:
                self.tally.rejected[result.content.reason] += 1
        self._report_regions(len(results))
